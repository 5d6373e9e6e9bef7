//! `lakebolt-executor`: joins a scheduler and runs tasks until it is told to stop.

use std::path::PathBuf;

use anyhow::Context;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use clap::Parser;
use executor::engine::MESSAGE_BYTES;
use executor::{Worker, process};
use tracing::info;

/// A lakebolt executor. It pulls its tasks and opens no port.
#[derive(Parser)]
#[command(name = "lakebolt-executor", version)]
struct Args {
    /// The scheduler's address.
    #[arg(
        long,
        env = "LAKEBOLT_SCHEDULER",
        default_value = "http://127.0.0.1:50050"
    )]
    scheduler: String,
    /// Tasks that run at once.
    #[arg(long, env = "LAKEBOLT_VCORES", default_value_t = std::thread::available_parallelism().map_or(1, |cores| cores.get()))]
    vcores: usize,
    /// Folder for what does not fit in memory.
    #[arg(long, env = "LAKEBOLT_SCRATCH", default_value_os_t = std::env::temp_dir())]
    scratch: PathBuf,
    /// Where tests want this process to die or to freeze.
    #[arg(long, env = "LAKEBOLT_CRASH_AT", hide = true)]
    crash_at: Option<String>,
    /// Log filter, such as `info` or `warn,plans=debug`.
    #[arg(
        long,
        env = "LAKEBOLT_LOG",
        default_value = "info,ballista_core=warn,ballista_executor=warn"
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
    let address = args.scheduler.clone();
    let client = SchedulerGrpcClient::connect(address)
        .await
        .with_context(|| format!("no scheduler at {}", args.scheduler))?;
    let client = client
        .max_decoding_message_size(MESSAGE_BYTES)
        .max_encoding_message_size(MESSAGE_BYTES);
    let worker = Worker::start(client, args.vcores.max(1), &args.scratch)?;
    info!(
        "executor with {} vcores joined {}",
        args.vcores, args.scheduler
    );
    process::stop()?.await;
    info!("executor stops");
    worker.close();
    Ok(())
}
