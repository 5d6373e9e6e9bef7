//! One executor: it polls, runs what it is given, and stops cleanly.

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

/// An executor without a free vcore reports every five seconds.
const LAST_REPORT: Duration = Duration::from_millis(5500);

/// The stage of a job that has only one, as Ballista counts.
const ONLY_STAGE: usize = 1;

#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error("{folder} cannot hold the executor's scratch space")]
    Scratch {
        folder: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the executor's runtime cannot be built")]
    Runtime(#[from] datafusion::error::DataFusionError),
}

/// What an executor may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Tasks that run at once.
    pub concurrent_tasks: usize,
    /// Bytes of rows that its tasks may hold together; what is more spills.
    pub memory: Option<usize>,
}

impl Room {
    /// So many tasks, each with the memory that its plan allows it.
    pub fn of(concurrent_tasks: usize) -> Self {
        Self {
            concurrent_tasks,
            memory: None,
        }
    }
}

/// An executor that pulls its tasks until it is closed or dropped.
pub struct Worker {
    executor: Arc<Executor>,
    permits: Arc<Semaphore>,
    concurrent_tasks: usize,
    poll: JoinHandle<()>,
    /// Readable by its owner alone; removed when the worker is dropped.
    _scratch: TempDir,
}

impl Worker {
    /// Starts an executor that spills below `scratch`.
    pub fn start<C>(
        client: SchedulerGrpcClient<C>,
        room: Room,
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
        let concurrent_tasks = room.concurrent_tasks;
        let executor = executor(room, scratch.path())?;
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
            // It ends only by an error, when the permits are closed.
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

    /// What cancels tasks, without keeping the worker alive.
    pub fn canceller(&self) -> Canceller {
        Canceller(self.executor.clone())
    }

    /// The name that the scheduler knows it by.
    pub fn id(&self) -> &str {
        &self.executor.metadata.id
    }

    /// Whether tasks are running.
    pub fn is_busy(&self) -> bool {
        self.executor.active_task_count() > 0
    }

    /// Takes no more tasks, and waits until those that run have ended and been reported. It
    /// goes on saying that it lives. Dropping the future gives up waiting.
    pub async fn drain(&self) {
        let all = u32::try_from(self.concurrent_tasks).unwrap_or(u32::MAX);
        // Free ones are taken at once, so that none is offered any more.
        let was_busy = self.is_busy();
        let Ok(_all) = self.permits.acquire_many(all).await else {
            return;
        };
        if was_busy {
            tokio::time::sleep(LAST_REPORT).await;
        }
    }

    /// Takes no more tasks and stops polling.
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

/// Stops tasks of this process. Ballista tells executors of a cancelled job through
/// a port that ours do not open.
#[derive(Clone)]
pub struct Canceller(Arc<Executor>);

impl Canceller {
    /// Stops every task that a single-stage job of `partitions` may have here.
    pub async fn cancel(&self, job_id: &str, partitions: usize) {
        for task in 0..partitions {
            // A task that is not here is not an error.
            let _ = self.0.cancel_task(job_id.into(), ONLY_STAGE, task).await;
        }
    }
}

fn executor(room: Room, scratch: &Path) -> Result<Arc<Executor>, WorkerError> {
    let concurrent_tasks = room.concurrent_tasks;
    let runtime = session::runtime(scratch, room.memory)?;
    let registry =
        BallistaFunctionRegistry::from(&session::state(engine::session_config(), runtime.clone()));
    let registration = ExecutorRegistration {
        id: scratch
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        // Nothing listens there: tasks are pulled, and nobody fetches their result rows.
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
