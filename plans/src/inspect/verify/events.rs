//! Checks the events of one object: time, day, class and the attributes of the class.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray, RecordBatch, StringArray};
use arrow::buffer::BooleanBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, SchemaRef};

use super::findings::Findings;
use super::level::Level;
use super::ocsf::Judge;
use super::rules::Rule;
use crate::decode::time::PLAUSIBLE;
use crate::ocsf;

const DAY_MILLISECONDS: i64 = 86_400_000;

/// The state of the checks between batches.
pub(super) struct Events {
    schema: SchemaRef,
    day: Option<i32>,
    /// Number of rows in previous batches.
    rows: u64,
    last_time: Option<i64>,
    /// Number of rows for each `class_uid`.
    classes: BTreeMap<Option<i64>, u64>,
    version: Option<String>,
}

/// The values that decide which attributes an event may have.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kind {
    class: Option<i64>,
    version: Option<String>,
    profiles: Vec<String>,
}

impl Events {
    pub(super) fn new(schema: &SchemaRef, day: Option<i32>) -> Self {
        Self {
            schema: schema.clone(),
            day,
            rows: 0,
            last_time: None,
            classes: BTreeMap::new(),
            version: None,
        }
    }

    /// Reports missing columns that the other checks need.
    pub(super) fn judge_columns(&self, findings: &mut Findings) {
        for (name, rule) in [
            ("class_uid", Rule::OneClass),
            ("type_uid", Rule::TypeUid),
            ("category_uid", Rule::CategoryUid),
            ("metadata", Rule::Version),
        ] {
            if self.schema.column_with_name(name).is_none() {
                findings.judge(rule, Some(format!("no column `{name}`")));
            }
        }
    }

    /// Checks the next rows of the object.
    pub(super) fn judge(&mut self, batch: &RecordBatch, findings: &mut Findings) {
        if let Some(time) = integers(batch, "time") {
            self.judge_time(&time, findings);
        }
        let class = integers(batch, "class_uid");
        self.judge_type_uid(batch, class.as_ref(), findings);
        for (kind, rows) in kinds(batch, class.as_ref()) {
            self.judge_kind(batch, &kind, &rows, findings);
        }
        self.rows += batch.num_rows() as u64;
    }

    /// Returns the class of the object, if all rows have the same known class.
    pub(super) fn finish(self, findings: &mut Findings) -> Option<i64> {
        let mut classes = self.classes.into_keys();
        let (first, second) = (classes.next()?, classes.next());
        let known = |class: i64| self.version.is_none() || is_known(class, self.version.as_deref());
        let wrong = match (first, second) {
            (Some(class), None) if known(class) => None,
            (Some(class), None) => Some(format!("class_uid {class} is not an OCSF class")),
            (None, None) => Some("class_uid is NULL".to_owned()),
            (first, Some(second)) => {
                Some(format!("class_uid {} and {}", show(first), show(second)))
            }
        };
        let judged = if wrong.is_none() { first } else { None };
        findings.judge(Rule::OneClass, wrong);
        judged
    }

    fn judge_time(&mut self, time: &Int64Array, findings: &mut Findings) {
        findings.checked(Rule::TimeOrder, time.len() as u64);
        findings.checked(Rule::TimeType, time.len() as u64);
        findings.checked(Rule::EventDay, time.len() as u64);
        for (index, value) in time.iter().enumerate() {
            let row = Some(self.rows + index as u64);
            // `Rule::Required` reports NULLs.
            let Some(value) = value else { continue };
            if let Some(last) = self.last_time.filter(|last| *last > value) {
                findings.broken(Rule::TimeOrder, 1, row, || format!("{value} after {last}"));
            }
            self.last_time = Some(value);
            if !PLAUSIBLE.contains(&value) {
                let message = || format!("{value} is not a time in milliseconds");
                findings.broken(Rule::TimeType, 1, row, message);
            }
            let day = value.div_euclid(DAY_MILLISECONDS);
            if self.day.is_some_and(|own| i64::from(own) != day) {
                findings.broken(Rule::EventDay, 1, row, || format!("time is {value}"));
            }
        }
    }

    fn judge_type_uid(
        &mut self,
        batch: &RecordBatch,
        class: Option<&Int64Array>,
        findings: &mut Findings,
    ) {
        let (Some(class), Some(activity), Some(type_uid)) = (
            class,
            integers(batch, "activity_id"),
            integers(batch, "type_uid"),
        ) else {
            return;
        };
        findings.checked(Rule::TypeUid, batch.num_rows() as u64);
        for index in 0..batch.num_rows() {
            let at = |array: &Int64Array| array.is_valid(index).then(|| array.value(index));
            let (Some(class), Some(activity)) = (at(class), at(&activity)) else {
                continue;
            };
            let expected = class.saturating_mul(100).saturating_add(activity);
            if at(&type_uid) != Some(expected) {
                let row = Some(self.rows + index as u64);
                let message = || format!("{} is not {expected}", show(at(&type_uid)));
                findings.broken(Rule::TypeUid, 1, row, message);
            }
        }
    }

