//! Runs loads: requests, periods, the driver, publishing, the status store, and the Ballista
//! cluster that runs the tasks.

pub mod cluster;
pub mod decide;
pub mod drive;
pub mod input;
pub mod load;
pub mod publish;
pub mod service;
pub mod status;
pub mod submit;
