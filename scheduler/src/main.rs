//! `lakebolt-scheduler`: Ballista's scheduler and the load service of a cluster, on one port.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use chrono::{DateTime, Utc};
use clap::Parser;
use executor::process;
use executor::transport::Transport;
use scheduler::cluster::{SHORTEST_EXECUTOR_TIMEOUT, Scheduler, Settings};
use scheduler::drive::activity::Activity;
use scheduler::drive::context::{Driver, InputCheck, Planner, Timing};
use scheduler::service::listen;
use scheduler::service::listen::Listener;
use scheduler::service::loads::Loads;
use scheduler::service::policy::Policy;
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
    transport: Transport,
    /// TOML file that names what loads may read and write: `all`, `inputs`, `outputs`, `areas`
    /// (work areas and quarantines) and `roles`. Without it: everything below the current folder.
    #[arg(long, env = "LAKEBOLT_POLICY", value_name = "FILE")]
    policy: Option<PathBuf>,
    /// URIs below which loads may read and write everything, separated by commas. May be repeated.
    #[arg(
        long,
        env = "LAKEBOLT_ALLOW",
        value_name = "URI",
        value_delimiter = ','
    )]
    allow: Vec<String>,
    /// Serve Ballista's REST interface below /api. It can cancel jobs.
    #[arg(long, env = "LAKEBOLT_REST")]
    rest: bool,
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
    let listener = listener(&args)?;
    let policy = policy(&args)?;
    let status = status::open(&args.state)?;
    let scheduler = Scheduler::start(settings).await;
    let scheduler = scheduler.context("the scheduler cannot start")?;
    let engine: Arc<dyn Submit> = Arc::new(Cluster::new(scheduler.clone()));
    let timing = Timing {
        progress_deadline: Duration::from_secs(args.progress_deadline),
        ..Timing::default()
    };
    let drivers = drivers(status.clone(), engine, timing, policy.clone());
    let runner = Arc::new(Runner::new(status, drivers, now, policy));
    let stop = process::stop()?;
    info!("scheduler listens on {}", args.listen);
    listen::serve(listener, scheduler, Loads::new(runner), stop)
        .await
        .with_context(|| format!("cannot serve on {}", args.listen))
}

fn listener(args: &Args) -> anyhow::Result<Listener> {
    let (address, tls) = (args.listen, args.transport.tls.server()?);
    if tls.is_none() && !address.ip().is_loopback() {
        ensure!(
            args.transport.plain_tcp,
            "{address} is beyond this machine's loopback: give --tls-ca, --tls-cert and --tls-key, \
             or --plain-tcp in a network that you trust"
        );
        warn!(
            "{address} is served without TLS: others on its network can read the token and the \
             data, and use the scheduler"
        );
    }
    Ok(Listener {
        address,
        tls,
        token: args.transport.token()?,
        rest: args.rest,
    })
}

fn policy(args: &Args) -> anyhow::Result<Policy> {
    let folder = std::env::current_dir().context("the current folder cannot be named")?;
    let folder = folder.to_str().context("the current folder is not UTF-8")?;
    Ok(Policy::new(args.policy.as_deref(), folder, &args.allow)?)
}

fn drivers(
    status: Arc<dyn StatusStore>,
    submit: Arc<dyn Submit>,
    timing: Timing,
    policy: Policy,
) -> Box<Drivers> {
    let input_check: Arc<InputCheck> = Arc::new(move |objects| policy.check_objects(objects));
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
        input_check: Some(input_check.clone()),
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
