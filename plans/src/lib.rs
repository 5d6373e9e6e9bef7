//! What a load computes: sources, formats, mappings, plan nodes and the session
//! that every process builds. Nothing here reads a clock, the environment (but for
//! the AWS SDK, which `aws` opens) or the status table.

pub mod aws;
pub mod codec;
pub mod compiled;
pub mod crash_point;
pub mod diagnostics;
pub mod dialects;
pub mod formats;
pub mod functions;
pub mod lint;
pub mod mapping;
pub mod nodes;
pub mod objects;
pub mod ocsf;
pub mod pipeline;
pub mod preview;
pub mod read;
pub mod read_parquet;
pub mod receipt;
pub mod reported;
pub mod session;
pub mod shard;
pub mod show;
pub mod sinks;
pub mod sources;
pub mod spec;
pub mod stores;
pub mod verify;
