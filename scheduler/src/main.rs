//! `lakebolt-scheduler`: the Ballista scheduler of a cluster, on one port.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use executor::process;
use scheduler::cluster::{self, SHORTEST_EXECUTOR_TIMEOUT, Settings};
use tonic::transport::Server;
use tracing::info;

/// A lakebolt scheduler. Executors pull from it; nothing else of a cluster listens.
#[derive(Parser)]
#[command(name = "lakebolt-scheduler", version)]
struct Args {
    /// Address to listen on.
    #[arg(long, env = "LAKEBOLT_LISTEN", default_value = "127.0.0.1:50050")]
    listen: SocketAddr,
    /// Seconds without a word from an executor until its tasks run again elsewhere.
    #[arg(
        long,
        env = "LAKEBOLT_EXECUTOR_TIMEOUT",
        default_value_t = Settings::default().executor_timeout.as_secs(),
        value_parser = clap::value_parser!(u64).range(SHORTEST_EXECUTOR_TIMEOUT.as_secs()..)
    )]
    executor_timeout: u64,
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
    let settings = Settings {
        executor_timeout: Duration::from_secs(args.executor_timeout),
    };
    let service = cluster::service(settings)
        .await
        .context("the scheduler cannot start")?;
    let stop = process::stop()?;
    info!("scheduler listens on {}", args.listen);
    let served = Server::builder()
        .add_service(service)
        .serve_with_shutdown(args.listen, stop);
    served
        .await
        .with_context(|| format!("cannot serve on {}", args.listen))
}
