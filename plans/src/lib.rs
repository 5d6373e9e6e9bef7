//! What a load computes: sources, formats, mappings, plan nodes and the session
//! that every process builds. Nothing here reads a clock, the environment or the
//! status table.

pub mod diagnostics;
pub mod formats;
pub mod mapping;
pub mod ocsf;
pub mod pipeline;
pub mod receipt;
pub mod shard;
pub mod show;
pub mod sinks;
pub mod spec;
pub mod verify;
