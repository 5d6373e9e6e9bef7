//! The mapping CSV. It has four columns. The order of its rows is the order of the columns
//! in the source's files.

use std::collections::{BTreeMap, BTreeSet};

use super::table::Cell;
use super::target::{Leaf, Target};
use super::{table, target};
use crate::diagnostics::{Diagnostics, Origin, did_you_mean};
use crate::dialects::File;
use crate::dialects::native::columns::is_reserved;
use crate::spec::{Column, ColumnKind, Node, Object, Sql, TimeUnit, Value};

/// The columns, and the other spellings that are accepted.
const COLUMNS: &[(&str, &[&str])] = &[
    ("src_log_type", &["source_log_type", "source_type"]),
    ("src_column_name", &["source_column_name"]),
    ("tgt_column", &["tgt_column_name", "target_column"]),
    ("default_values", &["default_value"]),
];

/// The settings of the metadata CSV that a mapping depends on.
pub(super) struct Context<'a> {
    pub(super) source: &'a str,
    /// Format of times. `None` if the files have typed timestamps.
    pub(super) time: Option<ColumnKind>,
    pub(super) has_defaults: bool,
    /// Whether dots in a source column address JSON members.
    pub(super) is_json: bool,
}

/// Columns and attributes of a source.
#[derive(Debug, Default)]
pub(super) struct Mapping {
    pub(super) columns: Vec<Column>,
    pub(super) attributes: Object,
}

/// The cells of one row by column.
struct Row {
    log_type: Option<Cell>,
    source: Option<Cell>,
    target: Option<Cell>,
    default: Option<Cell>,
    at: Origin,
}

/// Reads the file.
pub(super) fn mapping(
    file: &File,
    context: &Context<'_>,
    found: &mut Diagnostics,
    warnings: &mut Diagnostics,
) -> Mapping {
    let mut mapping = Mapping::default();
    let mut ignored = None;
    let rows = rows(file, found, warnings);
    report_other_sources(&rows, context, found);
    for row in rows {
        match (&row.source, &row.target) {
            (Some(source), target) => {
                report_default(&row, warnings);
                let target = target
                    .as_ref()
                    .and_then(|cell| Some((target::target(cell, found)?, cell)));
                mapping.column(source, target.as_ref(), context, found);
            }
            (None, Some(target)) if context.has_defaults => mapping.constant(&row, target, found),
            (None, Some(_)) => ignored = ignored.or(Some(row.at)),
            (None, None) => found.push(
                &row.at,
                "neither a column nor a target",
                "fill one of them, or remove the row",
            ),
        }
    }
    if let Some(at) = ignored {
        let remedy = "set default_values to true in the metadata, or remove the rows";
        warnings.push(&at, "default rows are not active", remedy);
    }
    mapping
}

fn rows(file: &File, found: &mut Diagnostics, warnings: &mut Diagnostics) -> Vec<Row> {
    let before = found.0.len();
    let table = table::table(file, found, warnings);
    let names: Vec<Option<usize>> = table
        .header
        .iter()
        .map(|cell| column(cell, found))
        .collect();
    for (index, (name, _)) in COLUMNS.iter().enumerate().take(3) {
        if !names.contains(&Some(index)) && !table.header.is_empty() {
            let at = Origin {
                key: (*name).to_owned(),
                ..table.header[0].at.clone()
            };
            found.push(&at, "missing column", "add it to the header");
        }
    }
    if found.0.len() > before {
        return Vec::new();
    }
    table
        .rows
        .into_iter()
        .map(|row| self::row(&names, row, found))
        .collect()
}

fn column(cell: &Cell, found: &mut Diagnostics) -> Option<usize> {
    let name = cell.text.trim().to_ascii_lowercase();
    let index = COLUMNS
        .iter()
        .position(|(known, spellings)| *known == name || spellings.contains(&&*name));
    if index.is_none() {
        let at = table::header_origin(cell);
        found.push(
            &at,
            "unknown column",
            did_you_mean(&name, COLUMNS.iter().map(|(known, _)| *known)),
        );
    }
    index
}

fn row(names: &[Option<usize>], cells: Vec<Cell>, found: &mut Diagnostics) -> Row {
    let at = cells[0].at.clone();
    let mut values = [None, None, None, None];
    for (position, mut cell) in cells.into_iter().enumerate() {
        if position >= names.len() {
            if !cell.text.trim().is_empty() {
                found.push(
                    &cell.at,
                    "a value without a column",
                    "quote values that contain a comma",
                );
            }
            continue;
        }
        if let (Some(index), false) = (names[position], cell.text.trim().is_empty()) {
            COLUMNS[index].0.clone_into(&mut cell.at.key);
            values[index] = Some(cell);
        }
    }
    let [log_type, source, target, default] = values;
    Row {
        log_type,
        source,
        target,
        default,
        at,
    }
}

/// Every row must have the name of the source. Each other name is reported once.
fn report_other_sources(rows: &[Row], context: &Context<'_>, found: &mut Diagnostics) {
    let mut others = BTreeSet::new();
    for cell in rows.iter().filter_map(|row| row.log_type.as_ref()) {
        let name = cell.text.trim();
        if name != context.source && others.insert(name) {
            let message = format!("`{name}` is not the metadata's source");
            found.push(
                &cell.at,
                message,
                format!("write `{}` in every row", context.source),
            );
        }
    }
}

