//! Ballista, embedded: the real scheduler's and executor's code in this process.
//!
//! The executor pulls its tasks from the scheduler's gRPC service, and both that
//! loop and our client call the service in process. There is no socket, so there is
//! nothing for another user to connect to. A cluster puts a channel in the place of
//! the service; nothing else changes (ADR 0002).

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use ballista_core::config::{
    BALLISTA_ADAPTIVE_PLANNER_ENABLED, BALLISTA_JOB_NAME, BALLISTA_SCHEDULER_MAX_PARTITIONS_PER_TASK,
    TaskSchedulingPolicy,
};
use ballista_core::extension::{SessionConfigExt, SessionConfigHelperExt};
use ballista_core::registry::BallistaFunctionRegistry;
use ballista_core::serde::protobuf::execute_query_params::Query;
use ballista_core::serde::protobuf::job_status::Status as JobState;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::scheduler_grpc_server::SchedulerGrpcServer;
use ballista_core::serde::protobuf::{
    CancelJobParams, CleanJobDataParams, ExecuteQueryParams, ExecutorRegistration, KeyValuePair, RemoveSessionParams,
};
use ballista_core::serde::scheduler::{ExecutorOperatingSystemSpecification, ExecutorSpecification};
use ballista_core::serde::{BallistaCodec, BallistaLogicalExtensionCodec, BallistaPhysicalExtensionCodec};
use ballista_core::{BALLISTA_PROTOCOL_VERSION, version};
use ballista_executor::execution_loop::poll_loop;
use ballista_executor::executor::Executor;
use ballista_executor::health::ExecutorHealth;
use ballista_executor::metrics::LoggingMetricsCollector;
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::create_scheduler;
use ballista_scheduler::scheduler_server::SchedulerServer;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use datafusion::prelude::SessionConfig;
use datafusion_proto::physical_plan::{AsExecutionPlan, PhysicalExtensionCodec};
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use plans::codec::Codec;
use plans::session;
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tonic::{Request, Status};

use super::{Submit, SubmitError};

/// Larger than any plan of ours, since shards are lists and not paths.
const MESSAGE_BYTES: usize = 64 << 20;
/// A process that was frozen for longer than this has its tasks run again.
const EXECUTOR_TIMEOUT_SECONDS: u64 = 20;
/// The stage of a job with a single one, as Ballista counts.
const ONLY_STAGE: usize = 1;

type Scheduler = SchedulerServer<LogicalPlanNode, PhysicalPlanNode>;
type Service = SchedulerGrpcServer<Scheduler>;
type Client = SchedulerGrpcClient<Service>;

/// A cluster of one scheduler and one executor inside this process.
pub struct Embedded {
    client: Client,
    codec: Arc<dyn PhysicalExtensionCodec>,
    executor: Arc<Executor>,
    vcores: Arc<Semaphore>,
    poll: JoinHandle<()>,
    sessions: AtomicU64,
    /// Readable by its owner alone; removed when the cluster is dropped.
    scratch: TempDir,
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedded").field("scratch", &self.scratch.path()).finish_non_exhaustive()
    }
}

impl Embedded {
    /// Starts a cluster that runs `vcores` tasks at once and spills below `scratch`.
    pub async fn start(vcores: usize, scratch: &Path) -> Result<Self, SubmitError> {
        let scratch = tempfile::Builder::new().prefix("lakebolt-").tempdir_in(scratch).map_err(failed)?;
        let runtime = session::runtime(scratch.path()).map_err(failed)?;
        let codec: Arc<dyn PhysicalExtensionCodec> =
            Arc::new(Codec::new(Arc::new(BallistaPhysicalExtensionCodec::default())));
        let client = start_scheduler(codec.clone(), runtime.clone()).await.map_err(failed)?;
        let executor = executor(vcores, scratch.path(), runtime);
        let permits = Arc::new(Semaphore::new(vcores));
        let poll = start_executor(client.clone(), executor.clone(), codec.clone(), permits.clone());
        let sessions = AtomicU64::new(0);
        Ok(Self { client, codec, executor, vcores: permits, poll, sessions, scratch })
    }

    async fn follow(&self, name: &str, query: Vec<u8>, guard: &mut JobGuard) -> Result<(), SubmitError> {
        let session_id = format!("lakebolt-{}", self.sessions.fetch_add(1, Ordering::Relaxed));
        guard.session_id = session_id.clone();
        let mut request = Request::new(ExecuteQueryParams {
            query: Some(Query::PhysicalPlan(query)),
            settings: settings(name),
            operation_id: session_id.clone(),
            session_id,
        });
        version::insert_version_header(request.metadata_mut());
        let mut states = self.client.clone().execute_query_push(request).await.map_err(unreachable)?.into_inner();
        while let Some(state) = states.message().await.map_err(unreachable)? {
            let Some(status) = state.status else { continue };
            guard.job_id = Some(status.job_id);
            match status.status {
                Some(JobState::Successful(_)) => return Ok(guard.finished = true),
                Some(JobState::Failed(job)) => {
                    guard.finished = true;
                    return Err(SubmitError::Failed { message: job.error, retryable: true });
                }
                Some(JobState::Queued(_) | JobState::Running(_)) | None => {}
            }
        }
        Err(SubmitError::Unreachable { message: "the job's status stream ended".to_owned() })
    }
}

#[async_trait]
impl Submit for Embedded {
    async fn run(&self, name: &str, plan: Arc<dyn ExecutionPlan>) -> Result<(), SubmitError> {
        let tasks = plan.output_partitioning().partition_count();
        let node = PhysicalPlanNode::try_from_physical_plan(plan, self.codec.as_ref()).map_err(bad_plan)?;
        let mut query = Vec::new();
        node.try_encode(&mut query).map_err(bad_plan)?;
        let (client, executor) = (self.client.clone(), self.executor.clone());
        let mut guard = JobGuard { client, executor, tasks, job_id: None, session_id: String::new(), finished: false };
        self.follow(name, query, &mut guard).await
    }

