//! How the attributes of an event are made, and what has to hold for each object.
//!
//! Like the program it is generic over its expressions.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::datatypes::{Field, FieldRef, Fields};
use datafusion::logical_expr::Expr;
use serde::{Deserialize, Serialize};

use crate::functions::{Observed, Redaction};
use crate::spec::UnmappedStyle;

/// An expression, and where the configuration has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Placed<E = Expr> {
    /// The expression.
    pub expr: E,
    /// Such as `api.toml:9:10 map.count`.
    pub at: Cow<'static, str>,
}

/// How a field of the output is made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Layout<E = Expr> {
    /// One value.
    #[serde(rename = "l")]
    Leaf(Leaf<E>),
    /// An object.
    #[serde(rename = "s")]
    Struct(Object<E>),
    /// A list of objects that are written out. Those that are left out are dropped.
    #[serde(rename = "i")]
    Items(Vec<Object<E>>),
    /// A list of one object for each element of a list.
    #[serde(rename = "e")]
    Each(Box<Each<E>>),
    /// The list of observables. It is made from the other attributes.
    #[serde(rename = "o")]
    Observables(Vec<Observable>),
    /// All that no attribute holds.
    #[serde(rename = "u")]
    Unmapped(Leftover),
}

/// A value, and the values of the record that it holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Leaf<E = Expr> {
    /// Evaluates to exactly the field's type.
    pub value: Placed<E>,
    /// The record's values that are in the attribute where it is not NULL.
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Held<E>>,
}

/// A value of the record that an attribute holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Held<E = Expr> {
    /// Index into the route's keys.
    pub key: usize,
    /// Where the attribute holds this value and not another one; `None` is everywhere.
    pub when: Option<E>,
}

/// Where a value is in the record: a column, and the way into its JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Name of the column.
    pub column: String,
    /// The way to the value.
    pub path: Vec<Step>,
}

/// One step into JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// A member of an object, or an element of a list by its number.
    #[serde(rename = "n")]
    Name(String),
    /// The elements of a list, as the `each` with this number takes them.
    #[serde(rename = "e")]
    Each(usize),
}

/// An object, and what OCSF requires of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Object<E = Expr> {
    /// Its dotted attribute; empty at the root.
    pub path: String,
    /// Its attributes, in the order of the output's fields.
    pub members: Vec<Layout<E>>,
    /// The members that make it exist. Without any it always exists.
    pub content: Vec<Content>,
    /// Whether it exists without content, because what contains it requires it.
    pub is_required: bool,
    /// What must hold where it exists. Otherwise it is left out.
    pub demands: Vec<Demand>,
}

/// A member whose value makes its object exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// Any value.
    #[serde(rename = "v")]
    Value(usize),
    /// Any id but 0, which says that nothing is known.
    #[serde(rename = "k")]
    KnownId(usize),
}

/// A requirement on the members of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demand {
    /// The members of which some must not be NULL.
    pub members: Vec<usize>,
    /// Exactly one of them may have a value.
    pub is_exclusive: bool,
    /// Such as `required_attribute_missing`.
    pub reason: Cow<'static, str>,
    /// The dotted attribute, or several.
    pub detail: String,
}

/// A list of objects from the elements of a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Each<E = Expr> {
    /// Number of the `each` in its route.
    pub number: usize,
    /// A JSON array as text, or a list of texts.
    pub list: Placed<E>,
    /// The elements to take.
    pub when: Option<Placed<E>>,
    /// The other columns that expressions over an element use, sorted.
    pub outer: Vec<String>,
    /// The dotted key of an element, for redaction.
    pub key: String,
    /// Which values of an element are hidden.
    pub redaction: Redaction,
    /// What an element becomes.
    pub object: Object<E>,
}

/// One of the attributes whose values are observables.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Observable {
    /// Field indices from the root.
    pub path: Vec<usize>,
    /// What the value is.
    pub observed: Observed,
}

/// How `unmapped` is made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Leftover {
    /// The type of the attribute.
    pub style: UnmappedStyle,
    /// Dotted keys that are never kept.
    pub consumed: Vec<String>,
    /// Which values are hidden.
    pub redaction: Redaction,
}

/// The names of the outer columns of each `each` around an expression, from the outside.
pub type Around<'a> = [&'a [String]];

