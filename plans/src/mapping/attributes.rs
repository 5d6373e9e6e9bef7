//! The attributes of an event, as written, to a tree of expressions.

use std::collections::BTreeSet;

use datafusion::common::{DFSchema, DataFusionError};
use datafusion::logical_expr::Expr;

use super::scope::{ITEM, Scope, path_of};
use super::tree::{Filled, Leaf, Member, Members, Tree, join, object_expr};
use super::{captions, enumeration, fit, sql, times};
use crate::diagnostics::{Diagnostics, Origin, did_you_mean};
use crate::functions;
use crate::functions::dotted_key;
use crate::ocsf::{Attribute, Attributes, Schema, Type, UNMAPPED};
use crate::spec::{Constant, Each, Enum, Node, Object, Sql, Value};

/// Builds the trees of one event and notes what is wrong with it.
pub(super) struct Builder<'a> {
    pub(super) ocsf: &'a Schema,
    pub(super) profiles: &'a [String],
    /// Dotted keys of what is mapped as it is, and so leaves `unmapped`.
    pub(super) mapped: BTreeSet<String>,
    /// The dotted key of the list whose elements are being mapped.
    pub(super) item_of: Option<String>,
    pub(super) diagnostics: Diagnostics,
}

/// An attribute under its dotted name.
struct Target<'a> {
    attribute: &'a Attribute,
    path: &'a str,
    at: &'a Origin,
}

