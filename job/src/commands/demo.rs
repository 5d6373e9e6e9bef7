//! `lakebolt demo`: loads bundled sample logs into a small lake. It can be run again.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use plans::inspect::preview::{Fate, preview};
use plans::inspect::show;
use plans::lake::{every_part, source_folder};
use plans::sources;
use plans::sources::Shipped;
use scheduler::load::days::Day;

use super::loads;
use super::loads::Prepared;
use crate::cli::DemoArgs;
use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::{Failure, with_causes};
use crate::settings::{EngineName, Settings};
use crate::table::plural;
use crate::{output, render, wire};

/// The sources that the demo loads.
const SOURCES: [&str; 2] = ["vpc_flow", "s3_access"];
const ACCOUNT: &str = "123456789012";
const REGION: &str = "eu-central-1";
const EVENTS_SHOWN: usize = 2;
const DAY_MILLISECONDS: i64 = 86_400_000;

pub(super) fn run(args: &DemoArgs, context: &Context) -> Result<ExitCode, Failure> {
    let folder = context.folder().join(&args.folder);
    let engine = context.defaults.engine;
    let mut prepared = Vec::new();
    for name in SOURCES {
        let shipped = sources::find(name).map_err(|error| Failure::bug(error.to_string()))?;
        let input = folder.join("input").join(name);
        write_samples(shipped, &input, context)?;
        prepared.push(loads::of_source(
            name,
            settings(&folder, &input, engine),
            context,
        )?);
    }
    let code = load(&prepared, context)?;
    show_lake(&args.folder, &prepared)?;
    Ok(code)
}

/// Settings that keep everything in the demo's folder, whatever the environment says.
fn settings(folder: &Path, input: &Path, engine: Option<EngineName>) -> Settings {
    Settings {
        input: Some(vec![input.display().to_string()]),
        output: Some(folder.join("lake").display().to_string()),
        region: Some(REGION.to_owned()),
        // The samples include malformed lines.
        max_quarantine: Some(100.0),
        engine,
        ..Settings::default()
    }
}

/// Runs the loads one after the other, since they share a target and its state.
fn load(prepared: &[Prepared], context: &Context) -> Result<ExitCode, Failure> {
    let Some(first) = prepared.first() else {
        return Ok(ExitCode::Done);
    };
    loads::with_driver(first, context, async |driver, interrupt| {
        let mut worst = ExitCode::Done;
        for load in prepared {
            let outcome = driver.run(&load.request).await;
            output::print(&format!(
                "{}\n",
                render::outcome(&outcome, &load.places.state)
            ))?;
            if outcome.exit_code != 0 {
                worst = interrupt.code(ExitCode::from_number(outcome.exit_code.into()));
            }
        }
        Ok(worst)
    })
}

/// Writes the samples as AWS delivers logs, below the day of their events.
fn write_samples(shipped: &Shipped, input: &Path, context: &Context) -> Result<(), Failure> {
    let scratch = input.join(".sample");
    for (name, bytes) in shipped.samples() {
        write(&scratch, bytes)?;
        let days = days_of(shipped, &scratch, context)?;
        write(&input.join(place(shipped.name, name, &days)), bytes)?;
    }
    fs::remove_file(&scratch).map_err(|error| unwritable(&scratch, &error))
}

/// Writes a file unless it exists with the same bytes: a newer one would be a late file.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if fs::read(path).is_ok_and(|existing| existing == bytes) {
        return Ok(());
    }
    let parent = path.parent().unwrap_or(path);
    let written = fs::create_dir_all(parent).and_then(|()| fs::write(path, bytes));
    written.map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    let message = format!("cannot write {}: {error}", path.display());
    Failure::new(
        ExitCode::Refused,
        message,
        "choose another folder: lakebolt demo FOLDER",
    )
}

/// The path of a sample. It names a day if all events are of that day.
fn place(source: &str, name: &str, days: &BTreeSet<Day>) -> PathBuf {
    let mut days = days.iter();
    match (source, days.next(), days.next()) {
        ("vpc_flow", Some(day), None) => {
            let date = day.date().format("%Y/%m/%d");
            PathBuf::from(format!(
                "AWSLogs/{ACCOUNT}/vpcflowlogs/{REGION}/{date}/{name}"
            ))
        }
        (_, Some(day), None) => PathBuf::from(format!("{day}-{name}")),
        _ => PathBuf::from(name),
    }
}

/// The days of a sample's events.
fn days_of(shipped: &Shipped, path: &Path, context: &Context) -> Result<BTreeSet<Day>, Failure> {
    let compiled = loads::compile(shipped.name, &Settings::default(), context)?;
    let object = super::map::object(path, context)?;
    let mut days = BTreeSet::new();
    wire::block_on(async {
        let each = |fate| {
            days.extend(day_of(&fate));
            true
        };
        let format = &compiled.source.format;
        let read = preview(&compiled.program, format, vec![object], None, each).await;
        read.map_err(|error| Failure::bug(with_causes(&error)))
    })?;
    Ok(days)
}

fn day_of(fate: &Fate) -> Option<Day> {
    let Fate::Event { json, .. } = fate else {
        return None;
    };
    let event: serde_json::Value = serde_json::from_str(json).ok()?;
    let day = event.get("time")?.as_i64()?.div_euclid(DAY_MILLISECONDS);
    i32::try_from(day).ok().map(Day)
}

/// Prints a few events, a query, and commands to try next.
fn show_lake(shown: &Path, prepared: &[Prepared]) -> Result<(), Failure> {
    let mut text = String::new();
    for load in prepared {
        let source = &load.request.source.name;
        let uri = source_folder(&load.request.terms.output, source);
        wire::block_on(async {
            let objects = show::objects(&uri).await;
            let objects = objects.map_err(|error| super::show::object_failure(&error))?;
            // Writing to a string does not fail.
            let _ = writeln!(text, "{source}: {}", plural(objects.len() as u64, "object"));
            let take = |event: &str| writeln!(text, "{event}").is_ok();
            let shown = show::events(&objects, EVENTS_SHOWN, take).await;
            shown.map_err(|error| super::show::show_failure(&error))
        })?;
    }
    let lake = shown.join("lake");
    let lake = lake.display().to_string();
    let parts = every_part(&lake);
    let _ = write!(
        text,
        "\nquery it:\n  duckdb -c \"SELECT class_uid, activity_name, count(*) AS events FROM \
         read_parquet('{parts}', union_by_name = true) GROUP BY ALL\"\n\
         check it:\n  lakebolt verify {lake}\n\
         list rejected rows:\n  lakebolt quarantine s3_access --output {lake}\n\
         load your own logs:\n  lakebolt run vpc_flow --input YOUR_LOGS --output YOUR_LAKE --days 35\n"
    );
    output::print(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_of_one_day_has_a_path_with_that_day() {
        let day: Day = "2024-01-22".parse().expect("a day");
        let one = BTreeSet::from([day]);
        let path = place("vpc_flow", "a.log", &one);
        assert!(path.ends_with("vpcflowlogs/eu-central-1/2024/01/22/a.log"));
        assert_eq!(
            place("s3_access", "a.log", &one),
            Path::new("2024-01-22-a.log")
        );
        let two = BTreeSet::from([day, Day(day.0 + 1)]);
        assert_eq!(place("vpc_flow", "a.log", &two), Path::new("a.log"));
    }
}
