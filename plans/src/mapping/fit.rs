//! Values to the types that OCSF gives attributes. A value that does not fit is NULL.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::functions::math::expr_fn::trunc;
use datafusion::logical_expr::{Expr, Operator, cast, lit, try_cast, when};

use super::constants::shown;
use super::holds;
use super::scope::Scope;
use crate::functions;
use crate::ocsf::{Attribute, Type};
use crate::spec::{ColumnKind, Constant};

/// Time as the engine keeps it.
pub(super) fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

/// The Arrow type of one value of an attribute that is no structure.
pub(super) fn value_type(kind: &Type) -> DataType {
    match kind.arrow() {
        Some(DataType::Utf8) | None => DataType::Utf8View,
        Some(other) => other,
    }
}

pub(super) fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item, true)))
}

/// The Arrow type of an attribute that is no structure.
pub(super) fn attribute_type(attribute: &Attribute) -> DataType {
    let value = value_type(&attribute.ty);
    if attribute.is_array {
        list_of(value)
    } else {
        value
    }
}

/// The expression as the attribute's type.
pub(super) fn attribute(scope: &Scope<'_>, attribute: &Attribute, expr: Expr) -> Result<Expr> {
    if !attribute.is_array {
        return value(scope, attribute, expr);
    }
    let target = attribute_type(attribute);
    let list = match scope.type_of(&expr)? {
        DataType::List(_) => expr,
        _ if scope.json_key(&expr).is_some() => {
            functions::named("json_list").call(vec![redacted(scope, expr)])
        }
        _ => {
            let item = value(scope, attribute, expr)?;
            return Ok(functions::named("list_compact").call(vec![item]));
        }
    };
    let list = match checked_type(attribute) {
        Some(kind) => functions::named("list_of_type").call(vec![list, lit(kind)]),
        None => list,
    };
    let cast = cast_to(scope, list, target.clone())?;
    // An item that is not of the type is NULL, and leaves the list.
    Ok(match target == list_of(DataType::Utf8View) {
        true => cast,
        false => functions::named("list_of_type").call(vec![cast, lit("")]),
    })
}

/// Whether a list of the attribute has every item that the expression gives.
pub(super) fn keeps_items(scope: &Scope<'_>, attribute: &Attribute, expr: &Expr) -> bool {
    let is_list = matches!(scope.type_of(expr), Ok(DataType::List(_)));
    let is_text = attribute.ty == Type::Text && checked_type(attribute).is_none();
    is_text || (!is_list && scope.json_key(expr).is_none())
}

/// The expression as one value of an attribute.
pub(super) fn value(scope: &Scope<'_>, attribute: &Attribute, expr: Expr) -> Result<Expr> {
    let from = scope.type_of(&expr)?;
    match &attribute.ty {
        Type::Timestamp => {
            let expr = plain(scope, expr);
            let millis = match from.is_numeric() {
                true => cast_to(scope, expr, DataType::Int64)?,
                false => cast(time(scope, expr)?, DataType::Int64),
            };
            Ok(of_type(millis, "timestamp"))
        }
        Type::Datetime => {
            let millis = cast(time(scope, plain(scope, expr))?, DataType::Int64);
            Ok(cast(of_type(millis, "timestamp"), instant()))
        }
        Type::Json => json(scope, expr),
        kind => {
            let is_sure = |value: &Expr| is_sure(scope, attribute, value);
            let needs_no_check = holds::always(&expr, &is_sure);
            let fitted = cast_to(scope, plain(scope, expr), value_type(kind))?;
            Ok(match checked_type(attribute) {
                Some(kind) if !needs_no_check => of_type(fitted, kind),
                _ => fitted,
            })
        }
    }
}

/// The types of OCSF whose values have a shape.
const CHECKED: &[&str] = &["email", "hostname", "ip", "mac", "port", "url"];

fn checked_type(attribute: &Attribute) -> Option<&'static str> {
    let known = CHECKED.iter().find(|kind| **kind == attribute.type_name);
    known.copied()
}

fn of_type(value: Expr, kind: &str) -> Expr {
    functions::named("of_type").call(vec![value, lit(kind)])
}

