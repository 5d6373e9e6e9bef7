//! `lakebolt plan`: shows what `run` would load and skip, with reasons. It loads nothing.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write};
use std::path::Path;
use std::sync::Arc;

use scheduler::drive::plan::{LoadPlan, PeriodPlan};
use scheduler::load::days::Day;
use scheduler::load::notification::NoObserver;

use super::loads;
use crate::cli::LoadArgs;
use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::settings::OutputFormat;
use crate::table::{Table, bytes, count, plural};
use crate::{output, render, wire};

pub(super) fn run(args: LoadArgs, context: &Context) -> Result<ExitCode, Failure> {
    let prepared = loads::prepare(args, context)?;
    loads::refuse_cluster(&prepared.settings, "plan")?;
    let plan = wire::block_on(async {
        let interrupt = Interrupt::listen()?;
        let status = wire::peek_status(&prepared.places.state)?;
        let driver = wire::driver(
            status,
            Arc::new(wire::NoEngine),
            Arc::new(NoObserver),
            interrupt.cancel,
        );
        Ok(driver.plan(&prepared.request).await?)
    })?;
    match prepared.settings.output_format() {
        OutputFormat::Human => output::print(&human(&plan))?,
        OutputFormat::Json => output::print_json(&json(&plan)?)?,
    }
    Ok(ExitCode::Done)
}

fn json(plan: &LoadPlan) -> Result<serde_json::Value, Failure> {
    let mut value = serde_json::to_value(plan)
        .map_err(|error| Failure::bug(format!("cannot serialise the plan: {error}")))?;
    value["schema_version"] = 1.into();
    value["exit_code"] = ExitCode::Done.number().into();
    Ok(value)
}

fn human(plan: &LoadPlan) -> String {
    let mut text = format!("plan for {}, dataset {}\n\n", plan.source, plan.dataset);
    let mut table = Table::new(&[
        "period", "state", ">load", ">skip", ">objects", ">bytes", "why",
    ]);
    for period in &plan.periods {
        table.row(cells(period));
    }
    text.push_str(&table.render());
    text.push('\n');
    for line in details(plan) {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{line}");
    }
    text
}

fn cells(period: &PeriodPlan) -> [String; 7] {
    let state = period.state.map_or_else(String::new, |state| words(&state));
    let check = period
        .check
        .iter()
        .map(|day| (*day, Check::NewObjectsToRead));
    let why = [
        reasons(&period.load),
        reasons(&check.collect()),
        reasons(&period.skip),
    ];
    let why: Vec<String> = why
        .into_iter()
        .filter(|reasons| !reasons.is_empty())
        .collect();
    [
        period.period.to_string(),
        state,
        count((period.load.len() + period.check.len()) as u64),
        count(period.skip.len() as u64),
        count(period.input.objects),
        bytes(period.input.bytes),
        why.join("; "),
    ]
}

/// Why a day is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Check {
    /// Objects that gave it rows are gone, and there are new ones.
    NewObjectsToRead,
}

/// `9 days never loaded (2024-01-22 to 2024-01-30)`, for each reason.
fn reasons<R: Debug + Ord + Copy>(days: &BTreeMap<Day, R>) -> String {
    let mut by_reason: BTreeMap<R, Vec<Day>> = BTreeMap::new();
    for (day, reason) in days {
        by_reason.entry(*reason).or_default().push(*day);
    }
    let describe = |(reason, days): (R, Vec<Day>)| {
        let span = match (days.first(), days.last()) {
            (Some(first), Some(last)) if first != last => format!("{first} to {last}"),
            (Some(day), _) => day.to_string(),
            _ => String::new(),
        };
        format!(
            "{} {} ({span})",
            plural(days.len() as u64, "day"),
            words(&reason)
        )
    };
    let described: Vec<String> = by_reason.into_iter().map(describe).collect();
    described.join(", ")
}

/// `NeverLoaded` as `never loaded`.
fn words(name: &impl Debug) -> String {
    let mut text = String::new();
    for character in format!("{name:?}").chars() {
        if character.is_uppercase() && !text.is_empty() {
            text.push(' ');
        }
        text.extend(character.to_lowercase());
    }
    text
}

fn details(plan: &LoadPlan) -> Vec<String> {
    let mut lines = vec![format!(
        "input: {}, {}",
        plural(plan.input.objects, "object"),
        bytes(plan.input.bytes)
    )];
    for (reason, objects) in &plan.ignored {
        lines.push(format!(
            "ignored: {}, {}",
            plural(*objects, "object"),
            words(reason)
        ));
    }
    for (class, target) in &plan.targets {
        lines.push(format!("{class} goes to {}", local(target)));
    }
    lines.push(format!("rejected rows go to {}", local(&plan.quarantine)));
    lines.push(format!("configuration {}", plan.config_digest));
    lines.extend(render::incomplete(&plan.incomplete));
    lines.extend(
        plan.warnings
            .iter()
            .map(|warning| format!("warning: {warning}")),
    );
    lines
}

/// The path of a local target, so that it can be pasted into a shell.
fn local(uri: &str) -> String {
    let path = crate::uris::local("", uri, Path::new("/"));
    path.map_or_else(|_| uri.to_owned(), |path| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use scheduler::decide::remaining::LoadReason;

    use super::*;

    #[test]
    fn days_are_grouped_by_reason() {
        let day = |text: &str| text.parse::<Day>().expect("a day");
        let days = BTreeMap::from([
            (day("2024-01-22"), LoadReason::NeverLoaded),
            (day("2024-01-23"), LoadReason::LateFiles),
            (day("2024-01-24"), LoadReason::NeverLoaded),
        ]);
        let expected = "2 days never loaded (2024-01-22 to 2024-01-24), \
                        1 day late files (2024-01-23)";
        assert_eq!(reasons(&days), expected);
    }
}
