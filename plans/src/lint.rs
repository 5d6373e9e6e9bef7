//! Lint: compiles a source, evaluates it on a row of NULLs and on its samples, and keeps
//! nothing but what is wrong with it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array, UInt64Array, new_null_array};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::DataFusionError;
use datafusion::error::Result;

use crate::compiled::{CompileError, Compiled, compile};
use crate::diagnostics::{Diagnostic, Diagnostics, Origin};
use crate::dialects;
use crate::dialects::Loaded;
use crate::inspect::preview::{Fate, preview};
use crate::scan::spec::ScanSpec;
use crate::scan::split::InputObject;
use crate::session;
use crate::sink::{PhysicalProgram, failure, failures};
use crate::spec::Source;

/// Reasons that are reported for the samples of a source.
const MOST_REASONS: usize = 5;

/// Rows of a sample that are read.
const MOST_ROWS: usize = 100_000;

/// What a lint found: errors forbid a run, warnings do not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    pub errors: Vec<Diagnostic>,
    pub warnings: Vec<Diagnostic>,
}

/// Lints the source at `path`, a folder or one of its files, for an OCSF version.
pub fn lint(path: &Path, version: &str) -> Findings {
    let samples = samples(path);
    findings(dialects::load(path, version), version, &samples)
}

/// Lints a source given as texts, named like `vpc_flow/source.toml`.
pub fn lint_embedded(files: &[(&str, &str)], version: &str) -> Findings {
    findings(dialects::load_embedded(files, version), version, &[])
}

fn findings(loaded: Result<Loaded, Diagnostics>, version: &str, samples: &[PathBuf]) -> Findings {
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(errors) => return only_errors(errors),
    };
    let at = loaded.source.format.at.clone();
    match compile(loaded, version, false) {
        Ok(compiled) => tried(&compiled, samples),
        Err(CompileError::Wrong { errors, warnings }) => Findings {
            errors: errors.0,
            warnings,
        },
        Err(CompileError::Version(unknown)) => {
            let mut errors = Diagnostics::default();
            errors.push(&at, unknown.to_string(), "choose one of these");
            only_errors(errors)
        }
    }
}

fn only_errors(errors: Diagnostics) -> Findings {
    Findings {
        errors: errors.0,
        warnings: Vec::new(),
    }
}

/// Evaluates a source that compiles.
fn tried(compiled: &Compiled, samples: &[PathBuf]) -> Findings {
    let mut errors = Diagnostics::default();
    if let Err(error) = on_nulls(compiled, &mut errors) {
        let at = &compiled.source.format.at;
        errors.push(at, reason(&error), "change the expression that fails");
    }
    errors.sort();
    let mut warnings = compiled.warnings.clone();
    if errors.is_empty() && !samples.is_empty() {
        warnings.extend(on_samples(compiled, samples).0);
    }
    Findings {
        errors: errors.0,
        warnings,
    }
}

/// Evaluates every expression on one row whose columns are NULL. What fails there fails
/// because of its constants, and so in every row.
fn on_nulls(compiled: &Compiled, found: &mut Diagnostics) -> Result<()> {
    let source = &compiled.source;
    let schema = ScanSpec::new(&source.format, &compiled.program).schema();
    let program = PhysicalProgram::plan(&compiled.program, &schema, &session::planning())?;
    let columns = schema.fields().iter().map(null).collect();
    let row = RecordBatch::try_new(Arc::clone(&schema), columns)?;
    for (when, _) in &program.filters {
        report(failure(when, &row)?, source, found);
    }
    for route in &program.routes {
        if let Some(when) = &route.when {
            report(failure(when, &row)?, source, found);
        }
        for failed in failures(route, &program.columns, &row)? {
            report(Some(failed), source, found);
        }
    }
    Ok(())
}

/// One row of a column: NULL, or 0 where the scan always gives a value.
fn null(field: &FieldRef) -> ArrayRef {
    match field.data_type() {
        DataType::UInt32 if !field.is_nullable() => Arc::new(UInt32Array::from(vec![0])),
        DataType::UInt64 if !field.is_nullable() => Arc::new(UInt64Array::from(vec![0])),
        kind => new_null_array(kind, 1),
    }
}

/// Reports `PLACE: MESSAGE`, once for each place.
fn report(failed: Option<String>, source: &Source, found: &mut Diagnostics) {
    let Some(failed) = failed else {
        return;
    };
    let (place, why) = failed.split_once(": ").unwrap_or((&failed, ""));
    let at = located(place, source);
    let message = format!("the expression fails in every row: {}", why.to_lowercase());
    if !found.0.iter().any(|known| known.at == at) {
        found.push(&at, message, "change it, or use a function that gives NULL");
    }
}

/// The position that a place names: `api.toml:9:10 map.count`.
fn located(place: &str, source: &Source) -> Origin {
    let (position, key) = place.split_once(' ').unwrap_or((place, ""));
    let mut numbers = position.rsplitn(3, ':');
    let mut number = || numbers.next().and_then(|number| number.parse().ok());
    let (column, line) = (number().unwrap_or(0), number().unwrap_or(0));
    let file = numbers.next().unwrap_or(position);
    let root = &source.format.at.file;
    let folder = root.rsplit_once('/').map_or("", |(folder, _)| folder);
    let file = match folder {
        "" => file.to_owned(),
        folder => format!("{folder}/{file}"),
    };
    Origin {
        file: file.into(),
        line,
        column,
        key: key.to_owned(),
    }
}

