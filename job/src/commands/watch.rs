//! `lakebolt watch`: follows a load of a cluster to its end.

use super::cluster;
use super::cluster::Cluster;
use crate::cli::WatchArgs;
use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::wire;

pub(super) fn run(args: &WatchArgs, context: &Context) -> Result<ExitCode, Failure> {
    let mut settings = cluster::settings(&args.of, context);
    settings.progress = args.progress.or(settings.progress);
    wire::block_on(async {
        let cluster = Cluster::of(&settings)?;
        let id = cluster.client.find(&args.of.load).await?;
        cluster::follow(&cluster, &id, &settings, context).await
    })
}
