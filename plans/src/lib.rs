//! What a load computes: sources, formats, mappings, plan nodes and the session
//! that every process builds. Nothing here reads a clock, the environment (but for
//! the AWS SDK, which `aws` opens) or the status table.

pub mod attempt;
pub mod codec;
pub mod compiled;
pub mod crash_point;
pub mod decode;
pub mod diagnostics;
pub mod dialects;
pub mod formats;
pub mod functions;
pub mod inspect;
pub mod lint;
pub mod mapping;
pub mod ocsf;
pub mod pipeline;
pub mod receipt;
pub mod reported;
pub mod scan;
pub mod session;
pub mod sink;
pub mod sources;
pub mod spec;
pub mod storage;
