//! Reads `format` and `[columns]`.

use std::collections::BTreeMap;

use chrono::format::{Fixed, Item, StrftimeItems};
use toml::de::DeValue;

use super::section::{Entry, Reader};
use crate::decode;
use crate::diagnostics::did_you_mean;
use crate::spec::{Column, ColumnKind, Format, TimeUnit};

/// The names of column types.
pub(in crate::dialects) const KINDS: &[(&str, ColumnKind)] = &[
    ("text", ColumnKind::Text),
    ("int", ColumnKind::Int32),
    ("long", ColumnKind::Int64),
    ("double", ColumnKind::Double),
    ("boolean", ColumnKind::Boolean),
    ("ip", ColumnKind::Ip),
    ("json", ColumnKind::Json),
    ("epoch_s", ColumnKind::Epoch(TimeUnit::Second)),
    ("epoch_ms", ColumnKind::Epoch(TimeUnit::Millisecond)),
    ("epoch_us", ColumnKind::Epoch(TimeUnit::Microsecond)),
    ("epoch_ns", ColumnKind::Epoch(TimeUnit::Nanosecond)),
    ("rfc3339", ColumnKind::Rfc3339),
];

/// Reads `format = "name"`, or a table with `name` and the format's options.
pub(super) fn format(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Format> {
    let at = entry.origin(reader);
    if let Some(name) = entry.value.get_ref().as_str() {
        return Some(Format {
            name: name.to_owned(),
            options: BTreeMap::new(),
            at,
        });
    }
    let mut section = entry.section(reader)?;
    let name = section.require(reader, "name", "name = \"csv\"");
    let name = name.and_then(|name| name.string(reader));
    let mut options = BTreeMap::new();
    for option in section.into_entries() {
        if let Some(text) = option_text(reader, &option) {
            options.insert(option.name.to_owned(), text);
        }
    }
    let name = name?;
    Some(Format { name, options, at })
}

fn option_text(reader: &mut Reader<'_>, option: &Entry<'_>) -> Option<String> {
    match option.value.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Boolean(value) => Some(value.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        _ => {
            option.reject_type(reader, "a string, integer or boolean", "write it in quotes");
            None
        }
    }
}

/// Reads `[columns]` in the order of the file.
pub(super) fn columns(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Vec<Column> {
    let mut columns = Vec::new();
    for column in entry.table_entries(reader) {
        if is_reserved(column.name) {
            reader.reject(
                &column,
                "this name is reserved",
                "rename it and give its `source_name`",
            );
            continue;
        }
        columns.extend(self::column(reader, &column));
    }
    columns
}

/// Whether every scan adds a column with this name.
pub(in crate::dialects) fn is_reserved(name: &str) -> bool {
    decode::system_fields()
        .iter()
        .any(|field| field.name() == name)
}

fn column(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Column> {
    let at = entry.origin(reader);
    let name = entry.name.to_owned();
    if entry.value.get_ref().is_str() {
        let kind = kind(reader, entry)?;
        let source_name = None;
        return Some(Column {
            name,
            kind,
            source_name,
            at,
        });
    }
    if !entry.value.get_ref().is_table() {
        let remedy = "such as \"text\" or { strftime = \"%d/%b/%Y\" }";
        entry.reject_type(reader, "a type", remedy);
        return None;
    }
    let mut section = entry.section(reader)?;
    let ty = section.take("type");
    let pattern = section.take("strftime");
    let source_name = section
        .take("source_name")
        .and_then(|name| name.string(reader));
    section.finish(reader);
    let kind = match (ty, pattern) {
        (Some(ty), None) => kind(reader, &ty)?,
        (None, Some(pattern)) => strftime(reader, &pattern)?,
        (None, None) => ColumnKind::Text,
        (Some(ty), Some(_)) => {
            reader.reject(
                &ty,
                "a column has a type or a strftime pattern, not both",
                "remove one",
            );
            return None;
        }
    };
    Some(Column {
        name,
        kind,
        source_name,
        at,
    })
}

fn kind(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<ColumnKind> {
    let word = entry.string(reader)?;
    let found = KINDS.iter().find(|(known, _)| *known == word);
    if found.is_none() {
        let remedy = did_you_mean(&word, KINDS.iter().map(|(known, _)| *known));
        reader.reject(entry, format!("unknown type `{word}`"), remedy);
    }
    found.map(|(_, kind)| kind.clone())
}

fn strftime(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<ColumnKind> {
    let pattern = entry.string(reader)?;
    if !is_strftime(&pattern) {
        reader.reject(
            entry,
            format!("`{pattern}` is not a strftime pattern"),
            "such as \"%d/%b/%Y:%H:%M:%S %z\"",
        );
        return None;
    }
    let names_zone = |item| matches!(item, Item::Fixed(Fixed::TimezoneName));
    if StrftimeItems::new(&pattern).any(names_zone) {
        reader.reject(
            entry,
            format!("`{pattern}`: the name of a time zone (%Z) is not an offset"),
            "use %z for offsets like +0100; texts without one are UTC",
        );
        return None;
    }
    Some(ColumnKind::Strftime(pattern))
}

/// Whether a pattern is valid and contains at least one part of a time.
pub(in crate::dialects) fn is_strftime(pattern: &str) -> bool {
    let items: Vec<Item<'_>> = StrftimeItems::new(pattern).collect();
    let is_broken = items.iter().any(|item| matches!(item, Item::Error));
    let is_time = |item: &Item<'_>| matches!(item, Item::Numeric(..) | Item::Fixed(_));
    !is_broken && items.iter().any(is_time)
}
