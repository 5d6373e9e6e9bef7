//! Reads `format` and `[columns]`.

use std::collections::BTreeMap;

use chrono::format::{Fixed, Item, StrftimeItems};
use toml::de::DeValue;

use super::section::{Entry, Reader};
use crate::decode;
use crate::diagnostics::did_you_mean;
use crate::formats::{COLUMN_TYPES, ColumnType};
use crate::spec::{Column, ColumnKind, Composite, Format};

/// Words of other systems for types, and our names.
const SYNONYMS: &[(&str, &[&str])] = &[
    (
        "text",
        &["string", "str", "varchar", "char", "utf8", "keyword"],
    ),
    (
        "int",
        &[
            "integer", "int32", "i32", "number", "smallint", "short", "port",
        ],
    ),
    (
        "long",
        &["bigint", "int64", "i64", "uint64", "uint32", "unsigned"],
    ),
    ("double", &["float", "float64", "f64", "decimal", "real"]),
    ("boolean", &["bool", "flag"]),
    (
        "ip",
        &[
            "ipv4",
            "ipv6",
            "ip_address",
            "ipaddress",
            "ipaddr",
            "inet",
            "address",
        ],
    ),
    (
        "json",
        &["object", "struct", "map", "array", "list", "variant"],
    ),
    (
        "epoch_s",
        &["epoch", "unix", "unix_time", "epoch_seconds", "seconds"],
    ),
    (
        "epoch_ms",
        &["epoch_millis", "milliseconds", "millis", "unix_ms"],
    ),
    (
        "ip_port",
        &["host_port", "endpoint", "socket", "address_port"],
    ),
    ("windows_user", &["domain_user", "account_name", "user"]),
    ("request_line", &["http_request", "request"]),
    (
        "pairs",
        &[
            "kv",
            "key_value",
            "key_values",
            "keyvalue",
            "logfmt",
            "query",
        ],
    ),
];

/// Words for times that do not say the format.
const TIME_WORDS: &[&str] = &[
    "timestamp",
    "datetime",
    "date",
    "time",
    "date_time",
    "timestamptz",
    "iso8601",
    "iso",
    "day",
];