/// Whether a value has the attribute's shape for sure.
fn is_sure(scope: &Scope<'_>, attribute: &Attribute, value: &Expr) -> bool {
    match (attribute.type_name.as_str(), value) {
        ("ip", Expr::Column(column)) => {
            matches!(scope.kinds.get(&column.name), Some(ColumnKind::Ip))
        }
        ("ip", Expr::ScalarFunction(call)) => call.name() == "try_ip",
        _ => false,
    }
}

/// The expression as an instant.
pub(super) fn time(scope: &Scope<'_>, expr: Expr) -> Result<Expr> {
    match scope.type_of(&expr)? {
        from if from == instant() => Ok(expr),
        DataType::Int64 => Ok(cast(expr, instant())),
        from if from.is_numeric() => Ok(cast(cast_to(scope, expr, DataType::Int64)?, instant())),
        _ => Ok(try_cast(expr, instant())),
    }
}

/// JSON that comes from a column as it is loses its credentials on the way.
fn json(scope: &Scope<'_>, expr: Expr) -> Result<Expr> {
    match scope.json_key(&expr) {
        Some(_) => Ok(redacted(scope, expr)),
        None => cast_to(scope, plain(scope, expr), DataType::Utf8View),
    }
}

/// A JSON path as JSON without credentials.
fn redacted(scope: &Scope<'_>, expr: Expr) -> Expr {
    let key = scope.json_key(&expr).unwrap_or_default();
    let settings = scope.redaction.to_json();
    functions::named("json_text").call(vec![expr, lit(key), lit(settings)])
}

/// Functions that read JSON themselves, and give one value of it or replace credentials.
const READS_JSON: &[&str] = &["each", "json_find", "json_get", "json_plain", "json_text"];

/// The expression with the JSON in it as plain text without credentials. Conditions stay as
/// they are, since only their truth reaches the event.
pub(super) fn plain(scope: &Scope<'_>, expr: Expr) -> Expr {
    let plain = expr.transform_down(|expr| {
        if let Some(key) = scope.json_key(&expr)
            && scope.type_of(&expr).is_ok_and(|kind| kind.is_string())
        {
            // Only strings of JSON columns keep their quotes.
            let is_whole = match &expr {
                Expr::Column(column) => scope.kinds.get(&column.name) == Some(&ColumnKind::Json),
                _ => false,
            };
            let settings = scope.redaction.to_json();
            let args = vec![expr, lit(key), lit(settings), lit(is_whole.to_string())];
            let plain = functions::named("json_plain").call(args);
            return Ok(Transformed::new(plain, true, TreeNodeRecursion::Jump));
        }
        let is_opaque = match &expr {
            Expr::BinaryExpr(binary) => {
                use Operator::*;
                matches!(binary.op, Eq | NotEq | Lt | LtEq | Gt | GtEq | And | Or)
            }
            Expr::ScalarFunction(call) => READS_JSON.contains(&call.name()),
            Expr::IsNull(_) | Expr::IsNotNull(_) | Expr::InList(_) | Expr::Like(_) => true,
            _ => false,
        };
        let next = match is_opaque {
            true => TreeNodeRecursion::Jump,
            false => TreeNodeRecursion::Continue,
        };
        Ok(Transformed::new(expr, false, next))
    });
    plain.expect("no step of the walk fails").data
}

pub(super) fn cast_to(scope: &Scope<'_>, expr: Expr, target: DataType) -> Result<Expr> {
    let from = scope.type_of(&expr)?;
    if from == target {
        return Ok(expr);
    }
    let nested = |kind: &DataType| matches!(kind, DataType::List(_) | DataType::Struct(_));
    if nested(&from) != nested(&target) {
        return plan_err!("{} cannot become {}", name_of(&from), name_of(&target));
    }
    match (&from, &target) {
        // Larger integers have no exact float.
        (DataType::Int64, DataType::Float64) => {
            let exact = expr.clone().between(lit(-(1i64 << 53)), lit(1i64 << 53));
            Ok(cast(when(exact, expr).end()?, target))
        }
        // What always fits needs no second look at each value.
        (DataType::Utf8 | DataType::LargeUtf8 | DataType::Null, DataType::Utf8View)
        | (DataType::Int32, DataType::Int64 | DataType::Float64) => Ok(cast(expr, target)),
        (_, DataType::Utf8View) => Ok(cast(expr, target)),
        // Only 0 and 1 are boolean.
        (from, DataType::Boolean) if from.is_numeric() => {
            let is_boolean = expr.clone().in_list(vec![lit(0i64), lit(1i64)], false);
            Ok(try_cast(when(is_boolean, expr).end()?, target))
        }
        // Half a number is not another number.
        (from, to) if from.is_floating() && to.is_integer() => {
            let whole = when(expr.clone().eq(trunc(vec![expr.clone()])), expr).end()?;
            Ok(try_cast(whole, target))
        }
        // JSON has no NaN and no infinity; subtracted from themselves they give NaN.
        (_, DataType::Float64) => {
            let number = try_cast(expr, target);
            when((number.clone() - number.clone()).eq(lit(0.0)), number).end()
        }
        _ => Ok(try_cast(expr, target)),
    }
}

