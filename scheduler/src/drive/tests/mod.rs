//! Loads driven to their end against fakes of the engine and the stores.

mod dying;
pub(crate) mod fakes;
mod forged;
mod histories;
mod loads;
mod recovery;
mod undated;
