//! A load: one request for a dataset over a range of days. Start reading at `drive`.
//!
//! `days`, `range`, `request`, `places`, `shards`, `remaining`, `dataset`, `task`, `manifest` and
//! `outcome` are pure; the others touch storage and status.

pub mod attempt;
pub mod claim;
pub mod dataset;
pub mod days;
pub mod debris;
pub mod drive;
#[cfg(test)]
mod drive_tests;
pub mod failure;
#[cfg(test)]
mod fakes;
pub mod inventory;
pub mod layout;
pub mod manifest;
pub mod outcome;
pub mod owner;
pub mod period;
pub mod places;
pub mod plan;
pub mod progress;
pub mod publish;
pub mod range;
pub mod receipts;
#[cfg(test)]
mod recovery_tests;
pub mod remaining;
pub mod replay;
pub mod request;
pub mod saved;
pub mod shards;
pub mod survey;
pub mod sweep;
pub mod task;
pub mod watch;
pub mod work;
