//! `lakebolt cancel`: stops a load of a cluster. Published objects stay.

use serde_json::json;

use super::cluster;
use super::cluster::Cluster;
use crate::cli::ClusterArgs;
use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::settings::OutputFormat;
use crate::{output, wire};

pub(super) fn run(args: &ClusterArgs, context: &Context) -> Result<ExitCode, Failure> {
    let settings = cluster::settings(args, context);
    let (id, running) = wire::block_on(async {
        let cluster = Cluster::of(&settings)?;
        let id = cluster.client.find(&args.load).await?;
        let running = cluster.client.cancel(&id).await?;
        Ok((id, running))
    })?;
    if !running {
        let message = format!("load {id} is not running");
        return Err(Failure::new(
            ExitCode::Refused,
            message,
            "nothing to do: it has ended already",
        ));
    }
    match settings.output_format() {
        OutputFormat::Human => output::print(&format!("load {id} is stopping\n"))?,
        OutputFormat::Json => {
            let answer = json!({"schema_version": 1, "load_id": id, "cancelled": true});
            output::print_json(&answer)?;
        }
    }
    Ok(ExitCode::Done)
}
