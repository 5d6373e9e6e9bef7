//! How well a source fits a log: what its rows become, which columns arrive in events, and
//! which are lost, unknown or missing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use serde::Serialize;
use serde_json::Value as Json;

use super::attributes::{joined, leaves};
use super::preview::{Fate, Observer, Summary};
use crate::decode::{EXTRA, REJECT};
use crate::functions::dotted_key;
use crate::mapping::{Layout, Program};
use crate::ocsf::{Requirement, Schema, UNMAPPED};
use crate::sink::PhysicalRoute;
use crate::spec::Source;

/// The counts of one reading.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Rows that were read.
    pub rows: u64,
    /// Events by class.
    pub events: BTreeMap<String, u64>,
    /// Filtered rows by reason.
    pub filtered: BTreeMap<String, u64>,
    /// Quarantined rows by reason.
    pub quarantined: BTreeMap<String, u64>,
    /// Invalid events by finding.
    pub invalid: BTreeMap<String, u64>,
    /// Events with a finding.
    pub invalid_events: u64,
    /// Columns that have a value in some row.
    pub columns: Vec<ColumnUse>,
    /// Declared columns without a value in any row.
    pub never_seen: Vec<String>,
    /// Rows with a value that no column declares, by its name.
    pub undeclared: BTreeMap<String, u64>,
    /// Recommended attributes that no event of their class has, by class.
    pub empty_recommended: BTreeMap<String, Vec<String>>,
    /// Objects that were left out as OCSF would refuse them, by path.
    pub left_out: BTreeMap<String, u64>,
}

/// The use of one column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ColumnUse {
    pub name: String,
    /// Rows in which it has a value.
    pub seen: u64,
    /// Events in whose `unmapped` it or a part of it is.
    pub unmapped: u64,
    /// The attributes whose expressions name it, by class.
    pub attributes: BTreeMap<String, Vec<String>>,
}

/// Collects the counts of a report.
#[derive(Debug)]
pub struct Collector<'a> {
    source: &'a Source,
    schema: &'a Schema,
    columns: Vec<Column>,
    /// The column of each key of `unmapped` that was found so far.
    keys: HashMap<String, Option<usize>>,
    /// The root attributes that some event of a class has, by the name of the class.
    filled: BTreeMap<String, BTreeSet<String>>,
    report: Report,
}

/// A column that is read.
#[derive(Debug)]
struct Column {
    usage: ColumnUse,
    /// Its key in `unmapped`.
    key: String,
}

impl<'a> Collector<'a> {
    pub fn new(source: &'a Source, program: &Program, schema: &'a Schema) -> Self {
        let mut uses = uses(source, program);
        let columns = program.parsed().map(|column| Column {
            usage: ColumnUse {
                name: column.name.clone(),
                seen: 0,
                unmapped: 0,
                attributes: uses.remove(&column.name).unwrap_or_default(),
            },
            key: dotted_key(&[&column.name]),
        });
        Self {
            source,
            schema,
            columns: columns.collect(),
            keys: HashMap::new(),
            filled: BTreeMap::new(),
            report: Report::default(),
        }
    }

    /// Returns the report, at the end of the reading.
    pub fn finish(mut self, summary: Summary) -> Report {
        self.report.rows = summary.ledger.read;
        self.report.filtered = summary.filtered;
        self.report.empty_recommended = self.empty_recommended();
        // A column that is cut into parts is NULL where they have the values.
        let is_cut = |name: &str| {
            let prefix = format!("{name}.");
            let mut columns = self.columns.iter();
            columns.any(|part| part.usage.seen > 0 && part.usage.name.starts_with(&prefix))
        };
        let cut: Vec<String> = self
            .source
            .columns
            .iter()
            .map(|known| known.name.clone())
            .filter(|name| is_cut(name))
            .collect();
        let declared = |name: &str| {
            let declared = self.source.columns.iter().any(|known| known.name == name);
            declared && !cut.iter().any(|known| known == name)
        };
        for column in self.columns {
            if column.usage.seen > 0 {
                self.report.columns.push(column.usage);
            } else if declared(&column.usage.name) {
                self.report.never_seen.push(column.usage.name);
            }
        }
        self.report.left_out = summary.left_out;
        self.report
    }