fn reason(error: &DataFusionError) -> String {
    let message = match error.find_root() {
        DataFusionError::ArrowError(error, _) => error.to_string(),
        root => root.message().into_owned(),
    };
    let first = message.lines().next().unwrap_or_default();
    let first = first.rsplit(" error: ").next().unwrap_or_default();
    first.to_lowercase()
}

/// The samples beside a source. Those whose name starts with `bad` show what is rejected.
fn samples(path: &Path) -> Vec<PathBuf> {
    let folder = match path.is_dir() {
        true => Some(path),
        false => path.parent(),
    };
    let Some(Ok(entries)) = folder.map(|folder| fs::read_dir(folder.join("samples"))) else {
        return Vec::new();
    };
    let is_good = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        path.is_file() && !name.starts_with("bad") && !name.starts_with('.')
    };
    let paths = entries.flatten().map(|entry| entry.path());
    let mut samples: Vec<PathBuf> = paths.filter(is_good).collect();
    samples.sort();
    samples
}

/// Rejected rows of a sample with one reason: their number, and the first one.
struct Rejected {
    rows: u64,
    line: u64,
    detail: String,
}

/// Maps the samples and reports the rows that are rejected, each reason once for each file.
fn on_samples(compiled: &Compiled, samples: &[PathBuf]) -> Diagnostics {
    let mut found = Diagnostics::default();
    for sample in samples {
        // The caller may be inside a runtime, which must not wait for another one.
        let read = thread::scope(|scope| scope.spawn(|| rejected(compiled, sample)).join());
        let at = |line: u64| Origin {
            file: Arc::from(sample.to_string_lossy()),
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: 1,
            key: String::new(),
        };
        match read {
            Ok(Ok(rejected)) => {
                for (reason, first) in rejected {
                    let message = shown(&reason, &first);
                    found.push(&at(first.line), message, "`lakebolt map` shows these rows");
                }
            }
            Ok(Err(error)) => {
                let message = format!("the sample cannot be mapped: {}", reason(&error));
                found.push(&at(1), message, "check the file and the format");
            }
            Err(_) => found.push(&at(1), "mapping the sample failed", "report this"),
        }
    }
    found.0.truncate(MOST_REASONS);
    found
}

fn shown(reason: &str, first: &Rejected) -> String {
    let rows = match first.rows {
        1 => "1 row is rejected".to_owned(),
        rows => format!("{rows} rows are rejected"),
    };
    match first.detail.as_str() {
        "" => format!("{rows}: {reason}"),
        detail => format!("{rows}: {reason}: {detail}"),
    }
}

fn rejected(compiled: &Compiled, sample: &Path) -> Result<BTreeMap<String, Rejected>> {
    let sample = sample.canonicalize()?;
    let object = InputObject {
        store: "file:///".to_owned(),
        path: sample.to_string_lossy().trim_start_matches('/').to_owned(),
        size: fs::metadata(&sample)?.len(),
        region: Some("us-east-1".to_owned()),
        ..InputObject::default()
    };
    let mut found: BTreeMap<String, Rejected> = BTreeMap::new();
    let mut rows = 0;
    let each = |fate| {
        rows += 1;
        if let Fate::Rejected {
            line,
            reason,
            detail,
            ..
        } = fate
        {
            let first = found.entry(reason).or_insert(Rejected {
                rows: 0,
                line,
                detail,
            });
            first.rows += 1;
        }
        rows < MOST_ROWS
    };
    // A sample's path names no account.
    let account = Some("000000000000".to_owned());
    let source: &Source = &compiled.source;
    let read = preview(
        &compiled.program,
        &source.format,
        vec![object],
        account,
        each,
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(read)?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"
class = "network_activity"
[set]
severity_id = 1
activity_id = "traffic"
src_endpoint.name = "x"
dst_endpoint.name = "x"
metadata.product.name = "x"
metadata.product.vendor_name = "x"
[map]
time = "ts"
"#;

    const ROOT: &str = r#"
format = "json_lines"
events = ["flow"]
[columns]
ts = "epoch_s"
n = "int"
"#;

    #[test]
    fn an_expression_that_always_fails_is_an_error_at_its_place() {
        let event = format!("{EVENT}count = \"n + 1 / 0\"\n");
        let files = [("demo/source.toml", ROOT), ("demo/flow.toml", &event)];
        let found = lint_embedded(&files, "1.1.0");
        assert_eq!(found.errors.len(), 1, "{found:?}");
        let error = found.errors[0].to_string();
        assert!(
            error.starts_with("demo/flow.toml:12:10: map.count: "),
            "{error}"
        );
        assert!(error.contains("divide by zero"), "{error}");
    }

    #[test]
    fn rejected_rows_of_samples_are_warnings_with_their_reasons() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("demo");
        fs::create_dir(&folder).expect("a folder");
        let write = |name: &str, text: &str| {
            fs::write(folder.join(name), text).expect("a file");
        };
        fs::create_dir(folder.join("samples")).expect("a folder");
        write("source.toml", ROOT);
        write("flow.toml", EVENT);
        write(
            "samples/a.log",
            "{\"ts\": 1700000000}\nno json\n{\"ts\": 1700000001}\nno json\n",
        );
        write("samples/bad-lines.log", "no json\n");
        let found = lint(&folder, "1.1.0");
        assert_eq!(found.errors, Vec::new());
        assert_eq!(found.warnings.len(), 1, "{found:?}");
        let warning = found.warnings[0].to_string();
        assert!(
            warning.contains("samples/a.log:2:1: 2 rows are rejected: "),
            "{warning}"
        );
    }
}