impl Builder<'_> {
    /// Every attribute of an object, with the ones that follow from them.
    pub(super) fn object(
        &mut self,
        scope: &Scope<'_>,
        attributes: &Attributes,
        object: &Object,
        path: &str,
    ) -> Members {
        let mut members = Members::new();
        for (name, node) in object {
            let dotted = join(path, name);
            if dotted == UNMAPPED {
                continue;
            }
            let Some(attribute) = self.known(attributes, name, node, path) else {
                continue;
            };
            let target = Target {
                attribute,
                path: &dotted,
                at: &node.at,
            };
            if let Some(tree) = self.tree(scope, &target, &node.value) {
                members.insert(name.clone(), tree);
            }
        }
        captions::add(&mut members, attributes);
        if self.profiles.iter().any(|profile| profile == "datetime") {
            times::add(&mut members, attributes);
        }
        members
    }

    fn known<'b>(
        &mut self,
        attributes: &'b Attributes,
        name: &str,
        node: &Node,
        path: &str,
    ) -> Option<&'b Attribute> {
        let Some(attribute) = attributes.get(name) else {
            let near = did_you_mean(name, attributes.keys().map(String::as_str));
            let message = format!("OCSF {} has no `{}`", self.ocsf.version(), join(path, name));
            self.diagnostics.push(&node.at, message, near);
            return None;
        };
        if !attribute.is_in(self.profiles.iter().map(String::as_str)) {
            let message = format!("`{name}` belongs to a profile that is not declared");
            let remedy = format!("add `{}` to profiles", attribute.profiles.join("` or `"));
            self.diagnostics.push(&node.at, message, remedy);
        }
        Some(attribute)
    }

    fn tree(&mut self, scope: &Scope<'_>, target: &Target<'_>, value: &Value) -> Option<Tree> {
        let is_list = target.attribute.is_array;
        if let (Value::Object(object), Type::Object(name), false) =
            (value, &target.attribute.ty, is_list)
        {
            let attributes = &self.ocsf.object(name)?.attributes;
            let members = self.object(scope, attributes, object, target.path);
            return (!members.is_empty()).then_some(Tree::Struct(members));
        }
        let leaf = match value {
            Value::Object(object) => self.objects(scope, target, &[object]),
            Value::Constant(constant) => self.constant(target, constant),
            Value::Sql(sql) => self.sql(scope, target, sql),
            Value::List(items) => self.list(scope, target, items),
            Value::Enum(members) => self.enumeration(scope, target, members),
            Value::Each(each) => self.each(scope, target, each),
        }?;
        Some(Tree::Leaf(self.finished(scope, target, leaf)?))
    }

    /// The leaf with its casts written out, of exactly the type that it has to be.
    fn finished(&mut self, scope: &Scope<'_>, target: &Target<'_>, mut leaf: Leaf) -> Option<Leaf> {
        let expr = self.valid(target.at, scope.finish(leaf.expr))?;
        let kind = self.valid(target.at, scope.type_of(&expr))?;
        if !matches!(target.attribute.ty, Type::Object(_)) {
            debug_assert_eq!(
                kind,
                fit::attribute_type(target.attribute),
                "{}",
                target.path
            );
        }
        leaf.expr = expr;
        leaf.kind = kind;
        Some(leaf)
    }

    fn constant(&mut self, target: &Target<'_>, constant: &Constant) -> Option<Leaf> {
        if let Some(known) = enumeration::of(target.attribute) {
            let id = match enumeration::target(known, constant) {
                Ok(id) => id,
                Err(remedy) => return self.wrong(target.at, "OCSF has no such member", remedy),
            };
            let mut leaf = Leaf::constant(datafusion::common::ScalarValue::Int32(Some(id)));
            leaf.member = Some(Member::Constant(id));
            return Some(leaf);
        }
        match fit::constant(target.attribute, constant) {
            Ok(expr) => Some(filled(expr, Filled::Constant)),
            Err(message) => self.wrong(
                target.at,
                message,
                format!("`{}` is {}", target.path, target.attribute.type_name),
            ),
        }
    }

    fn sql(&mut self, scope: &Scope<'_>, target: &Target<'_>, sql: &Sql) -> Option<Leaf> {
        if let Type::Object(name) = &target.attribute.ty {
            let message = format!("`{}` is an object ({name})", target.path);
            return self.wrong(
                target.at,
                message,
                "map its attributes, or use `each` for a list",
            );
        }
        let expr = self.planned(scope, sql)?;
        let fitted = self.valid(&sql.at, fit::attribute(scope, target.attribute, expr))?;
        let Some(known) = enumeration::of(target.attribute) else {
            return Some(filled(fitted, Filled::Mapped));
        };
        let mut leaf = filled(enumeration::checked(known, fitted.clone()), Filled::Mapped);
        leaf.member = Some(Member::Id(fitted));
        Some(leaf)
    }

    /// The expression; noted as mapped when it is a column or a path as it stands.
    pub(super) fn planned(&mut self, scope: &Scope<'_>, sql: &Sql) -> Option<Expr> {
        let expr = self.expr(scope, sql)?;
        if let Some(path) = path_of(&expr) {
            self.mapped.insert(self.key(&path));
        }
        Some(expr)
    }

    fn key(&self, path: &[String]) -> String {
        match &self.item_of {
            Some(list) if path[0] == ITEM => join(list, &dotted_key(&path[1..]))
                .trim_end_matches('.')
                .to_owned(),
            _ => dotted_key(path),
        }
    }

    pub(super) fn expr(&mut self, scope: &Scope<'_>, sql: &Sql) -> Option<Expr> {
        match sql::plan(scope, sql) {
            Ok(expr) => Some(expr),
            Err(diagnostic) => {
                self.diagnostics.0.push(diagnostic);
                None
            }
        }
    }

    fn list(&mut self, scope: &Scope<'_>, target: &Target<'_>, items: &[Node]) -> Option<Leaf> {
        if !target.attribute.is_array {
            let message = format!("`{}` is not a list", target.path);
            return self.wrong(target.at, message, "give one value");
        }
        if let Type::Object(_) = &target.attribute.ty {
            let objects: Vec<&Object> = items
                .iter()
                .filter_map(|item| match &item.value {
                    Value::Object(object) => Some(object),
                    _ => {
                        let message = format!("the items of `{}` are objects", target.path);
                        self.diagnostics.push(&item.at, message, "write { … }");
                        None
                    }
                })
                .collect();
            return self.objects(scope, target, &objects);
        }
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            values.push(self.item(scope, target, item)?);
        }
        match values.is_empty() {
            true => None,
            false => {
                let list = functions::named("list_compact").call(values);
                Some(filled(list, Filled::Mapped))
            }
        }
    }

    /// One item of a list of values.
    fn item(&mut self, scope: &Scope<'_>, target: &Target<'_>, item: &Node) -> Option<Expr> {
        let single = Attribute {
            is_array: false,
            ..target.attribute.clone()
        };
        match &item.value {
            Value::Sql(sql) => {
                let expr = self.planned(scope, sql)?;
                self.valid(&sql.at, fit::value(scope, &single.ty, expr))
            }
            Value::Constant(constant) => match fit::constant(&single, constant) {
                Ok(expr) => Some(expr),
                Err(message) => self.wrong(&item.at, message, single.type_name),
            },
            _ => {
                let message = format!("the items of `{}` are values", target.path);
                self.wrong(&item.at, message, "write an expression for each")
            }
        }
    }

    /// A list of objects that are written out.
    fn objects(
        &mut self,
        scope: &Scope<'_>,
        target: &Target<'_>,
        objects: &[&Object],
    ) -> Option<Leaf> {
        let attribute = target.attribute;
        let Some(kind) = self
            .ocsf
            .object_of(attribute)
            .filter(|_| attribute.is_array)
        else {
            let message = format!(
                "`{}` is no object: it is {}",
                target.path, attribute.type_name
            );
            return self.wrong(target.at, message, "give it a value");
        };
        let mut items: Vec<Members> = Vec::new();
        for object in objects {
            let members = self.object(scope, &kind.attributes, object, target.path);
            if !members.is_empty() {
                items.push(members);
            }
        }
        if items.is_empty() {
            return None;
        }
        complete(&mut items);
        let constant = items.iter().any(is_constant);
        let exprs = items.iter().map(object_expr).collect();
        let list = functions::named("list_compact").call(exprs);
        let how = if constant {
            Filled::Total
        } else {
            Filled::Mapped
        };
        Some(filled(list, how))
    }

    fn enumeration(
        &mut self,
        scope: &Scope<'_>,
        target: &Target<'_>,
        members: &Enum,
    ) -> Option<Leaf> {
        let on = self.expr(scope, &members.on)?;
        let known = enumeration::of(target.attribute);
        let mut to = Vec::with_capacity(members.to.len());
        for (glob, constant, at) in &members.to {
            let id = match known {
                Some(known) => enumeration::target(known, constant),
                None => Ok(0),
            };
            match id {
                Ok(id) => to.push((glob.clone(), id)),
                Err(remedy) => self.diagnostics.push(at, "OCSF has no such member", remedy),
            }
        }
        if let Some(known) = known {
            let mut leaf = filled(enumeration::id(known, on.clone(), &to), Filled::Total);
            leaf.member = Some(Member::Text { on, to });
            return Some(leaf);
        }
        let text = enumeration::text(on, members);
        let fitted = self.valid(target.at, fit::attribute(scope, target.attribute, text))?;
        Some(filled(fitted, Filled::Mapped))
    }

    fn each(&mut self, scope: &Scope<'_>, target: &Target<'_>, each: &Each) -> Option<Leaf> {
        let attribute = target.attribute;
        let Some(object) = self
            .ocsf
            .object_of(attribute)
            .filter(|_| attribute.is_array)
        else {
            let message = format!("`{}` is not a list of objects", target.path);
            return self.wrong(target.at, message, "`each` fills lists of objects only");
        };
        let list = self.expr(scope, &each.list)?;
        let inner = self.valid(target.at, scope.with_item())?;
        let outer_item = self.item_of.take();
        self.item_of = path_of(&list).map(|path| format!("{}[]", dotted_key(&path)));
        let members = self.object(&inner, &object.attributes, &each.item, target.path);
        self.item_of = outer_item;
        if members.is_empty() {
            return None;
        }
        let call = each_call(scope, &inner, list, &members);
        let call = self.valid(target.at, call)?;
        Some(filled(call, Filled::Mapped))
    }

    fn wrong<T>(
        &mut self,
        at: &Origin,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Option<T> {
        self.diagnostics.push(at, message, remedy);
        None
    }

    pub(super) fn valid<T>(
        &mut self,
        at: &Origin,
        result: Result<T, DataFusionError>,
    ) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => self.wrong(at, error.message().into_owned(), ""),
        }
    }
}

