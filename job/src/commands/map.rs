//! `lakebolt map`: for trying a mapping out. Events go to stdout, rejected records to stderr.

use std::io;
use std::io::Write;
use std::path::Path;

use plans::inspect::preview::{Fate, preview};
use plans::scan::split::InputObject;
use plans::storage;
use tempfile::NamedTempFile;

use crate::cli::MapArgs;
use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::{Failure, with_causes};
use crate::sources::SourceIndex;
use crate::table::plural;
use crate::{output, uris, wire};

/// The most characters of a raw record to print.
const RAW_CHARACTERS: usize = 200;

pub(super) fn run(args: &MapArgs, context: &Context) -> Result<ExitCode, Failure> {
    let source_index = SourceIndex {
        own: context.config(args.sources.config.as_deref())?,
        ocsf: context.ocsf(args.sources.ocsf.as_deref()),
    };
    let compiled = source_index.compile(&args.source, false)?;
    // Readers need an object, so stdin is copied to a file, which is removed in the end.
    let stdin = if args.file == Path::new("-") {
        Some(spool()?)
    } else {
        None
    };
    let path = stdin
        .as_ref()
        .map_or(args.file.as_path(), NamedTempFile::path);
    let object = object(path, context)?;
    let account = context.defaults.account.clone();
    let mut printer = Printer::new(args.limit.map_or(u64::MAX, u64::from));
    let format = &compiled.source.format;
    let read = wire::block_on(async {
        let each = |fate| printer.print(fate);
        preview(&compiled.program, format, vec![object], account, each)
            .await
            .map_err(|error| {
                Failure::unavailable(with_causes(&error), "check that FILE is readable")
            })
    });
    read?;
    printer.finish(context.verbosity.quiet)
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
struct Printer {
    left: u64,
    events: u64,
    rejected: u64,
    failure: Option<Failure>,
}

impl Printer {
    fn new(limit: u64) -> Self {
        Self {
            left: limit,
            events: 0,
            rejected: 0,
            failure: None,
        }
    }

    /// Prints one record; returns false if no more should be printed.
    fn print(&mut self, fate: Fate) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        match fate {
            Fate::Event { json, .. } => {
                self.events += 1;
                match output::line(&mut io::stdout().lock(), &json) {
                    Ok(true) => self.left > 0,
                    Ok(false) => false,
                    Err(failure) => {
                        self.failure = Some(failure);
                        false
                    }
                }
            }
            Fate::Rejected {
                line,
                reason,
                detail,
                raw,
            } => {
                self.rejected += 1;
                say(&rejection(line, &reason, &detail, &raw));
                self.left > 0
            }
        }
    }

    fn finish(self, quiet: bool) -> Result<ExitCode, Failure> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        if !quiet {
            say(&format!(
                "{}, {} rejected",
                plural(self.events, "event"),
                self.rejected
            ));
        }
        Ok(ExitCode::Done)
    }
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
