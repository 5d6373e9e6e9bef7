//! When a load runs: requests, periods, the drive loop, publishing, the status
//! store, and the Ballista cluster that tasks are submitted to.

pub mod cluster;
pub mod decide;
pub mod drive;
pub mod input;
pub mod load;
pub mod publish;
pub mod service;
pub mod status;
pub mod submit;
