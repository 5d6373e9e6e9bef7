//! The scheduler of a cluster, which runs loads in this process's place.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time;

use super::report::Verdict;
use crate::commands::cluster::Cluster;
use crate::failure::Failure;
use crate::settings::Settings;

const REMEDY: &str = "check --cluster, --tls-ca, --tls-cert and --tls-key, and that it runs";

/// Asks the scheduler for its loads, for no longer than `patience`.
pub(super) async fn answers(settings: &Settings, patience: Duration) -> Verdict {
    let cluster = match Cluster::of(settings) {
        Ok(cluster) => cluster,
        Err(failure) => return failure.into(),
    };
    // The client asks again for as long as a scheduler may take to start.
    if let Err(error) = TcpStream::connect(&cluster.address).await {
        return Verdict::fail(format!("the scheduler cannot be reached: {error}"), REMEDY);
    }
    match time::timeout(patience, cluster.client.list(1)).await {
        Ok(Ok(_)) => Verdict::ok("the scheduler answers"),
        Ok(Err(failure)) => Failure::from(failure).into(),
        Err(_) => Verdict::fail("something listens, and no scheduler answers", REMEDY),
    }
}
