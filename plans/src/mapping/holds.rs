//! Which values of a record an expression passes on, and in which rows.
//!
//! A value that an attribute holds leaves `unmapped` in those rows. Functions that keep only
//! a part of their argument pass nothing on.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::TreeNode;
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::logical_expr::expr::Case;
use datafusion::logical_expr::{Expr, is_true, not};

use super::scope::{Scope, path_of};

/// The path of a value in the record, and the rows in which the expression gives it; `None`
/// is every row in which the expression is not NULL.
pub(super) type Passed = (Vec<String>, Option<Expr>);

/// Functions whose result is their first argument in another form.
const PASSING: &[&str] = &[
    "json_plain",
    "json_text",
    "of_type",
    "redact_query",
    "try_ip",
];

/// The values that `expr` passes on.
pub(super) fn passed(scope: &Scope<'_>, expr: &Expr) -> Vec<Passed> {
    let mut found = Vec::new();
    if !loses(scope, expr) {
        pass(scope, expr, None, &mut found);
    }
    found
}

/// Whether results of several types meet. The engine makes numbers of the texts then.
fn is_mixed<'e>(scope: &Scope<'_>, results: impl Iterator<Item = &'e Expr>) -> bool {
    let kinds = results.filter_map(|result| scope.type_of(result).ok());
    let kinds: Vec<DataType> = kinds.filter(|kind| !kind.is_null()).collect();
    kinds.iter().any(DataType::is_string) && !kinds.iter().all(DataType::is_string)
}

fn is_text(scope: &Scope<'_>, expr: &Expr) -> bool {
    scope.type_of(expr).is_ok_and(|kind| kind.is_string())
}

/// Whether a cast in the expression gives several values the same result.
fn loses(scope: &Scope<'_>, expr: &Expr) -> bool {
    let is_lossy = |expr: &Expr| {
        let (from, to) = match expr {
            Expr::Cast(cast) => (&cast.expr, cast.field.data_type()),
            Expr::TryCast(cast) => (&cast.expr, cast.field.data_type()),
            _ => return Ok(false),
        };
        let Ok(from) = scope.type_of(from) else {
            return Ok(true);
        };
        Ok(match (&from, to) {
            (from, to) if from == to || to.is_string() || from.is_string() => {
                matches!(to, DataType::Date32 | DataType::Date64)
            }
            (from, to) if from.is_integer() => !(to.is_integer() || to.is_floating()),
            (DataType::Timestamp(..), DataType::Timestamp(..) | DataType::Int64) => false,
            (DataType::Binary | DataType::BinaryView, _) => false,
            _ => true,
        })
    };
    expr.exists(is_lossy).unwrap_or(true)
}

/// Whether every value that the expression can have is one for which `is_sure` holds.
pub(super) fn always(expr: &Expr, is_sure: &impl Fn(&Expr) -> bool) -> bool {
    is_sure(expr)
        || match expr {
            Expr::Literal(value, _) => value.is_null(),
            Expr::Alias(alias) => always(&alias.expr, is_sure),
            Expr::Case(case) => results(case).all(|result| always(result, is_sure)),
            Expr::ScalarFunction(call) => match call.name() {
                "coalesce" => call.args.iter().all(|arg| always(arg, is_sure)),
                "nullif" => call.args.first().is_some_and(|arg| always(arg, is_sure)),
                _ => false,
            },
            _ => false,
        }
}

fn results(case: &Case) -> impl Iterator<Item = &Expr> {
    let thens = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
    thens.chain(case.else_expr.as_deref())
}

fn pass(scope: &Scope<'_>, expr: &Expr, when: Option<Expr>, found: &mut Vec<Passed>) {
    if let Some(path) = path_of(expr) {
        found.push((path, when));
        return;
    }
    match expr {
        Expr::Cast(cast) => pass(scope, &cast.expr, when, found),
        Expr::TryCast(cast) => pass(scope, &cast.expr, when, found),
        Expr::Alias(alias) => pass(scope, &alias.expr, when, found),
        Expr::Case(case) => pass_case(scope, case, when.as_ref(), found),
        Expr::ScalarFunction(call) => match (call.name(), call.args.as_slice()) {
            ("coalesce", args) => pass_coalesce(scope, args, when.as_ref(), found),
            // A text that is compared with a number becomes one.
            ("nullif", [value, _])
                if !is_mixed(scope, call.args.iter()) || !is_text(scope, value) =>
            {
                pass(scope, value, when, found);
            }
            (name, [value, ..]) if PASSING.contains(&name) => pass(scope, value, when, found),
            _ => {}
        },
        _ => {}
    }
}

fn and(left: Option<&Expr>, right: Option<Expr>) -> Option<Expr> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left.clone().and(right)),
        (left, right) => left.cloned().or(right),
    }
}

/// An argument is the result if those before it are NULL. If they are the same, it is in
/// the result too.
fn pass_coalesce(scope: &Scope<'_>, args: &[Expr], when: Option<&Expr>, found: &mut Vec<Passed>) {
    let is_mixed = is_mixed(scope, args.iter());
    for (index, arg) in args.iter().enumerate() {
        if is_mixed && is_text(scope, arg) {
            continue;
        }
        let before = match &args[..index] {
            [] => None,
            [one] => Some(one.clone()),
            several => Some(coalesce(several.to_vec())),
        };
        let own = before.map(|before| before.clone().is_null().or(before.eq(arg.clone())));
        // What a function makes NULL is not in the result, though the column has a value.
        let is_there = match path_of(arg) {
            Some(_) => None,
            None => Some(arg.clone().is_not_null()),
        };
        let own = and(own.as_ref(), is_there);
        pass(scope, arg, and(when, own), found);
    }
}

fn pass_case(scope: &Scope<'_>, case: &Case, when: Option<&Expr>, found: &mut Vec<Passed>) {
    let is_null = |expr: &Expr| matches!(expr, Expr::Literal(ScalarValue::Null, _));
    // With one result the value of the expression says which branch was taken.
    if results(case).filter(|result| !is_null(result)).count() == 1 {
        if let Some(only) = results(case).find(|result| !is_null(result)) {
            pass(scope, only, when.cloned(), found);
        }
        return;
    }
    let is_mixed = is_mixed(scope, results(case));
    let mut before: Option<Expr> = None;
    for (condition, then) in &case.when_then_expr {
        let condition = match &case.expr {
            Some(on) => on.as_ref().clone().eq(condition.as_ref().clone()),
            None => condition.as_ref().clone(),
        };
        let taken = is_true(condition);
        let own = and(before.as_ref(), Some(taken.clone()));
        if !(is_mixed && is_text(scope, then)) {
            pass(scope, then, and(when, own), found);
        }
        before = and(before.as_ref(), Some(not(taken)));
    }
    if let Some(otherwise) = &case.else_expr
        && !(is_mixed && is_text(scope, otherwise))
    {
        pass(scope, otherwise, and(when, before), found);
    }
}
