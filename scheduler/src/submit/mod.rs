//! Where a task's plan runs. Its result rows are not read: receipts tell what it did.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::physical_plan::ExecutionPlan;

pub mod ballista;
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

/// The port: runs plans until they end. Dropping the future cancels the job.
#[async_trait]
pub trait Submit: Send + Sync + std::fmt::Debug {
    /// Runs every partition of `plan` to its end. `name` is for logs and listings.
    async fn run(&self, name: &str, plan: Arc<dyn ExecutionPlan>) -> Result<(), SubmitError>;
    /// Stops what still runs and removes what was left on disk.
    async fn close(&self);
}
