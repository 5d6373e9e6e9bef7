//! From the tree of an event to its schema and its layout, with what OCSF requires of each
//! object.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields};
use datafusion::logical_expr::Expr;

use super::layout::{Content, Demand, Each, Layout, Leaf, Object, Placed};
use super::scope::ITEM;
use super::tree::{self, Elements, Filled, Members, Tree, join};
use crate::ocsf::{self, Attribute, Constraint, ConstraintKind, Requirement, Schema};

/// Shapes the trees of one route.
pub(super) struct Shaper<'a> {
    pub(super) ocsf: &'a Schema,
    pub(super) profiles: &'a [String],
}

/// What OCSF says of the attributes of an object.
#[derive(Clone, Copy)]
struct Rules<'a> {
    attributes: &'a ocsf::Attributes,
    constraints: &'a [Constraint],
}

/// A member before its object is complete.
struct Shaped {
    field: Field,
    layout: Layout,
    /// How it makes its object exist, given its index.
    content: Option<fn(usize) -> Content>,
    may_be_null: bool,
}

impl<'a> Shaper<'a> {
    /// The event's fields and its layout.
    pub(super) fn event(&self, members: Members, class: &'a ocsf::Class) -> (Fields, Object) {
        let rules = Rules {
            attributes: &class.attributes,
            constraints: &class.constraints,
        };
        let (fields, object, _) = self.object(members, rules, "", true);
        (fields, object)
    }

    /// The fields, the object, and whether one of its members is never NULL.
    fn object(
        &self,
        members: Members,
        rules: Rules<'a>,
        path: &str,
        is_required: bool,
    ) -> (Fields, Object, bool) {
        let mut fields = Vec::with_capacity(members.len());
        let mut object = Object {
            path: path.to_owned(),
            members: Vec::with_capacity(members.len()),
            content: Vec::new(),
            is_required,
            demands: Vec::new(),
        };
        let mut nullable: Vec<(String, bool)> = Vec::with_capacity(members.len());
        for (index, (name, tree)) in members.into_iter().enumerate() {
            let dotted = join(path, &name);
            let attribute = rules.attributes.get(&name);
            let shaped = self.member(&name, tree, attribute, &dotted);
            object.content.extend(shaped.content.map(|of| of(index)));
            if shaped.may_be_null && attribute.is_some_and(|known| self.is_due(known)) {
                object.demands.push(Demand {
                    members: vec![index],
                    is_exclusive: false,
                    reason: "required_attribute_missing".into(),
                    detail: dotted,
                });
            }
            nullable.push((name, shaped.may_be_null));
            fields.push(shaped.field);
            object.members.push(shaped.layout);
        }
        for constraint in rules.constraints {
            object.demands.extend(demand(constraint, &nullable, path));
        }
        let has_value = nullable.iter().any(|(_, may_be_null)| !may_be_null);
        (fields.into(), object, has_value)
    }

    fn is_due(&self, attribute: &Attribute) -> bool {
        attribute.requirement == Requirement::Required
            && attribute.is_in(self.profiles.iter().map(String::as_str))
    }

    fn member(
        &self,
        name: &str,
        tree: Tree,
        attribute: Option<&'a Attribute>,
        path: &str,
    ) -> Shaped {
        let rules = attribute
            .and_then(|known| self.ocsf.object_of(known))
            .map(|object| Rules {
                attributes: &object.attributes,
                constraints: &object.constraints,
            });
        let rules = rules.unwrap_or(Rules {
            attributes: &EMPTY,
            constraints: &[],
        });
        match tree {
            Tree::Leaf(leaf) => of_leaf(name, leaf),
            Tree::Struct(members) => {
                let is_required = attribute.is_some_and(|known| self.is_due(known));
                let (fields, object, has_value) = self.object(members, rules, path, is_required);
                let is_total = has_value && object.demands.is_empty();
                let is_static = object.content.is_empty();
                Shaped {
                    field: Field::new(name, DataType::Struct(fields), true),
                    content: (!is_static).then_some(Content::Value as fn(usize) -> Content),
                    may_be_null: !(is_total && (is_required || is_static)),
                    layout: Layout::Struct(object),
                }
            }
            Tree::Items(items) => self.items(name, items, rules, path),
            Tree::Each(elements) => self.each(name, *elements, rules, path),
        }
    }

