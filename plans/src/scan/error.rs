//! Converts errors of stores to errors of DataFusion.

use std::io;

use datafusion::common::DataFusionError;

use crate::reported::Reported;
use crate::storage::StoreFailure;

/// Converts retryable failures to I/O errors, because Ballista retries a task only for those.
pub fn io_error(error: object_store::Error) -> DataFusionError {
    let failure = StoreFailure::from(error);
    match failure.cause.retryable() {
        true => DataFusionError::IoError(io::Error::other(Reported::of(&failure))),
        false => DataFusionError::External(Reported::of(&failure).into()),
    }
}
