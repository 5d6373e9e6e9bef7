//! The harness of the integration tests: runs the real binaries on small inputs made
//! here, kills them, and reads back what stands. It uses no code of the crates under
//! test, so that a mistake there cannot hide itself.

pub mod days;
pub mod inputs;
pub mod lab;
pub mod process;
pub mod python;
pub mod rows;

pub use days::Day;
pub use lab::Lab;
pub use process::{Answer, Invocation, Running};
