//! `lakebolt lint`: every error of a configuration at once.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::PathBuf;

use plans::diagnostics::Diagnostic;
use plans::lint::{Findings, lint};
use serde_json::json;

use crate::cli::LintArgs;
use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::output;
use crate::settings::OutputFormat;
use crate::sources::{SourceIndex, standing_below};
use crate::table::plural;

pub(super) fn run(args: &LintArgs, context: &Context) -> Result<ExitCode, Failure> {
    let source_index = SourceIndex {
        own: context.config(args.sources.config.as_deref())?,
        ocsf: context.ocsf(args.sources.ocsf.as_deref()),
    };
    let paths = paths(args, &source_index)?;
    let mut found = Findings::default();
    for path in &paths {
        let one = lint(path, &source_index.ocsf);
        found.errors.extend(one.errors);
        found.warnings.extend(one.warnings);
    }
    let code = if found.errors.is_empty() {
        ExitCode::Done
    } else {
        ExitCode::Usage
    };
    match context.format(args.format) {
        OutputFormat::Human => output::print(&human(&found, paths.len()))?,
        OutputFormat::Json => output::print_json(&as_json(&found, &paths, code))?,
    }
    Ok(code)
}

/// The sources to lint: those named, else those of `--config`, else those here.
fn paths(args: &LintArgs, source_index: &SourceIndex) -> Result<Vec<PathBuf>, Failure> {
    let own = source_index
        .own
        .clone()
        .unwrap_or_else(|| PathBuf::from("."));
    let named: Vec<PathBuf> = match args.paths.is_empty() {
        true => vec![own],
        false => args.paths.clone(),
    };
    let mut paths = BTreeSet::new();
    for path in named {
        if !path.exists() {
            let message = format!("{} does not exist", path.display());
            return Err(Failure::usage(
                message,
                "give a source folder, or a file of one",
            ));
        }
        let below = standing_below(&path);
        if below.is_empty() {
            // Its own error says what a source looks like.
            paths.insert(path);
        }
        paths.extend(below);
    }
    Ok(paths.into_iter().collect())
}

fn human(found: &Findings, sources: usize) -> String {
    let mut text = String::new();
    for error in &found.errors {
        // Writing to text does not fail.
        let _ = writeln!(text, "{error}");
    }
    for warning in &found.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    let errors = plural(found.errors.len() as u64, "error");
    let warnings = plural(found.warnings.len() as u64, "warning");
    let _ = writeln!(
        text,
        "{}: {errors}, {warnings}",
        plural(sources as u64, "source")
    );
    text
}

fn as_json(found: &Findings, paths: &[PathBuf], code: ExitCode) -> serde_json::Value {
    let all = |diagnostics: &[Diagnostic]| -> Vec<_> { diagnostics.iter().map(one).collect() };
    json!({
        "schema_version": 1,
        "exit_code": code.number(),
        "sources": paths,
        "errors": all(&found.errors),
        "warnings": all(&found.warnings),
    })
}

fn one(diagnostic: &Diagnostic) -> serde_json::Value {
    let at = &diagnostic.at;
    json!({
        "file": at.file.as_ref(),
        "line": at.line,
        "column": at.column,
        "key": at.key,
        "message": diagnostic.message,
        "remedy": diagnostic.remedy,
    })
}
