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
use ballista_core::serde::protobuf::execute_query_params::Query;
use ballista_core::serde::protobuf::job_status::Status as JobState;
use ballista_core::serde::protobuf::{
    CancelJobParams, CleanJobDataParams, ExecuteQueryParams, RemoveSessionParams,
};
use ballista_core::version;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use datafusion_proto::physical_plan::{AsExecutionPlan, PhysicalExtensionCodec};
use datafusion_proto::protobuf::PhysicalPlanNode;
use executor::{Canceller, Worker, engine};
use tonic::{Request, Status};

use super::{Submit, SubmitError};
use crate::cluster::{self, InProcessClient};

/// A cluster of one scheduler and one executor inside this process.
pub struct Embedded {
    client: InProcessClient,
    codec: Arc<dyn PhysicalExtensionCodec>,
    worker: Worker,
    sessions: AtomicU64,
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedded").finish_non_exhaustive()
    }
}

impl Embedded {
    /// Starts a cluster that runs `vcores` tasks at once and spills below `scratch`.
    pub async fn start(vcores: usize, scratch: &Path) -> Result<Self, SubmitError> {
        let client = cluster::in_process().await.map_err(failed)?;
        let worker = Worker::start(client.clone(), vcores, scratch).map_err(failed)?;
        Ok(Self {
            client,
            codec: engine::codec(),
            worker,
            sessions: AtomicU64::new(0),
        })
    }

    async fn follow(
        &self,
        name: &str,
        query: Vec<u8>,
        guard: &mut JobGuard,
    ) -> Result<(), SubmitError> {
        let session_id = format!("lakebolt-{}", self.sessions.fetch_add(1, Ordering::Relaxed));
        guard.session_id = session_id.clone();
        let mut request = Request::new(ExecuteQueryParams {
            query: Some(Query::PhysicalPlan(query)),
            settings: engine::settings(name),
            operation_id: session_id.clone(),
            session_id,
        });
        version::insert_version_header(request.metadata_mut());
        let mut states = self
            .client
            .clone()
            .execute_query_push(request)
            .await
            .map_err(unreachable)?
            .into_inner();
        while let Some(state) = states.message().await.map_err(unreachable)? {
            let Some(status) = state.status else { continue };
            guard.job_id = Some(status.job_id);
            match status.status {
                Some(JobState::Successful(_)) => {
                    guard.finished = true;
                    return Ok(());
                }
                Some(JobState::Failed(job)) => {
                    guard.finished = true;
                    return Err(SubmitError::Failed {
                        retryable: is_io(&job.error),
                        message: job.error,
                    });
                }
                Some(JobState::Queued(_) | JobState::Running(_)) | None => {}
            }
        }
        Err(SubmitError::Unreachable {
            message: "the job's status stream ended".to_owned(),
        })
    }
}

#[async_trait]
impl Submit for Embedded {
    async fn run(&self, name: &str, plan: Arc<dyn ExecutionPlan>) -> Result<(), SubmitError> {
        let partitions = plan.output_partitioning().partition_count();
        let node = PhysicalPlanNode::try_from_physical_plan(plan, self.codec.as_ref())
            .map_err(bad_plan)?;
        let mut query = Vec::new();
        node.try_encode(&mut query).map_err(bad_plan)?;
        let (client, canceller) = (self.client.clone(), self.worker.canceller());
        let mut guard = JobGuard {
            client,
            canceller,
            partitions,
            job_id: None,
            session_id: String::new(),
            finished: false,
        };
        self.follow(name, query, &mut guard).await
    }

    async fn close(&self) {
        self.worker.close();
    }
}

/// Cancels its job when it is dropped before the end, and forgets it in any case.
struct JobGuard {
    client: InProcessClient,
    canceller: Canceller,
    partitions: usize,
    job_id: Option<String>,
    session_id: String,
    finished: bool,
}

impl Drop for JobGuard {
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
                canceller.cancel(&job_id, partitions).await;
            }
            // What fails here is only forgotten later: with the process.
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

/// Ballista hands on an error as text; only I/O errors may pass by themselves.
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
