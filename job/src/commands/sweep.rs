//! `lakebolt sweep`: removes uploads and work files that no live attempt owns.

use std::collections::BTreeSet;
use std::fmt::Write;

use plans::storage::{Access, parts};
use scheduler::drive::sweep::{Sweep, Swept};
use scheduler::publish::cleanup::Cleanup;
use scheduler::publish::work::Work;

use crate::cli::SweepArgs;
use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::{Failure, with_causes};
use crate::request::Places;
use crate::settings::{OutputFormat, Settings};
use crate::table::{bytes, plural};
use crate::{output, wire};

pub(super) fn run(args: &SweepArgs, context: &Context) -> Result<ExitCode, Failure> {
    let settings = Settings {
        output: Some(args.uri.clone()),
        state: args.state.clone(),
        work: args.work.clone(),
        quarantine: args.quarantine.clone(),
        role_arn: args.role_arn.clone(),
        external_id: args.external_id.clone(),
        ..Settings::default()
    };
    let lower = Settings {
        state: context.defaults.state.clone(),
        work: context.defaults.work.clone(),
        quarantine: context.defaults.quarantine.clone(),
        role_arn: context.defaults.role_arn.clone(),
        external_id: context.defaults.external_id.clone(),
        ..Settings::default()
    };
    let settings = settings.over(lower);
    let places = Places::of(&settings, context.folder())?;
    let access = places.access(&settings)?;
    let swept = wire::block_on(async {
        let sweep = Sweep {
            status: wire::open_status(&places.state, true)?,
            cleanup: cleanup(&places, &access)?,
            clock: wire::now,
            min_age: args.min_age,
            dry_run: args.dry_run,
        };
        Ok(sweep.run().await?)
    })?;
    match context.format(args.format) {
        OutputFormat::Human => output::print(&human(&swept, args.dry_run))?,
        OutputFormat::Json => output::print_json(&json(&swept, args.dry_run))?,
    }
    Ok(ExitCode::Done)
}

fn cleanup(places: &Places, access: &Access) -> Result<Cleanup, Failure> {
    let refused =
        |error: &dyn std::error::Error| Failure::usage(with_causes(error), "check URI and --work");
    let work = Work::open(&places.work).map_err(|error| refused(&error))?;
    let sink = parts::open(&places.output, &places.work, access);
    Ok(Cleanup {
        work,
        part_store: sink.map_err(|error| refused(&error))?.part_store,
        folders: BTreeSet::from([places.output.clone(), places.quarantine.clone()]),
    })
}

fn json(swept: &Swept, dry_run: bool) -> serde_json::Value {
    serde_json::json!({
        "schema_version": 1,
        "exit_code": ExitCode::Done.number(),
        "dry_run": dry_run,
        "removed": swept.removed,
        "aborted": swept.aborted,
        "bytes": swept.bytes,
        "unknown": swept.unknown,
        "passes": swept.passes,
    })
}

fn human(swept: &Swept, dry_run: bool) -> String {
    let mut text = String::new();
    for name in &swept.removed {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name}");
    }
    for uri in &swept.aborted {
        let _ = writeln!(text, "the upload of {uri}");
    }
    for name in &swept.unknown {
        let _ = writeln!(
            text,
            "kept, because its load is not in this status store: {name}"
        );
    }
    let verb = if dry_run { "would remove" } else { "removed" };
    let removed = swept.removed.len() + swept.aborted.len();
    let removed = plural(removed as u64, "leftover");
    let _ = writeln!(text, "{verb} {removed}, {}", bytes(swept.bytes));
    text
}
