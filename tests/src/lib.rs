//! The harness of the integration tests. It generates small inputs, runs and kills the real
//! binaries, and reads back their output. It uses no code of the crates under test, so that
//! it cannot share their bugs.

pub mod certificates;
pub mod cloud;
pub mod cluster;
pub mod config;
pub mod days;
pub mod dynamo;
pub mod http;
pub mod inputs;
pub mod moto;
pub mod points;
pub mod process;
pub mod proxy;
pub mod python;
pub mod random;
pub mod relay;
pub mod rows;
pub mod s3;
pub mod workspace;

pub use crate::cloud::CloudWorkspace;
pub use crate::cluster::Cluster;
pub use crate::days::Day;
pub use crate::process::{Invocation, Output, Running};
pub use crate::proxy::FaultProxy;
pub use crate::relay::Relay;
pub use crate::workspace::Workspace;
