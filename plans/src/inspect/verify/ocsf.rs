//! Checks events against their OCSF class: attributes, requirements, constraints,
//! enumerations and profiles, including nested objects.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{DataType, FieldRef};

use super::findings::Findings;
use super::level::{Level, filled};
use super::rules::Rule;
use super::scalar::{Scalar, wrong_type};
use crate::ocsf::{Attribute, Attributes, Class, Constraint, ConstraintKind, Requirement, Schema};

/// Checks the events of one class, version and set of profiles.
pub(super) struct Judge<'a> {
    pub(super) schema: &'a Schema,
    pub(super) class: &'a Class,
    pub(super) profiles: &'a [String],
    /// Number of rows in previous batches.
    pub(super) offset: u64,
}

impl Judge<'_> {
    /// Checks `category_uid`.
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

    /// Checks all other attributes of the events in `root`.
    pub(super) fn event(&self, root: &Level, findings: &mut Findings) {
        for declared in self.profiles {
            let foreign = self.class.profile(declared).is_none();
            let message =
                foreign.then(|| format!("`{declared}` is not a profile of {}", self.class.name));
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
                    Some(format!(
                        "{}{} is not an attribute",
                        level.path,
                        field.name()
                    )),
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

    /// Counts a check for each present item, and a finding for each item in `wrong`.
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
                let inner = Level::within(column.as_struct(), path, filled, level.rows.clone());
                self.nested(attribute, &inner, findings);
            }
            DataType::List(_) => self.list(level, attribute, path, column, &filled, findings),
            _ => {
                let scalar = Scalar {
                    path: &path,
                    column,
                    present: &filled,
                    level,
                    offset: self.offset,
                };
                scalar.judge(attribute, findings);
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
            let inner = Level::within(items, path, present, rows);
            return self.nested(attribute, &inner, findings);
        }
        let level = Level::plain(present.clone(), rows);
        let scalar = Scalar {
            path: &path,
            column: items,
            present: &present,
            level: &level,
            offset: self.offset,
        };
        scalar.judge(attribute, findings);
    }

    /// Checks that the profile of an attribute is declared.
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
            format!("{path} has a value, but {profiles} is not declared")
        };
        self.all_of(Rule::Profiles, level, filled, message, findings);
    }
}
