//! Converts errors of stores to errors of DataFusion.

use std::io;

use datafusion::common::DataFusionError;

use super::listed::InputError;
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

/// Converts an error of reading an input object. One that was changed is no I/O error: a
/// repeated task would read it with the same listing.
pub fn input_error(error: InputError) -> DataFusionError {
    match error {
        InputError::Changed(changed) => DataFusionError::External(Reported::of(&changed).into()),
        InputError::Store(error) => io_error(error),
    }
}
