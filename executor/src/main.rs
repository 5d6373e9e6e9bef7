//! `lakebolt-executor` connects to a scheduler and runs tasks until it receives SIGINT or
//! SIGTERM.

use std::path::PathBuf;
use std::time::Duration;

use ballista_core::serde::protobuf::ExecutorStoppedParams;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use clap::Parser;
use executor::engine::MESSAGE_BYTES;
use executor::polls::Polls;
use executor::process::Signals;
use executor::transport::{Connection, Transport};
use executor::{Capacity, Worker, process};
use tokio::time::timeout;
use tracing::{info, warn};

/// Maximum wait for the response to the last call.
const GOODBYE: Duration = Duration::from_secs(2);

/// A lakebolt executor. It pulls its tasks and opens no port.
#[derive(Parser)]
#[command(name = "lakebolt-executor", version)]
struct Args {
    /// The scheduler's address, HOST:PORT.
    #[arg(long, env = "LAKEBOLT_SCHEDULER", default_value = "127.0.0.1:50050")]
    scheduler: String,
    #[command(flatten)]
    transport: Transport,
    /// Seconds that running tasks have to end after SIGTERM or SIGINT. A second signal ends the
    /// wait.
    #[arg(long, env = "LAKEBOLT_DRAIN_SECONDS", default_value_t = 60)]
    drain_seconds: u64,
    /// Maximum number of concurrent tasks.
    #[arg(long, env = "LAKEBOLT_CONCURRENT_TASKS", default_value_t = std::thread::available_parallelism().map_or(1, |cores| cores.get()))]
    concurrent_tasks: usize,
    /// MiB of rows that all tasks together may hold before they spill. The default is the limit
    /// of the load for each task. Formats, mappings and writers need additional memory.
    #[arg(long, env = "LAKEBOLT_MEMORY_MIB", value_parser = clap::value_parser!(u32).range(16..))]
    memory_mib: Option<u32>,
    /// Folder for data that does not fit in memory.
    #[arg(long, env = "LAKEBOLT_SCRATCH", default_value_os_t = std::env::temp_dir())]
    scratch: PathBuf,
    /// Crash point at which tests stop this process.
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
    let mut stops = Signals::listen()?;
    // The polls connect lazily and retry, because the scheduler may start later or restart.
    let connection = args.transport.connect(&args.scheduler)?;
    let scheduler = SchedulerGrpcClient::new(Polls::new(connection))
        .max_decoding_message_size(MESSAGE_BYTES)
        .max_encoding_message_size(MESSAGE_BYTES);
    let capacity = Capacity {
        concurrent_tasks: args.concurrent_tasks.max(1),
        memory: args.memory_mib.map(|mib| (mib as usize) << 20),
    };
    let worker = Worker::start(scheduler.clone(), capacity, &args.scratch)?;
    info!(
        "executor runs {} tasks at once and polls {}",
        args.concurrent_tasks, args.scheduler
    );
    stops.next().await;
    info!("executor stops: it accepts no more tasks and finishes running ones");
    let patience = Duration::from_secs(args.drain_seconds);
    tokio::select! {
        biased;
        () = stops.next() => warn!("second stop signal; running tasks are handed back"),
        () = worker.drain() => {}
        () = tokio::time::sleep(patience) => {
            warn!("tasks still run after {patience:?}; they are handed back");
        }
    }
    worker.close();
    leave(scheduler, worker.id()).await;
    Ok(())
}

/// Notifies the scheduler, so that it restarts unfinished tasks without waiting for a timeout.
async fn leave(mut scheduler: SchedulerGrpcClient<Polls<Connection>>, id: &str) {
    let stopped = scheduler.executor_stopped(ExecutorStoppedParams {
        executor_id: id.to_owned(),
        reason: "stop signal".to_owned(),
    });
    if timeout(GOODBYE, stopped).await.is_err() {
        warn!("the scheduler did not confirm the stop; it will detect it by timeout");
    }
}
