//! Constants against the type that OCSF gives an attribute.

use std::net::IpAddr;

use chrono::DateTime;

use super::enumeration;
use super::enumeration::no_member;
use crate::ocsf::{Attribute, Enumeration, Type};
use crate::spec::Constant;

/// A message and a remedy.
type Wrong = (String, String);

/// Checks that a constant (one item of a list) may fill an attribute. An id may be given by
/// its caption.
pub(super) fn check(constant: &Constant, attribute: &Attribute) -> Result<(), Wrong> {
    if let Constant::List(_) = constant {
        return Err((
            "is a single value, not a list".to_owned(),
            "write one value".to_owned(),
        ));
    }
    if let (Constant::Text(text), Some(known)) = (constant, enumeration::of(attribute)) {
        return match known.id(text) {
            Some(_) => Ok(()),
            None => Err(no_member(known, constant)),
        };
    }
    if !has_type(constant, attribute) {
        let message = format!(
            "expects {}, found {}",
            described(attribute),
            shown(constant)
        );
        return Err((message, remedy(constant, attribute)));
    }
    match &attribute.enumeration {
        Some(enumeration) if !is_id(constant, enumeration) => Err(no_member(enumeration, constant)),
        _ => Ok(()),
    }
}

fn has_type(constant: &Constant, attribute: &Attribute) -> bool {
    match (&attribute.ty, constant) {
        (Type::Integer, Constant::Integer(value)) => match attribute.type_name.as_str() {
            "port" => (0..=65_535).contains(value),
            _ => i32::try_from(*value).is_ok(),
        },
        (Type::Boolean, Constant::Boolean(_))
        | (Type::Long | Type::Timestamp | Type::Float, Constant::Integer(_))
        | (Type::Float, Constant::Double(_))
        | (Type::Json, _) => true,
        (Type::Datetime, Constant::Text(text)) => DateTime::parse_from_rfc3339(text).is_ok(),
        (Type::Text, Constant::Text(text)) => match attribute.type_name.as_str() {
            "ip" => text.parse::<IpAddr>().is_ok(),
            _ => true,
        },
        _ => false,
    }
}

fn is_id(constant: &Constant, enumeration: &Enumeration) -> bool {
    match constant {
        Constant::Integer(id) => enumeration.caption(*id).is_some(),
        Constant::Text(text) => enumeration.members().any(|(id, _)| id == text),
        _ => true,
    }
}

/// The fix for a constant of the wrong type.
fn remedy(constant: &Constant, attribute: &Attribute) -> String {
    match (constant, &attribute.ty) {
        (Constant::Text(_), Type::Timestamp) => {
            "constants of time are epoch milliseconds".to_owned()
        }
        (Constant::Text(_), Type::Object(_)) => "set its attributes".to_owned(),
        (Constant::Text(_), _) => "an expression belongs under [map]".to_owned(),
        (_, Type::Text) => "write it in quotes".to_owned(),
        (Constant::Integer(_), Type::Integer) if attribute.type_name == "port" => {
            "ports are 0 to 65535".to_owned()
        }
        (_, Type::Integer) => "it has to fit 32 bits".to_owned(),
        _ => "write another value".to_owned(),
    }
}

/// An attribute's type in words.
pub(super) fn described(attribute: &Attribute) -> String {
    match &attribute.ty {
        Type::Boolean => "true or false".to_owned(),
        Type::Integer if attribute.type_name == "port" => "a port".to_owned(),
        Type::Integer => "a 32-bit integer".to_owned(),
        Type::Long => "an integer".to_owned(),
        Type::Float => "a number".to_owned(),
        Type::Timestamp => "a time".to_owned(),
        Type::Datetime => "an RFC 3339 time".to_owned(),
        Type::Json => "JSON text".to_owned(),
        Type::Text if attribute.type_name == "ip" => "an IP address".to_owned(),
        Type::Text => "text".to_owned(),
        Type::Object(name) => format!("an object (`{name}`)"),
    }
}

/// A constant as a message shows it.
pub(super) fn shown(constant: &Constant) -> String {
    match constant {
        Constant::Text(text) => format!("`{text}`"),
        Constant::Integer(value) => value.to_string(),
        Constant::Double(value) => value.to_string(),
        Constant::Boolean(value) => value.to_string(),
        Constant::List(_) => "a list".to_owned(),
    }
}
