//! A load: one request for a dataset over a range of days.
//!
//! `days`, `request`, `shards`, `remaining` and `task` are pure; `inventory`,
//! `drive` and `publish` touch storage.

pub mod days;
pub mod inventory;
pub mod layout;
pub mod range;
pub mod remaining;
pub mod request;
pub mod shards;
