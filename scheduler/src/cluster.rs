//! The Ballista scheduler with our session, served in process or to a network.
//!
//! Executors pull, so the scheduler's is the only port of a cluster: whatever
//! secures that one listener secures the whole.

use std::sync::Arc;
use std::time::Duration;

use ballista_core::config::TaskSchedulingPolicy;
use ballista_core::error::Result;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::scheduler_grpc_server::SchedulerGrpcServer;
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::create_scheduler;
use ballista_scheduler::scheduler_server::SchedulerServer;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::prelude::SessionConfig;
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use executor::engine::{self, MESSAGE_BYTES};
use plans::session;

/// A busy executor says every five seconds that it lives; one that is given less time
/// than this would be taken for dead.
pub const SHORTEST_EXECUTOR_TIMEOUT: Duration = Duration::from_secs(6);

/// What a cluster may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// An executor that is silent for longer has its tasks run again elsewhere. Less than
    /// [`SHORTEST_EXECUTOR_TIMEOUT`] is taken for that.
    pub executor_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            executor_timeout: Duration::from_secs(20),
        }
    }
}

/// The scheduler's gRPC service.
pub type Service = SchedulerGrpcServer<SchedulerServer<LogicalPlanNode, PhysicalPlanNode>>;

/// A client that calls the service in its own process: no socket, nothing to connect to.
pub type InProcessClient = SchedulerGrpcClient<Service>;

/// Starts a scheduler.
pub async fn service(settings: Settings) -> Result<Service> {
    let runtime = Arc::new(RuntimeEnv::default());
    let mut config = SchedulerConfig::default()
        .with_scheduler_policy(TaskSchedulingPolicy::PullStaged)
        .with_override_config_producer(Arc::new(engine::session_config))
        .with_override_session_builder(Arc::new(move |config: SessionConfig| {
            Ok(session::state(config, runtime.clone()))
        }));
    config.override_physical_codec = Some(engine::codec());
    let timeout = settings.executor_timeout.max(SHORTEST_EXECUTOR_TIMEOUT);
    config.executor_timeout_seconds = timeout.as_secs();
    config.expire_dead_executor_interval_seconds = 1;
    let cluster = BallistaCluster::new_from_config(&config).await?;
    let scheduler = create_scheduler(cluster, Arc::new(config)).await?;
    Ok(SchedulerGrpcServer::new(scheduler)
        .max_decoding_message_size(MESSAGE_BYTES)
        .max_encoding_message_size(MESSAGE_BYTES))
}

/// Starts a scheduler for this process alone.
pub async fn in_process(settings: Settings) -> Result<InProcessClient> {
    Ok(SchedulerGrpcClient::new(service(settings).await?)
        .max_decoding_message_size(MESSAGE_BYTES)
        .max_encoding_message_size(MESSAGE_BYTES))
}
