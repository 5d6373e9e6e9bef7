//! Runs a load to its end: survey, attempts, publishing, replay, sweep and adopt. Start reading at
//! [`driver::Driver::run`].

pub mod activity;
pub mod adopt;
pub mod attempt;
pub mod changes;
mod check;
pub mod context;
pub mod driver;
pub mod frame;
mod owed;
pub mod period;
pub mod plan;
mod reach;
pub mod replay;
mod settled;
pub mod survey;
pub mod sweep;
#[cfg(test)]
pub(crate) mod tests;
mod undated;
pub mod watch;
