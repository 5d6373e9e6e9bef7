//! Decides which work of a load remains. Pure: no storage, no clock, no environment.

pub mod coverage;
pub mod incomplete;
pub mod remaining;
pub mod warnings;
