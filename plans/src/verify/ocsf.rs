//! Events against what OCSF says of their class: attributes, requirements,
//! constraints, enumerations and profiles, down to the last object.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StructArray};
use arrow::buffer::BooleanBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Fields, Int64Type};

use super::findings::Findings;
use super::rules::Rule;
use crate::ocsf::{
    Attribute, Attributes, Class, Constraint, ConstraintKind, Enumeration, Requirement, Schema,
    Type, UNMAPPED,
};

/// Judges the events of one class, version and set of profiles.
pub(super) struct Judge<'a> {
    pub(super) schema: &'a Schema,
    pub(super) class: &'a Class,
    pub(super) profiles: &'a [String],
    /// Rows of the object before this batch.
    pub(super) offset: u64,
}

/// The members of an object, side by side with where the object is there at all.
pub(super) struct Level {
    /// Dotted, with a trailing dot; empty for the event.
    path: String,
    fields: Fields,
    columns: Vec<ArrayRef>,
    present: BooleanBuffer,
    /// Row of the batch for each item; `None` when they are the same.
    rows: Option<Arc<[u32]>>,
}

impl Level {
    /// The event itself, of the rows given.
    pub(super) fn root(batch: &RecordBatch, rows: BooleanBuffer) -> Self {
        Self {
            path: String::new(),
            fields: batch.schema().fields().clone(),
            columns: batch.columns().to_vec(),
            present: rows,
            rows: None,
        }
    }

    fn column(&self, name: &str) -> Option<&ArrayRef> {
        let index = self.fields.find(name)?.0;
        self.columns.get(index)
    }

    /// Where the member is there.
    fn filled(&self, name: &str) -> BooleanBuffer {
        match self.column(name) {
            Some(column) => filled(column, &self.present),
            None => BooleanBuffer::new_unset(self.present.len()),
        }
    }

    fn name(&self) -> &str {
        match self.path.as_str() {
            "" => "event",
            path => path.trim_end_matches('.'),
        }
    }

    fn row(&self, item: usize) -> u64 {
        match &self.rows {
            Some(rows) => u64::from(rows[item]),
            None => item as u64,
        }
    }
}

/// Where `column` has a value among `present`.
fn filled(column: &ArrayRef, present: &BooleanBuffer) -> BooleanBuffer {
    match column.nulls() {
        Some(nulls) => present & nulls.inner(),
        None => present.clone(),
    }
}

