//! Loads driven to their end against fakes of the engine and the stores.

pub(crate) mod fakes;

mod loads;

mod histories;
mod recovery;
