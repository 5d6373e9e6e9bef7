//! Where a task runs: a Ballista executor with our session. It pulls its tasks from
//! a scheduler, so it opens no port; whoever starts it brings the way to the
//! scheduler's service (a channel, or the service itself in embedded mode).

pub mod engine;
pub mod process;
mod worker;

pub use worker::{Canceller, Worker, WorkerError};
