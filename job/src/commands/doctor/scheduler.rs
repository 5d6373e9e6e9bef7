//! The check of a cluster's scheduler.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time;

use super::report::Verdict;
use crate::commands::cluster::Cluster;
use crate::failure::Failure;
use crate::settings::Settings;

const REMEDY: &str =
    "check that the scheduler runs, and check --cluster, --tls-ca, --tls-cert and --tls-key";

/// Asks the scheduler for its loads, for at most `timeout`.
pub(super) async fn answers(settings: &Settings, timeout: Duration) -> Verdict {
    let cluster = match Cluster::of(settings) {
        Ok(cluster) => cluster,
        Err(failure) => return failure.into(),
    };
    // Connect first: the client retries for as long as a scheduler may take to start.
    if let Err(error) = TcpStream::connect(&cluster.address).await {
        return Verdict::fail(format!("cannot reach the scheduler: {error}"), REMEDY);
    }
    match time::timeout(timeout, cluster.client.list(1)).await {
        Ok(Ok(_)) => Verdict::ok("the scheduler answers"),
        Ok(Err(failure)) => Failure::from(failure).into(),
        Err(_) => Verdict::fail("the port is open, but no scheduler answers", REMEDY),
    }
}
