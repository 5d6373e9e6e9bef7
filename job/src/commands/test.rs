//! `lakebolt test`: maps the samples of sources and compares the rows with the expected ones.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use plans::inspect::golden;
use plans::inspect::golden::{Change, Difference, GoldenError, Outcome};
use serde_json::{Value, json};

use crate::cli::TestArgs;
use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::{Failure, with_causes};
use crate::settings::OutputFormat;
use crate::sources::{SourceIndex, compile, sources_in};
use crate::table::{count, plural};
use crate::{output, wire};

/// The most characters of a value to print.
const WIDTH: usize = 80;
/// The most invalid events to print of each source.
const MOST_INVALID: usize = 20;

/// What the samples of one source gave.
struct Tested {
    source: String,
    outcome: Outcome,
    differences: Vec<Difference>,
    /// Expected files that were written or removed.
    blessed: Vec<PathBuf>,
}

impl Tested {
    fn passed(&self) -> bool {
        self.differences.is_empty() && self.outcome.invalid.is_empty()
    }
}

pub(super) fn run(args: &TestArgs, context: &Context) -> Result<ExitCode, Failure> {
    let source_index = SourceIndex {
        own: None,
        ocsf: context.ocsf(args.ocsf.as_deref()),
    };
    let mut tested = Vec::new();
    for folder in folders(&args.folder)? {
        tested.push(test(&folder, args.bless, &source_index)?);
    }
    let code = match tested.iter().all(Tested::passed) {
        true => ExitCode::Done,
        false => ExitCode::VerifyFailed,
    };
    match context.format(args.format) {
        OutputFormat::Human => output::print(&human(&tested))?,
        OutputFormat::Json => output::print_json(&as_json(&tested, code))?,
    }
    Ok(code)
}

/// The folders of sources at `path` that have samples.
fn folders(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !path.is_dir() {
        return Err(Failure::usage(
            format!("{} is not a folder", path.display()),
            "give a source folder, or a folder of sources",
        ));
    }
    let mut sources = sources_in(path);
    sources.retain(|source| source.is_dir());
    if sources.is_empty() {
        return Err(Failure::usage(
            format!("{} holds no source", path.display()),
            "give a folder with a source.toml, or a folder of such folders",
        ));
    }
    sources.retain(|source| !golden::samples(source).is_empty());
    if sources.is_empty() {
        return Err(Failure::usage(
            format!("{} has no samples", path.display()),
            "put a few lines of the log into samples/, then run it with --bless",
        ));
    }
    Ok(sources)
}

fn test(folder: &Path, bless: bool, source_index: &SourceIndex) -> Result<Tested, Failure> {
    let loaded = plans::dialects::load(folder, &source_index.ocsf)?;
    let compiled = compile(loaded, &source_index.ocsf, false)?;
    let outcome = wire::block_on(async {
        golden::map(&compiled, folder)
            .await
            .map_err(|error| failure(&error))
    })?;
    if let Some(sample) = outcome.miscounted.first() {
        let message = format!("the rows of {sample} do not add up");
        return Err(Failure::bug(message));
    }
    let blessed = match bless {
        true => golden::bless(folder, &outcome).map_err(|error| failure(&error))?,
        false => Vec::new(),
    };
    let differences = golden::compare(folder, &outcome).map_err(|error| failure(&error))?;
    Ok(Tested {
        source: compiled.source.name,
        outcome,
        differences,
        blessed,
    })
}

fn failure(error: &GoldenError) -> Failure {
    let message = with_causes(error);
    match error {
        GoldenError::NotRows { .. } => {
            Failure::usage(message, "write the expected rows anew with --bless")
        }
        GoldenError::Unreadable { .. } | GoldenError::Failed { .. } => {
            Failure::unavailable(message, "check the file and its permissions")
        }
    }
}

fn human(tested: &[Tested]) -> String {
    let mut text = String::new();
    for one in tested {
        text.push_str(&of_source(one));
    }
    let failed = tested.iter().filter(|one| !one.passed()).count() as u64;
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "{}: {} passed, {} failed",
        plural(tested.len() as u64, "source"),
        count(tested.len() as u64 - failed),
        count(failed)
    );
    if failed > 0 && tested.iter().any(|one| !one.differences.is_empty()) {
        text.push_str("if the new rows are right: lakebolt test DIR --bless\n");
    }
    text
}

fn of_source(tested: &Tested) -> String {
    let outcome = &tested.outcome;
    let mut text = format!(
        "{}: {}: {}, {} rejected, {} filtered: {}\n",
        tested.source,
        plural(outcome.samples.len() as u64, "sample"),
        plural(outcome.events, "event"),
        count(outcome.quarantined),
        count(outcome.filtered),
        if tested.passed() { "ok" } else { "FAILED" },
    );
    for path in &tested.blessed {
        let verb = if path.exists() { "wrote" } else { "removed" };
        let _ = writeln!(text, "  {verb} {}", path.display());
    }
    for invalid in outcome.invalid.iter().take(MOST_INVALID) {
        let (sample, line) = (&invalid.sample, invalid.line);
        let _ = writeln!(
            text,
            "  {sample}:{line}: invalid event: {}",
            invalid.finding
        );
    }
    if outcome.invalid.len() > MOST_INVALID {
        let more = outcome.invalid.len() - MOST_INVALID;
        let _ = writeln!(text, "  and {more} more findings");
    }
    for difference in &tested.differences {
        text.push_str(&of_file(difference));
    }
    text
}

