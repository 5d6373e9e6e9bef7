//! The harness of the integration tests: runs the real binaries on small inputs made
//! here, kills them, and reads back what they wrote. It uses no code of the crates under
//! test, so that a mistake there cannot hide itself.

pub mod certificates;
pub mod cloud;
pub mod cluster;
pub mod config;
pub mod days;
pub mod dynamo;
pub mod http;
pub mod inputs;
pub mod lab;
pub mod moto;
pub mod points;
pub mod process;
pub mod proxy;
pub mod python;
pub mod random;
pub mod rows;
pub mod s3;
pub mod wire;

pub use crate::cloud::CloudLab;
pub use crate::cluster::Cluster;
pub use crate::days::Day;
pub use crate::lab::Lab;
pub use crate::process::{Answer, Invocation, Running};
pub use crate::proxy::Proxy;
pub use crate::wire::Wire;
