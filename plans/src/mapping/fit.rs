//! Values to the types that OCSF gives attributes. A value that does not fit is NULL.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{Expr, cast, lit, try_cast};

use super::constants::shown;
use super::scope::Scope;
use crate::functions;
use crate::ocsf::{Attribute, Type};
use crate::spec::Constant;

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
        return value(scope, &attribute.ty, expr);
    }
    let target = attribute_type(attribute);
    if matches!(scope.type_of(&expr)?, DataType::List(_)) {
        return cast_to(scope, expr, target);
    }
    if scope.json_key(&expr).is_some() {
        let list = functions::named("json_list").call(vec![expr]);
        return cast_to(scope, list, target);
    }
    let item = value(scope, &attribute.ty, expr)?;
    Ok(functions::named("list_compact").call(vec![item]))
}

/// The expression as one value of an attribute.
pub(super) fn value(scope: &Scope<'_>, kind: &Type, expr: Expr) -> Result<Expr> {
    let from = scope.type_of(&expr)?;
    match kind {
        Type::Timestamp if !from.is_numeric() => Ok(cast(time(scope, expr)?, DataType::Int64)),
        Type::Datetime => time(scope, expr),
        Type::Json => json(scope, expr),
        _ => cast_to(scope, expr, value_type(kind)),
    }
}

/// The expression as an instant.
pub(super) fn time(scope: &Scope<'_>, expr: Expr) -> Result<Expr> {
    match scope.type_of(&expr)? {
        from if from == instant() => Ok(expr),
        DataType::Int64 => Ok(cast(expr, instant())),
        from if from.is_numeric() => Ok(cast(try_cast(expr, DataType::Int64), instant())),
        _ => Ok(try_cast(expr, instant())),
    }
}

/// JSON that comes from a column as it is loses its credentials on the way.
fn json(scope: &Scope<'_>, expr: Expr) -> Result<Expr> {
    let Some(key) = scope.json_key(&expr) else {
        return cast_to(scope, expr, DataType::Utf8View);
    };
    let settings = scope.redaction.to_json();
    Ok(functions::named("json_text").call(vec![expr, lit(key), lit(settings)]))
}

fn cast_to(scope: &Scope<'_>, expr: Expr, target: DataType) -> Result<Expr> {
    let from = scope.type_of(&expr)?;
    if from == target {
        return Ok(expr);
    }
    let nested = |kind: &DataType| matches!(kind, DataType::List(_) | DataType::Struct(_));
    if nested(&from) != nested(&target) {
        return plan_err!("{} cannot become {}", name_of(&from), name_of(&target));
    }
    match (&from, &target) {
        // What always fits needs no second look at each value.
        (DataType::Utf8 | DataType::LargeUtf8 | DataType::Null, DataType::Utf8View)
        | (DataType::Int32, DataType::Int64 | DataType::Float64) => Ok(cast(expr, target)),
        (_, DataType::Utf8View) => Ok(cast(expr, target)),
        _ => Ok(try_cast(expr, target)),
    }
}

fn name_of(kind: &DataType) -> &'static str {
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