    fn items(&self, name: &str, items: Vec<Members>, rules: Rules<'a>, path: &str) -> Shaped {
        let mut fields = Fields::empty();
        let mut objects = Vec::with_capacity(items.len());
        for members in items {
            let (own, object, _) = self.object(members, rules, path, false);
            fields = own;
            objects.push(object);
        }
        let is_static = |object: &Object| object.content.is_empty() && object.demands.is_empty();
        let has_content = objects.iter().any(|object| !object.content.is_empty());
        Shaped {
            field: Field::new(name, list_of(fields), true),
            content: has_content.then_some(Content::Value as fn(usize) -> Content),
            may_be_null: !objects.iter().any(is_static),
            layout: Layout::Items(objects),
        }
    }

    fn each(&self, name: &str, elements: Elements, rules: Rules<'a>, path: &str) -> Shaped {
        let (fields, object, _) = self.object(elements.members, rules, path, false);
        let (list, at) = elements.list;
        let when = elements.when.map(|(expr, at)| placed(expr, at));
        let mut outer: Vec<String> = Vec::new();
        let mut used = Vec::new();
        object.exprs(&mut used);
        used.extend(when.as_ref().map(|when: &Placed| &when.expr));
        for expr in used {
            outer.extend(expr.column_refs().into_iter().map(|c| c.name.clone()));
        }
        outer.sort();
        outer.dedup();
        outer.retain(|column| column != ITEM);
        Shaped {
            field: Field::new(name, list_of(fields), true),
            content: Some(Content::Value),
            may_be_null: true,
            layout: Layout::Each(Box::new(Each {
                number: elements.number,
                list: placed(list, at),
                when,
                outer,
                key: elements.key,
                redaction: elements.redaction,
                object,
            })),
        }
    }
}

static EMPTY: ocsf::Attributes = ocsf::Attributes::new();

fn placed(expr: Expr, at: String) -> Placed {
    Placed {
        expr,
        at: at.into(),
    }
}

fn list_of(fields: Fields) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(
        DataType::Struct(fields),
        true,
    )))
}

fn of_leaf(name: &str, leaf: tree::Leaf) -> Shaped {
    let content: Option<fn(usize) -> Content> = match (leaf.filled, &leaf.member) {
        (Filled::Constant | Filled::Derived, _) => None,
        (_, Some(_)) => Some(Content::KnownId),
        (_, None) => Some(Content::Value),
    };
    Shaped {
        may_be_null: !matches!(leaf.filled, Filled::Constant | Filled::Total),
        content,
        field: Field::new(name, leaf.kind, true),
        layout: Layout::Leaf(Leaf {
            value: placed(leaf.expr, leaf.at),
            holds: leaf.holds,
        }),
    }
}

/// What a constraint demands of the members that are mapped.
fn demand(constraint: &Constraint, members: &[(String, bool)], path: &str) -> Option<Demand> {
    let named: Vec<(usize, bool)> = members
        .iter()
        .enumerate()
        .filter(|(_, (name, _))| constraint.attributes.contains(name))
        .map(|(index, (_, may_be_null))| (index, *may_be_null))
        .collect();
    let is_exclusive = constraint.kind == ConstraintKind::JustOne && named.len() > 1;
    let always = named.iter().any(|(_, may_be_null)| !may_be_null);
    if named.is_empty() || (always && !is_exclusive) {
        return None;
    }
    let names = constraint.attributes.iter().map(|name| join(path, name));
    let names = names.collect::<Vec<_>>().join(", ");
    Some(Demand {
        members: named.into_iter().map(|(index, _)| index).collect(),
        is_exclusive,
        reason: "constraint_not_met".into(),
        detail: match is_exclusive {
            true => format!("exactly one of {names}"),
            false => format!("one of {names}"),
        },
    })
}
