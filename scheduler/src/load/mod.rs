//! A load: one request for a dataset over a range of days. Start reading at `drive`.
//!
//! `days`, `range`, `request`, `places`, `splits`, `remaining`, `dataset`, `task`, `manifest` and
//! `outcome` are pure; the others touch storage and status.

pub mod dataset;
pub mod days;
pub mod exit;
pub mod failure;
pub mod notification;
pub mod outcome;
pub mod places;
pub mod range;
pub mod request;
pub mod saved;
