//! Lists: of values, of objects that are written out, and of the elements of a list.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, cast, lit};

use super::attributes::{Builder, Level, Target};
use super::derived::is_derived;
use super::layout::{Key, Step};
use super::scope::{Scope, path_of};
use super::tree::{Elements, Filled, Leaf, Members, Tree};
use super::values::{filled, held_where};
use super::{constants, enumeration, fit};
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
    ) -> Option<Tree> {
        let leaf = match value {
            Value::List(items) => match self.level_of(target.attribute) {
                Some(level) => return self.objects(scope, target, &level, items),
                None => self.values(scope, target, items),
            },
            Value::Each(each) => return self.each(scope, target, each),
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
        }?;
        self.finished(scope, target, leaf)
    }

    fn values(&mut self, scope: &Scope<'_>, target: &Target<'_>, items: &[Node]) -> Option<Leaf> {
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            values.push(self.item(scope, target, item));
        }
        let mut values: Vec<Leaf> = values.into_iter().collect::<Option<_>>()?;
        let mut holds = Vec::new();
        for value in &mut values {
            // The list says which item is there only if it has one.
            let is_there = (items.len() > 1).then(|| value.expr.clone().is_not_null());
            held_where(&mut value.holds, is_there);
            holds.append(&mut value.holds);
        }
        let exprs: Vec<Expr> = values.into_iter().map(|value| value.expr).collect();
        if exprs.is_empty() {
            return None;
        }
        let list = functions::named("list_compact").call(exprs);
        let mut leaf = filled(list, Filled::Mapped);
        leaf.holds = holds;
        Some(leaf)
    }

    /// One item of a list of values.
    fn item(&mut self, scope: &Scope<'_>, target: &Target<'_>, item: &Node) -> Option<Leaf> {
        let attribute = target.attribute;
        match &item.value {
            Value::Sql(sql) => {
                let expr = self.planned(scope, sql)?;
                let mut holds = self.holds(scope, &expr);
                let fitted = match &attribute.enumeration {
                    Some(known) if attribute.ty == Type::Integer => {
                        held_where(&mut holds, Some(lit(false)));
                        enumeration::member_of(scope, known, attribute, expr)
                    }
                    _ => fit::value(scope, attribute, expr),
                };
                let mut leaf = filled(self.found.valid(&sql.at, fitted)?, Filled::Mapped);
                leaf.holds = holds;
                Some(leaf)
            }
            Value::Constant(constant) => {
                if let Err((message, remedy)) = constants::check(constant, attribute) {
                    return self.wrong(&item.at, message, remedy);
                }
                match fit::item(attribute, constant) {
                    Ok(expr) => Some(filled(expr, Filled::Constant)),
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
    ) -> Option<Tree> {
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
        let shapes: Vec<String> = objects.iter().map(shape).collect();
        if shapes.windows(2).any(|pair| pair[0] != pair[1]) {
            let message = "has items whose lists have different members";
            return self.wrong(
                target.at,
                message,
                "map the same members in each inner list",
            );
        }
        Some(Tree::Items(objects))
    }

    /// A list of one object for each element of a list.
    fn each(&mut self, scope: &Scope<'_>, target: &Target<'_>, each: &Each) -> Option<Tree> {
        let Some(level) = self.level_of(target.attribute) else {
            return self.no_object(target);
        };
        let list = self.planned(scope, &each.list);
        let inner = self.found.valid(target.at, scope.with_item())?;
        let number = self.eaches;
        self.eaches += 1;
        let path = list.as_ref().and_then(path_of);
        let dotted = path.as_ref().map(|path| format!("{}[]", dotted_key(path)));
        let element = path.and_then(|path| self.key(&path)).map(|mut key: Key| {
            key.path.push(Step::Each(number));
            key
        });
        let outer_item = self.item.replace(element);
        let members = self.object(&inner, &level, &each.item, target.path, target.at);
        self.item = outer_item;
        let when = match &each.when {
            Some(sql) => Some((self.condition(&inner, sql)?, sql.at.place())),
            None => None,
        };
        let list = self.list(scope, each, list?)?;
        if members.is_empty() {
            return None;
        }
        Some(Tree::Each(Box::new(Elements {
            number,
            list: (list, each.list.at.place()),
            when,
            key: dotted.unwrap_or_default(),
            redaction: scope.redaction.clone(),
            members,
        })))
    }

    /// The list of an `each`: JSON as text, or a list of texts.
    fn list(&mut self, scope: &Scope<'_>, each: &Each, list: Expr) -> Option<Expr> {
        let at = &each.list.at;
        let kind = self.found.valid(at, scope.type_of(&list))?;
        let text = match kind {
            DataType::List(_) => fit::list_of(DataType::Utf8View),
            _ => DataType::Utf8View,
        };
        let list = match kind == text {
            true => list,
            false => cast(list, text),
        };
        self.found.valid(at, scope.finish(list))
    }

    fn condition(&mut self, scope: &Scope<'_>, sql: &crate::spec::Sql) -> Option<Expr> {
        let expr = self.planned(scope, sql)?;
        let expr = self.found.valid(&sql.at, scope.finish(expr))?;
        match scope.type_of(&expr) {
            Ok(DataType::Boolean) => Some(expr),
            _ => self.wrong(&sql.at, "a condition is true or false", "compare the value"),
        }
    }
}

/// Objects of one list have the same members: what one lacks is NULL in it.
fn complete(items: &mut [Members]) {
    let mut lacking: Vec<Members> = items.iter().map(|_| Members::new()).collect();
    for (index, members) in items.iter().enumerate() {
        for (at, others) in lacking.iter_mut().enumerate() {
            if at != index {
                absent(members, &items[at], others);
            }
        }
    }
    for (members, lacking) in items.iter_mut().zip(lacking) {
        merge(members, lacking);
    }
}

/// The names and types of all members.
fn shape(members: &Members) -> String {
    let shapes = members.iter().map(|(name, tree)| match tree {
        Tree::Leaf(leaf) => format!("{name}: {}", leaf.kind),
        Tree::Struct(inner) => format!("{name}: {{{}}}", shape(inner)),
        Tree::Items(items) => format!("{name}: [{}]", items.first().map(shape).unwrap_or_default()),
        Tree::Each(elements) => format!("{name}: [{}]", shape(&elements.members)),
    });
    shapes.collect::<Vec<_>>().join(", ")
}

/// Adds to `lacking` the members of `all` that `members` has not, as NULLs.
fn absent(all: &Members, members: &Members, lacking: &mut Members) {
    for (name, tree) in all {
        match (tree, members.get(name)) {
            (Tree::Struct(inner), Some(Tree::Struct(own))) => {
                let mut missing = match lacking.remove(name) {
                    Some(Tree::Struct(missing)) => missing,
                    _ => Members::new(),
                };
                absent(inner, own, &mut missing);
                if !missing.is_empty() {
                    lacking.insert(name.clone(), Tree::Struct(missing));
                }
            }
            (_, Some(_)) => {}
            (tree, None) => {
                let mut missing = null_of(tree);
                if let (Tree::Struct(missing), Some(Tree::Struct(known))) =
                    (&mut missing, lacking.remove(name))
                {
                    merge(missing, known);
                }
                lacking.insert(name.clone(), missing);
            }
        }
    }
}

fn merge(members: &mut Members, lacking: Members) {
    for (name, tree) in lacking {
        match (members.get_mut(&name), tree) {
            (Some(Tree::Struct(own)), Tree::Struct(missing)) => merge(own, missing),
            (Some(_), _) => {}
            (None, tree) => drop(members.insert(name, tree)),
        }
    }
}

/// The same tree with NULL in every leaf.
fn null_of(tree: &Tree) -> Tree {
    let null = |kind: &DataType| {
        let expr = cast(lit(ScalarValue::Null), kind.clone());
        Tree::Leaf(Leaf::derived(expr, kind.clone()))
    };
    let members = |members: &Members| {
        let nulls = members
            .iter()
            .map(|(name, tree)| (name.clone(), null_of(tree)));
        nulls.collect::<Members>()
    };
    match tree {
        Tree::Leaf(leaf) => null(&leaf.kind),
        Tree::Struct(inner) => Tree::Struct(members(inner)),
        Tree::Items(items) => Tree::Items(items.iter().map(members).collect()),
        Tree::Each(elements) => Tree::Items(vec![members(&elements.members)]),
    }
}
