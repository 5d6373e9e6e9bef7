//! `lakebolt-scheduler`: the Ballista scheduler of a cluster, on one port.

use std::net::SocketAddr;

use anyhow::Context;
use clap::Parser;
use executor::process;
use tonic::transport::Server;
use tracing::info;

/// A lakebolt scheduler. Executors pull from it; nothing else of a cluster listens.
#[derive(Parser)]
#[command(name = "lakebolt-scheduler", version)]
struct Args {
    /// Address to listen on.
    #[arg(long, env = "LAKEBOLT_LISTEN", default_value = "127.0.0.1:50050")]
    listen: SocketAddr,
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
    let service = scheduler::cluster::service()
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
