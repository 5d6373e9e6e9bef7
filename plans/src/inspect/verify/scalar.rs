//! Checks the values of one attribute: its type, members of its enumeration, addresses and
//! ports.

use std::collections::HashSet;
use std::net::IpAddr;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};

use super::findings::Findings;
use super::level::Level;
use super::rules::Rule;
use crate::ocsf::{Attribute, Enumeration, Type, UNMAPPED};

/// The values of one attribute.
pub(super) struct Scalar<'a> {
    pub(super) path: &'a str,
    pub(super) column: &'a ArrayRef,
    pub(super) present: &'a BooleanBuffer,
    pub(super) level: &'a Level,
    /// Number of rows in previous batches.
    pub(super) offset: u64,
}

impl Scalar<'_> {
    /// Checks the values against the attribute.
    pub(super) fn judge(&self, attribute: &Attribute, findings: &mut Findings) {
        if let Some(enumeration) = &attribute.enumeration {
            self.members(enumeration, findings);
        }
        match attribute.type_name.as_str() {
            "ip" => self.texts(findings, "an address", |text| {
                text.parse::<IpAddr>().is_ok()
            }),
            "port" => self.in_range(findings, |port| (0..=65_535).contains(&port)),
            _ => {}
        }
    }

    fn members(&self, enumeration: &Enumeration, findings: &mut Findings) {
        let known: HashSet<&str> = enumeration.members().map(|(id, _)| id).collect();
        findings.checked(Rule::Enums, self.present.count_set_bits() as u64);
        let mut wrong = |item: usize, value: &dyn std::fmt::Display| {
            let message = || format!("{} has no member {value}", self.path);
            findings.broken(Rule::Enums, 1, self.row_of(item), message);
        };
        if let Some(numbers) = self.numbers() {
            let known: HashSet<i64> = known.iter().filter_map(|id| id.parse().ok()).collect();
            let items = self.present.set_indices();
            for item in items.filter(|item| !known.contains(&numbers.value(*item))) {
                wrong(item, &numbers.value(item));
            }
        } else if let Some(texts) = self.column.as_string_opt::<i32>() {
            let items = self.present.set_indices();
            for item in items.filter(|item| !known.contains(texts.value(*item))) {
                wrong(item, &texts.value(item));
            }
        }
    }

    fn texts(&self, findings: &mut Findings, what: &str, is_good: impl Fn(&str) -> bool) {
        let Some(texts) = self.column.as_string_opt::<i32>() else {
            return;
        };
        findings.checked(Rule::Values, self.present.count_set_bits() as u64);
        for item in self.present.set_indices() {
            if !is_good(texts.value(item)) {
                let message = || format!("{} is not {what}", self.path);
                findings.broken(Rule::Values, 1, self.row_of(item), message);
            }
        }
    }

    fn in_range(&self, findings: &mut Findings, is_good: impl Fn(i64) -> bool) {
        let Some(numbers) = self.numbers() else {
            return;
        };
        findings.checked(Rule::Values, self.present.count_set_bits() as u64);
        for item in self.present.set_indices() {
            if !is_good(numbers.value(item)) {
                let message = || format!("{} is {}", self.path, numbers.value(item));
                findings.broken(Rule::Values, 1, self.row_of(item), message);
            }
        }
    }

    fn numbers(&self) -> Option<Int64Array> {
        if !self.column.data_type().is_integer() {
            return None;
        }
        let wide = cast(self.column, &DataType::Int64).ok()?;
        Some(wide.as_primitive::<Int64Type>().clone())
    }

    fn row_of(&self, item: usize) -> Option<u64> {
        Some(self.offset + self.level.row(item))
    }
}

/// Describes the difference between a type and that of the attribute.
pub(super) fn wrong_type(attribute: &Attribute, found: &DataType, at_root: bool) -> Option<String> {
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
