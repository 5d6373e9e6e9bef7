//! A Ballista executor with our session. It pulls tasks from a scheduler and opens no port.
//! The caller provides the connection to the scheduler: a channel, or the service itself in
//! embedded mode.

pub mod engine;
pub mod polls;
pub mod process;
pub mod token;
pub mod transport;
mod worker;

pub use crate::worker::{Canceller, Capacity, Worker, WorkerError};
