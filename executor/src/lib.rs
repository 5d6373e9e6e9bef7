//! Where a task runs: a Ballista executor with our session. It pulls its tasks from
//! a scheduler, so it opens no port; whoever starts it brings the way to the
//! scheduler's service (a channel, or the service itself in embedded mode).

pub mod engine;
pub mod polls;
pub mod process;
pub mod transport;
mod worker;

pub use crate::worker::{Canceller, Room, Worker, WorkerError};
