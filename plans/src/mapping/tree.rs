//! A mapped event as a tree of expressions, before it becomes a schema.

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, Field};
use datafusion::logical_expr::{Expr, lit};

use super::program::{Layout, Quarantined};
use crate::functions;
use crate::ocsf::{Attributes, Constraint, Requirement, Schema};

/// The filled attributes of an object, by name: a schema's order is theirs.
pub(super) type Members = BTreeMap<String, Tree>;

#[expect(
    clippy::large_enum_variant,
    reason = "nearly all of them are leaves, and a mapping has few"
)]
pub(super) enum Tree {
    Leaf(Leaf),
    Struct(Members),
}

/// One attribute with its value.
pub(super) struct Leaf {
    pub(super) expr: Expr,
    pub(super) kind: DataType,
    pub(super) filled: Filled,
    pub(super) member: Option<Member>,
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
    Id(Expr),
}

impl Leaf {
    pub(super) fn constant(value: datafusion::common::ScalarValue) -> Self {
        Self {
            kind: value.data_type(),
            expr: lit(value),
            filled: Filled::Constant,
            member: None,
        }
    }

    pub(super) fn derived(expr: Expr, kind: DataType) -> Self {
        Self {
            expr,
            kind,
            filled: Filled::Derived,
            member: None,
        }
    }
}

/// The leaf of that name.
pub(super) fn leaf<'a>(members: &'a Members, name: &str) -> Option<&'a Leaf> {
    match members.get(name) {
        Some(Tree::Leaf(leaf)) => Some(leaf),
        _ => None,
    }
}

/// The output's fields, and how each is made.
pub(super) fn layout(members: &Members) -> (Vec<Field>, Vec<Layout>) {
    let fields = members.iter().map(|(name, tree)| match tree {
        Tree::Leaf(leaf) => {
            let field = Field::new(name, leaf.kind.clone(), true);
            (field, Layout::Leaf(leaf.expr.clone()))
        }
        Tree::Struct(inner) => {
            let (fields, layouts) = layout(inner);
            let kind = DataType::Struct(fields.into());
            (Field::new(name, kind, true), Layout::Struct(layouts))
        }
    });
    fields.unzip()
}

/// The object as one expression, for lists of objects.
pub(super) fn object_expr(members: &Members) -> Expr {
    let mut args = Vec::with_capacity(members.len() * 2);
    for (name, tree) in members {
        args.push(lit(name.as_str()));
        args.push(match tree {
            Tree::Leaf(leaf) => leaf.expr.clone(),
            Tree::Struct(inner) => object_expr(inner),
        });
    }
    functions::named("object").call(args)
}

/// What must not be NULL: required attributes, and one of those that a constraint names.
pub(super) struct Demands<'a> {
    pub(super) ocsf: &'a Schema,
    pub(super) profiles: &'a [String],
    pub(super) found: Vec<Quarantined>,
}

impl Demands<'_> {
    pub(super) fn collect(
        &mut self,
        members: &Members,
        attributes: &Attributes,
        constraints: &[Constraint],
        parent: (&[usize], &str),
    ) {
        let (indices, path) = parent;
        for (index, (name, tree)) in members.iter().enumerate() {
            let Some(attribute) = attributes.get(name) else {
                continue;
            };
            let own = [indices, &[index]].concat();
            let dotted = join(path, name);
            let is_required = attribute.requirement == Requirement::Required
                && attribute.is_in(self.profiles.iter().map(String::as_str));
            if is_required && may_be_null(tree) {
                self.found.push(Quarantined {
                    any_of: vec![own.clone()],
                    reason: "required_attribute_missing".into(),
                    detail: dotted.clone(),
                });
            }
            if let (Tree::Struct(inner), Some(object)) = (tree, self.ocsf.object_of(attribute)) {
                self.collect(
                    inner,
                    &object.attributes,
                    &object.constraints,
                    (&own, &dotted),
                );
            }
        }
        for constraint in constraints {
            self.constraint(members, constraint, parent);
        }
    }

    fn constraint(&mut self, members: &Members, constraint: &Constraint, parent: (&[usize], &str)) {
        let named: Vec<(usize, &String, &Tree)> = members
            .iter()
            .enumerate()
            .filter(|(_, (name, _))| constraint.attributes.contains(name))
            .map(|(index, (name, tree))| (index, name, tree))
            .collect();
        if named.is_empty() || !named.iter().all(|(_, _, tree)| may_be_null(tree)) {
            return;
        }
        let names = named.iter().map(|(_, name, _)| join(parent.1, name));
        self.found.push(Quarantined {
            any_of: named
                .iter()
                .map(|(index, _, _)| [parent.0, &[*index]].concat())
                .collect(),
            reason: "constraint_not_met".into(),
            detail: format!("one of {}", names.collect::<Vec<_>>().join(", ")),
        });
    }
}

fn may_be_null(tree: &Tree) -> bool {
    match tree {
        Tree::Leaf(leaf) => leaf.filled == Filled::Mapped,
        Tree::Struct(members) => members.values().all(may_be_null),
    }
}

pub(super) fn join(parent: &str, name: &str) -> String {
    match parent {
        "" => name.to_owned(),
        parent => format!("{parent}.{name}"),
    }
}
