//! Runs one executor: it polls, executes tasks, and shuts down cleanly.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ballista_core::BALLISTA_PROTOCOL_VERSION;
use ballista_core::registry::BallistaFunctionRegistry;
use ballista_core::serde::protobuf::ExecutorRegistration;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::scheduler::{
    ExecutorOperatingSystemSpecification, ExecutorSpecification,
};
use ballista_core::serde::{BallistaCodec, BallistaLogicalExtensionCodec};
use ballista_executor::execution_loop::poll_loop;
use ballista_executor::executor::Executor;
use ballista_executor::health::ExecutorHealth;
use ballista_executor::metrics::LoggingMetricsCollector;
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use plans::session;
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tonic::client::GrpcService;
use tonic::codegen::{Body, Bytes, StdError};

use crate::engine;

/// Longer than the interval of status reports, five seconds, if all task slots are in use.
const LAST_REPORT: Duration = Duration::from_millis(5500);

/// Ballista's number of the only stage of a job.
const ONLY_STAGE: usize = 1;

/// An executor that cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The scratch folder cannot be created.
    #[error("{folder} cannot hold the executor's scratch space")]
    Scratch {
        folder: String,
        #[source]
        source: std::io::Error,
    },
    /// The runtime cannot be built.
    #[error("the executor's runtime cannot be built")]
    Runtime(#[from] datafusion::error::DataFusionError),
}

/// The resources of an executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Maximum number of concurrent tasks.
    pub concurrent_tasks: usize,
    /// Bytes of rows that all tasks together may hold before they spill.
    pub memory: Option<usize>,
}

impl Capacity {
    /// Returns a capacity where only the plan limits the memory of a task.
    pub fn of(concurrent_tasks: usize) -> Self {
        Self {
            concurrent_tasks,
            memory: None,
        }
    }
}

/// An executor that pulls tasks until it is closed or dropped.
pub struct Worker {
    executor: Arc<Executor>,
    permits: Arc<Semaphore>,
    concurrent_tasks: usize,
    poll: JoinHandle<()>,
    /// Readable only by its owner. Removed when the worker is dropped.
    _scratch: TempDir,
}

impl Worker {
    /// Starts an executor that spills below `scratch`.
    pub fn start<C>(
        client: SchedulerGrpcClient<C>,
        capacity: Capacity,
        scratch: &Path,
    ) -> Result<Self, WorkerError>
    where
        C: GrpcService<tonic::body::Body> + Send + 'static,
        C::Error: Into<StdError>,
        C::Future: Send,
        C::ResponseBody: Body<Data = Bytes> + Send + 'static,
        <C::ResponseBody as Body>::Error: Into<StdError> + Send,
    {
        let folder = tempfile::Builder::new()
            .prefix("lakebolt-")
            .tempdir_in(scratch);
        let scratch = folder.map_err(|source| WorkerError::Scratch {
            folder: scratch.display().to_string(),
            source,
        })?;
        let concurrent_tasks = capacity.concurrent_tasks;
        let executor = executor(capacity, scratch.path())?;
        let permits = Arc::new(Semaphore::new(concurrent_tasks));
        let codec: BallistaCodec<LogicalPlanNode, PhysicalPlanNode> = BallistaCodec::new(
            Arc::new(BallistaLogicalExtensionCodec::default()),
            engine::codec(),
        );
        let polling = poll_loop(
            client,
            executor.clone(),
            codec,
            None,
            Some(permits.clone()),
            ExecutorHealth::new(),
        );
        let poll = tokio::spawn(async move {
            // It ends only with an error, after the permits were closed.
            let _ = polling.await;
        });
        Ok(Self {
            executor,
            permits,
            concurrent_tasks,
            poll,
            _scratch: scratch,
        })
    }

    /// Returns a handle that cancels tasks. It does not keep the worker alive.
    pub fn canceller(&self) -> Canceller {
        Canceller(self.executor.clone())
    }

    /// Returns the id of the executor.
    pub fn id(&self) -> &str {
        &self.executor.metadata.id
    }

    /// Whether tasks are running.
    pub fn is_busy(&self) -> bool {
        self.executor.active_task_count() > 0
    }

    /// Accepts no more tasks and waits until all running tasks have ended and are reported.
    /// Heartbeats continue. Dropping the future ends the wait.
    pub async fn drain(&self) {
        let all = u32::try_from(self.concurrent_tasks).unwrap_or(u32::MAX);
        // This takes the free permits immediately, so that no slot is offered any more.
        let was_busy = self.is_busy();
        let Ok(_all) = self.permits.acquire_many(all).await else {
            return;
        };
        if was_busy {
            tokio::time::sleep(LAST_REPORT).await;
        }
    }

    /// Accepts no more tasks and stops polling.
    pub fn close(&self) {
        self.permits.close();
        self.poll.abort();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.close();
    }
}

/// Cancels tasks of this process. Ballista notifies executors of a cancelled job through a
/// port, which our executors do not open.
#[derive(Clone)]
pub struct Canceller(Arc<Executor>);

impl Canceller {
    /// Cancels every task of a single-stage job with `partitions` that may run here.
    pub async fn cancel(&self, job_id: &str, partitions: usize) {
        for task in 0..partitions {
            // It is not an error if the task does not run here.
            let _ = self.0.cancel_task(job_id.into(), ONLY_STAGE, task).await;
        }
    }
}

fn executor(capacity: Capacity, scratch: &Path) -> Result<Arc<Executor>, WorkerError> {
    let concurrent_tasks = capacity.concurrent_tasks;
    let runtime = session::runtime(scratch, capacity.memory)?;
    let registry =
        BallistaFunctionRegistry::from(&session::state(engine::session_config(), runtime.clone()));
    let registration = ExecutorRegistration {
        id: scratch
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        // No port is open: tasks are pulled, and no process fetches their result rows.
        host: Some("pull.invalid".to_owned()),
        port: 0,
        grpc_port: 0,
        specification: Some(
            ExecutorSpecification::default()
                .with_vcores(concurrent_tasks as u32)
                .into(),
        ),
        os_info: Some(ExecutorOperatingSystemSpecification::default().into()),
        ballista_protocol_version: BALLISTA_PROTOCOL_VERSION,
    };
    Ok(Arc::new(Executor::with_default_execution_engine(
        registration,
        &scratch.to_string_lossy(),
        Arc::new(move |_| Ok(runtime.clone())),
        Arc::new(engine::session_config),
        Arc::new(registry),
        Arc::new(LoggingMetricsCollector::default()),
        concurrent_tasks,
    )))
}
