//! Runs plans with plain DataFusion, without Ballista, for comparison.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use futures::{StreamExt, TryStreamExt, stream};
use plans::session;
use tempfile::TempDir;

use super::{Submit, SubmitError};

/// Runs the partitions of a plan on its own runtime in this process.
#[derive(Debug)]
pub struct Local {
    cores: usize,
    context: Arc<TaskContext>,
    _scratch: TempDir,
}

impl Local {
    /// Starts a runtime that runs `cores` partitions at once and spills below `scratch`.
    pub fn start(cores: usize, scratch: &Path) -> Result<Self, SubmitError> {
        let failed = |error: String| SubmitError::Failed {
            message: error,
            retryable: false,
        };
        let scratch = tempfile::Builder::new()
            .prefix("lakebolt-")
            .tempdir_in(scratch);
        let scratch = scratch.map_err(|error| failed(error.to_string()))?;
        let runtime =
            session::runtime(scratch.path(), None).map_err(|error| failed(error.to_string()))?;
        let context = session::state(session::config(), runtime).task_ctx();
        Ok(Self {
            cores,
            context,
            _scratch: scratch,
        })
    }
}

#[async_trait]
impl Submit for Local {
    async fn run(&self, _name: &str, plan: Arc<dyn ExecutionPlan>) -> Result<(), SubmitError> {
        let partitions = plan.output_partitioning().partition_count();
        let runs = (0..partitions).map(|partition| {
            let (plan, context) = (plan.clone(), self.context.clone());
            // Dropping this future aborts the task.
            let run = tokio_run(async move {
                let mut rows = plan.execute(partition, context)?;
                while rows.try_next().await?.is_some() {}
                Ok::<_, datafusion::error::DataFusionError>(())
            });
            async move {
                run.await
                    .map_err(|error| SubmitError::failed(error.to_string(), true))
            }
        });
        stream::iter(runs)
            .buffer_unordered(self.cores)
            .try_collect()
            .await
    }

    async fn close(&self) {}
}

async fn tokio_run<T: Send + 'static>(
    run: impl Future<Output = datafusion::error::Result<T>> + Send + 'static,
) -> datafusion::error::Result<T> {
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(run);
    let joined = tasks.join_next().await.expect("one task was spawned");
    joined.map_err(|error| datafusion::error::DataFusionError::External(error.into()))?
}
