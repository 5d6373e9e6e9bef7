//! A load: one request for a dataset over a range of days.
//!
//! `days`, `request`, `shards`, `remaining` and `task` are pure; `inventory`,
//! `drive` and `publish` touch storage.

pub mod days;
pub mod request;
