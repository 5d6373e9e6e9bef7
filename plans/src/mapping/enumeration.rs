//! Enumerations: targets to ids, and the calls that find ids and captions.

use datafusion::logical_expr::{Expr, lit, when};

use super::constants::shown;
use crate::diagnostics::nearest;
use crate::functions;
use crate::functions::{Other, Table};
use crate::ocsf::{Attribute, Enumeration, Type};
use crate::spec::{Constant, Enum};

/// The members of an attribute whose ids are numbers.
pub(super) fn of(attribute: &Attribute) -> Option<&Enumeration> {
    let is_id = attribute.ty == Type::Integer && !attribute.is_array;
    attribute.enumeration.as_deref().filter(|_| is_id)
}

/// The number of the member that a caption or an id names.
pub(super) fn target(known: &Enumeration, constant: &Constant) -> Option<i32> {
    let id = match constant {
        Constant::Text(text) => known.id(text),
        Constant::Integer(id) => known.id(&id.to_string()),
        _ => None,
    };
    i32::try_from(id?).ok()
}

/// Whether a caption or an id names a member.
pub(super) fn is_member(known: &Enumeration, constant: &Constant) -> bool {
    match constant {
        Constant::Text(text) => known.find(text).is_some(),
        Constant::Integer(id) => known.caption(*id).is_some(),
        _ => false,
    }
}

/// The message and remedy for a constant that names no member.
pub(super) fn no_member(known: &Enumeration, constant: &Constant) -> (String, String) {
    let message = format!("{} is not a member of the enumeration", shown(constant));
    (message, known_members(known, constant))
}

/// The nearest caption, or all members.
pub(super) fn known_members(known: &Enumeration, constant: &Constant) -> String {
    if let Constant::Text(text) = constant
        && let Some(found) = nearest(text, known.captions())
    {
        return format!("did you mean `{found}`?");
    }
    let all = known
        .members()
        .map(|(id, caption)| format!("{caption} ({id})"));
    format!("known: {}", all.collect::<Vec<_>>().join(", "))
}

/// Every member with its caption after `prefix`.
pub(super) fn captions(known: &Enumeration, prefix: &str) -> Vec<(i32, String)> {
    known
        .members()
        .filter_map(|(id, caption)| Some((id.parse().ok()?, format!("{prefix}{caption}"))))
        .collect()
}

/// The id that a text stands for.
pub(super) fn id(known: &Enumeration, on: Expr, to: &[(String, i32)]) -> Expr {
    let table = Table {
        to: to.to_vec(),
        captions: captions(known, ""),
        other: Other::Source,
    };
    call("enum_id", on, &table)
}

/// An id that is surely a member's.
pub(super) fn checked(known: &Enumeration, id: Expr) -> Expr {
    let table = Table {
        to: Vec::new(),
        captions: captions(known, ""),
        other: Other::Source,
    };
    call("id_checked", id, &table)
}

/// A table of texts, for attributes that are no enumeration: NULL stays NULL and
/// what does not match stays as it is.
pub(super) fn text(on: Expr, members: &Enum) -> Expr {
    let mut table = Table::default();
    for (at, (glob, constant, _)) in members.to.iter().enumerate() {
        let id = i32::try_from(at + 1).unwrap_or(i32::MAX);
        let caption = plain(constant).unwrap_or_default();
        table.to.push((glob.clone(), id));
        table.captions.push((id, caption));
    }
    let found = call("enum_caption", on.clone(), &table);
    when(on.is_not_null(), found)
        .end()
        .expect("a CASE with one branch is complete")
}

/// A constant as text; a list is none.
pub(super) fn plain(constant: &Constant) -> Option<String> {
    match constant {
        Constant::Text(text) => Some(text.clone()),
        Constant::Integer(number) => Some(number.to_string()),
        Constant::Double(number) => Some(number.to_string()),
        Constant::Boolean(value) => Some(value.to_string()),
        Constant::List(_) => None,
    }
}

pub(super) fn call(function: &str, value: Expr, table: &Table) -> Expr {
    let table = serde_json::to_string(table).expect("numbers and texts are JSON");
    functions::named(function).call(vec![value, lit(functions::wide_text(table))])
}