fn each_call(
    scope: &Scope<'_>,
    inner: &Scope<'_>,
    list: Expr,
    members: &Members,
) -> Result<Expr, DataFusionError> {
    let object = inner.finish(object_expr(members))?;
    let mut outer: Vec<Expr> = object
        .column_refs()
        .into_iter()
        .filter(|column| column.name != ITEM)
        .map(|column| Expr::Column(column.clone()))
        .collect();
    outer.sort_by_key(|column| column.schema_name().to_string());
    let schema: &DFSchema = scope.schema.as_ref();
    functions::each_expr(list, &object, outer, schema)
}

/// Objects of one list have the same members: what one lacks is NULL in it.
fn complete(items: &mut [Members]) {
    let mut kinds: Vec<(String, arrow::datatypes::DataType)> = Vec::new();
    for members in items.iter() {
        for (name, tree) in members {
            if let Tree::Leaf(leaf) = tree
                && !kinds.iter().any(|(known, _)| known == name)
            {
                kinds.push((name.clone(), leaf.kind.clone()));
            }
        }
    }
    for members in items.iter_mut() {
        for (name, kind) in &kinds {
            let null = || datafusion::logical_expr::lit(datafusion::common::ScalarValue::Null);
            members.entry(name.clone()).or_insert_with(|| {
                let expr = datafusion::logical_expr::cast(null(), kind.clone());
                Tree::Leaf(Leaf::derived(expr, kind.clone()))
            });
        }
    }
}

fn is_constant(members: &Members) -> bool {
    members.values().any(|tree| match tree {
        Tree::Leaf(leaf) => leaf.filled == Filled::Constant,
        Tree::Struct(inner) => is_constant(inner),
    })
}

fn filled(expr: Expr, how: Filled) -> Leaf {
    Leaf {
        expr,
        kind: arrow::datatypes::DataType::Null,
        filled: how,
        member: None,
    }
}
