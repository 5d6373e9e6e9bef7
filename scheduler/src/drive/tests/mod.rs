//! Loads driven to their end against fakes of the engine and the stores.

mod dying;
pub(crate) mod fakes;

mod forged;

mod loads;

mod histories;
mod recovery;