fn report_default(row: &Row, warnings: &mut Diagnostics) {
    if let Some(default) = &row.default {
        warnings.push(
            &default.at,
            "a default beside a column is not used",
            "give it a row without a column",
        );
    }
}

impl Mapping {
    fn column(
        &mut self,
        source: &Cell,
        target: Option<&(Target, &Cell)>,
        context: &Context<'_>,
        found: &mut Diagnostics,
    ) {
        let name = source.text.trim();
        let leaf = target.map(|(target, _)| &target.leaf);
        let path: Vec<&str> = if context.is_json {
            name.split('.').collect()
        } else {
            vec![name]
        };
        if is_reserved(name) {
            found.push(
                &source.at,
                format!("`{name}` is a reserved name"),
                "rename the column",
            );
        }
        self.declare(source, &path, leaf, context, found);
        if let Some((target, cell)) = target {
            let text = expression(&path, &target.leaf, context);
            let value = Value::Sql(Sql {
                renamed: BTreeMap::new(),
                text,
                at: source.at.clone(),
            });
            self.put(target, cell, value, found);
        }
    }

    fn declare(
        &mut self,
        source: &Cell,
        path: &[&str],
        leaf: Option<&Leaf>,
        context: &Context<'_>,
        found: &mut Diagnostics,
    ) {
        let kind = if path.len() > 1 {
            ColumnKind::Json
        } else {
            kind(leaf, context)
        };
        if let Some(known) = self
            .columns
            .iter_mut()
            .find(|column| column.name == path[0])
        {
            if path.len() > 1 {
                known.kind = ColumnKind::Json;
            } else {
                let message = format!("duplicate column `{}`", path[0]);
                found.push(
                    &source.at,
                    message,
                    "one column fills one attribute; remove the row",
                );
            }
            return;
        }
        self.columns.push(Column {
            at: source.at.clone(),
            ..Column::new(path[0], kind)
        });
    }

    fn constant(&mut self, row: &Row, cell: &Cell, found: &mut Diagnostics) {
        let Some(target) = target::target(cell, found) else {
            return;
        };
        let Some(default) = &row.default else {
            found.push(
                &cell.at,
                "a default row without a value",
                "fill default_values, or name a column",
            );
            return;
        };
        match target::constant(default.text.trim(), &target.leaf) {
            Ok(constant) => self.put(&target, cell, Value::Constant(constant), found),
            Err(message) => found.push(&default.at, message, "fix the value or the target's type"),
        }
    }

    /// Sets the value of a dotted attribute.
    fn put(&mut self, target: &Target, cell: &Cell, value: Value, found: &mut Diagnostics) {
        let at = Origin {
            key: target.path(),
            ..cell.at.clone()
        };
        let Some((name, parents)) = target.segments.split_last() else {
            return;
        };
        let mut object = &mut self.attributes;
        for parent in parents {
            let node = object.entry(parent.clone()).or_insert_with(|| Node {
                value: Value::Object(Object::new()),
                at: at.clone(),
            });
            let Value::Object(inside) = &mut node.value else {
                found.push(
                    &at,
                    format!("`{parent}` is a value in another row"),
                    "make it an object in every row",
                );
                return;
            };
            object = inside;
        }
        if object.contains_key(name) {
            found.push(&at, "is set twice", "remove one of the rows");
            return;
        }
        object.insert(name.clone(), Node { value, at });
    }
}

/// Returns the type of a column for the type of its target.
fn kind(leaf: Option<&Leaf>, context: &Context<'_>) -> ColumnKind {
    match leaf {
        Some(Leaf::Timestamp) => context.time.clone().unwrap_or(ColumnKind::Rfc3339),
        Some(Leaf::Scalar(kind)) => kind.clone(),
        Some(Leaf::Array(_)) if context.is_json => ColumnKind::Json,
        Some(Leaf::Array(_)) | None => ColumnKind::Text,
    }
}

/// Returns the SQL for a column or for a member of a JSON column. It also parses times
/// inside JSON.
fn expression(path: &[&str], leaf: &Leaf, context: &Context<'_>) -> String {
    let quoted = path
        .iter()
        .map(|name| format!("\"{}\"", name.replace('"', "\"\"")));
    let sql = quoted.collect::<Vec<_>>().join(".");
    if path.len() == 1 || *leaf != Leaf::Timestamp {
        return sql;
    }
    match &context.time {
        Some(ColumnKind::Epoch(unit)) => format!("{}(cast({sql} as bigint))", from_epoch(*unit)),
        Some(ColumnKind::Strftime(pattern)) => {
            format!(
                "to_timestamp_millis({sql}, '{}')",
                pattern.replace('\'', "''")
            )
        }
        _ => format!("to_timestamp_millis({sql})"),
    }
}

fn from_epoch(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => "to_timestamp_seconds",
        TimeUnit::Millisecond => "to_timestamp_millis",
        TimeUnit::Microsecond => "to_timestamp_micros",
        TimeUnit::Nanosecond => "to_timestamp_nanos",
    }
}
