//! The walk over a route's attributes: checks each against OCSF and builds its expression.

use arrow::datatypes::DataType;
use datafusion::logical_expr::Expr;

use super::derived::is_derived;
use super::found::Found;
use super::layout::{Held, Key, Step};
use super::scope::{ITEM, Scope};
use super::tree::{Leaf, Members, Tree, join};
use super::{captions, fit, holds, times};
use crate::diagnostics::{Origin, nearest};
use crate::ocsf::{Attribute, Attributes, Class, Constraint, Schema, Type, UNMAPPED};
use crate::spec::{Node, Object, Sql, Value};

/// Builds the trees of one route and reports what is wrong with it.
pub(super) struct Builder<'a> {
    pub(super) ocsf: &'a Schema,
    pub(super) class: &'a Class,
    /// The profiles as the source declares them.
    pub(super) declared: &'a [String],
    /// The declared profiles as the class spells them.
    pub(super) profiles: &'a [String],
    /// The record's values that attributes hold.
    pub(super) keys: Vec<Key>,
    /// Inside of an `each`: where the element is, if it is in the record.
    pub(super) item: Option<Option<Key>>,
    /// The number of `each` tables so far.
    pub(super) eaches: usize,
    pub(super) found: &'a mut Found,
}

/// The attributes that a class or object may have, and what it requires of them together.
pub(super) struct Level<'a> {
    pub(super) attributes: &'a Attributes,
    pub(super) constraints: &'a [Constraint],
    /// The name of the class or object.
    pub(super) name: &'a str,
}

impl<'a> Level<'a> {
    pub(super) fn of_class(class: &'a Class) -> Self {
        Self {
            attributes: &class.attributes,
            constraints: &class.constraints,
            name: &class.name,
        }
    }
}

/// An attribute under its dotted name.
pub(super) struct Target<'a> {
    pub(super) attribute: &'a Attribute,
    /// The object that has it, as the source maps it.
    pub(super) siblings: Option<&'a Object>,
    pub(super) path: &'a str,
    pub(super) at: &'a Origin,
}

impl<'a> Builder<'a> {
    /// Every attribute of an object, with the ones that follow from them.
    pub(super) fn object(
        &mut self,
        scope: &Scope<'_>,
        level: &Level<'a>,
        object: &Object,
        path: &str,
        at: &Origin,
    ) -> Members {
        let mut members = Members::new();
        for (name, node) in object {
            let path = join(path, name);
            let Some(attribute) = self.known(level, name, node, &path) else {
                continue;
            };
            let target = Target {
                attribute,
                siblings: Some(object),
                path: &path,
                at: &node.at,
            };
            if let Some(tree) = self.tree(scope, &target, &node.value) {
                members.insert(name.clone(), tree);
            }
        }
        self.missing(object, level, path, at);
        captions::add(&mut members, level.attributes);
        if self.profiles.iter().any(|profile| profile == "datetime") {
            times::add(&mut members, level.attributes);
        }
        members
    }