    fn empty_recommended(&self) -> BTreeMap<String, Vec<String>> {
        let mut empty = BTreeMap::new();
        for event in &self.source.events {
            let (Some(filled), Some(class)) = (
                self.filled.get(&event.class),
                self.schema.class(&event.class),
            ) else {
                continue;
            };
            let of_class = || self.source.events.iter().filter(|e| e.class == event.class);
            let profiles = || {
                let all = of_class().flat_map(|e| e.profiles.iter().chain(&e.base_profiles));
                all.map(String::as_str)
            };
            let names = class
                .attributes
                .values()
                .filter(|attribute| attribute.requirement == Requirement::Recommended)
                .filter(|attribute| attribute.is_in(profiles()))
                .filter(|attribute| !filled.contains(&attribute.name));
            let names: Vec<String> = names.map(|attribute| attribute.name.clone()).collect();
            if !names.is_empty() {
                empty.insert(event.class.clone(), names);
            }
        }
        empty
    }

    /// Counts the keys of one event's `unmapped`.
    fn count_unmapped<'k>(&mut self, keys: impl Iterator<Item = &'k str>) {
        let mut seen = BTreeSet::new();
        for key in keys {
            let known = self.keys.get(key).copied();
            let column = known.unwrap_or_else(|| {
                let found = self
                    .columns
                    .iter()
                    .position(|column| is_of(key, &column.key));
                self.keys.insert(key.to_owned(), found);
                found
            });
            seen.extend(column);
        }
        for column in seen {
            self.columns[column].usage.unmapped += 1;
        }
    }

    fn unmapped(&mut self, column: &ArrayRef) {
        if let Some(map) = column.as_map_opt() {
            let Some(keys) = map.keys().as_string_opt::<i32>().cloned() else {
                return;
            };
            for row in (0..map.len()).filter(|row| map.is_valid(*row)) {
                let offsets = map.value_offsets();
                let (start, end) = (index(offsets[row]), index(offsets[row + 1]));
                self.count_unmapped((start..end).map(|key| keys.value(key)));
            }
            return;
        }
        for text in texts(column) {
            if let Ok(Json::Object(members)) = serde_json::from_str::<Json>(&text) {
                self.count_unmapped(members.keys().map(String::as_str));
            }
        }
    }
}

impl Observer for Collector<'_> {
    fn parsed(&mut self, rows: &RecordBatch) {
        let reject = rows.column_by_name(REJECT);
        let is_good = |row: usize| reject.is_none_or(|reject| reject.is_null(row));
        for column in &mut self.columns {
            if let Some(array) = rows.column_by_name(&column.usage.name) {
                let seen = (0..array.len()).filter(|row| array.is_valid(*row) && is_good(*row));
                column.usage.seen += seen.count() as u64;
            }
        }
        for text in rows.column_by_name(EXTRA).into_iter().flat_map(texts) {
            if let Ok(Json::Object(members)) = serde_json::from_str::<Json>(&text) {
                for name in members.keys() {
                    *self.report.undeclared.entry(name.clone()).or_default() += 1;
                }
            }
        }
    }

    fn mapped(&mut self, route: &PhysicalRoute, events: &RecordBatch) {
        if events.num_rows() == 0 {
            return;
        }
        let filled = self.filled.entry(route.class.name.clone()).or_default();
        for (field, column) in events.schema().fields().iter().zip(events.columns()) {
            if column.logical_null_count() < column.len() {
                filled.insert(field.name().clone());
            }
        }
        let class = route.class.name.clone();
        *self.report.events.entry(class).or_default() += events.num_rows() as u64;
        if let Some(unmapped) = events.column_by_name(UNMAPPED).cloned() {
            self.unmapped(&unmapped);
        }
    }

    fn fate(&mut self, fate: Fate) -> bool {
        match fate {
            Fate::Event { invalid, .. } => {
                self.report.invalid_events += u64::from(!invalid.is_empty());
                for finding in invalid {
                    *self.report.invalid.entry(finding).or_default() += 1;
                }
            }
            Fate::Rejected { reason, .. } => {
                *self.report.quarantined.entry(reason).or_default() += 1;
            }
        }
        true
    }
}

