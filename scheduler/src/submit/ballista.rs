//! Submits jobs to a Ballista scheduler and follows them to their end.
//!
//! In embedded mode, Ballista's scheduler and executor run in this process. The executor polls
//! the scheduler's gRPC service for tasks. Both the executor and our client call the service
//! directly, without a socket that other users could connect to. On a cluster, a channel
//! replaces the service and the rest is the same (ADR 0002).

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use ballista_core::serde::protobuf::execute_query_params::Query;
use ballista_core::serde::protobuf::job_status::Status as JobState;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{
    CancelJobParams, CleanJobDataParams, ExecuteQueryParams, JobStatus, RemoveSessionParams,
};
use ballista_core::version;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use datafusion_proto::physical_plan::{AsExecutionPlan, PhysicalExtensionCodec};
use datafusion_proto::protobuf::PhysicalPlanNode;
use executor::engine::MESSAGE_BYTES;
use executor::transport::{self, Connection, TransportError};
use executor::{Canceller, Capacity, Worker, engine};
use tonic::client::GrpcService;
use tonic::codegen::{Body, Bytes, StdError};
use tonic::{Request, Status};
use uuid::Uuid;

use super::{Submit, SubmitError};
use plans::reported;

use crate::cluster::{Scheduler, Service, Settings};

/// A cluster of one scheduler and one executor in this process.
pub struct Embedded {
    jobs: Jobs<Service>,
    worker: Worker,
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedded").finish_non_exhaustive()
    }
}

impl Embedded {
    /// Starts a cluster that runs `concurrent_tasks` tasks at once and spills below `scratch`.
    pub async fn start(concurrent_tasks: usize, scratch: &Path) -> Result<Self, SubmitError> {
        let scheduler = Scheduler::start(Settings::default())
            .await
            .map_err(failed)?;
        let client = scheduler.client();
        let worker = Worker::start(client.clone(), Capacity::of(concurrent_tasks), scratch)
            .map_err(failed)?;
        let jobs = Jobs::new(client, Some(worker.canceller()));
        Ok(Self { jobs, worker })
    }
}

#[async_trait]
impl Submit for Embedded {
    async fn run(&self, name: &str, plan: Arc<dyn ExecutionPlan>) -> Result<(), SubmitError> {
        self.jobs.run(name, plan).await
    }

    async fn close(&self) {
        self.worker.close();
    }
}

/// A cluster whose scheduler is another process. Only the scheduler can cancel its tasks: a
/// task that already runs continues, but nobody reads its receipt.
pub struct Remote {
    jobs: Jobs<Connection>,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").finish_non_exhaustive()
    }
}

impl Remote {
    /// Connects to the `lakebolt-scheduler` at a URI such as `http://127.0.0.1:50050` when it is
    /// first asked.
    pub fn connect(
        scheduler: &str,
        transport: &transport::Transport,
    ) -> Result<Self, TransportError> {
        let client = SchedulerGrpcClient::new(transport.connect(scheduler)?)
            .max_decoding_message_size(MESSAGE_BYTES)
            .max_encoding_message_size(MESSAGE_BYTES);
        Ok(Self {
            jobs: Jobs::new(client, None),
        })
    }
}

#[async_trait]
impl Submit for Remote {
    async fn run(&self, name: &str, plan: Arc<dyn ExecutionPlan>) -> Result<(), SubmitError> {
        self.jobs.run(name, plan).await
    }

    /// The cluster belongs to others, so it is not stopped.
    async fn close(&self) {}
}

/// The transport of a client's calls: a channel, or the service itself.
pub(super) trait Transport:
    GrpcService<
        tonic::body::Body,
        Error: Into<StdError>,
        Future: Send,
        ResponseBody: Body<Data = Bytes, Error: Into<StdError> + Send> + Send + 'static,
    > + Clone
    + Send
    + Sync
    + 'static
{
}

impl Transport for Connection {}
impl Transport for Service {}

/// Submits jobs and follows them.
pub(super) struct Jobs<C> {
    client: SchedulerGrpcClient<C>,
    codec: Arc<dyn PhysicalExtensionCodec>,
    /// Stops tasks that run in this process.
    canceller: Option<Canceller>,
}

impl<C: Transport> Jobs<C> {
    pub(super) fn new(client: SchedulerGrpcClient<C>, canceller: Option<Canceller>) -> Self {
        Self {
            client,
            codec: engine::codec(),
            canceller,
        }
    }