impl<E> Layout<E> {
    /// Adds every expression.
    pub(super) fn exprs<'a>(&'a self, all: &mut Vec<&'a E>) {
        match self {
            Self::Leaf(leaf) => {
                all.push(&leaf.value.expr);
                all.extend(leaf.holds.iter().filter_map(|held| held.when.as_ref()));
            }
            Self::Struct(object) => object.exprs(all),
            Self::Items(items) => items.iter().for_each(|item| item.exprs(all)),
            Self::Each(each) => {
                all.push(&each.list.expr);
                all.extend(each.when.as_ref().map(|when| &when.expr));
                each.object.exprs(all);
            }
            Self::Observables(_) | Self::Unmapped(_) => {}
        }
    }

    fn try_map<F, Err>(
        self,
        around: &mut Vec<Vec<String>>,
        f: &mut impl FnMut(E, &Around<'_>) -> Result<F, Err>,
    ) -> Result<Layout<F>, Err> {
        Ok(match self {
            Self::Leaf(leaf) => {
                let mut holds = Vec::with_capacity(leaf.holds.len());
                for held in leaf.holds {
                    let when = held.when.map(|when| call(when, around, f)).transpose()?;
                    holds.push(Held {
                        key: held.key,
                        when,
                    });
                }
                let value = leaf.value.try_map(around, f)?;
                Layout::Leaf(Leaf { value, holds })
            }
            Self::Struct(object) => Layout::Struct(object.try_map(around, f)?),
            Self::Items(items) => {
                let mut mapped = Vec::with_capacity(items.len());
                for item in items {
                    mapped.push(item.try_map(around, f)?);
                }
                Layout::Items(mapped)
            }
            Self::Each(each) => Layout::Each(Box::new(each.try_map(around, f)?)),
            Self::Observables(observables) => Layout::Observables(observables),
            Self::Unmapped(leftover) => Layout::Unmapped(leftover),
        })
    }
}

fn call<E, F, Err>(
    expr: E,
    around: &[Vec<String>],
    f: &mut impl FnMut(E, &Around<'_>) -> Result<F, Err>,
) -> Result<F, Err> {
    let around: Vec<&[String]> = around.iter().map(Vec::as_slice).collect();
    f(expr, &around)
}

impl<E> Object<E> {
    /// An object that always exists.
    pub fn new(members: Vec<Layout<E>>) -> Self {
        Self {
            path: String::new(),
            members,
            content: Vec::new(),
            is_required: true,
            demands: Vec::new(),
        }
    }
}

impl<E> Leaf<E> {
    /// A value that holds nothing of the record.
    pub fn new(expr: E) -> Self {
        Self {
            value: Placed::new(expr),
            holds: Vec::new(),
        }
    }
}

impl<E> Placed<E> {
    /// An expression that no configuration has.
    pub fn new(expr: E) -> Self {
        Self {
            expr,
            at: "".into(),
        }
    }

    pub(super) fn try_map<F, Err>(
        self,
        around: &[Vec<String>],
        f: &mut impl FnMut(E, &Around<'_>) -> Result<F, Err>,
    ) -> Result<Placed<F>, Err> {
        Ok(Placed {
            expr: call(self.expr, around, f)?,
            at: self.at,
        })
    }
}

impl<E> Object<E> {
    pub(super) fn exprs<'a>(&'a self, all: &mut Vec<&'a E>) {
        self.members.iter().for_each(|member| member.exprs(all));
    }

    /// The same object with each expression replaced by what `f` makes of it.
    pub(super) fn try_map<F, Err>(
        self,
        around: &mut Vec<Vec<String>>,
        f: &mut impl FnMut(E, &Around<'_>) -> Result<F, Err>,
    ) -> Result<Object<F>, Err> {
        let mut members = Vec::with_capacity(self.members.len());
        for member in self.members {
            members.push(member.try_map(around, f)?);
        }
        Ok(Object {
            path: self.path,
            members,
            content: self.content,
            is_required: self.is_required,
            demands: self.demands,
        })
    }
}

impl Object {
    /// Adds a member that makes nothing exist, at its place in the order of names.
    pub(super) fn insert(&mut self, fields: &mut Fields, field: Field, layout: Layout) {
        let at = fields.partition_point(|known| known.name() < field.name());
        let mut all: Vec<FieldRef> = fields.to_vec();
        all.insert(at, Arc::new(field));
        *fields = all.into();
        self.members.insert(at, layout);
        let moved = |index: usize| index + usize::from(index >= at);
        for content in &mut self.content {
            *content = match *content {
                Content::Value(index) => Content::Value(moved(index)),
                Content::KnownId(index) => Content::KnownId(moved(index)),
            };
        }
        for demand in &mut self.demands {
            demand
                .members
                .iter_mut()
                .for_each(|index| *index = moved(*index));
        }
        for member in &mut self.members {
            if let Layout::Observables(observables) = member {
                observables.iter_mut().for_each(|observable| {
                    if let Some(first) = observable.path.first_mut() {
                        *first = moved(*first);
                    }
                });
            }
        }
    }
}

impl<E> Each<E> {
    fn try_map<F, Err>(
        self,
        around: &mut Vec<Vec<String>>,
        f: &mut impl FnMut(E, &Around<'_>) -> Result<F, Err>,
    ) -> Result<Each<F>, Err> {
        let list = self.list.try_map(around, f)?;
        around.push(self.outer.clone());
        let when = self.when.map(|when| when.try_map(around, f)).transpose();
        let object = self.object.try_map(around, f);
        around.pop();
        Ok(Each {
            number: self.number,
            list,
            when: when?,
            outer: self.outer,
            key: self.key,
            redaction: self.redaction,
            object: object?,
        })
    }
}