/// Whether a key of `unmapped` is that of a column, or of a part of it.
fn is_of(key: &str, column: &str) -> bool {
    let rest = key.strip_prefix(column);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

fn index(offset: i32) -> usize {
    usize::try_from(offset).unwrap_or(0)
}

/// The texts of a column that are not NULL.
fn texts(column: &ArrayRef) -> Vec<String> {
    let Ok(column) = cast(column, &DataType::Utf8) else {
        return Vec::new();
    };
    let texts = column.as_string::<i32>().iter().flatten();
    texts.map(str::to_owned).collect()
}

/// Attributes by class, of one column.
type Uses = BTreeMap<String, Vec<String>>;

/// For each column the mapped attributes whose expressions name it.
fn uses(source: &Source, program: &Program) -> BTreeMap<String, Uses> {
    let mut uses: BTreeMap<String, Uses> = BTreeMap::new();
    for route in &program.routes {
        let Some(event) = source.events.iter().find(|event| event.name == route.name) else {
            continue;
        };
        let mapped: BTreeSet<String> = leaves(&event.attributes)
            .into_iter()
            .map(|(path, _)| path)
            .collect();
        let mut found = Vec::new();
        for (field, layout) in route.schema.fields().iter().zip(&route.event.members) {
            columns_of(layout, field.name(), field.data_type(), &mut found);
        }
        for (path, column) in found {
            if is_mapped(&mapped, &path) {
                let of_class = uses.entry(column).or_default();
                let paths = of_class.entry(route.class.name.clone()).or_default();
                if !paths.contains(&path) {
                    paths.push(path);
                }
            }
        }
    }
    uses
}

/// Whether the path is mapped, or the list that it is in.
fn is_mapped(mapped: &BTreeSet<String>, path: &str) -> bool {
    let mut ends = path.match_indices('.').map(|(end, _)| end);
    mapped.contains(path) || ends.any(|end| mapped.contains(&path[..end]))
}

/// The paths of the leaves below a layout, each with the columns that it names.
fn columns_of(layout: &Layout, path: &str, kind: &DataType, found: &mut Vec<(String, String)>) {
    let mut members = |members: &[Layout], kind: &DataType| {
        let DataType::Struct(fields) = kind else {
            return;
        };
        for (field, member) in fields.iter().zip(members) {
            let path = joined(path, field.name());
            columns_of(member, &path, field.data_type(), found);
        }
    };
    match (layout, kind) {
        (Layout::Leaf(leaf), _) => {
            let names = leaf.value.expr.column_refs().into_iter();
            found.extend(names.map(|column| (path.to_owned(), column.name.clone())));
        }
        (Layout::Struct(object), kind) => members(&object.members, kind),
        (Layout::Items(items), DataType::List(item)) => {
            for object in items {
                members(&object.members, item.data_type());
            }
        }
        (Layout::Each(each), DataType::List(item)) => {
            members(&each.object.members, item.data_type());
            let names = each.list.expr.column_refs().into_iter();
            found.extend(names.map(|column| (path.to_owned(), column.name.clone())));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::preview::observe;
    use super::super::testing::{LOG, door, request};
    use super::*;
    use crate::ocsf;

    async fn reported(limit: Option<u64>) -> Report {
        let door = door();
        let schema = ocsf::schema("1.1.0").expect("pinned");
        let mut collector = Collector::new(&door.source, &door.program, schema);
        let (_file, mut request) = request(LOG);
        request.limit = limit;
        let format = &door.source.format;
        let summary = observe(&door.program, format, request, &mut collector).await;
        collector.finish(summary.expect("it runs"))
    }

    #[tokio::test]
    async fn every_row_is_counted_once_by_what_became_of_it() {
        let report = reported(None).await;
        assert_eq!(report.rows, 4);
        assert_eq!(
            report.events,
            BTreeMap::from([("authentication".to_owned(), 2)])
        );
        assert_eq!(report.filtered, BTreeMap::from([("noise".to_owned(), 1)]));
        assert_eq!(report.quarantined.values().sum::<u64>(), 1);
        assert_eq!(report.invalid_events, 0, "{:?}", report.invalid);
        assert_eq!(reported(Some(1)).await.rows, 1);
    }

    #[tokio::test]
    async fn columns_say_where_they_arrive_and_what_is_left_of_them() {
        let report = reported(None).await;
        let of = |name: &str| {
            let mut found = report.columns.iter().filter(|column| column.name == name);
            found.next().cloned().unwrap_or_else(|| panic!("no {name}"))
        };
        assert_eq!((of("user").seen, of("user").unmapped), (3, 0));
        assert_eq!(of("user").attributes["authentication"], ["user.name"]);
        // `peer.door` has no attribute.
        assert_eq!((of("peer").seen, of("peer").unmapped), (1, 1));
        assert_eq!(of("peer").attributes["authentication"], ["src_endpoint.ip"]);
        assert_eq!(of("kind").unmapped, 1);
        assert_eq!(report.never_seen, ["tenant"]);
        assert_eq!(report.undeclared, BTreeMap::from([("shade".to_owned(), 1)]));
        let empty = &report.empty_recommended["authentication"];
        assert!(empty.contains(&"status_id".to_owned()), "{empty:?}");
        assert!(!empty.contains(&"user".to_owned()), "{empty:?}");
    }

    #[test]
    fn a_key_belongs_to_a_column_or_to_a_part_of_it() {
        for key in ["user", "user.name", "user[].name", "user[0]"] {
            assert!(is_of(key, "user"), "{key}");
        }
        for key in ["users", "user_id", "a.user", "use"] {
            assert!(!is_of(key, "user"), "{key}");
        }
    }
}
