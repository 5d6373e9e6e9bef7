//! `lakebolt map`: for trying a mapping out. Events go to stdout, rejected records to stderr.

mod explain;
mod report;
mod watch;

use std::io;
use std::io::Write;
use std::path::Path;

use plans::inspect::preview::{Fate, Observer, Request, Summary, observe};
use plans::scan::split::InputObject;
use plans::storage;
use tempfile::NamedTempFile;

use crate::cli::MapArgs;
use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::{Failure, with_causes};
use crate::sources::{Compiled, SourceIndex};
use crate::table::{count, plural};
use crate::{output, uris, wire};

/// The most characters of a raw record to print.
const RAW_CHARACTERS: usize = 200;

pub(super) fn run(args: &MapArgs, context: &Context) -> Result<ExitCode, Failure> {
    let source_index = SourceIndex {
        own: context.config(args.sources.config.as_deref())?,
        ocsf: context.ocsf(args.sources.ocsf.as_deref()),
    };
    if args.watch {
        return watch::run(args, &source_index, context);
    }
    once(args, &source_index, context)
}

/// Maps the file once.
fn once(
    args: &MapArgs,
    source_index: &SourceIndex,
    context: &Context,
) -> Result<ExitCode, Failure> {
    let compiled = source_index.compile(&args.source, false)?;
    // Readers need an object, so stdin is copied to a file, which is removed in the end.
    let stdin = if is_stdin(&args.file) {
        Some(spool()?)
    } else {
        None
    };
    let path = stdin
        .as_ref()
        .map_or(args.file.as_path(), NamedTempFile::path);
    let request = Request {
        objects: vec![object(path, context)?],
        account: args
            .account
            .clone()
            .or_else(|| context.defaults.account.clone()),
        region: args
            .region
            .clone()
            .or_else(|| context.defaults.region.clone()),
        limit: args.limit.map(u64::from),
    };
    if let Some(line) = args.explain {
        return explain::run(args, &compiled, request, line, context);
    }
    if args.report {
        return report::run(args, &compiled, request, &source_index.ocsf, context);
    }
    let mut printer = Printer::default();
    let summary = read(&compiled, request, &mut printer)?;
    printer.finish(&summary, context.verbosity.quiet)
}

fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}

/// Reads the object and shows every row to `observer`.
fn read(
    compiled: &Compiled,
    request: Request,
    observer: &mut dyn Observer,
) -> Result<Summary, Failure> {
    wire::block_on(async {
        observe(
            &compiled.program,
            &compiled.source.format,
            request,
            observer,
        )
        .await
        .map_err(|error| unreadable(&with_causes(&error)))
    })
}

fn unreadable(message: &str) -> Failure {
    Failure::unavailable(message, "check that FILE is readable")
}

fn spool() -> Result<NamedTempFile, Failure> {
    let failed = |error: io::Error| {
        Failure::unavailable(
            format!("cannot copy stdin to a file: {error}"),
            "give the log as FILE",
        )
    };
    let mut file = NamedTempFile::new().map_err(failed)?;
    io::copy(&mut io::stdin().lock(), &mut file).map_err(failed)?;
    Ok(file)
}

pub(super) fn object(path: &Path, context: &Context) -> Result<InputObject, Failure> {
    let shown = path.display().to_string();
    let unreadable = |message: String| {
        Failure::unavailable(
            format!("{shown}: {message}"),
            "give a log file, or - for stdin",
        )
    };
    let metadata = context
        .folder()
        .join(path)
        .metadata()
        .map_err(|error| unreadable(error.to_string()))?;
    if !metadata.is_file() {
        return Err(unreadable("is not a file".to_owned()));
    }
    let uri = uris::absolute("FILE", &shown, context.folder())?;
    let located = storage::open(&uri).map_err(|error| unreadable(with_causes(&error)))?;
    Ok(InputObject {
        store: located.uri,
        path: located.path.to_string(),
        size: metadata.len(),
        ..InputObject::default()
    })
}

/// Prints and counts events and rejected records.
#[derive(Default)]
struct Printer {
    events: u64,
    invalid: u64,
    rejected: u64,
    failure: Option<Failure>,
}

impl Observer for Printer {
    fn fate(&mut self, fate: Fate) -> bool {
        match fate {
            Fate::Event {
                line,
                json,
                invalid,
                ..
            } => {
                self.events += 1;
                self.invalid += u64::from(!invalid.is_empty());
                for finding in invalid {
                    say(&format!("line {line}: invalid event: {finding}"));
                }
                output::line(&mut io::stdout().lock(), &json).unwrap_or_else(|failure| {
                    self.failure = Some(failure);
                    false
                })
            }
            Fate::Rejected {
                line,
                reason,
                detail,
                raw,
            } => {
                self.rejected += 1;
                say(&rejection(line, &reason, &detail, &raw));
                true
            }
        }
    }
}

impl Printer {
    fn finish(self, summary: &Summary, quiet: bool) -> Result<ExitCode, Failure> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        if !quiet {
            say(&totals(
                self.events,
                self.invalid,
                self.rejected,
                summary.ledger.filtered,
            ));
        }
        Ok(code(self.invalid))
    }
}

/// The exit code of a mapping with this number of invalid events.
fn code(invalid: u64) -> ExitCode {
    match invalid {
        0 => ExitCode::Done,
        _ => ExitCode::VerifyFailed,
    }
}

/// `12 events, 1 rejected, 2 filtered`; invalid events are named if there are any.
fn totals(events: u64, invalid: u64, rejected: u64, filtered: u64) -> String {
    let invalid = match invalid {
        0 => String::new(),
        some => format!(" ({} invalid)", count(some)),
    };
    format!(
        "{}{invalid}, {} rejected, {} filtered",
        plural(events, "event"),
        count(rejected),
        count(filtered)
    )
}

fn say(line: &str) {
    // If stderr is closed, events are still printed.
    let _ = writeln!(io::stderr(), "{line}");
}

fn rejection(line: u64, reason: &str, detail: &str, raw: &str) -> String {
    let detail = if detail.is_empty() {
        String::new()
    } else {
        format!(": {detail}")
    };
    let raw: String = raw
        .chars()
        .take(RAW_CHARACTERS)
        .map(output::printable)
        .collect();
    format!("line {line}: {reason}{detail}\n    {raw}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_counts_every_kind_of_row() {
        assert_eq!(totals(1, 0, 0, 0), "1 event, 0 rejected, 0 filtered");
        assert_eq!(
            totals(1200, 2, 1, 3),
            "1,200 events (2 invalid), 1 rejected, 3 filtered"
        );
        assert_eq!(code(0), ExitCode::Done);
        assert_eq!(code(2), ExitCode::VerifyFailed);
    }
}