    pub(super) async fn run(
        &self,
        name: &str,
        plan: Arc<dyn ExecutionPlan>,
    ) -> Result<(), SubmitError> {
        let partitions = plan.output_partitioning().partition_count();
        let node = PhysicalPlanNode::try_from_physical_plan(plan, self.codec.as_ref())
            .map_err(bad_plan)?;
        let mut query = Vec::new();
        node.try_encode(&mut query).map_err(bad_plan)?;
        let mut guard = JobGuard {
            client: self.client.clone(),
            canceller: self.canceller.clone(),
            partitions,
            job_id: None,
            // The session id must be unique: one scheduler serves many processes.
            session_id: format!("lakebolt-{}", Uuid::new_v4().simple()),
            finished: false,
        };
        self.follow(name, query, &mut guard).await
    }

    async fn follow(
        &self,
        name: &str,
        query: Vec<u8>,
        guard: &mut JobGuard<C>,
    ) -> Result<(), SubmitError> {
        let mut request = Request::new(ExecuteQueryParams {
            query: Some(Query::PhysicalPlan(query)),
            settings: engine::settings(name),
            operation_id: guard.session_id.clone(),
            session_id: guard.session_id.clone(),
        });
        version::insert_version_header(request.metadata_mut());
        let mut client = self.client.clone();
        let states = client.execute_query_push(request).await;
        let mut states = states.map_err(unreachable)?.into_inner();
        while let Some(state) = states.message().await.map_err(unreachable)? {
            let Some(status) = state.status else { continue };
            guard.job_id = Some(status.job_id.clone());
            if let Some(ended) = end_of(status) {
                guard.finished = true;
                return ended;
            }
        }
        Err(SubmitError::Unreachable {
            message: "the job's status stream ended".to_owned(),
        })
    }
}

/// Returns how the job ended, or `None` while it runs.
fn end_of(job: JobStatus) -> Option<Result<(), SubmitError>> {
    match job.status {
        Some(JobState::Successful(_)) => Some(Ok(())),
        Some(JobState::Failed(job)) => Some(Err(SubmitError::failed(
            reported::words(&job.error).to_owned(),
            is_io(&job.error),
        ))),
        Some(JobState::Queued(_) | JobState::Running(_)) | None => None,
    }
}

/// Cancels its job if dropped before the end. Removes the job's state from the scheduler in
/// any case.
struct JobGuard<C: Transport> {
    client: SchedulerGrpcClient<C>,
    canceller: Option<Canceller>,
    partitions: usize,
    job_id: Option<String>,
    session_id: String,
    finished: bool,
}

impl<C: Transport> Drop for JobGuard<C> {
    fn drop(&mut self) {
        let Some(job_id) = self.job_id.take() else {
            return;
        };
        let (mut client, canceller, partitions) =
            (self.client.clone(), self.canceller.clone(), self.partitions);
        let (session_id, finished) = (std::mem::take(&mut self.session_id), self.finished);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        runtime.spawn(async move {
            if !finished {
                let _ = client
                    .cancel_job(CancelJobParams {
                        job_id: job_id.clone(),
                    })
                    .await;
                if let Some(canceller) = canceller {
                    canceller.cancel(&job_id, partitions).await;
                }
            }
            // If this fails, the state is kept until the process ends.
            let _ = client
                .clean_job_data(CleanJobDataParams {
                    job_id,
                    remove_stage_ids: Vec::new(),
                })
                .await;
            let _ = client
                .remove_session(RemoveSessionParams { session_id })
                .await;
        });
    }
}

/// Ballista passes errors on as text. Only I/O errors may be temporary.
fn is_io(message: &str) -> bool {
    message.contains("IoError") || message.contains("no executors") || message.contains("heartbeat")
}

fn failed(error: impl std::fmt::Display) -> SubmitError {
    SubmitError::Failed {
        message: error.to_string(),
        retryable: false,
    }
}

fn bad_plan(error: impl std::fmt::Display) -> SubmitError {
    SubmitError::Failed {
        message: format!("the plan cannot be sent: {error}"),
        retryable: false,
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "`map_err` hands its error over"
)]
fn unreachable(status: Status) -> SubmitError {
    SubmitError::Unreachable {
        message: status.message().to_owned(),
    }
}
