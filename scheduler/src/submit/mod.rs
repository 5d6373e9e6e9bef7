//! The port to the engine that runs an attempt's plan. The plan's result rows are not read:
//! receipts report what was done.

use crate::load::failure::{Failure, INPUT_CHANGED, Kind};
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::physical_plan::ExecutionPlan;
use plans::scan::listed::is_input_changed;

pub mod ballista;
pub mod cluster;
pub mod local;

/// Why a plan did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    #[error("the engine failed: {message}")]
    Failed { message: String, retryable: bool },
    /// An object is not the one that was listed.
    #[error("{message}")]
    InputChanged { message: String },
    #[error("the engine cannot be reached: {message}")]
    Unreachable { message: String },
    #[error("cancelled")]
    Cancelled,
}

impl SubmitError {
    /// The failure of a plan, from the engine's message.
    pub(crate) fn failed(message: String, retryable: bool) -> Self {
        match is_input_changed(&message) {
            true => Self::InputChanged { message },
            false => Self::Failed { message, retryable },
        }
    }

    /// Returns true if the same call may succeed later with the same input.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Failed { retryable, .. } => *retryable,
            Self::Unreachable { .. } | Self::InputChanged { .. } => true,
            Self::Cancelled => false,
        }
    }
}

/// A slot for one period. Dropping it frees the slot.
#[derive(Default)]
pub struct Admission(Option<Box<dyn std::any::Any + Send + Sync>>);

impl Admission {
    /// Wraps a permit of the engine's slots.
    pub fn of(permit: impl Send + Sync + 'static) -> Self {
        Self(Some(Box::new(permit)))
    }
}

impl std::fmt::Debug for Admission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Admission").field(&self.0.is_some()).finish()
    }
}

/// An engine that runs plans to their end. Dropping the future cancels the job.
#[async_trait]
pub trait Submit: Send + Sync + std::fmt::Debug {
    /// Runs every partition of `plan` to its end. `name` appears in logs and listings.
    async fn run(&self, name: &str, plan: Arc<dyn ExecutionPlan>) -> Result<(), SubmitError>;
    /// Waits for a free slot for a period. The slot is in use until the admission is dropped.
    async fn admit(&self) -> Admission {
        Admission::default()
    }
    /// Whether any executor can run tasks at present.
    async fn has_executors(&self) -> bool {
        true
    }
    /// Cancels running work and removes files left on disk.
    async fn close(&self);
}

impl From<SubmitError> for Failure {
    fn from(error: SubmitError) -> Self {
        let retryable = error.retryable();
        match error {
            SubmitError::Failed { .. } => Self::of(
                Kind::Work,
                "engine_failed",
                &error,
                "see the message; `lakebolt retry` tries the failed periods again",
            )
            .retryable(retryable),
            SubmitError::InputChanged { .. } => Self::of(
                Kind::Work,
                INPUT_CHANGED,
                &error,
                "run it again when the object is complete, and load no file that is still written",
            )
            .retryable(retryable),
            SubmitError::Unreachable { .. } => Self::of(
                Kind::Dependency,
                "engine_unreachable",
                &error,
                "check --cluster and that its scheduler runs",
            )
            .retryable(retryable),
            SubmitError::Cancelled => Self::cancelled(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_input_is_a_failure_that_lists_again() {
        let message = "input changed: s3://logs/a was deleted after it was listed";
        let failure = Failure::from(SubmitError::failed(message.to_owned(), false));
        assert!(failure.needs_listing() && failure.retryable);
        assert_eq!(failure.message, message);
        let failure = Failure::from(SubmitError::failed("no space".to_owned(), false));
        assert!(!failure.needs_listing() && !failure.retryable);
    }
}