impl Judge<'_> {
    /// Judges `category_uid`.
    pub(super) fn category(
        &self,
        column: Option<&Int64Array>,
        rows: &BooleanBuffer,
        findings: &mut Findings,
    ) {
        let Some(column) = column else { return };
        let expected = i64::from(self.class.category_uid);
        findings.checked(Rule::CategoryUid, rows.count_set_bits() as u64);
        for row in rows.set_indices() {
            if column.is_null(row) || column.value(row) != expected {
                let message = || format!("category_uid is not {expected}");
                let row = Some(self.offset + row as u64);
                findings.broken(Rule::CategoryUid, 1, row, message);
            }
        }
    }

    /// Judges everything else of the events at `root`.
    pub(super) fn event(&self, root: &Level, findings: &mut Findings) {
        for declared in self.profiles {
            let foreign = self.class.profile(declared).is_none();
            let message =
                foreign.then(|| format!("`{declared}` is no profile of {}", self.class.name));
            findings.judge(Rule::Profiles, message);
        }
        self.object(
            root,
            &self.class.attributes,
            &self.class.constraints,
            findings,
        );
    }

    fn object(
        &self,
        level: &Level,
        attributes: &Attributes,
        constraints: &[Constraint],
        findings: &mut Findings,
    ) {
        if level.present.count_set_bits() == 0 {
            return;
        }
        self.required(level, attributes, findings);
        for constraint in constraints {
            self.constraint(level, constraint, findings);
        }
        for (field, column) in level.fields.iter().zip(&level.columns) {
            match attributes.get(field.name()) {
                Some(attribute) => self.member(level, attribute, field, column, findings),
                None => findings.judge(
                    Rule::Attributes,
                    Some(format!("{}{} is no attribute", level.path, field.name())),
                ),
            }
        }
    }

    fn required(&self, level: &Level, attributes: &Attributes, findings: &mut Findings) {
        let declared = || self.profiles.iter().map(String::as_str);
        for attribute in attributes.values() {
            if attribute.requirement != Requirement::Required || !attribute.is_in(declared()) {
                continue;
            }
            let filled = level.filled(&attribute.name);
            let missing = &level.present & &!&filled;
            let message = || format!("{}{} is missing", level.path, attribute.name);
            self.all_of(Rule::Required, level, &missing, message, findings);
        }
    }

    fn constraint(&self, level: &Level, constraint: &Constraint, findings: &mut Findings) {
        let unset = BooleanBuffer::new_unset(level.present.len());
        let (mut any, mut several) = (unset.clone(), unset);
        for name in &constraint.attributes {
            let filled = level.filled(name);
            several = &several | &(&any & &filled);
            any = &any | &filled;
        }
        let names = constraint.attributes.join(", ");
        let missing = &level.present & &!&any;
        let message = || format!("{}: none of {names}", level.name());
        self.all_of(Rule::Required, level, &missing, message, findings);
        if constraint.kind == ConstraintKind::JustOne {
            let message = || format!("{}: more than one of {names}", level.name());
            self.all_of(Rule::Required, level, &several, message, findings);
        }
    }

    /// Judges the items present, of which `wrong` break the rule.
    fn all_of(
        &self,
        rule: Rule,
        level: &Level,
        wrong: &BooleanBuffer,
        message: impl FnOnce() -> String,
        findings: &mut Findings,
    ) {
        findings.checked(rule, level.present.count_set_bits() as u64);
        if let Some(first) = wrong.set_indices().next() {
            let row = Some(self.offset + level.row(first));
            findings.broken(rule, wrong.count_set_bits() as u64, row, message);
        }
    }

    fn member(
        &self,
        level: &Level,
        attribute: &Attribute,
        field: &FieldRef,
        column: &ArrayRef,
        findings: &mut Findings,
    ) {
        let path = format!("{}{}", level.path, attribute.name);
        let wrong = wrong_type(attribute, field.data_type(), level.path.is_empty());
        findings.judge(
            Rule::Attributes,
            wrong.map(|wrong| format!("{path} is {wrong}")),
        );
        let filled = filled(column, &level.present);
        self.profile(level, attribute, &path, &filled, findings);
        match column.data_type() {
            DataType::Struct(_) => {
                let inner = struct_level(column.as_struct(), path, filled, level.rows.clone());
                self.nested(attribute, &inner, findings);
            }
            DataType::List(_) => self.list(level, attribute, path, column, &filled, findings),
            _ => {
                let scalar = Scalar {
                    path: &path,
                    column,
                    present: &filled,
                    level,
                };
                self.scalar(attribute, &scalar, findings);
            }
        }
    }

    fn nested(&self, attribute: &Attribute, level: &Level, findings: &mut Findings) {
        if let Some(object) = self.schema.object_of(attribute) {
            self.object(level, &object.attributes, &object.constraints, findings);
        }
    }

    fn list(
        &self,
        level: &Level,
        attribute: &Attribute,
        path: String,
        column: &ArrayRef,
        present: &BooleanBuffer,
        findings: &mut Findings,
    ) {
        let list = column.as_list::<i32>();
        let items = list.values();
        let mut marks = vec![false; items.len()];
        let mut rows = vec![0u32; items.len()];
        for item in present.set_indices() {
            let (start, end) = (list.value_offsets()[item], list.value_offsets()[item + 1]);
            let range = usize::try_from(start).unwrap_or(0)..usize::try_from(end).unwrap_or(0);
            let row = u32::try_from(level.row(item)).unwrap_or(u32::MAX);
            rows[range.clone()].fill(row);
            marks[range].fill(true);
        }
        let rows: Option<Arc<[u32]>> = Some(rows.into());
        let present = filled(items, &BooleanBuffer::from(marks));
        if let Some(items) = items.as_struct_opt() {
            let inner = struct_level(items, path, present, rows);
            return self.nested(attribute, &inner, findings);
        }
        let items_level = Level {
            path: String::new(),
            fields: Fields::empty(),
            columns: Vec::new(),
            present: present.clone(),
            rows,
        };
        let scalar = Scalar {
            path: &path,
            column: items,
            present: &present,
            level: &items_level,
        };
        self.scalar(attribute, &scalar, findings);
    }

    /// An attribute that a profile brings is there only where that is declared.
    fn profile(
        &self,
        level: &Level,
        attribute: &Attribute,
        path: &str,
        filled: &BooleanBuffer,
        findings: &mut Findings,
    ) {
        if attribute.is_in(self.profiles.iter().map(String::as_str)) {
            return;
        }
        let message = || {
            let profiles = attribute.profiles.join(" or ");
            format!("{path} is filled, and {profiles} is not declared")
        };
        self.all_of(Rule::Profiles, level, filled, message, findings);
    }

    fn scalar(&self, attribute: &Attribute, scalar: &Scalar<'_>, findings: &mut Findings) {
        if let Some(enumeration) = &attribute.enumeration {
            self.members(enumeration, scalar, findings);
        }
        match attribute.type_name.as_str() {
            "ip" => self.texts(scalar, findings, "an address", |text| {
                text.parse::<IpAddr>().is_ok()
            }),
            "port" => self.numbers(scalar, findings, |port| (0..=65_535).contains(&port)),
            _ => {}
        }
    }

    fn members(&self, enumeration: &Enumeration, scalar: &Scalar<'_>, findings: &mut Findings) {
        let known: HashSet<&str> = enumeration.members().map(|(id, _)| id).collect();
        findings.checked(Rule::Enums, scalar.present.count_set_bits() as u64);
        let mut wrong = |item: usize, value: &dyn std::fmt::Display| {
            let message = || format!("{} has no member {value}", scalar.path);
            findings.broken(Rule::Enums, 1, self.row_of(scalar, item), message);
        };
        if let Some(numbers) = scalar.numbers() {
            let known: HashSet<i64> = known.iter().filter_map(|id| id.parse().ok()).collect();
            let items = scalar.present.set_indices();
            for item in items.filter(|item| !known.contains(&numbers.value(*item))) {
                wrong(item, &numbers.value(item));
            }
        } else if let Some(texts) = scalar.column.as_string_opt::<i32>() {
            let items = scalar.present.set_indices();
            for item in items.filter(|item| !known.contains(texts.value(*item))) {
                wrong(item, &texts.value(item));
            }
        }
    }

    fn texts(
        &self,
        scalar: &Scalar<'_>,
        findings: &mut Findings,
        what: &str,
        is_good: impl Fn(&str) -> bool,
    ) {
        let Some(texts) = scalar.column.as_string_opt::<i32>() else {
            return;
        };
        findings.checked(Rule::Values, scalar.present.count_set_bits() as u64);
        for item in scalar.present.set_indices() {
            if !is_good(texts.value(item)) {
                let message = || format!("{} is not {what}", scalar.path);
                findings.broken(Rule::Values, 1, self.row_of(scalar, item), message);
            }
        }
    }

    fn numbers(&self, scalar: &Scalar<'_>, findings: &mut Findings, is_good: impl Fn(i64) -> bool) {
        let Some(numbers) = scalar.numbers() else {
            return;
        };
        findings.checked(Rule::Values, scalar.present.count_set_bits() as u64);
        for item in scalar.present.set_indices() {
            if !is_good(numbers.value(item)) {
                let message = || format!("{} is {}", scalar.path, numbers.value(item));
                findings.broken(Rule::Values, 1, self.row_of(scalar, item), message);
            }
        }
    }

    fn row_of(&self, scalar: &Scalar<'_>, item: usize) -> Option<u64> {
        Some(self.offset + scalar.level.row(item))
    }
}

