//! Formats results as text.

use std::collections::BTreeMap;
use std::fmt::Write;

use plans::receipt::Ledger;
use scheduler::load::outcome::{
    DayNote, Incomplete, LoadState, Outcome, PeriodOutcome, PeriodState,
};

use crate::failure::Failure;
use crate::table::{Table, bytes, count, plural, seconds};

/// The outcome of a load. `place` is the flag that names the store of its record.
pub(crate) fn outcome(outcome: &Outcome, place: &str) -> String {
    let mut text = String::new();
    let elapsed = (outcome.ended_at.0 - outcome.started_at.0).as_seconds_f64();
    let word = state_word(outcome.state);
    push(
        &mut text,
        format!(
            "load {} of {}: {word} in {}\n",
            outcome.load_id,
            outcome.source,
            seconds(elapsed),
        ),
    );
    if outcome.periods.is_empty() && outcome.error.is_some() {
        return text + &error_lines(outcome, place);
    }
    text.push_str(&periods(&outcome.periods));
    push(&mut text, ledger_line(&outcome.rows));
    push(
        &mut text,
        format!(
            "read {} in {}, wrote {} in {}",
            bytes(outcome.input.bytes),
            plural(outcome.input.objects, "object"),
            bytes(outcome.output.bytes),
            plural(outcome.output.objects, "object"),
        ),
    );
    for warning in &outcome.warnings {
        push(&mut text, format!("warning: {warning}"));
    }
    for line in incomplete(&outcome.incomplete) {
        push(&mut text, line);
    }
    for note in &outcome.not_loaded {
        push(
            &mut text,
            format!("not loaded: {}\n help: {}", note_of_rows(note), note.remedy),
        );
    }
    text.push_str(&quarantine_lines(&outcome.periods));
    text.push_str(&left_out_lines(&outcome.periods));
    text.push_str(&error_lines(outcome, place));
    text
}

/// Appends a line.
fn push(text: &mut String, line: impl AsRef<str>) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{}", line.as_ref());
}

fn periods(periods: &[PeriodOutcome]) -> String {
    let mut table = Table::new(&[
        "period",
        "state",
        ">days",
        ">tries",
        ">read",
        ">written",
        ">quarantined",
        ">objects",
        ">bytes",
        ">time",
        "why",
    ]);
    for period in periods {
        table.row([
            period.period.clone(),
            period_word(period.state).to_owned(),
            count(period.days.len() as u64),
            count(period.attempts),
            count(period.rows.read),
            count(period.rows.written),
            count(period.rows.quarantined),
            count(period.output.objects),
            bytes(period.output.bytes),
            seconds(period.seconds),
            period.reason.clone(),
        ]);
    }
    if table.is_empty() {
        "nothing to do\n\n".to_owned()
    } else {
        table.render() + "\n"
    }
}

/// A ledger in one line.
pub(crate) fn ledger_line(rows: &Ledger) -> String {
    format!(
        "rows: {} read + {} duplicated = {} written + {} quarantined + {} filtered + {} of other periods",
        count(rows.read),
        count(rows.duplicated),
        count(rows.written),
        count(rows.quarantined),
        count(rows.filtered),
        count(rows.other_period),
    )
}

/// A line for each day that misses rows, with its remedy.
pub(crate) fn incomplete(found: &Incomplete) -> Vec<String> {
    let mut lines = Vec::new();
    for note in &found.owed {
        let rows = note_of_rows(note);
        lines.push(format!(
            "owed: {rows} that the day was not loaded from\n help: {}",
            note.remedy
        ));
    }
    for note in &found.rewritten {
        let gone = plural(note.gone_objects.unwrap_or_default(), "object");
        let of_gone = plural(note.gone_rows.unwrap_or_default(), "published row");
        lines.push(format!(
            "rewritten: {} are not published, since {gone} with {of_gone} are gone\n help: {}",
            note_of_rows(note),
            note.remedy
        ));
    }
    for note in &found.broken {
        let objects = plural(note.objects, "damaged object");
        lines.push(format!(
            "broken: {} has {objects}\n help: {}",
            note.day, note.remedy
        ));
    }
    lines
}

fn note_of_rows(note: &DayNote) -> String {
    let rows = plural(note.rows.unwrap_or_default(), "row");
    format!(
        "{} has {rows} in {}",
        note.day,
        plural(note.objects, "object")
    )
}

