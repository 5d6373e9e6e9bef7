//! `map --report`: how well a source fits a log.

use std::collections::BTreeMap;
use std::fmt::Write;

use plans::inspect::preview::Request;
use plans::inspect::report::{Collector, ColumnUse, Report};
use plans::ocsf;
use serde_json::json;

use super::{code, read, totals};
use crate::cli::MapArgs;
use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::output;
use crate::settings::OutputFormat;
use crate::sources::Compiled;
use crate::table::{Table, count};

pub(super) fn run(
    args: &MapArgs,
    compiled: &Compiled,
    request: Request,
    version: &str,
    context: &Context,
) -> Result<ExitCode, Failure> {
    let schema = ocsf::schema(version)
        .map_err(|error| Failure::usage(error.to_string(), "give one of these with --ocsf"))?;
    let mut collector = Collector::new(&compiled.source, &compiled.program, schema);
    let summary = read(compiled, request, &mut collector)?;
    let report = collector.finish(summary);
    let code = code(report.invalid_events);
    match context.format(args.format) {
        OutputFormat::Human => output::print(&human(&report))?,
        OutputFormat::Json => output::print_json(&json!({
            "schema_version": 1,
            "exit_code": code.number(),
            "source": compiled.source.name,
            "report": report,
        }))?,
    }
    Ok(code)
}

fn human(report: &Report) -> String {
    let sum = |counts: &BTreeMap<String, u64>| counts.values().sum();
    let mut text = format!(
        "{} rows: {}\n",
        count(report.rows),
        totals(
            sum(&report.events),
            report.invalid_events,
            sum(&report.quarantined),
            sum(&report.filtered)
        )
    );
    counts(&mut text, "events by class", &report.events);
    counts(&mut text, "filtered by reason", &report.filtered);
    counts(&mut text, "quarantined by reason", &report.quarantined);
    counts(&mut text, "invalid events", &report.invalid);
    counts(&mut text, "objects left out as invalid", &report.left_out);
    if !report.columns.is_empty() {
        text.push_str("\ncolumns:\n");
        text.push_str(&columns(&report.columns));
    }
    names(&mut text, "declared, never seen", &report.never_seen);
    counts(&mut text, "seen, not declared", &report.undeclared);
    for (class, attributes) in &report.empty_recommended {
        let title = format!("recommended by {class}, empty in all events");
        names(&mut text, &title, attributes);
    }
    text
}

fn columns(columns: &[ColumnUse]) -> String {
    let mut table = Table::new(&["column", ">seen", ">unmapped", "mapped to"]);
    for column in columns {
        let mut attributes: Vec<&str> = Vec::new();
        for attribute in column.attributes.values().flatten() {
            if !attributes.contains(&attribute.as_str()) {
                attributes.push(attribute);
            }
        }
        table.row([
            column.name.clone(),
            count(column.seen),
            count(column.unmapped),
            attributes.join(", "),
        ]);
    }
    table.render()
}

fn counts(text: &mut String, title: &str, counts: &BTreeMap<String, u64>) {
    if counts.is_empty() {
        return;
    }
    // Writing to a string does not fail.
    let _ = writeln!(text, "\n{title}:");
    let numbers = counts.values().map(|number| count(*number));
    let numbers: Vec<String> = numbers.collect();
    let width = numbers.iter().map(String::len).max().unwrap_or(0);
    for (name, number) in counts.keys().zip(&numbers) {
        let name: String = name.chars().map(output::printable).collect();
        let _ = writeln!(text, "  {number:>width$}  {name}");
    }
}

fn names(text: &mut String, title: &str, names: &[String]) {
    if !names.is_empty() {
        let _ = writeln!(text, "\n{title}:\n  {}", names.join(", "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_what_is_lost_and_leaves_empty_parts_out() {
        let report = Report {
            rows: 12,
            events: BTreeMap::from([("authentication".to_owned(), 10)]),
            quarantined: BTreeMap::from([("time_missing".to_owned(), 2)]),
            columns: vec![ColumnUse {
                name: "user".to_owned(),
                seen: 10,
                unmapped: 3,
                attributes: BTreeMap::from([(
                    "authentication".to_owned(),
                    vec!["user.name".to_owned()],
                )]),
            }],
            never_seen: vec!["tenant".to_owned()],
            ..Report::default()
        };
        let expected = "\
12 rows: 10 events, 2 rejected, 0 filtered

events by class:
  10  authentication

quarantined by reason:
  2  time_missing

columns:
column  seen  unmapped  mapped to
user      10         3  user.name

declared, never seen:
  tenant
";
        assert_eq!(human(&report), expected);
    }
}
