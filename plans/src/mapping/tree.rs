//! A mapped event as a tree of expressions, before it becomes a schema and a layout.

use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use datafusion::logical_expr::{Expr, lit};

use super::layout::Held;
use crate::functions::Redaction;
use crate::spec::Sql;

/// The filled attributes of an object, by name: a schema's order is theirs.
pub(super) type Members = BTreeMap<String, Tree>;

#[expect(
    clippy::large_enum_variant,
    reason = "nearly all of them are leaves, and a mapping has few"
)]
pub(super) enum Tree {
    Leaf(Leaf),
    Struct(Members),
    /// A list of objects that are written out. All have the same members.
    Items(Vec<Members>),
    Each(Box<Elements>),
}

/// One attribute with its value.
pub(super) struct Leaf {
    pub(super) expr: Expr,
    pub(super) kind: DataType,
    pub(super) filled: Filled,
    pub(super) member: Option<Member>,
    /// Values of the record that the attribute holds.
    pub(super) holds: Vec<Held>,
    /// Where the configuration has it.
    pub(super) at: String,
}

/// A list of objects, one for each element.
pub(super) struct Elements {
    pub(super) number: usize,
    pub(super) list: (Expr, String),
    pub(super) when: Option<(Expr, String)>,
    pub(super) key: String,
    pub(super) redaction: Redaction,
    pub(super) members: Members,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filled {
    /// Never NULL, the same for every row.
    Constant,
    /// From columns, but never NULL.
    Total,
    /// From columns: it may be NULL.
    Mapped,
    /// From other attributes.
    Derived,
}

/// How an enumeration's id was found, from which its caption follows.
#[derive(Clone)]
pub(super) enum Member {
    Constant(i32),
    /// A source's text, and the members that its values name.
    Text {
        on: Expr,
        to: Vec<(String, i32)>,
    },
    /// A text that names a member, or NULL.
    TextOrNull(Expr),
    Id(Expr),
}

impl Leaf {
    pub(super) fn new(expr: Expr, kind: DataType, filled: Filled) -> Self {
        Self {
            expr,
            kind,
            filled,
            member: None,
            holds: Vec::new(),
            at: String::new(),
        }
    }

    pub(super) fn constant(value: datafusion::common::ScalarValue) -> Self {
        let kind = value.data_type();
        Self::new(lit(value), kind, Filled::Constant)
    }

    pub(super) fn derived(expr: Expr, kind: DataType) -> Self {
        Self::new(expr, kind, Filled::Derived)
    }

    /// The same leaf at the place of an expression.
    pub(super) fn placed(mut self, sql: &Sql) -> Self {
        self.at = sql.at.place();
        self
    }
}

/// The leaf of that name.
pub(super) fn leaf<'a>(members: &'a Members, name: &str) -> Option<&'a Leaf> {
    match members.get(name) {
        Some(Tree::Leaf(leaf)) => Some(leaf),
        _ => None,
    }
}

pub(super) fn join(parent: &str, name: &str) -> String {
    match parent {
        "" => name.to_owned(),
        parent => format!("{parent}.{name}"),
    }
}
