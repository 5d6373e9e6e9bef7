//! `lakebolt status`: lists periods with their states, attempts and ledgers, and loads.

use std::collections::BTreeSet;

use scheduler::decide::incomplete::incomplete;
use scheduler::load::days::Moment;
use scheduler::status::{LoadRecord, PeriodRecord, StatusStore};
use serde_json::json;

use super::{cluster, cluster_status, loads};
use crate::cli::StatusArgs;
use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::settings::{OutputFormat, Settings};
use crate::table::{Table, bytes, count};
use crate::{output, render, request, wire};

/// The number of loads to print.
const LOADS: usize = 10;

/// The selected records of the status store.
struct Found {
    periods: Vec<PeriodRecord>,
    loads: Vec<LoadRecord>,
}

pub(super) fn run(args: &StatusArgs, context: &Context) -> Result<ExitCode, Failure> {
    let flags = Settings {
        output: args.state.output.clone(),
        state: args.state.state.clone(),
        name: args.state.name.clone(),
        ..cluster::connection(&args.cluster)
    };
    let settings = flags.over(context.defaults.clone());
    // --state and --output override a cluster from the environment or `lakebolt.toml`.
    let is_named = args.state.state.is_some() || args.state.output.is_some();
    if args.cluster.cluster.is_some() || (settings.cluster.is_some() && !is_named) {
        return cluster_status::run(args, &settings, context);
    }
    let state = request::state_uri(&settings, context.folder())?;
    let found = wire::block_on(async {
        let status = wire::open_status(&state, true)?;
        look(status.as_ref(), args, settings.name.as_deref()).await
    })?;
    match context.format(args.state.format) {
        OutputFormat::Human => output::print(&human(&found))?,
        OutputFormat::Json => output::print_json(&as_json(&state, &found))?,
    }
    Ok(ExitCode::Done)
}

async fn look(
    status: &dyn StatusStore,
    args: &StatusArgs,
    name: Option<&str>,
) -> Result<Found, Failure> {
    let failed = |error| wire::status_failure(&error);
    // Many other loads may be newer than the selected ones.
    let is_filtered = args.load.is_some() || args.source.is_some();
    let most = if is_filtered { usize::MAX } else { LOADS };
    let mut loads = status.loads(most).await.map_err(failed)?;
    if let Some(id) = &args.load {
        loads.retain(|load| load.load_id.starts_with(id.as_str()));
        if loads.is_empty() {
            return Err(Failure::usage(
                format!("there is no load {id}"),
                "see `lakebolt status` without --load for the ids of loads",
            ));
        }
    }
    if let Some(source) = &args.source {
        loads.retain(|load| loads::same_source(&load.source, source));
    }
    if args.load.is_none() {
        loads.truncate(LOADS);
    }
    let mut periods = Vec::new();
    for dataset in status.datasets().await.map_err(failed)? {
        periods.extend(status.periods(&dataset).await.map_err(failed)?);
    }
    periods.retain(|period| is_selected(period, args, name, &loads));
    Ok(Found { periods, loads })
}

fn is_selected(
    period: &PeriodRecord,
    args: &StatusArgs,
    name: Option<&str>,
    loads: &[LoadRecord],
) -> bool {
    let source = args.source.as_deref();
    let of_source = source.is_none_or(|source| loads::same_source(&period.source_log_type, source));
    // The id of a dataset consists of its source, its name and a digest.
    let named = |name: &str| {
        period
            .dataset
            .starts_with(&format!("{}-{name}-", period.source_log_type))
    };
    let datasets: BTreeSet<&str> = loads.iter().map(|load| load.dataset.as_str()).collect();
    let of_load = args.load.is_none() || datasets.contains(period.dataset.as_str());
    of_source && name.is_none_or(named) && of_load
}

fn human(found: &Found) -> String {
    let mut text = String::new();
    if !found.periods.is_empty() {
        text.push_str(&period_table(&found.periods));
        text.push('\n');
        for line in render::incomplete(&incomplete(&found.periods, None)) {
            text.push_str(&line);
            text.push('\n');
        }
    }
    if found.loads.is_empty() {
        text.push_str("no loads\n");
    } else {
        text.push_str(&load_table(&found.loads));
    }
    text
}

fn period_table(periods: &[PeriodRecord]) -> String {
    let mut table = Table::new(&[
        "dataset",
        "period",
        "state",
        ">days",
        ">closed",
        ">attempt",
        ">read",
        ">written",
        ">quarantined",
        ">objects",
        ">bytes",
        "error",
    ]);
    for period in periods {
        let closed = period
            .covered_days
            .values()
            .filter(|day| day.closed)
            .count();
        table.row([
            period.dataset.clone(),
            period.period.to_string(),
            word(&period.state),
            count(period.covered_days.len() as u64),
            count(closed as u64),
            count(period.attempt),
            count(period.ledger.read),
            count(period.ledger.written),
            count(period.ledger.quarantined),
            count(period.objects),
            bytes(period.bytes),
            period.error.clone().unwrap_or_default(),
        ]);
    }
    table.render()
}

fn load_table(loads: &[LoadRecord]) -> String {
    let mut table = Table::new(&["load", "source", "state", "started", "ended"]);
    for load in loads {
        let ended = load.ended_at.map(|moment: Moment| moment.to_string());
        table.row([
            load.load_id.clone(),
            load.source.clone(),
            render::state_word(load.state).to_owned(),
            load.started_at.to_string(),
            ended.unwrap_or_default(),
        ]);
    }
    table.render()
}

/// The stored name of a state.
fn word(state: &scheduler::status::State) -> String {
    let stored = serde_json::to_value(state).ok();
    stored
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

fn as_json(state: &str, found: &Found) -> serde_json::Value {
    let incomplete = incomplete(&found.periods, None);
    json!({
        "schema_version": 1,
        "state": state,
        "periods": found.periods,
        "owed": incomplete.owed,
        "rewritten": incomplete.rewritten,
        "broken": incomplete.broken,
        "loads": found.loads,
    })
}
