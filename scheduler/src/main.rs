//! `lakebolt-scheduler`: Ballista's scheduler and the load service of a cluster, on one port.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, Utc};
use clap::Parser;
use executor::process;
use executor::transport::Tls;
use scheduler::cluster::{SHORTEST_EXECUTOR_TIMEOUT, Scheduler, Settings};
use scheduler::drive::activity::Activity;
use scheduler::drive::context::Planner;
use scheduler::drive::context::{Driver, Timing};
use scheduler::service::listen;
use scheduler::service::loads::Loads;
use scheduler::service::run::{Drivers, Runner};
use scheduler::status::{self, StatusStore};
use scheduler::submit::Submit;
use scheduler::submit::cluster::Cluster;
use tracing::{info, warn};

/// A lakebolt scheduler. Executors connect to it; no other process of a cluster listens on a
/// port.
#[derive(Parser)]
#[command(name = "lakebolt-scheduler", version)]
struct Args {
    /// Address to listen on.
    #[arg(long, env = "LAKEBOLT_LISTEN", default_value = "127.0.0.1:50050")]
    listen: SocketAddr,
    /// Status store, `sqlite:PATH` or `dynamodb:TABLE_PREFIX`.
    #[arg(
        long,
        env = "LAKEBOLT_STATE",
        default_value = "sqlite:lakebolt-state.db"
    )]
    state: String,
    /// Seconds of silence after which an executor's tasks run again on another one.
    #[arg(
        long,
        env = "LAKEBOLT_EXECUTOR_TIMEOUT",
        default_value_t = Settings::default().executor_timeout.as_secs(),
        value_parser = clap::value_parser!(u64).range(SHORTEST_EXECUTOR_TIMEOUT.as_secs()..)
    )]
    executor_timeout: u64,
    /// Seconds without progress in any split after which an attempt is replaced by a new one.
    #[arg(
        long,
        env = "LAKEBOLT_PROGRESS_DEADLINE",
        default_value_t = Timing::default().progress_deadline.as_secs(),
        value_parser = clap::value_parser!(u64).range(60..)
    )]
    progress_deadline: u64,
    #[command(flatten)]
    tls: Tls,
    /// Point at which tests kill or stop this process.
    #[arg(long, env = "LAKEBOLT_CRASH_AT", hide = true)]
    crash_at: Option<String>,
    /// Log filter, such as `info` or `warn,scheduler=debug`.
    #[arg(
        long,
        env = "LAKEBOLT_LOG",
        default_value = "info,ballista_core=warn,ballista_scheduler=warn"
    )]
    log: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    process::log(&args.log)?;
    if let Some(point) = &args.crash_at {
        plans::crash_point::arm(point)?;
    }
    let settings = Settings {
        executor_timeout: Duration::from_secs(args.executor_timeout),
    };
    let tls = args.tls.server()?;
    let status = status::open(&args.state)?;
    let scheduler = Scheduler::start(settings).await;
    let scheduler = scheduler.context("the scheduler cannot start")?;
    let engine: Arc<dyn Submit> = Arc::new(Cluster::new(scheduler.clone()));
    let timing = Timing {
        progress_deadline: Duration::from_secs(args.progress_deadline),
        ..Timing::default()
    };
    let drivers = drivers(status.clone(), engine, timing);
    let runner = Arc::new(Runner::new(status, drivers, now));
    let stop = process::stop()?;
    if tls.is_none() && !args.listen.ip().is_loopback() {
        warn!(
            "every client that can reach {} may run loads: set --tls-ca, --tls-cert and --tls-key",
            args.listen
        );
    }
    info!("scheduler listens on {}", args.listen);
    listen::serve(args.listen, tls, scheduler, Loads::new(runner), stop)
        .await
        .with_context(|| format!("cannot serve on {}", args.listen))
}

fn drivers(status: Arc<dyn StatusStore>, submit: Arc<dyn Submit>, timing: Timing) -> Box<Drivers> {
    let planner: Arc<Planner> = Arc::new(|program, format, task| {
        plans::pipeline::attempt_plan(program, format, task.clone()).map_err(Into::into)
    });
    let activity = Activity::default();
    Box::new(move |observer, cancel| Driver {
        status: status.clone(),
        submit: submit.clone(),
        planner: planner.clone(),
        clock: now,
        observer,
        cancel,
        timing,
        activity: activity.clone(),
    })
}

/// The system clock.
#[expect(
    clippy::disallowed_methods,
    reason = "all other code takes the time as an argument"
)]
fn now() -> DateTime<Utc> {
    Utc::now()
}
