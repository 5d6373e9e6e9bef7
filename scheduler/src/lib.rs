//! Runs loads: requests, periods, the driver, publishing, the status store, and the Ballista
//! cluster that runs the tasks.
//!
//! Start reading at `drive::driver`; docs/architecture.md says where to add what.

pub mod cluster;
pub mod decide;
pub mod drive;
pub mod input;
pub mod load;
pub mod publish;
pub mod service;
pub mod status;
pub mod submit;