fn of_file(difference: &Difference) -> String {
    let mut text = format!(
        "  expected/{}: {} expected, {} found, {} differ; the first:\n",
        difference.file,
        plural(difference.expected as u64, "row"),
        count(difference.found as u64),
        count(difference.rows as u64),
    );
    let first = &difference.first;
    let _ = writeln!(text, "    {}:{}", first.sample, first.line);
    for change in &first.changes {
        text.push_str(&of_value(change));
    }
    text
}

fn of_value(change: &Change) -> String {
    match (change.path.as_str(), &change.expected, &change.found) {
        ("", Some(_), None) => "      the row is missing\n".to_owned(),
        ("", None, Some(_)) => "      the row is new\n".to_owned(),
        (path, expected, found) => format!(
            "      {path}: expected {}, found {}\n",
            shown(expected.as_ref()),
            shown(found.as_ref())
        ),
    }
}

fn shown(value: Option<&Value>) -> String {
    let Some(value) = value else {
        return "nothing".to_owned();
    };
    let text = value.to_string();
    let mut short: String = text.chars().take(WIDTH).map(output::printable).collect();
    if text.chars().nth(WIDTH).is_some() {
        short.push('…');
    }
    short
}

fn as_json(tested: &[Tested], code: ExitCode) -> Value {
    let sources: Vec<Value> = tested.iter().map(one).collect();
    json!({
        "schema_version": 1,
        "exit_code": code.number(),
        "sources": sources,
    })
}

fn one(tested: &Tested) -> Value {
    let outcome = &tested.outcome;
    let invalid = outcome.invalid.iter().map(|invalid| {
        json!({ "sample": invalid.sample, "line": invalid.line, "finding": invalid.finding })
    });
    let change = |change: &Change| json!({ "path": change.path, "expected": change.expected, "found": change.found });
    let differences = tested.differences.iter().map(|difference| {
        json!({
            "file": difference.file,
            "expected": difference.expected,
            "found": difference.found,
            "rows": difference.rows,
            "first": {
                "sample": difference.first.sample,
                "line": difference.first.line,
                "changes": difference.first.changes.iter().map(change).collect::<Vec<_>>(),
            },
        })
    });
    json!({
        "source": tested.source,
        "passed": tested.passed(),
        "samples": outcome.samples,
        "events": outcome.events,
        "quarantined": outcome.quarantined,
        "filtered": outcome.filtered,
        "invalid": invalid.collect::<Vec<_>>(),
        "differences": differences.collect::<Vec<_>>(),
        "blessed": tested.blessed,
    })
}

#[cfg(test)]
mod tests {
    use plans::inspect::golden::{Invalid, RowDifference};

    use super::*;

    fn tested() -> Tested {
        Tested {
            source: "door".to_owned(),
            outcome: Outcome {
                samples: vec!["a.log".to_owned()],
                events: 2,
                ..Outcome::default()
            },
            differences: Vec::new(),
            blessed: Vec::new(),
        }
    }

    #[test]
    fn a_difference_names_sample_line_attribute_and_both_values() {
        let failed = Tested {
            differences: vec![Difference {
                file: "3002.json".to_owned(),
                expected: 2,
                found: 2,
                rows: 1,
                first: RowDifference {
                    sample: "a.log".to_owned(),
                    line: 7,
                    changes: vec![Change {
                        path: "user.name".to_owned(),
                        expected: Some(json!("ann")),
                        found: None,
                    }],
                },
            }],
            ..tested()
        };
        let text = human(&[tested(), failed]);
        let expected = "\
door: 1 sample: 2 events, 0 rejected, 0 filtered: ok
door: 1 sample: 2 events, 0 rejected, 0 filtered: FAILED
  expected/3002.json: 2 rows expected, 2 found, 1 differ; the first:
    a.log:7
      user.name: expected \"ann\", found nothing
2 sources: 1 passed, 1 failed
if the new rows are right: lakebolt test DIR --bless
";
        assert_eq!(text, expected);
    }

    #[test]
    fn an_invalid_event_fails_even_if_it_is_expected() {
        let mut invalid = tested();
        invalid.outcome.invalid.push(Invalid {
            sample: "a.log".to_owned(),
            line: 3,
            finding: "required: user is missing".to_owned(),
        });
        assert!(!invalid.passed());
        let text = human(&[invalid]);
        assert!(text.contains("a.log:3: invalid event: required: user is missing"));
        assert!(!text.contains("--bless"));
    }
}
