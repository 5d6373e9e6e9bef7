//! Lists: of values, of objects that are written out, and of the elements of a JSON array.

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, DataFusionError, ScalarValue};
use datafusion::logical_expr::{Expr, cast, lit};

use super::attributes::{Builder, Level, Target};
use super::derived::is_derived;
use super::scope::{ITEM, Scope, path_of};
use super::tree::{Filled, Leaf, Members, Tree, object_expr};
use super::values::filled;
use super::{constants, fit};
use crate::functions;
use crate::functions::dotted_key;
use crate::ocsf::Type;
use crate::spec::{Constant, Each, Node, Value};

impl<'a> Builder<'a> {
    /// The value of an attribute that is a list.
    pub(super) fn several(
        &mut self,
        scope: &Scope<'_>,
        target: &Target<'_>,
        value: &Value,
    ) -> Option<Leaf> {
        match value {
            Value::List(items) => match self.level_of(target.attribute) {
                Some(level) => self.objects(scope, target, &level, items),
                None => self.values(scope, target, items),
            },
            Value::Each(each) => self.each(scope, target, each),
            Value::Sql(sql) => self.sql(scope, target, sql),
            Value::Constant(list @ Constant::List(_)) => self.constant(target, list),
            Value::Constant(one) if is_derived(target.path) => self.constant(target, one),
            _ => {
                let remedy = match target.attribute.ty {
                    Type::Object(_) => "write a list of tables, or a table with `each`",
                    _ => "write a list, such as [\"…\"]",
                };
                self.wrong(target.at, "is a list", remedy)
            }
        }
    }

    fn values(&mut self, scope: &Scope<'_>, target: &Target<'_>, items: &[Node]) -> Option<Leaf> {
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            values.push(self.item(scope, target, item));
        }
        let values: Vec<Expr> = values.into_iter().collect::<Option<_>>()?;
        if values.is_empty() {
            return None;
        }
        let list = functions::named("list_compact").call(values);
        Some(filled(list, Filled::Mapped))
    }

    /// One item of a list of values.
    fn item(&mut self, scope: &Scope<'_>, target: &Target<'_>, item: &Node) -> Option<Expr> {
        let attribute = target.attribute;
        match &item.value {
            Value::Sql(sql) => {
                let expr = self.planned(scope, sql)?;
                let fitted = fit::value(scope, &attribute.ty, expr);
                self.found.valid(&sql.at, fitted)
            }
            Value::Constant(constant) => {
                if let Err((message, remedy)) = constants::check(constant, attribute) {
                    return self.wrong(&item.at, message, remedy);
                }
                match fit::item(attribute, constant) {
                    Ok(expr) => Some(expr),
                    Err(message) => self.wrong(&item.at, message, &attribute.type_name),
                }
            }
            Value::Enum(_) if attribute.enumeration.is_some() => {
                let message = format!("the items of `{}` are values", target.path);
                self.wrong(&item.at, message, "write an expression for each")
            }
            _ => self.misplaced(scope, target, item),
        }
    }

    /// Reports an item that its list cannot contain.
    fn misplaced<T>(&mut self, scope: &Scope<'_>, target: &Target<'_>, item: &Node) -> Option<T> {
        let target = Target {
            at: &item.at,
            ..*target
        };
        self.single(scope, &target, &item.value);
        None
    }

    /// A list of objects that are written out.
    fn objects(
        &mut self,
        scope: &Scope<'_>,
        target: &Target<'_>,
        level: &Level<'a>,
        items: &[Node],
    ) -> Option<Leaf> {
        let mut objects: Vec<Members> = Vec::new();
        for item in items {
            let Value::Object(object) = &item.value else {
                self.misplaced::<()>(scope, target, item);
                continue;
            };
            let members = self.object(scope, level, object, target.path, &item.at);
            if !members.is_empty() {
                objects.push(members);
            }
        }
        if objects.is_empty() {
            return None;
        }
        complete(&mut objects);
        let how = match objects.iter().any(is_constant) {
            true => Filled::Total,
            false => Filled::Mapped,
        };
        let exprs = objects.iter().map(object_expr).collect();
        Some(filled(functions::named("list_compact").call(exprs), how))
    }

    /// A list of one object for each element of a JSON array.
    fn each(&mut self, scope: &Scope<'_>, target: &Target<'_>, each: &Each) -> Option<Leaf> {
        let Some(level) = self.level_of(target.attribute) else {
            return self.no_object(target);
        };
        let list = self.found.expr(scope, &each.list);
        let inner = self.found.valid(target.at, scope.with_item())?;
        let outer_item = self.item_of.take();
        let path = list.as_ref().and_then(path_of);
        self.item_of = path.map(|path| format!("{}[]", dotted_key(&path)));
        let members = self.object(&inner, &level, &each.item, target.path, target.at);
        self.item_of = outer_item;
        let list = list?;
        if members.is_empty() {
            return None;
        }
        let call = each_call(scope, &inner, list, &members);
        let call = self.found.valid(target.at, call)?;
        Some(filled(call, Filled::Mapped))
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
    let mut kinds: Vec<(String, DataType)> = Vec::new();
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
            members.entry(name.clone()).or_insert_with(|| {
                let expr = cast(lit(ScalarValue::Null), kind.clone());
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