fn quarantine_lines(periods: &[PeriodOutcome]) -> String {
    let mut text = String::new();
    for period in periods {
        let Some(quarantine) = &period.quarantine else {
            continue;
        };
        let reasons = counts(&period.reasons);
        push(
            &mut text,
            format!(
                "{}: quarantined or filtered: {reasons}; quarantine: {quarantine}",
                period.period
            ),
        );
    }
    text
}

fn left_out_lines(periods: &[PeriodOutcome]) -> String {
    let mut text = String::new();
    for period in periods.iter().filter(|period| !period.left_out.is_empty()) {
        let objects = counts(&period.left_out);
        push(
            &mut text,
            format!(
                "{}: left out of events, since OCSF refuses them: {objects}",
                period.period
            ),
        );
    }
    text
}

/// Such as `1 unrouted, 12 invalid_value`.
fn counts(counts: &BTreeMap<String, u64>) -> String {
    let one = |(name, rows): (&String, &u64)| format!("{} {name}", count(*rows));
    counts.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn error_lines(outcome: &Outcome, place: &str) -> String {
    let mut text = String::new();
    for period in &outcome.periods {
        if let Some(error) = &period.error {
            push(
                &mut text,
                format!(
                    "{} failed: {}\n help: {}",
                    period.period, error.message, error.remedy
                ),
            );
        }
    }
    if let Some(error) = &outcome.error {
        push(
            &mut text,
            format!("error: {}\n help: {}", error.message, error.remedy),
        );
    }
    let some_failed = outcome
        .periods
        .iter()
        .any(|period| period.state == PeriodState::Failed);
    if some_failed {
        push(
            &mut text,
            format!("again: lakebolt retry {} {place}", outcome.load_id),
        );
    }
    text
}

pub(crate) fn state_word(state: LoadState) -> &'static str {
    state.as_str()
}

pub(crate) fn period_word(state: PeriodState) -> &'static str {
    match state {
        PeriodState::Done => "done",
        PeriodState::Skipped => "skipped",
        PeriodState::Failed => "failed",
    }
}

/// The JSON that a command prints if it failed before it had a result.
pub(crate) fn failure_json(failure: &Failure) -> serde_json::Value {
    serde_json::json!({
        "schema_version": 1,
        "exit_code": failure.code.number(),
        "state": "refused",
        "error": error_json(failure),
    })
}

/// The `error` object of a failure.
pub(crate) fn error_json(failure: &Failure) -> serde_json::Value {
    serde_json::json!({
        "code": failure.code.word(),
        "message": failure.message,
        "remedy": failure.remedy,
    })
}

#[cfg(test)]
mod tests {
    use scheduler::load::failure::{Failure as LoadFailure, Kind};

    use super::*;

    fn example() -> Outcome {
        let now = "2024-03-01T00:00:00Z".parse().expect("a time");
        let mut load = Outcome::started("abc", "vpc_flow-default-0", "vpc_flow", now);
        let mut done = PeriodOutcome::new("2024-01", Vec::new(), PeriodState::Done, "new");
        done.rows.read = 1_500;
        done.rows.written = 1_499;
        done.rows.quarantined = 1;
        done.reasons.insert("unrouted".to_owned(), 1);
        done.quarantine = Some("file:///q/".to_owned());
        done.left_out.insert("device".to_owned(), 12);
        let failed = PeriodOutcome::new("2024-02", Vec::new(), PeriodState::Failed, "new");
        let failure = LoadFailure::new(Kind::Work, "engine_failed", "it broke", "try again");
        load.periods = vec![done, failed.failed(failure)];
        load.finished(now)
    }

    #[test]
    fn an_outcome_lists_rows_failures_and_the_command_to_retry() {
        let text = outcome(&example(), "--state sqlite:s.db");
        for part in [
            "load abc of vpc_flow: failed",
            "1,500 read + 0 duplicated = 1,499 written",
            "2024-01: quarantined or filtered: 1 unrouted; quarantine: file:///q/",
            "2024-01: left out of events, since OCSF refuses them: 12 device",
            "2024-02 failed: it broke\n help: try again",
            "again: lakebolt retry abc --state sqlite:s.db",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn an_outcome_without_periods_has_nothing_to_do() {
        let now = "2024-03-01T00:00:00Z".parse().expect("a time");
        let text = outcome(&Outcome::started("abc", "d", "s", now).finished(now), "");
        assert!(text.contains("nothing to do"));
    }
}
