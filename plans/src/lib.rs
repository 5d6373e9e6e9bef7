//! What a load computes: sources, formats, mappings, plan nodes and the session
//! that every process builds. Nothing here reads a clock, the environment or the
//! status table.

pub mod diagnostics;
pub mod dialects;
pub mod formats;
pub mod lint;
pub mod mapping;
pub mod ocsf;
pub mod pipeline;
pub mod receipt;
pub mod shard;
pub mod sinks;
pub mod sources;
pub mod spec;
