//! The computation of a load: sources, formats, mappings, plan nodes and the session
//! that every process builds. This crate reads no clock, no status table and no
//! environment. The exception is the AWS SDK, which `storage::aws` configures.
//!
//! Start reading at `pipeline`; docs/architecture.md says where to add what.

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
pub mod lake;
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
