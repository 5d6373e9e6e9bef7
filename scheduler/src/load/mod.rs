//! What a load is asked for, and what it reports: one request for a dataset over a range of
//! days. Pure: nothing here touches storage, the status table, a clock or the environment.

pub mod check;
pub mod dataset;
pub mod days;
pub mod exit;
pub mod failure;
pub mod notification;
pub mod outcome;
pub mod places;
pub mod range;
pub mod recorded;
pub mod terms;
