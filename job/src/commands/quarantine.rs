//! `lakebolt quarantine`: what was set aside, why, and where it stood.

use std::fmt::Write;
use std::path::Path;

use plans::inspect::show;
use plans::inspect::show::Summary;
use plans::sink::quarantine::QuarantinedRow;

use super::show::{unreached, unreadable};
use crate::cli::QuarantineArgs;
use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::request::Stores;
use crate::settings::{OutputFormat, Settings};
use crate::sources::SourceIndex;
use crate::table::{Table, count, plural};
use crate::{output, uris, wire};

/// Longest piece of a raw row that is shown.
const RAW_CHARACTERS: usize = 200;

pub(super) fn run(args: &QuarantineArgs, context: &Context) -> Result<ExitCode, Failure> {
    let source = source_name(&args.source, context)?;
    let folder = folder_of(args, context)?;
    let summary = wire::block_on(async {
        let objects = match is_absent(&folder) {
            true => Vec::new(),
            false => show::objects(&folder)
                .await
                .map_err(|error| unreached(&error))?,
        };
        let summary = show::quarantined(&objects, &source, args.reason.as_deref(), args.limit);
        summary.await.map_err(|error| unreadable(&error))
    })?;
    match context.format(args.state.format) {
        OutputFormat::Human => output::print(&human(&source, &summary))?,
        OutputFormat::Json => output::print_json(&json(&source, &summary))?,
    }
    Ok(ExitCode::Done)
}

/// The name behind an alias; a source that is gone may still have rows here.
fn source_name(name: &str, context: &Context) -> Result<String, Failure> {
    let own = context.config(None)?;
    let source_index = SourceIndex {
        own,
        ocsf: context.ocsf(None),
    };
    Ok(source_index
        .find(name)
        .map_or_else(|_| name.to_owned(), |loaded| loaded.source.name))
}

/// Nothing was ever rejected into a local folder that is not there.
fn is_absent(folder: &str) -> bool {
    let path = uris::local("--quarantine", folder, Path::new("/"));
    path.is_ok_and(|path| !path.exists())
}

/// The URI of the quarantine.
fn folder_of(args: &QuarantineArgs, context: &Context) -> Result<String, Failure> {
    let flags = Settings {
        output: args.state.output.clone(),
        quarantine: args.quarantine.clone(),
        ..Settings::default()
    };
    let settings = flags.over(context.defaults.clone());
    match &settings.quarantine {
        Some(quarantine) => uris::absolute_folder("--quarantine", quarantine, context.folder()),
        None => Ok(Stores::of(&settings, context.folder())?.quarantine),
    }
}

fn json(source: &str, summary: &Summary) -> serde_json::Value {
    let reasons = summary.reasons.iter();
    let reasons: Vec<_> = reasons
        .map(|(reason, rows)| serde_json::json!({ "reason": reason, "rows": rows }))
        .collect();
    serde_json::json!({
        "schema_version": 1,
        "source": source,
        "rows": summary.rows,
        "reasons": reasons,
        "first": summary.first,
    })
}

fn human(source: &str, summary: &Summary) -> String {
    let mut text = format!(
        "{} of {source} in quarantine\n",
        plural(summary.rows, "row")
    );
    if summary.rows == 0 {
        return text;
    }
    let mut table = Table::new(&[">rows", "reason"]);
    for (reason, rows) in &summary.reasons {
        table.row([count(*rows), reason.clone()]);
    }
    // Writing to text does not fail.
    let _ = write!(text, "\n{}\n", table.render());
    for row in &summary.first {
        text.push_str(&line(row));
    }
    text
}

fn line(row: &QuarantinedRow) -> String {
    let detail = if row.detail.is_empty() {
        String::new()
    } else {
        format!(": {}", row.detail)
    };
    let raw: String = row
        .text()
        .chars()
        .take(RAW_CHARACTERS)
        .map(output::printable)
        .collect();
    format!(
        "{}:{}: {}{detail}\n    {raw}\n",
        row.object, row.line, row.reason
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_shown_with_its_place_and_without_control_characters() {
        let row = QuarantinedRow {
            object: "a.log.gz".to_owned(),
            line: 3,
            reason: "unparsable".to_owned(),
            raw: Some(b"x\x1b[2J".to_vec()),
            ..QuarantinedRow::default()
        };
        assert_eq!(line(&row), "a.log.gz:3: unparsable\n    x\u{fffd}[2J\n");
    }
}
