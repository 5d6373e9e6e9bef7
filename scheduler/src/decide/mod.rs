//! Decides what a load still has to do. Pure: no storage, no clock, no environment.

pub mod remaining;
pub mod warnings;