/// Values of one attribute.
struct Scalar<'a> {
    path: &'a str,
    column: &'a ArrayRef,
    present: &'a BooleanBuffer,
    level: &'a Level,
}

impl Scalar<'_> {
    fn numbers(&self) -> Option<Int64Array> {
        if !self.column.data_type().is_integer() {
            return None;
        }
        let wide = cast(self.column, &DataType::Int64).ok()?;
        Some(wide.as_primitive::<Int64Type>().clone())
    }
}

fn struct_level(
    array: &StructArray,
    path: String,
    present: BooleanBuffer,
    rows: Option<Arc<[u32]>>,
) -> Level {
    Level {
        path: path + ".",
        fields: array.fields().clone(),
        columns: array.columns().to_vec(),
        present,
        rows,
    }
}

/// How the type found differs from what OCSF demands.
fn wrong_type(attribute: &Attribute, found: &DataType, at_root: bool) -> Option<String> {
    if at_root && attribute.name == UNMAPPED && matches!(found, DataType::Map(..)) {
        return None;
    }
    let value = match (attribute.is_array, found) {
        (true, DataType::List(item)) => item.data_type(),
        (true, _) => return Some(format!("{found}, not a list")),
        (false, DataType::List(_)) => return Some("a list".to_owned()),
        (false, found) => found,
    };
    let fits = match &attribute.ty {
        Type::Boolean => matches!(value, DataType::Boolean),
        Type::Integer => matches!(value, DataType::Int32),
        Type::Long | Type::Timestamp => matches!(value, DataType::Int64),
        Type::Float => matches!(value, DataType::Float64 | DataType::Float32),
        Type::Datetime => matches!(value, DataType::Timestamp(..) | DataType::Utf8),
        Type::Json | Type::Text => matches!(value, DataType::Utf8),
        Type::Object(_) => matches!(value, DataType::Struct(_)),
    };
    (!fits).then(|| format!("{value}, not {:?}", attribute.ty))
}
