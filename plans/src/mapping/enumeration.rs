//! Enumerations: targets to ids, and the calls that find ids and captions.

use std::collections::BTreeSet;

use datafusion::common::Result;
use datafusion::logical_expr::{Expr, lit, when};

use super::constants::shown;
use super::fit;
use super::scope::Scope;
use crate::diagnostics::{Origin, nearest};
use crate::functions;
use crate::functions::{Other, Table};
use crate::ocsf::{Attribute, Enumeration, Type};
use crate::spec::Constant;

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

/// Whether the enumeration has members for what is not known and for other values, so that
/// every text has an id.
pub(super) fn is_total(known: &Enumeration) -> bool {
    known.caption(0) == Some("Unknown") && known.caption(99).is_some()
}

/// Every member with its caption after `prefix`.
pub(super) fn captions(known: &Enumeration, prefix: &str) -> Vec<(i32, String)> {
    known
        .members()
        .filter_map(|(id, caption)| Some((id.parse().ok()?, format!("{prefix}{caption}"))))
        .collect()
}

/// The id of the member that a text names. Without `to` captions and ids name themselves.
pub(super) fn id(known: &Enumeration, on: Expr, to: &[(String, i32)]) -> Expr {
    let table = Table {
        to: named(known, to),
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

/// What names the members: the source's table, or their own captions and ids.
pub(super) fn named(known: &Enumeration, to: &[(String, i32)]) -> Vec<(String, i32)> {
    if !to.is_empty() {
        return to.to_vec();
    }
    let members = || {
        let members = known.members();
        members.filter_map(|(id, caption)| Some((id, caption, id.parse::<i32>().ok()?)))
    };
    let captions = members().map(|(_, caption, number)| (caption.to_owned(), number));
    let ids = members().map(|(id, _, number)| (id.to_owned(), number));
    captions.chain(ids).collect()
}

/// Where the id and its text twin hold the source's text; `None` is everywhere.
pub(super) fn is_held(
    known: &Enumeration,
    on: Expr,
    to: &[(String, i32)],
    has_own_text: bool,
) -> Option<Expr> {
    let table = Table {
        to: named(known, to),
        captions: captions(known, ""),
        other: match has_own_text {
            true => Other::Caption(String::new()),
            false => Other::Source,
        },
    };
    let has_globs = table.to.iter().any(|(text, _)| functions::is_glob(text));
    let is_whole = !has_globs && !has_own_text && table.unclear().is_empty();
    (!is_whole).then(|| call("enum_held", on, &table))
}

/// NULL where the text is NULL.
pub(super) fn unless_null(on: &Expr, id: Expr) -> Expr {
    when(on.clone().is_not_null(), id)
        .end()
        .expect("a CASE with one branch is complete")
}

/// A list of ids without those that are no members.
pub(super) fn members_of(known: &Enumeration, list: Expr) -> Expr {
    let ids: Vec<&str> = known.members().map(|(id, _)| id).collect();
    let members = format!("{}{}", functions::ENUM_ITEMS, ids.join(","));
    functions::named("list_of_type").call(vec![list, lit(members)])
}

/// A value as an item of a list of ids.
pub(super) fn member_of(
    scope: &Scope<'_>,
    known: &Enumeration,
    attribute: &Attribute,
    value: Expr,
) -> Result<Expr> {
    if scope.type_of(&value)?.is_string() {
        let on = fit::plain(scope, value);
        return Ok(unless_null(&on, id(known, on.clone(), &[])));
    }
    Ok(checked(known, fit::value(scope, attribute, value)?))
}

/// Whether an id is that of a member.
pub(super) fn is_known(known: &Enumeration, id: Expr) -> Expr {
    let ids = known.members().filter_map(|(id, _)| id.parse::<i32>().ok());
    id.in_list(ids.map(lit).collect(), false)
}

/// The member of an enumeration of texts, or NULL if no member matches.
pub(super) fn text(known: &Enumeration, on: &Expr, to: &[(String, Constant, Origin)]) -> Expr {
    let mut table = Table {
        other: Other::Null,
        ..Table::default()
    };
    for (at, (id, caption)) in known.members().enumerate() {
        let number = i32::try_from(at + 1).unwrap_or(i32::MAX);
        table.captions.push((number, id.to_owned()));
        if to.is_empty() {
            table.to.push((id.to_owned(), number));
            table.to.push((caption.to_owned(), number));
        }
        for (glob, constant, _) in to {
            let names = plain(constant).and_then(|text| known.find(&text));
            if names.is_some_and(|(named, _)| named == id) {
                table.to.push((glob.clone(), number));
            }
        }
    }
    unless_null(on, call("enum_caption", on.clone(), &table))
}

/// A table of constants as texts. NULL and what is not in it are NULL.
pub(super) fn values(on: &Expr, to: &[(String, Constant, Origin)]) -> Expr {
    let mut table = Table {
        other: Other::Null,
        ..Table::default()
    };
    for (at, (glob, constant, _)) in to.iter().enumerate() {
        let number = i32::try_from(at + 1).unwrap_or(i32::MAX);
        table.to.push((glob.clone(), number));
        let text = plain(constant).unwrap_or_default();
        table.captions.push((number, text));
    }
    unless_null(on, call("enum_caption", on.clone(), &table))
}

/// Whether each result says what the source's text was: no text is a glob, and no two have one
/// result.
pub(super) fn keeps_texts(to: &[(String, Constant, Origin)]) -> bool {
    let results: BTreeSet<Option<String>> = to.iter().map(|(_, to, _)| plain(to)).collect();
    results.len() == to.len() && !to.iter().any(|(text, ..)| functions::is_glob(text))
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