    fn judge_kind(
        &mut self,
        batch: &RecordBatch,
        kind: &Kind,
        rows: &BooleanBuffer,
        findings: &mut Findings,
    ) {
        let count = rows.count_set_bits() as u64;
        let first = rows.set_indices().next().map(|row| self.rows + row as u64);
        *self.classes.entry(kind.class).or_default() += count;
        findings.checked(Rule::Version, count);
        let version = kind.version.as_deref().unwrap_or("NULL");
        let Ok(schema) = ocsf::schema(version) else {
            let message = || format!("unknown version `{version}`");
            return findings.broken(Rule::Version, count, first, message);
        };
        if version.starts_with('v') {
            let message = || format!("`{version}` has a leading v");
            findings.broken(Rule::Version, count, first, message);
        }
        self.version = Some(version.to_owned());
        let uid = kind.class.and_then(|uid| u32::try_from(uid).ok());
        let Some(class) = uid.and_then(|uid| schema.class_by_uid(uid)) else {
            return;
        };
        let judge = Judge {
            schema,
            class,
            profiles: &kind.profiles,
            offset: self.rows,
        };
        judge.category(integers(batch, "category_uid").as_ref(), rows, findings);
        judge.event(&Level::root(batch, rows.clone()), findings);
    }
}

fn is_known(class: i64, version: Option<&str>) -> bool {
    let schema = version.and_then(|version| ocsf::schema(version).ok());
    let uid = u32::try_from(class).ok();
    schema.is_some_and(|schema| uid.is_some_and(|uid| schema.class_by_uid(uid).is_some()))
}

/// The columns that decide the kind of a row, if the batch has them.
struct KindColumns {
    class: Option<Int64Array>,
    version: Option<StringArray>,
    profiles: Option<ListArray>,
}

impl KindColumns {
    fn of(batch: &RecordBatch, class: Option<&Int64Array>) -> Self {
        let metadata = batch.column_by_name("metadata");
        let metadata = metadata.and_then(|column| column.as_struct_opt());
        let member = |name: &str| metadata?.column_by_name(name);
        let texts = member("version").and_then(|column| cast(column, &DataType::Utf8).ok());
        let lists = member("profiles").and_then(|column| column.as_list_opt::<i32>());
        Self {
            class: class.cloned(),
            version: texts.map(|texts| texts.as_string::<i32>().clone()),
            profiles: lists.cloned(),
        }
    }

    fn class(&self, row: usize) -> Option<i64> {
        let class = self.class.as_ref().filter(|class| class.is_valid(row));
        class.map(|class| class.value(row))
    }

    fn version(&self, row: usize) -> Option<&str> {
        let version = self
            .version
            .as_ref()
            .filter(|version| version.is_valid(row));
        version.map(|version| version.value(row))
    }

    fn profiles(&self, row: usize) -> Option<ArrayRef> {
        let profiles = self.profiles.as_ref().filter(|list| list.is_valid(row));
        profiles.map(|list| list.value(row))
    }

    fn kind(&self, row: usize) -> Kind {
        let profiles = self
            .profiles(row)
            .and_then(|items| cast(&items, &DataType::Utf8).ok());
        let names = |items: ArrayRef| -> Vec<String> {
            let items = items.as_string::<i32>().iter();
            items.flatten().map(str::to_owned).collect()
        };
        Kind {
            class: self.class(row),
            version: self.version(row).map(str::to_owned),
            profiles: profiles.map(names).unwrap_or_default(),
        }
    }

    /// Whether `row` has the same kind as the previous row.
    fn continues(&self, row: usize) -> bool {
        row > 0
            && self.class(row) == self.class(row - 1)
            && self.version(row) == self.version(row - 1)
            && self.profiles(row) == self.profiles(row - 1)
    }
}

/// Groups the rows of a batch by kind. Most batches have only one.
fn kinds(batch: &RecordBatch, class: Option<&Int64Array>) -> Vec<(Kind, BooleanBuffer)> {
    let columns = KindColumns::of(batch, class);
    let mut kinds: Vec<(Kind, Vec<bool>)> = Vec::new();
    let mut current = 0;
    for row in 0..batch.num_rows() {
        if !columns.continues(row) {
            let kind = columns.kind(row);
            let known = kinds.iter().position(|(known, _)| *known == kind);
            current = known.unwrap_or(kinds.len());
            if known.is_none() {
                kinds.push((kind, vec![false; batch.num_rows()]));
            }
        }
        kinds[current].1[row] = true;
    }
    let buffer = |(kind, marks): (Kind, Vec<bool>)| (kind, BooleanBuffer::from(marks));
    kinds.into_iter().map(buffer).collect()
}

/// Returns an integer column of any width. Returns `None` for other types.
fn integers(batch: &RecordBatch, name: &str) -> Option<Int64Array> {
    let column = batch.column_by_name(name)?;
    if !column.data_type().is_integer() {
        return None;
    }
    let wide = cast(column, &DataType::Int64).ok()?;
    Some(wide.as_primitive::<Int64Type>().clone())
}

fn show(value: Option<i64>) -> String {
    value.map_or_else(|| "NULL".to_owned(), |value| value.to_string())
}
