//! A load: one request for a dataset over a range of days.
//!
//! `days`, `request`, `shards`, `remaining`, `task` and `manifest` are pure;
//! `inventory`, `work`, `claim`, `receipts`, `publish`, `drive` and `sweep` touch
//! storage and status.

pub mod claim;
pub mod days;
pub mod inventory;
pub mod layout;
pub mod manifest;
pub mod publish;
pub mod range;
pub mod receipts;
pub mod remaining;
pub mod request;
pub mod shards;
pub mod task;
pub mod work;
