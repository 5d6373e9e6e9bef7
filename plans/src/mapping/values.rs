//! Single values: constants, SQL and enumerations.

use std::slice;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;

use super::attributes::{Builder, Target};
use super::derived::is_derived;
use super::scope::Scope;
use super::sql::constant_expression;
use super::tree::{Filled, Leaf, Member};
use super::{constants, enumeration, fit};
use crate::ocsf::{Enumeration, Type};
use crate::spec::{Constant, Enum, Sql, Value};

impl Builder<'_> {
    /// The value of an attribute that is no list.
    pub(super) fn single(
        &mut self,
        scope: &Scope<'_>,
        target: &Target<'_>,
        value: &Value,
    ) -> Option<Leaf> {
        match value {
            Value::Constant(constant) => self.constant(target, constant),
            Value::Sql(sql) => self.sql(scope, target, sql),
            Value::Enum(members) => self.enumeration(scope, target, members),
            Value::Object(_) => self.no_object(target),
            Value::List(_) | Value::Each(_) => {
                let message = "is a single value, not a list";
                self.wrong(target.at, message, "write one expression")
            }
        }
    }

    /// Reports attributes below one that is no object.
    pub(super) fn no_object<T>(&mut self, target: &Target<'_>) -> Option<T> {
        let kind = constants::described(target.attribute);
        let message = format!("is {kind}, which has no attributes");
        self.wrong(target.at, message, "map one expression to it")
    }

    pub(super) fn constant(&mut self, target: &Target<'_>, constant: &Constant) -> Option<Leaf> {
        let attribute = target.attribute;
        if !is_derived(target.path) && !self.fits(target, constant) {
            return None;
        }
        if let Some(known) = enumeration::of(attribute) {
            let Some(id) = enumeration::target(known, constant) else {
                let (message, remedy) = enumeration::no_member(known, constant);
                return self.wrong(target.at, message, remedy);
            };
            let mut leaf = Leaf::constant(ScalarValue::Int32(Some(id)));
            leaf.member = Some(Member::Constant(id));
            return Some(leaf);
        }
        match fit::constant(attribute, constant) {
            Ok(expr) => Some(filled(expr, Filled::Constant)),
            Err(message) => {
                let remedy = format!("`{}` is {}", target.path, attribute.type_name);
                self.wrong(target.at, message, remedy)
            }
        }
    }

    /// Whether a constant, or each item of a list of them, may fill the attribute.
    fn fits(&mut self, target: &Target<'_>, constant: &Constant) -> bool {
        let items = match constant {
            Constant::List(items) if target.attribute.is_array => items.as_slice(),
            one => slice::from_ref(one),
        };
        let mut fits = true;
        for item in items {
            if let Err((message, remedy)) = constants::check(item, target.attribute) {
                self.found.error(target.at, message, remedy);
                fits = false;
            }
        }
        fits
    }

    pub(super) fn sql(
        &mut self,
        scope: &Scope<'_>,
        target: &Target<'_>,
        sql: &Sql,
    ) -> Option<Leaf> {
        let attribute = target.attribute;
        if let Type::Object(name) = &attribute.ty {
            let message = format!("is an object (`{name}`), which no expression fills");
            let remedy = match attribute.is_array {
                true => "write a table with `each`, or a list of tables",
                false => "map its attributes",
            };
            return self.wrong(target.at, message, remedy);
        }
        let expr = self.planned(scope, sql)?;
        if let Some((message, remedy)) = constant_expression(&expr, attribute, target.path) {
            return self.wrong(&sql.at, message, remedy);
        }
        let fitted = fit::attribute(scope, attribute, expr);
        let fitted = self.found.valid(&sql.at, fitted)?;
        let Some(known) = enumeration::of(attribute) else {
            return Some(filled(fitted, Filled::Mapped));
        };
        let mut leaf = filled(enumeration::checked(known, fitted.clone()), Filled::Mapped);
        leaf.member = Some(Member::Id(fitted));
        Some(leaf)
    }

    fn enumeration(
        &mut self,
        scope: &Scope<'_>,
        target: &Target<'_>,
        members: &Enum,
    ) -> Option<Leaf> {
        let on = self.found.expr(scope, &members.on);
        let Some(known) = &target.attribute.enumeration else {
            let remedy = "use an expression: CASE … WHEN … THEN … END";
            return self.wrong(target.at, "has no enumeration in OCSF", remedy);
        };
        let to = self.members(known, members);
        let on = on?;
        if let Some(known) = enumeration::of(target.attribute) {
            let mut leaf = filled(enumeration::id(known, on.clone(), &to), Filled::Total);
            leaf.member = Some(Member::Text { on, to });
            return Some(leaf);
        }
        let text = enumeration::text(on, members);
        let fitted = fit::attribute(scope, target.attribute, text);
        let fitted = self.found.valid(target.at, fitted)?;
        Some(filled(fitted, Filled::Mapped))
    }

    /// The ids that the source's values become; 0 where ids are no numbers.
    fn members(&mut self, known: &Enumeration, members: &Enum) -> Vec<(String, i32)> {
        let mut to = Vec::with_capacity(members.to.len());
        for (glob, constant, at) in &members.to {
            if enumeration::is_member(known, constant) {
                let id = enumeration::target(known, constant).unwrap_or_default();
                to.push((glob.clone(), id));
            } else {
                let (message, remedy) = enumeration::no_member(known, constant);
                self.found.error(at, message, remedy);
            }
        }
        to
    }
}

/// A leaf whose type is not known yet.
pub(super) fn filled(expr: Expr, how: Filled) -> Leaf {
    Leaf {
        expr,
        kind: arrow::datatypes::DataType::Null,
        filled: how,
        member: None,
    }
}
