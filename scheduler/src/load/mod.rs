//! A load: one request for a dataset over a range of days. Start reading at `drive`.
//!
//! Nothing here touches the network, the clock or the environment.

pub mod check;
pub mod dataset;
pub mod days;
pub mod failure;
pub mod notification;
pub mod outcome;
pub mod places;
pub mod range;
pub mod recorded;
pub mod request;
pub mod terms;
