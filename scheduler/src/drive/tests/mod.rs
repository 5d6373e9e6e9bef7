//! Loads driven to their end against fakes of the engine and the stores.

pub(crate) mod fakes;

mod forged;

mod loads;

mod histories;
mod recovery;