/// A type in words.
pub(super) fn name_of(kind: &DataType) -> &'static str {
    match kind {
        DataType::List(_) => "a list",
        DataType::Struct(_) => "an object",
        DataType::Utf8View | DataType::Utf8 => "a text",
        DataType::Int32 | DataType::Int64 => "an integer",
        DataType::Float64 => "a number",
        DataType::Boolean => "a boolean",
        DataType::Timestamp(..) => "a time",
        _ => "this value",
    }
}

/// A constant as one item of an attribute's list, or why it does not fit.
pub(super) fn item(attribute: &Attribute, constant: &Constant) -> Result<Expr, String> {
    Ok(lit(scalar(&attribute.ty, constant)?))
}

/// A constant as the attribute's type, or why it does not fit.
pub(super) fn constant(attribute: &Attribute, constant: &Constant) -> Result<Expr, String> {
    if !attribute.is_array {
        return Ok(lit(scalar(&attribute.ty, constant)?));
    }
    let items = match constant {
        Constant::List(items) => items.as_slice(),
        one => std::slice::from_ref(one),
    };
    let values: Vec<ScalarValue> = items
        .iter()
        .map(|item| scalar(&attribute.ty, item))
        .collect::<Result<_, _>>()?;
    Ok(text_list(&values, &value_type(&attribute.ty)))
}

/// A list of constants; an empty one is NULL.
pub(super) fn text_list(values: &[ScalarValue], item: &DataType) -> Expr {
    if values.is_empty() {
        return cast(lit(ScalarValue::Null), list_of(item.clone()));
    }
    lit(ScalarValue::List(ScalarValue::new_list_nullable(
        values, item,
    )))
}

pub(super) fn text(value: impl Into<String>) -> ScalarValue {
    ScalarValue::Utf8View(Some(value.into()))
}

fn scalar(kind: &Type, constant: &Constant) -> Result<ScalarValue, String> {
    let wrong = |wanted: &str| Err(format!("{} is not {wanted}", shown(constant)));
    match kind {
        Type::Boolean => match constant {
            Constant::Boolean(value) => Ok(ScalarValue::Boolean(Some(*value))),
            Constant::Text(value) => match value.parse() {
                Ok(value) => Ok(ScalarValue::Boolean(Some(value))),
                Err(_) => wrong("a boolean"),
            },
            _ => wrong("a boolean"),
        },
        Type::Integer => match integer(constant).map(i32::try_from) {
            Some(Ok(value)) => Ok(ScalarValue::Int32(Some(value))),
            _ => wrong("a 32-bit integer"),
        },
        Type::Long | Type::Timestamp => match integer(constant) {
            Some(value) => Ok(ScalarValue::Int64(Some(value))),
            None => wrong("an integer"),
        },
        Type::Float => match constant {
            Constant::Double(value) => Ok(ScalarValue::Float64(Some(*value))),
            other => match integer(other) {
                Some(value) => Ok(ScalarValue::Float64(Some(value as f64))),
                None => wrong("a number"),
            },
        },
        Type::Datetime => wrong("a time: times come from columns"),
        Type::Json | Type::Text => match constant {
            Constant::Text(value) => Ok(text(value)),
            Constant::Integer(value) => Ok(text(value.to_string())),
            Constant::Double(value) => Ok(text(value.to_string())),
            Constant::Boolean(value) => Ok(text(value.to_string())),
            Constant::List(_) => wrong("one text"),
        },
        Type::Object(_) => wrong("an object"),
    }
}

fn integer(constant: &Constant) -> Option<i64> {
    match constant {
        Constant::Integer(value) => Some(*value),
        Constant::Text(value) => value.trim().parse().ok(),
        _ => None,
    }
}
