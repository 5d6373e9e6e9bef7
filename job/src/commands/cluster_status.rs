//! `lakebolt status --cluster`: the loads of a scheduler.

use scheduler::service::client;
use scheduler::service::proto::LoadInfo;
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::loads::same_source;
use crate::cli::StatusArgs;
use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::settings::{OutputFormat, Settings};
use crate::table::Table;
use crate::{output, render, wire};

/// The number of loads to print.
const LOADS: usize = 10;
/// The most loads that a scheduler lists.
const MOST_LISTED: u32 = 1000;

pub(super) fn run(
    args: &StatusArgs,
    settings: &Settings,
    context: &Context,
) -> Result<ExitCode, Failure> {
    let (address, mut loads) = wire::block_on(async {
        let cluster = Cluster::of(settings)?;
        let loads = match &args.load {
            Some(id) => {
                let id = cluster.client.find(id).await?;
                vec![cluster.client.get(&id).await?]
            }
            // Many loads of other sources may be newer than those of this source.
            None if args.source.is_some() => cluster.client.list(MOST_LISTED).await?,
            None => cluster.client.list(LOADS as u32).await?,
        };
        Ok((cluster.address, loads))
    })?;
    if let Some(source) = &args.source {
        loads.retain(|load| same_source(&load.source, source));
    }
    loads.truncate(LOADS);
    match context.format(args.state.format) {
        OutputFormat::Human => output::print(&human(&address, &loads))?,
        OutputFormat::Json => output::print_json(&as_json(&address, &loads))?,
    }
    Ok(ExitCode::Done)
}

fn human(address: &str, loads: &[LoadInfo]) -> String {
    if loads.is_empty() {
        return "no loads\n".to_owned();
    }
    let mut table = Table::new(&["load", "source", "state", "started", "ended"]);
    for load in loads {
        table.row([
            load.load_id.clone(),
            load.source.clone(),
            load.state.clone(),
            moment(Some(load.started_at_ms)).unwrap_or_default(),
            moment(load.ended_at_ms).unwrap_or_default(),
        ]);
    }
    let place = format!("--cluster {address}");
    let outcomes = loads.iter().filter_map(client::outcome);
    let outcomes = outcomes.map(|outcome| render::outcome(&outcome, &place));
    outcomes.fold(table.render(), |text, outcome| text + "\n" + &outcome)
}

fn as_json(address: &str, loads: &[LoadInfo]) -> Value {
    let load = |load: &LoadInfo| {
        json!({
            "load_id": load.load_id,
            "dataset": load.dataset,
            "source": load.source,
            "state": load.state,
            "started_at": moment(Some(load.started_at_ms)),
            "ended_at": moment(load.ended_at_ms),
            "outcome": client::outcome(load),
        })
    };
    let loads: Vec<Value> = loads.iter().map(load).collect();
    json!({"schema_version": 1, "cluster": address, "loads": loads})
}

fn moment(milliseconds: Option<i64>) -> Option<String> {
    let time = chrono::DateTime::from_timestamp_millis(milliseconds?)?;
    Some(scheduler::load::days::Moment(time).to_string())
}
