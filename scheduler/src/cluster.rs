//! The Ballista scheduler with lakebolt's session, served in process or on the network.
//!
//! Executors connect to the scheduler and pull their tasks. The scheduler's port is therefore
//! the only one in a cluster that has to be secured.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use ballista_core::config::TaskSchedulingPolicy;
use ballista_core::error::Result;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::scheduler_grpc_server::SchedulerGrpcServer;
use ballista_scheduler::api::get_routes;
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::create_scheduler;
use ballista_scheduler::scheduler_server::SchedulerServer;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::prelude::SessionConfig;
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use executor::engine;
use executor::engine::MESSAGE_BYTES;
use plans::session;

/// The shortest executor timeout. A busy executor sends a heartbeat every five seconds, so
/// with a shorter timeout it would be declared dead.
pub const SHORTEST_EXECUTOR_TIMEOUT: Duration = Duration::from_secs(6);

/// Settings of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The tasks of an executor that is silent for longer run again on another one. Values
    /// below [`SHORTEST_EXECUTOR_TIMEOUT`] are raised to it.
    pub executor_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            executor_timeout: Duration::from_secs(12),
        }
    }
}

type Server = SchedulerServer<LogicalPlanNode, PhysicalPlanNode>;

/// The scheduler's gRPC service.
pub type Service = SchedulerGrpcServer<Server>;

/// A client that calls the service directly in its own process, without a socket.
pub type InProcessClient = SchedulerGrpcClient<Service>;

/// Ballista's scheduler. Clones share it.
#[derive(Clone)]
pub struct Scheduler {
    server: Arc<Server>,
    executor_timeout: Duration,
}

impl Scheduler {
    /// Starts the scheduler. It serves requests once its service is called or listened on.
    pub async fn start(settings: Settings) -> Result<Self> {
        let runtime = Arc::new(RuntimeEnv::default());
        let mut config = SchedulerConfig::default()
            .with_scheduler_policy(TaskSchedulingPolicy::PullStaged)
            .with_override_config_producer(Arc::new(engine::session_config))
            .with_override_session_builder(Arc::new(move |config: SessionConfig| {
                Ok(session::state(config, runtime.clone()))
            }));
        config.override_physical_codec = Some(engine::codec());
        let executor_timeout = settings.executor_timeout.max(SHORTEST_EXECUTOR_TIMEOUT);
        config.executor_timeout_seconds = executor_timeout.as_secs();
        config.expire_dead_executor_interval_seconds = 1;
        let cluster = BallistaCluster::new_from_config(&config).await?;
        let server = create_scheduler(cluster, Arc::new(config)).await?;
        Ok(Self {
            server: Arc::new(server),
            executor_timeout,
        })
    }

    /// Returns the gRPC service for executors and clients.
    pub fn service(&self) -> Service {
        SchedulerGrpcServer::from_arc(self.server.clone())
            .max_decoding_message_size(MESSAGE_BYTES)
            .max_encoding_message_size(MESSAGE_BYTES)
    }

    /// Returns a client that calls the service in this process.
    pub fn client(&self) -> InProcessClient {
        SchedulerGrpcClient::new(self.service())
            .max_decoding_message_size(MESSAGE_BYTES)
            .max_encoding_message_size(MESSAGE_BYTES)
    }

    /// Returns Ballista's REST interface: `/api/state`, `/api/jobs`, `/api/metrics` and more.
    pub fn rest(&self) -> Router {
        get_routes(self.server.clone())
    }

    /// Returns the task slots of each live executor.
    pub async fn executors(&self) -> Vec<usize> {
        let known = self
            .server
            .state
            .executor_manager
            .get_executors_state()
            .await;
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let lives =
            |seen: Option<Duration>| seen.is_some_and(|seen| seen + self.executor_timeout >= now);
        let known = known.unwrap_or_default().into_iter();
        let alive = known.filter(|(_, seen, _)| lives(*seen));
        alive
            .map(|(about, ..)| about.specification.vcores as usize)
            .collect()
    }

    /// Returns the number of tasks that all executors together can run at once.
    pub async fn concurrent_tasks(&self) -> usize {
        self.executors().await.into_iter().sum()
    }
}