    async fn close(&self) {
        self.vcores.close();
        self.poll.abort();
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.poll.abort();
    }
}

/// Cancels its job when it is dropped before the end, and forgets it in any case.
struct JobGuard {
    client: Client,
    executor: Arc<Executor>,
    tasks: usize,
    job_id: Option<String>,
    session_id: String,
    finished: bool,
}

impl Drop for JobGuard {
    fn drop(&mut self) {
        let Some(job_id) = self.job_id.take() else { return };
        let (mut client, executor, tasks) = (self.client.clone(), self.executor.clone(), self.tasks);
        let (session_id, finished) = (std::mem::take(&mut self.session_id), self.finished);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            if !finished {
                cancel(&mut client, &executor, &job_id, tasks).await;
            }
            // What fails here is only forgotten later: with the process.
            let _ = client.clean_job_data(CleanJobDataParams { job_id, remove_stage_ids: Vec::new() }).await;
            let _ = client.remove_session(RemoveSessionParams { session_id }).await;
        });
    }
}

/// Ballista tells executors of a cancelled job by a connection to a port that ours
/// do not open, so the tasks are stopped here.
async fn cancel(client: &mut Client, executor: &Executor, job_id: &str, tasks: usize) {
    let _ = client.cancel_job(CancelJobParams { job_id: job_id.to_owned() }).await;
    for task in 0..tasks {
        let _ = executor.cancel_task(job_id.into(), ONLY_STAGE, task).await;
    }
}

async fn start_scheduler(
    codec: Arc<dyn PhysicalExtensionCodec>,
    runtime: Arc<RuntimeEnv>,
) -> ballista_core::error::Result<Client> {
    let mut config = SchedulerConfig::default()
        .with_scheduler_policy(TaskSchedulingPolicy::PullStaged)
        .with_override_config_producer(Arc::new(session_config))
        .with_override_session_builder(Arc::new(move |config: SessionConfig| Ok(session::state(config, runtime.clone()))));
    config.override_physical_codec = Some(codec);
    config.executor_timeout_seconds = EXECUTOR_TIMEOUT_SECONDS;
    config.expire_dead_executor_interval_seconds = 1;
    let cluster = BallistaCluster::new_from_config(&config).await?;
    let scheduler: Scheduler = create_scheduler(cluster, Arc::new(config)).await?;
    let service = SchedulerGrpcServer::new(scheduler)
        .max_decoding_message_size(MESSAGE_BYTES)
        .max_encoding_message_size(MESSAGE_BYTES);
    Ok(SchedulerGrpcClient::new(service)
        .max_decoding_message_size(MESSAGE_BYTES)
        .max_encoding_message_size(MESSAGE_BYTES))
}

fn executor(vcores: usize, scratch: &Path, runtime: Arc<RuntimeEnv>) -> Arc<Executor> {
    let registry = BallistaFunctionRegistry::from(&session::state(session_config(), runtime.clone()));
    let registration = ExecutorRegistration {
        id: format!("embedded-{}", std::process::id()),
        // Nothing listens there: tasks are pulled and results are not fetched.
        host: Some("embedded.invalid".to_owned()),
        port: 0,
        grpc_port: 0,
        specification: Some(ExecutorSpecification::default().with_vcores(vcores as u32).into()),
        os_info: Some(ExecutorOperatingSystemSpecification::default().into()),
        ballista_protocol_version: BALLISTA_PROTOCOL_VERSION,
    };
    Arc::new(Executor::with_default_execution_engine(
        registration,
        &scratch.to_string_lossy(),
        Arc::new(move |_| Ok(runtime.clone())),
        Arc::new(session_config),
        Arc::new(registry),
        Arc::new(LoggingMetricsCollector::default()),
        vcores,
    ))
}

fn start_executor(
    client: Client,
    executor: Arc<Executor>,
    codec: Arc<dyn PhysicalExtensionCodec>,
    vcores: Arc<Semaphore>,
) -> JoinHandle<()> {
    let codec: BallistaCodec<LogicalPlanNode, PhysicalPlanNode> =
        BallistaCodec::new(Arc::new(BallistaLogicalExtensionCodec::default()), codec);
    tokio::spawn(async move {
        // It ends only when the cluster is closed.
        let _ = poll_loop(client, executor, codec, None, Some(vcores), ExecutorHealth::new()).await;
    })
}

/// Our session with Ballista's settings: the static planner, and one shard a task.
fn session_config() -> SessionConfig {
    let config = session::config().upgrade_for_ballista();
    config.update_from_key_value_pair(&settings(""))
}

fn settings(name: &str) -> Vec<KeyValuePair> {
    let pair = |key: &str, value: &str| KeyValuePair { key: key.to_owned(), value: Some(value.to_owned()) };
    let mut settings = vec![
        pair(BALLISTA_ADAPTIVE_PLANNER_ENABLED, "false"),
        pair(BALLISTA_SCHEDULER_MAX_PARTITIONS_PER_TASK, "1"),
    ];
    if !name.is_empty() {
        settings.push(pair(BALLISTA_JOB_NAME, name));
    }
    settings
}

fn failed(error: impl std::fmt::Display) -> SubmitError {
    SubmitError::Failed { message: error.to_string(), retryable: false }
}

fn bad_plan(error: impl std::fmt::Display) -> SubmitError {
    SubmitError::Failed { message: format!("the plan cannot be sent: {error}"), retryable: false }
}

fn unreachable(status: Status) -> SubmitError {
    SubmitError::Unreachable { message: status.message().to_owned() }
}
