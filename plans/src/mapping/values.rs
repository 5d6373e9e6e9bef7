//! Single values: constants, SQL and enumerations.

use std::slice;

use datafusion::common::ScalarValue;
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::logical_expr::{Expr, lit};

use super::attributes::{Builder, Target};
use super::derived::is_derived;
use super::layout::Held;
use super::scope::{Scope, path_of};
use super::sql::constant_expression;
use super::tree::{Filled, Leaf, Member};
use super::{constants, enumeration, fit};
use crate::ocsf::{Enumeration, Requirement, Type};
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
        // Such as `'AWS::S3::Bucket'`: alone it makes no object.
        let is_constant = matches!(&expr, Expr::Literal(value, _) if !value.is_null())
            && attribute.ty == Type::Text;
        let mut leaf = match (enumeration::of(attribute), &attribute.enumeration) {
            (Some(known), _) => self.id(scope, target, sql, known, expr)?,
            (None, Some(known)) if !attribute.is_array && attribute.ty == Type::Text => {
                let holds = self.holds(scope, &expr);
                let text = fit::plain(scope, expr);
                let mut leaf = filled(enumeration::text(known, &text, &[]), Filled::Mapped);
                leaf.holds = holds;
                leaf
            }
            _ => {
                let fitted = fit::attribute(scope, attribute, expr.clone());
                let fitted = self.found.valid(&sql.at, fitted)?;
                let fitted = match &attribute.enumeration {
                    Some(known) if attribute.is_array && attribute.ty == Type::Integer => {
                        enumeration::members_of(known, fitted)
                    }
                    _ => fitted,
                };
                let mut leaf = filled(fitted, Filled::Mapped);
                if !attribute.is_array || fit::keeps_items(scope, attribute, &expr) {
                    leaf.holds = self.holds(scope, &expr);
                }
                leaf
            }
        };
        if is_constant {
            leaf.filled = Filled::Constant;
        }
        leaf.at = sql.at.place();
        Some(leaf)
    }

    /// An id of an enumeration. A text is a caption or an id in digits.
    fn id(
        &mut self,
        scope: &Scope<'_>,
        target: &Target<'_>,
        sql: &Sql,
        known: &Enumeration,
        expr: Expr,
    ) -> Option<Leaf> {
        let kind = self.found.valid(&sql.at, scope.type_of(&expr))?;
        let mut holds = self.holds(scope, &expr);
        if path_of(&expr).is_none() {
            held_where(&mut holds, Some(expr.clone().is_not_null()));
        }
        if kind.is_string() {
            let on = fit::plain(scope, expr);
            let is_held = enumeration::is_held(known, on.clone(), &[], self.has_own_text(target));
            held_where(&mut holds, is_held);
            let id = enumeration::id(known, on.clone(), &[]);
            // NULL becomes 0 only where OCSF requires the id.
            let (id, how) = match target.attribute.requirement {
                Requirement::Required if enumeration::is_total(known) => (id, Filled::Total),
                _ => (enumeration::unless_null(&on, id), Filled::Mapped),
            };
            let mut leaf = filled(id, how);
            leaf.member = Some(match how {
                Filled::Total => Member::Text { on, to: Vec::new() },
                _ => Member::TextOrNull(on),
            });
            leaf.holds = holds;
            return Some(leaf);
        }
        let fitted = fit::attribute(scope, target.attribute, expr);
        let fitted = self.found.valid(&sql.at, fitted)?;
        held_where(
            &mut holds,
            Some(enumeration::is_known(known, fitted.clone())),
        );
        let mut leaf = filled(enumeration::checked(known, fitted.clone()), Filled::Mapped);
        leaf.member = Some(Member::Id(fitted));
        if target.attribute.requirement == Requirement::Required && enumeration::is_total(known) {
            leaf.expr = coalesce(vec![leaf.expr, lit(0i32)]);
            leaf.member = Some(Member::Id(leaf.expr.clone()));
            leaf.filled = Filled::Total;
        }
        leaf.holds = holds;
        Some(leaf)
    }

    /// Whether the text twin of an id is mapped on its own, so that it does not have the
    /// source's text.
    fn has_own_text(&self, target: &Target<'_>) -> bool {
        match &target.attribute.sibling {
            Some(sibling) => target.siblings.is_some_and(|all| all.contains_key(sibling)),
            None => true,
        }
    }

    fn enumeration(
        &mut self,
        scope: &Scope<'_>,
        target: &Target<'_>,
        members: &Enum,
    ) -> Option<Leaf> {
        let on = self.planned(scope, &members.on);
        let Some(known) = &target.attribute.enumeration else {
            return self.table(scope, target, members, on?);
        };
        let to = self.members(known, members);
        let on = on?;
        let mut holds = self.holds(scope, &on);
        if path_of(&on).is_none() {
            held_where(&mut holds, Some(on.clone().is_not_null()));
        }
        let on = fit::plain(scope, on);
        if let Some(known) = enumeration::of(target.attribute) {
            let is_held = enumeration::is_held(known, on.clone(), &to, self.has_own_text(target));
            held_where(&mut holds, is_held);
            let how = match enumeration::is_total(known) {
                true => Filled::Total,
                false => Filled::Mapped,
            };
            let mut leaf = filled(enumeration::id(known, on.clone(), &to), how);
            leaf.member = Some(Member::Text { on, to });
            leaf.holds = holds;
            return Some(leaf.placed(&members.on));
        }
        let is_kept = enumeration::keeps_texts(&members.to);
        let text = enumeration::text(known, &on, &members.to);
        if !is_kept {
            holds.clear();
        }
        let fitted = fit::attribute(scope, target.attribute, text);
        let mut leaf = filled(self.found.valid(target.at, fitted)?, Filled::Mapped);
        leaf.holds = holds;
        Some(leaf.placed(&members.on))
    }

    /// A table for an attribute without an enumeration. A value that is not in it is NULL.
    fn table(
        &mut self,
        scope: &Scope<'_>,
        target: &Target<'_>,
        members: &Enum,
        on: Expr,
    ) -> Option<Leaf> {
        if members.to.is_empty() {
            let message = "has no enumeration in OCSF, so no value names a member";
            return self.wrong(target.at, message, "add `to`, or write an expression");
        }
        for (_, constant, at) in &members.to {
            if let Err((message, remedy)) = constants::check(constant, target.attribute) {
                self.found.error(at, message, remedy);
            }
        }
        let mut holds = self.holds(scope, &on);
        if !enumeration::keeps_texts(&members.to) {
            holds.clear();
        }
        let text = enumeration::values(&fit::plain(scope, on), &members.to);
        let fitted = fit::attribute(scope, target.attribute, text);
        let mut leaf = filled(self.found.valid(target.at, fitted)?, Filled::Mapped);
        leaf.holds = holds;
        Some(leaf.placed(&members.on))
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
    Leaf::new(expr, arrow::datatypes::DataType::Null, how)
}

/// Adds a condition to what a leaf holds.
pub(super) fn held_where(holds: &mut [Held], condition: Option<Expr>) {
    let Some(condition) = condition else {
        return;
    };
    for held in holds {
        held.when = Some(match held.when.take() {
            Some(when) => when.and(condition.clone()),
            None => condition.clone(),
        });
    }
}
