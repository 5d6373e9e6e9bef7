//! Where a task's plan runs. Its result rows are not read: receipts tell what it did.

use crate::load::failure::{Failure, Kind};
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::physical_plan::ExecutionPlan;

pub mod ballista;
pub mod cluster;
pub mod local;

#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    #[error("the engine failed: {message}")]
    Failed { message: String, retryable: bool },
    #[error("the engine cannot be reached: {message}")]
    Unreachable { message: String },
    #[error("cancelled")]
    Cancelled,
}

impl SubmitError {
    /// Whether the same call may succeed later without a change to the input.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Failed { retryable, .. } => *retryable,
            Self::Unreachable { .. } => true,
            Self::Cancelled => false,
        }
    }
}

/// Room for one period; given back when it is dropped.
#[derive(Default)]
pub struct Admission(Option<Box<dyn std::any::Any + Send + Sync>>);

impl Admission {
    /// Room that `permit` gives back.
    pub fn of(permit: impl Send + Sync + 'static) -> Self {
        Self(Some(Box::new(permit)))
    }
}

impl std::fmt::Debug for Admission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Admission").field(&self.0.is_some()).finish()
    }
}

/// The port: runs plans until they end. Dropping the future cancels the job.
#[async_trait]
pub trait Submit: Send + Sync + std::fmt::Debug {
    /// Runs every partition of `plan` to its end. `name` is for logs and listings.
    async fn run(&self, name: &str, plan: Arc<dyn ExecutionPlan>) -> Result<(), SubmitError>;
    /// Waits until the engine has room for another period, which it keeps until the answer
    /// is dropped.
    async fn admit(&self) -> Admission {
        Admission::default()
    }
    /// Stops what still runs and removes what was left on disk.
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
