//! A source's format: it exists, its options do, and it has columns.

use std::collections::BTreeSet;

use super::found::Found;
use crate::diagnostics::{Origin, did_you_mean};
use crate::formats;
use crate::functions::{Redaction, dotted_key};
use crate::spec::{Column, ColumnKind, Format, Source, ValueFrom};

/// Columns about the object of a record. A declared column of the same name takes precedence.
const ABOUT: [(&str, ColumnKind, ValueFrom); 2] = [
    ("object_key", ColumnKind::Text, ValueFrom::ObjectKey),
    ("object_time", ColumnKind::Rfc3339, ValueFrom::ObjectTime),
];

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
    let known: Vec<&str> = format.options().iter().map(|option| option.name).collect();
    options(&source.format, &known, found);
    let columns = with_parts(&overlaid(format.columns(), &source.columns), found);
    let redaction = Redaction::new(&source.redact.add, &source.redact.keep);
    Some(hidden(with_object(columns), &redaction))
}

/// The indices of the columns that the scan has to parse: those that are used, and with
/// `is_kept` all that belong to the record. A part needs the column that it is cut from.
pub(super) fn wanted(columns: &[Column], used: &BTreeSet<&str>, is_kept: bool) -> Vec<usize> {
    let is_used = |column: &Column| used.contains(column.name.as_str());
    let is_cut = |column: &Column| {
        let part =
            |part: &&Column| is_used(part) && part.from == ValueFrom::Part(column.name.clone());
        column.composite.is_some() && columns.iter().any(|column| part(&column))
    };
    let is_wanted = |index: &usize| {
        let column = &columns[*index];
        (is_kept && column.is_of_record()) || is_used(column) || is_cut(column)
    };
    (0..columns.len()).filter(is_wanted).collect()
}

/// Adds the parts of composite columns behind them.
fn with_parts(columns: &[Column], found: &mut Found) -> Vec<Column> {
    let mut all: Vec<Column> = Vec::with_capacity(columns.len());
    for column in columns {
        all.push(column.clone());
        let Some(composite) = column.composite else {
            continue;
        };
        for (part, kind) in composite.parts() {
            let name = format!("{}.{part}", column.name);
            if let Some(declared) = columns.iter().find(|column| column.name == name) {
                let message = format!("`{name}` is a part of the column `{}`", column.name);
                found.error(&declared.at, message, "rename or remove one of them");
                continue;
            }
            all.push(Column {
                from: ValueFrom::Part(column.name.clone()),
                at: column.at.clone(),
                ..Column::new(name, kind.clone())
            });
        }
    }
    all
}

/// Adds the columns about the object.
fn with_object(mut columns: Vec<Column>) -> Vec<Column> {
    for (name, kind, from) in ABOUT {
        if columns.iter().all(|column| column.name != name) {
            columns.push(Column {
                from,
                ..Column::new(name, kind)
            });
        }
    }
    columns
}

/// Marks the columns whose values are credentials.
fn hidden(mut columns: Vec<Column>, redaction: &Redaction) -> Vec<Column> {
    for column in &mut columns {
        let is_hidden = redaction.hides(&dotted_key(&column.segments()))
            || column.spellings().any(|name| redaction.hides(name));
        column.hidden = is_hidden;
    }
    columns
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Composite;

    fn columns() -> Vec<Column> {
        let mut found = Found::new(false);
        let peer = Column {
            composite: Some(Composite::IpPort),
            ..Column::new("peer", ColumnKind::Text)
        };
        let token = Column {
            names: vec!["auth.sessionToken".to_owned()],
            ..Column::new("session", ColumnKind::Int32)
        };
        let columns = with_parts(&[peer, token], &mut found);
        assert!(found.into_sorted().0.is_empty());
        hidden(with_object(columns), &Redaction::default())
    }

    fn names(columns: &[Column], used: &[&str], is_kept: bool) -> Vec<String> {
        let wanted = wanted(columns, &used.iter().copied().collect(), is_kept);
        wanted
            .iter()
            .map(|index| columns[*index].name.clone())
            .collect()
    }

    #[test]
    fn a_part_needs_its_whole_and_the_object_is_read_on_demand() {
        let columns = columns();
        assert_eq!(
            names(&columns, &["peer.port"], false),
            ["peer", "peer.port"]
        );
        assert_eq!(names(&columns, &["peer"], false), ["peer"]);
        assert_eq!(
            names(&columns, &[], true),
            ["peer", "peer.ip", "peer.port", "session"]
        );
        assert_eq!(names(&columns, &["object_time"], false), ["object_time"]);
    }

    #[test]
    fn columns_are_hidden_by_any_of_their_names() {
        let columns = columns();
        let hidden = columns.iter().filter(|column| column.hidden);
        assert_eq!(
            hidden.map(|c| c.name.as_str()).collect::<Vec<_>>(),
            ["session"]
        );
    }

    #[test]
    fn a_declared_column_takes_precedence_over_the_object() {
        let columns = with_object(vec![Column::new("object_key", ColumnKind::Int32)]);
        assert_eq!(columns[0].from, ValueFrom::Record);
        assert_eq!(columns.len(), 2);
    }
}
