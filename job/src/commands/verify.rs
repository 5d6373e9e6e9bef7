//! `lakebolt verify`: objects read back, pass or fail per rule.

use std::fmt::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use plans::inspect::verify;
use plans::inspect::verify::{Finding, Report, Rule, Tally, Weight};

use super::show::unreached;
use crate::cli::VerifyArgs;
use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::settings::OutputFormat;
use crate::table::{Table, bytes, count, plural};
use crate::{output, uris, wire};

pub(super) fn run(args: &VerifyArgs, context: &Context) -> Result<ExitCode, Failure> {
    let uri = uris::absolute("URI", &args.uri, context.folder())?;
    let bar = bar(context);
    let report = wire::block_on(async {
        let report = verify::verify(&uri, args.limit, |done, of| {
            bar.set_length(of as u64);
            bar.set_position(done as u64);
        });
        report.await.map_err(|error| unreached(&error))
    });
    bar.finish_and_clear();
    let report = report?;
    if report.objects == 0 {
        let message = format!("no Parquet object stands below {}", args.uri);
        return Err(Failure::unavailable(
            message,
            "give a target that a load has written",
        ));
    }
    let code = if report.passed() {
        ExitCode::Done
    } else {
        ExitCode::VerifyFailed
    };
    match context.format(args.format) {
        OutputFormat::Human => output::print(&human(&report))?,
        OutputFormat::Json => output::print_json(&json(&args.uri, &report, code))?,
    }
    Ok(code)
}

fn bar(context: &Context) -> ProgressBar {
    if context.verbosity.quiet {
        return ProgressBar::hidden();
    }
    let bar = context.bars.add(ProgressBar::new(0));
    let style = ProgressStyle::with_template("{bar:24} {pos}/{len} objects eta {eta}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn state(rule: Rule, tally: &Tally) -> &'static str {
    match (tally.checked + tally.broken, tally.broken, rule.weight()) {
        (0, ..) => "not checked",
        (_, 0, _) => "pass",
        (_, _, Weight::Demand) => "FAIL",
        (_, _, Weight::Advice) => "advice",
    }
}

fn human(report: &Report) -> String {
    let mut table = Table::new(&["rule", "result", ">checked", ">broken", "what it says"]);
    for (rule, tally) in &report.rules {
        table.row([
            rule.name().to_owned(),
            state(*rule, tally).to_owned(),
            count(tally.checked),
            count(tally.broken),
            rule.description().to_owned(),
        ]);
    }
    let mut text = table.render();
    text.push('\n');
    for (rule, tally) in &report.rules {
        for finding in &tally.findings {
            text.push_str(&line(*rule, finding));
        }
    }
    let result = if report.passed() { "passed" } else { "failed" };
    // Writing to text does not fail.
    let _ = writeln!(
        text,
        "{result}: {}, {}, {}",
        plural(report.objects, "object"),
        plural(report.rows, "row"),
        bytes(report.bytes),
    );
    text
}

fn line(rule: Rule, finding: &Finding) -> String {
    let row = finding
        .row
        .map_or_else(String::new, |row| format!(" row {row}"));
    format!(
        "{}: {}{row}: {}\n",
        rule.name(),
        finding.object,
        finding.message
    )
}

fn json(uri: &str, report: &Report, code: ExitCode) -> serde_json::Value {
    let rules: Vec<_> = report
        .rules
        .iter()
        .map(|(rule, tally)| rule_json(*rule, tally))
        .collect();
    serde_json::json!({
        "schema_version": 1,
        "exit_code": code.number(),
        "uri": uri,
        "passed": report.passed(),
        "objects": report.objects,
        "rows": report.rows,
        "bytes": report.bytes,
        "rules": rules,
    })
}

fn rule_json(rule: Rule, tally: &Tally) -> serde_json::Value {
    let finding = |finding: &Finding| {
        serde_json::json!({
            "object": finding.object,
            "row": finding.row,
            "message": finding.message,
        })
    };
    let findings: Vec<_> = tally.findings.iter().map(finding).collect();
    serde_json::json!({
        "rule": rule.name(),
        "says": rule.description(),
        "state": state(rule, tally).to_lowercase().replace(' ', "_"),
        "checked": tally.checked,
        "broken": tally.broken,
        "findings": findings,
    })
}
