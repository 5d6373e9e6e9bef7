//! `[set]` and `[map]`: the values of attributes, and the rules by which keys replace those
//! of the base.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::section::{Entry, Reader};
use super::shared;
use super::shared::Target;
use crate::diagnostics::{Diagnostics, Origin};
use crate::spec::{Constant, Each, Enum, Node, Object, Value};

/// Changes to an object by attribute.
pub(super) type Patch = BTreeMap<String, Edit>;

/// One change to an object.
#[derive(Clone, Debug)]
pub(super) enum Edit {
    /// Sets a value.
    Put(Node),
    /// Removes a value.
    Remove(Origin),
    /// Changes attributes of an object.
    Inside(Patch, Origin),
}

/// Reads a `[set]` table, which contains only constants.
pub(super) fn constants(reader: &mut Reader<'_>, table: &Entry<'_>) -> Patch {
    let mut patch = Patch::new();
    for entry in table.table_entries(reader) {
        if let Some(edit) = constant_edit(reader, &entry) {
            patch.insert(entry.name.to_owned(), edit);
        }
    }
    patch
}

fn constant_edit(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Edit> {
    let at = entry.origin(reader);
    if entry.value.get_ref().is_table() {
        if let Some(word) = reserved_word(entry) {
            let message = format!("`{word}` is an expression, but only constants are allowed here");
            reader.reject(entry, message, "move it under [map]");
            return None;
        }
        return Some(Edit::Inside(constants(reader, entry), at));
    }
    let value = constant_value(reader, entry)?;
    Some(Edit::Put(Node { value, at }))
}

/// Returns the key that makes a table an enum, a list of objects or the use of a group.
fn reserved_word(entry: &Entry<'_>) -> Option<&'static str> {
    let table = entry.value.get_ref().as_table()?;
    ["match", "each", "use"]
        .into_iter()
        .find(|word| table.contains_key(*word))
}

fn constant_value(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Value> {
    let DeValue::Array(items) = entry.value.get_ref() else {
        return scalar(reader, entry).map(Value::Constant);
    };
    let is_objects = !items.is_empty() && items.iter().all(|item| item.get_ref().is_table());
    let items = entry.items(reader, "a list");
    if is_objects {
        let nodes = items.iter().map(|item| constant_object(reader, item));
        return Some(Value::List(nodes.collect()));
    }
    let values = items.iter().filter_map(|item| scalar(reader, item));
    Some(Value::Constant(Constant::List(values.collect())))
}

fn constant_object(reader: &mut Reader<'_>, item: &Entry<'_>) -> Node {
    let patch = constants(reader, item);
    let at = item.origin(reader);
    Node {
        value: Value::Object(into_object(patch, &mut reader.found)),
        at,
    }
}

fn scalar(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Constant> {
    match entry.value.get_ref() {
        DeValue::String(text) => Some(Constant::Text(text.to_string())),
        DeValue::Boolean(value) => Some(Constant::Boolean(*value)),
        DeValue::Integer(number) => {
            let value = i64::from_str_radix(number.as_str(), number.radix());
            if value.is_err() {
                reader.reject(
                    entry,
                    "number does not fit into 64 bits",
                    "write it as a string",
                );
            }
            value.ok().map(Constant::Integer)
        }
        DeValue::Float(number) => number.as_str().parse().ok().map(Constant::Double),
        _ => {
            let remedy = "write a date as text, or as epoch milliseconds";
            entry.reject_type(
                reader,
                "a string, number, boolean or a list of one of these",
                remedy,
            );
            None
        }
    }
}

/// Reads a `[map]` table: SQL, enums, lists and objects. `false` removes a key.
pub(super) fn expressions(reader: &mut Reader<'_>, table: &Entry<'_>) -> Patch {
    let entries = table.table_entries(reader);
    edits(reader, entries)
}

/// Reads entries that are values of `[map]`.
pub(super) fn edits(reader: &mut Reader<'_>, entries: Vec<Entry<'_>>) -> Patch {
    let mut patch = Patch::new();
    for entry in entries {
        if let Some(edit) = expression_edit(reader, &entry) {
            patch.insert(entry.name.to_owned(), edit);
        }
    }
    patch
}

fn expression_edit(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Edit> {
    let at = entry.origin(reader);
    match entry.value.get_ref() {
        DeValue::Boolean(false) => Some(Edit::Remove(at)),
        DeValue::Table(_) if matches!(reserved_word(entry), None | Some("use")) => {
            let section = entry.section(reader)?;
            Some(Edit::Inside(shared::members(reader, section), at))
        }
        _ => {
            let value = expression_value(reader, entry)?;
            Some(Edit::Put(Node { value, at }))
        }
    }
}

fn expression_value(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Value> {
    match entry.value.get_ref() {
        DeValue::String(_) => entry.sql(reader).map(Value::Sql),
        DeValue::Array(_) => Some(Value::List(list(reader, entry))),
        DeValue::Table(_) => match reserved_word(entry) {
            Some("match") => enumeration(reader, entry).map(Value::Enum),
            Some("each") => each(reader, entry).map(Value::Each),
            _ => Some(Value::Object(object(reader, entry)?)),
        },
        _ => {
            let remedy = "write constants under [set], and SQL as a string";
            entry.reject_type(reader, "an SQL expression", remedy);
            None
        }
    }
}

fn object(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Object> {
    let section = entry.section(reader)?;
    let patch = shared::members(reader, section);
    Some(into_object(patch, &mut reader.found))
}

fn list(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Vec<Node> {
    let mut nodes = Vec::new();
    for item in entry.items(reader, "a list") {
        if let Some(value) = expression_value(reader, &item) {
            let at = item.origin(reader);
            nodes.push(Node { value, at });
        }
    }
    nodes
}

fn enumeration(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Enum> {
    let mut section = entry.section(reader)?;
    let on = section.take("match").and_then(|on| on.sql(reader));
    let to = section.take("to");
    section.finish(reader);
    let to = match to {
        Some(to) => shared::table(reader, &to)?,
        None => Vec::new(),
    };
    Some(Enum { on: on?, to })
}

/// Reads a table of source values and their members.
pub(super) fn targets(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    for member in entry.table_entries(reader) {
        let same = |(glob, ..): &Target| glob.to_lowercase() == member.name.to_lowercase();
        if targets.iter().any(same) {
            reader.reject(
                &member,
                "duplicate value, as matching ignores case",
                "remove one of them",
            );
            continue;
        }
        let target = match member.value.get_ref() {
            DeValue::String(_) | DeValue::Integer(_) => scalar(reader, &member),
            _ => {
                member.reject_type(reader, "a caption or an id", "such as \"Traffic\" or 6");
                None
            }
        };
        if let Some(target) = target {
            targets.push((member.name.to_owned(), target, member.origin(reader)));
        }
    }
    targets
}

fn each(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Each> {
    let mut section = entry.section(reader)?;
    let list = section.take("each").and_then(|list| list.sql(reader));
    let when = section.take("when").and_then(|when| when.sql(reader));
    let patch = shared::members(reader, section);
    if patch.is_empty() {
        reader.reject(
            entry,
            "maps no attribute of its items",
            "add `uid = \"item.id\"` or the like",
        );
    }
    let item = into_object(patch, &mut reader.found);
    Some(Each {
        list: list?,
        when,
        item,
    })
}

/// Merges a `[set]` and a `[map]` table. An attribute in both is an error.
pub(super) fn join(set: Patch, map: Patch, found: &mut Diagnostics) -> Patch {
    let mut joined = set;
    for (name, edit) in map {
        match (joined.remove(&name), edit) {
            (None, edit) => drop(joined.insert(name, edit)),
            (Some(Edit::Inside(left, at)), Edit::Inside(right, _)) => {
                let inside = join(left, right, found);
                joined.insert(name, Edit::Inside(inside, at));
            }
            // The event's own constant replaces what it takes from a group.
            (Some(constant), edit) if shared::is_of_group(origin(&edit)) => {
                drop(joined.insert(name, constant));
            }
            (Some(constant), edit) => {
                found.push(
                    origin(&edit),
                    "is set under both [set] and [map]",
                    "remove one of them",
                );
                joined.insert(name, constant);
            }
        }
    }
    joined
}

fn origin(edit: &Edit) -> &Origin {
    match edit {
        Edit::Put(node) => &node.at,
        Edit::Remove(at) | Edit::Inside(_, at) => at,
    }
}

/// Applies changes to an object. Values are replaced, and objects are merged.
pub(super) fn apply(object: &mut Object, patch: Patch, found: &mut Diagnostics) {
    for (name, edit) in patch {
        match edit {
            Edit::Put(node) => drop(object.insert(name, node)),
            Edit::Remove(at) => {
                if object.remove(&name).is_none() {
                    found.push(&at, "removes a key that does not exist", "delete this line");
                }
            }
            Edit::Inside(patch, at) => apply_inside(object, name, patch, at, found),
        }
    }
}

fn apply_inside(
    object: &mut Object,
    name: String,
    patch: Patch,
    at: Origin,
    found: &mut Diagnostics,
) {
    if let Some(Node {
        value: Value::Object(inside),
        ..
    }) = object.get_mut(&name)
    {
        apply(inside, patch, found);
        return;
    }
    let value = Value::Object(into_object(patch, found));
    object.insert(name, Node { value, at });
}

/// Applies changes to an empty object.
fn into_object(patch: Patch, found: &mut Diagnostics) -> Object {
    let mut object = Object::new();
    apply(&mut object, patch, found);
    object
}
