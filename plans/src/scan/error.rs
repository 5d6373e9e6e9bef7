//! A store's error as DataFusion's.

use std::io;

use datafusion::common::DataFusionError;

use crate::reported::Reported;
use crate::storage::StoreFailure;

/// Ballista runs a task again for an I/O error and for no other.
pub fn io_error(error: object_store::Error) -> DataFusionError {
    let failure = StoreFailure::from(error);
    match failure.cause.retryable() {
        true => DataFusionError::IoError(io::Error::other(Reported::of(&failure))),
        false => DataFusionError::External(Reported::of(&failure).into()),
    }
}