    /// The attribute that `name` is, if a mapping may fill it.
    fn known(
        &mut self,
        level: &Level<'a>,
        name: &str,
        node: &Node,
        path: &str,
    ) -> Option<&'a Attribute> {
        let Some(attribute) = level.attributes.get(name) else {
            self.unknown(level, name, node, path);
            return None;
        };
        if !attribute.is_in(self.declared_profiles()) {
            let profile = attribute.profiles.join("` or `");
            let message = format!("belongs to the profile `{profile}`, which is not declared");
            let remedy = "add it to `profiles`, or remove this";
            self.found.error(&node.at, message, remedy);
            return None;
        }
        if path == UNMAPPED {
            let remedy = "name columns in `consumed`, or set `unmapped` in source.toml";
            self.found
                .error(&node.at, "is filled with what nothing maps", remedy);
            return None;
        }
        if is_derived(path) && !self.accepts_derived(node, path) {
            return None;
        }
        Some(attribute)
    }

    fn unknown(&mut self, level: &Level<'_>, name: &str, node: &Node, path: &str) {
        let message = format!("`{}` has no attribute `{name}`", level.name);
        let known = level.attributes.keys().map(String::as_str);
        let remedy = match nearest(name, known) {
            Some(found) => format!("did you mean `{}`?", sibling_path(path, found)),
            None => "remove it; what is not mapped goes to `unmapped`".to_owned(),
        };
        self.found.error(&node.at, message, remedy);
    }

    pub(super) fn declared_profiles(&self) -> impl Iterator<Item = &'a str> {
        self.declared.iter().map(String::as_str)
    }

    /// What an attribute of type object may contain.
    pub(super) fn level_of(&self, attribute: &Attribute) -> Option<Level<'a>> {
        let object = self.ocsf.object_of(attribute)?;
        Some(Level {
            attributes: &object.attributes,
            constraints: &object.constraints,
            name: &object.name,
        })
    }

    fn tree(&mut self, scope: &Scope<'_>, target: &Target<'_>, value: &Value) -> Option<Tree> {
        let is_list = target.attribute.is_array;
        if let (Value::Object(object), Some(level), false) =
            (value, self.level_of(target.attribute), is_list)
        {
            let members = self.object(scope, &level, object, target.path, target.at);
            return (!members.is_empty()).then_some(Tree::Struct(members));
        }
        if is_list {
            return self.several(scope, target, value);
        }
        let leaf = self.single(scope, target, value)?;
        self.finished(scope, target, leaf)
    }

    /// The leaf with its casts written out, of exactly the type that it has to be.
    pub(super) fn finished(
        &mut self,
        scope: &Scope<'_>,
        target: &Target<'_>,
        mut leaf: Leaf,
    ) -> Option<Tree> {
        let mut expr = self.found.valid(target.at, scope.finish(leaf.expr))?;
        let mut kind = self.found.valid(target.at, scope.type_of(&expr))?;
        let due = fit::attribute_type(target.attribute);
        if !matches!(target.attribute.ty, Type::Object(_)) && kind != due {
            // Branches of several types become one type only when the casts are written.
            let fitted = fit::cast_to(scope, expr, due.clone());
            let fitted = fitted.and_then(|fitted| scope.finish(fitted));
            expr = self.found.valid(target.at, fitted)?;
            kind = due;
        }
        leaf.expr = expr;
        leaf.kind = kind;
        for held in &mut leaf.holds {
            if let Some(when) = held.when.take() {
                held.when = Some(self.found.valid(target.at, finished_when(scope, &when))?);
            }
        }
        if leaf.at.is_empty() {
            leaf.at = target.at.place();
        }
        Some(Tree::Leaf(leaf))
    }

    /// The expression as it is written.
    pub(super) fn planned(&mut self, scope: &Scope<'_>, sql: &Sql) -> Option<Expr> {
        self.found.expr(scope, sql)
    }

    /// The record's values that a leaf holds which is made of `expr`.
    pub(super) fn holds(&mut self, scope: &Scope<'_>, expr: &Expr) -> Vec<Held> {
        let passed = holds::passed(scope, expr);
        let held = passed.into_iter().filter_map(|(path, when)| {
            let key = self.key(&path)?;
            let key = self.index_of(key);
            Some(Held { key, when })
        });
        held.collect()
    }

    /// Where the value of a path is in the record; `None` if it is not in there as it is.
    pub(super) fn key(&self, path: &[String]) -> Option<Key> {
        let (first, rest) = path.split_first()?;
        let mut key = match &self.item {
            Some(item) if first == ITEM => item.clone()?,
            _ => Key {
                column: first.clone(),
                path: Vec::new(),
            },
        };
        key.path.extend(rest.iter().cloned().map(Step::Name));
        Some(key)
    }

    fn index_of(&mut self, key: Key) -> usize {
        if let Some(known) = self.keys.iter().position(|known| *known == key) {
            return known;
        }
        self.keys.push(key);
        self.keys.len() - 1
    }

    /// Reports an error that leaves no value.
    pub(super) fn wrong<T>(
        &mut self,
        at: &Origin,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Option<T> {
        self.found.error(at, message, remedy);
        None
    }
}

/// A condition with its casts written out. One that cannot be compared is never true.
fn finished_when(scope: &Scope<'_>, when: &Expr) -> datafusion::common::Result<Expr> {
    let kind = scope.finish(when.clone()).and_then(|expr| {
        let kind = scope.type_of(&expr)?;
        Ok((expr, kind))
    });
    Ok(match kind {
        Ok((expr, DataType::Boolean)) => expr,
        _ => datafusion::logical_expr::lit(false),
    })
}

/// `path` with another last segment.
fn sibling_path(path: &str, name: &str) -> String {
    match path.rsplit_once('.') {
        Some((parent, _)) => format!("{parent}.{name}"),
        None => name.to_owned(),
    }
}
