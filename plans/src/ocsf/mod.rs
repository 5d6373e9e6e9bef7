//! OCSF facts, one compact table per pinned version.
