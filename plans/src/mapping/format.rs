//! A source's format: it exists, its options do, and it has columns.

use super::found::Found;
use crate::diagnostics::{Origin, did_you_mean};
use crate::formats;
use crate::spec::{Column, Format, Source};

/// The source's columns, or `None` if its format does not exist.
pub(super) fn columns(source: &Source, found: &mut Found) -> Option<Vec<Column>> {
    let format = match formats::find(&source.format.name) {
        Ok(format) => format,
        Err(unknown) => {
            let message = format!("unknown format `{}`", source.format.name);
            let remedy = format!("known: {}", unknown.known);
            found.error(&source.format.at, message, remedy);
            return None;
        }
    };
    options(&source.format, format.options(), found);
    Some(overlaid(format.columns(), &source.columns))
}

fn options(format: &Format, known: &[&str], found: &mut Found) {
    for option in format.options.keys() {
        if known.contains(&option.as_str()) {
            continue;
        }
        let message = format!("format `{}` has no such option", format.name);
        let remedy = match known {
            [] => "it has none; remove it".to_owned(),
            _ => did_you_mean(option, known.iter().copied()),
        };
        found.error(&below(&format.at, option), message, remedy);
    }
}

/// The format's columns. One that is declared has the declared type.
fn overlaid(mut columns: Vec<Column>, declared: &[Column]) -> Vec<Column> {
    for column in declared {
        match columns.iter_mut().find(|known| known.name == column.name) {
            Some(known) => *known = column.clone(),
            None => columns.push(column.clone()),
        }
    }
    columns
}

/// The place of a key below another.
pub(super) fn below(at: &Origin, name: &str) -> Origin {
    let key = match at.key.as_str() {
        "" => name.to_owned(),
        parent => format!("{parent}.{name}"),
    };
    Origin { key, ..at.clone() }
}