/// Reads `format = "name"`, or a table with `name` and the format's options.
pub(super) fn format(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Format> {
    let at = entry.origin(reader);
    if let Some(name) = entry.value.get_ref().as_str() {
        return Some(Format {
            name: name.to_owned(),
            at,
            ..Format::default()
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
    Some(Format {
        name,
        options,
        at,
        ..Format::default()
    })
}

/// Reads `null = ["-", ""]` into the format.
pub(super) fn null(reader: &mut Reader<'_>, entry: Option<Entry<'_>>, format: &mut Format) {
    if let Some(entry) = entry {
        format.null = entry.texts(reader);
    }
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
    let named = |ty: Type, names: Vec<String>| Column {
        names,
        composite: ty.composite,
        at,
        ..Column::new(entry.name, ty.kind)
    };
    if entry.value.get_ref().is_str() {
        return ty(reader, entry).map(|ty| named(ty, Vec::new()));
    }
    if !entry.value.get_ref().is_table() {
        let remedy = "such as \"text\" or { strftime = \"%d/%b/%Y\" }";
        entry.reject_type(reader, "a type", remedy);
        return None;
    }
    let mut section = entry.section(reader)?;
    let types = ["type", "time", "strftime"].map(|key| section.take(key));
    let names = names(reader, section.take("source_name"), section.take("names"));
    section.finish(reader);
    let given: Vec<&Entry<'_>> = types.iter().flatten().collect();
    if let [first, _, ..] = given.as_slice() {
        let message = "a column has one of `type`, `time` and `strftime`";
        reader.reject(first, message, "remove the others");
        return None;
    }
    let ty = match types {
        [Some(word), _, _] => ty(reader, &word)?,
        [_, Some(formats), _] => Type::plain(times(reader, &formats)?),
        [_, _, Some(pattern)] => Type::plain(strftime(reader, &pattern)?),
        _ => Type::plain(ColumnKind::Text),
    };
    Some(named(ty, names?))
}

/// The type of a column.
struct Type {
    kind: ColumnKind,
    composite: Option<Composite>,
}

impl Type {
    fn plain(kind: ColumnKind) -> Self {
        let composite = None;
        Self { kind, composite }
    }
}

/// Reads `source_name = "a"` or `names = ["a", "b"]`. `None`: they are wrong.
fn names(
    reader: &mut Reader<'_>,
    one: Option<Entry<'_>>,
    several: Option<Entry<'_>>,
) -> Option<Vec<String>> {
    match (one, several) {
        (None, None) => Some(Vec::new()),
        (Some(one), None) => Some(vec![one.string(reader)?]),
        (Some(one), Some(_)) => {
            let message = "a column has a `source_name` or `names`, not both";
            reader.reject(&one, message, "move it into `names`");
            None
        }
        (None, Some(several)) => {
            let names = several.texts(reader);
            let is_empty = several
                .value
                .get_ref()
                .as_array()
                .is_some_and(|a| a.is_empty());
            if is_empty {
                let remedy = "list its names in the file, the preferred one first";
                reader.reject(&several, "lists no name", remedy);
                return None;
            }
            Some(names)
        }
    }
}

fn ty(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Type> {
    let word = entry.string(reader)?;
    let found = COLUMN_TYPES.iter().find(|known| known.name == word);
    if found.is_none() {
        reader.reject(entry, format!("unknown type `{word}`"), remedy(&word));
    }
    found.map(|found| Type {
        kind: found.kind.clone(),
        composite: found.composite,
    })
}

/// The type that an unknown word probably means.
fn remedy(word: &str) -> String {
    let lower = word.to_lowercase();
    let has = |part: &str| lower.contains(part);
    if word.contains('%') {
        return format!("write {{ strftime = \"{word}\" }}");
    }
    if has("yy") || has("hh:") || has("-dd") || has("/dd") {
        return "write a pattern as { strftime = \"%Y-%m-%d %H:%M:%S\" }".to_owned();
    }
    let known = COLUMN_TYPES.iter().map(|known| known.name);
    if TIME_WORDS.contains(&lower.as_str()) || lower.starts_with("timestamp") {
        return "name the format: { time = \"rfc3339\" }, { time = \"epoch_s\" } or \
                { strftime = \"%Y-%m-%d %H:%M:%S\" }"
            .to_owned();
    }
    let meant = SYNONYMS
        .iter()
        .find(|(_, words)| words.contains(&lower.as_str()));
    match meant {
        Some((name, _)) => format!("did you mean `{name}`?"),
        None => did_you_mean(&lower, known),
    }
}

/// Reads `time = "epoch_s"`, or a list of formats that are tried in order.
fn times(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<ColumnKind> {
    if entry.value.get_ref().is_str() {
        return time(reader, entry);
    }
    let items = entry.items(reader, "a format or a list of formats");
    if entry
        .value
        .get_ref()
        .as_array()
        .is_some_and(|a| a.is_empty())
    {
        reader.reject(
            entry,
            "lists no format",
            "such as [\"epoch_s\", \"rfc3339\"]",
        );
        return None;
    }
    let read: Vec<Option<ColumnKind>> = items.iter().map(|item| time(reader, item)).collect();
    let mut kinds = read.into_iter().collect::<Option<Vec<_>>>()?;
    match kinds.len() {
        0 => None,
        1 => kinds.pop(),
        _ => Some(ColumnKind::Times(kinds)),
    }
}

/// Reads the name of a format of times, or a strftime pattern.
fn time(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<ColumnKind> {
    let word = entry.string(reader)?;
    if word.contains('%') {
        return strftime(reader, entry);
    }
    let is_time = |kind: &ColumnKind| matches!(kind, ColumnKind::Epoch(_) | ColumnKind::Rfc3339);
    let known = COLUMN_TYPES.iter().filter(|known| is_time(&known.kind));
    let known: Vec<&ColumnType> = known.collect();
    let found = known.iter().find(|known| known.name == word);
    if found.is_none() {
        let names: Vec<&str> = known.iter().map(|known| known.name).collect();
        let remedy = format!(
            "known: {}, or a pattern such as \"%Y-%m-%d\"",
            names.join(", ")
        );
        reader.reject(entry, format!("unknown format `{word}` of times"), remedy);
    }
    found.map(|found| found.kind.clone())
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
