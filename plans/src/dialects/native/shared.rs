//! What `source.toml` writes once and its routes name: tables of enum values, groups of
//! attributes, and expressions under `[let]`.

use std::collections::BTreeMap;

use super::attributes::{self, Edit, Patch};
use super::event;
use super::section::{Entry, Reader, Section};
use crate::diagnostics::{Origin, did_you_mean};
use crate::spec::{Constant, Node, Object, Sql, Value};

/// A source value of an enum, its member, and the position.
pub(super) type Target = (String, Constant, Origin);

/// The tables and groups of a source.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared {
    tables: BTreeMap<String, Vec<Target>>,
    groups: BTreeMap<String, Object>,
}

/// Reads `[let]`: named expressions in the order of the file.
pub(super) fn lets(reader: &mut Reader<'_>, entry: Option<Entry<'_>>) -> Vec<(String, Sql)> {
    let entries = entry.map(|entry| entry.table_entries(reader));
    let mut lets = Vec::new();
    for entry in entries.unwrap_or_default() {
        if let Some(sql) = entry.sql(reader) {
            lets.push((entry.name.to_owned(), sql));
        }
    }
    lets
}

/// Reads `[tables]`, so that every `to` may name one of them.
pub(super) fn tables(reader: &mut Reader<'_>, entry: Option<Entry<'_>>) {
    let entries = entry.map(|entry| entry.table_entries(reader));
    for entry in entries.unwrap_or_default() {
        let targets = attributes::targets(reader, &entry);
        let name = entry.name.to_owned();
        reader.shared_mut().tables.insert(name, targets);
    }
}

/// Reads `[group]`. A group may use those before it.
pub(super) fn groups(reader: &mut Reader<'_>, entry: Option<Entry<'_>>) {
    let entries = entry.map(|entry| entry.table_entries(reader));
    for entry in entries.unwrap_or_default() {
        let mut object = Object::new();
        if let Some(mut section) = entry.section(reader) {
            let patch = event::patch(reader, &mut section);
            section.finish(reader);
            attributes::apply(&mut object, patch, &mut reader.found);
        }
        let name = entry.name.to_owned();
        reader.shared_mut().groups.insert(name, object);
    }
}

/// Reads the value of `to`: a table, or the name of one under `[tables]`.
pub(super) fn table(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Vec<Target>> {
    let Some(name) = entry.value.get_ref().as_str() else {
        let targets = attributes::targets(reader, entry);
        let is_empty = entry.value.get_ref().as_table();
        if is_empty.is_some_and(|table| table.is_empty()) {
            let remedy = "name a value, or remove `to` if the values are captions or ids";
            reader.reject(entry, "maps no value", remedy);
        }
        return Some(targets);
    };
    let found = reader.shared.tables.get(name).cloned();
    if found.is_none() {
        let known = known(name, reader.shared.tables.keys(), "[tables.NAME]");
        reader.reject(entry, format!("there is no table `{name}`"), known);
    }
    found
}

/// Reads the members of an object: those of the group that `use` names, if it is there, with
/// the object's other keys in their place.
pub(super) fn members(reader: &mut Reader<'_>, mut section: Section<'_>) -> Patch {
    let group = section.take("use");
    let with = match &group {
        Some(_) => section.take("with"),
        None => None,
    };
    let own = attributes::edits(reader, section.into_entries());
    let Some(group) = group else {
        return own;
    };
    let Some(mut object) = named(reader, &group) else {
        return own;
    };
    let names = renames(reader, with, &group, &mut object);
    each_sql(&mut object, &mut |sql| compose(sql, &names));
    let mut patch = as_patch(object);
    merge(&mut patch, own);
    patch
}

fn named(reader: &mut Reader<'_>, group: &Entry<'_>) -> Option<Object> {
    let name = group.string(reader)?;
    let found = reader.shared.groups.get(&name).cloned();
    if found.is_none() {
        let known = known(&name, reader.shared.groups.keys(), "[group.NAME.map]");
        reader.reject(group, format!("there is no group `{name}`"), known);
    }
    found
}

fn known<'a>(
    name: &str,
    names: impl ExactSizeIterator<Item = &'a String>,
    example: &str,
) -> String {
    match names.len() {
        0 => format!("add `{example}` to source.toml, above its use"),
        _ => did_you_mean(name, names.map(String::as_str)),
    }
}

/// Reads `with`: for columns that the group names, the columns to read.
fn renames(
    reader: &mut Reader<'_>,
    with: Option<Entry<'_>>,
    group: &Entry<'_>,
    object: &mut Object,
) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    let entries = with.map(|with| with.table_entries(reader));
    for entry in entries.unwrap_or_default() {
        let Some(column) = entry.string(reader) else {
            continue;
        };
        let mut is_named = false;
        each_sql(object, &mut |sql| is_named |= reads(sql, entry.name));
        if !is_named {
            let group = group.value.get_ref().as_str().unwrap_or_default();
            let message = format!("group `{group}` names no column `{}`", entry.name);
            reader.reject(&entry, message, "give a column that the group uses");
        }
        names.insert(entry.name.to_owned(), column);
    }
    names
}

/// Whether an expression reads the column or path `name`.
fn reads(sql: &Sql, name: &str) -> bool {
    let is_below = |path: &String| starts_with(path, name);
    let is_written = !sql.renamed.contains_key(name) && mentions(&sql.text, name);
    is_written || sql.renamed.values().any(is_below)
}

fn starts_with(path: &str, name: &str) -> bool {
    path.strip_prefix(name)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Whether a text contains a name that is no part of a longer word.
fn mentions(text: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name).any(|(start, _)| {
        let before = text[..start].chars().next_back();
        let after = text[start + name.len()..].chars().next();
        !before.is_some_and(|c| is_part(c) || c == '.') && !after.is_some_and(is_part)
    })
}

/// Renames the columns of an expression, also those that it reads under another name.
fn compose(sql: &mut Sql, names: &BTreeMap<String, String>) {
    for target in sql.renamed.values_mut() {
        let renamed = names.iter().find(|(name, _)| starts_with(target, name));
        if let Some((name, column)) = renamed {
            *target = format!("{column}{}", &target[name.len()..]);
        }
    }
    for (name, column) in names {
        let is_free = !sql.renamed.contains_key(name) && mentions(&sql.text, name);
        if is_free {
            sql.renamed.insert(name.clone(), column.clone());
        }
    }
}

/// Calls `f` with every expression of an object.
fn each_sql(object: &mut Object, f: &mut impl FnMut(&mut Sql)) {
    for node in object.values_mut() {
        each_sql_of(node, f);
    }
}

fn each_sql_of(node: &mut Node, f: &mut impl FnMut(&mut Sql)) {
    match &mut node.value {
        Value::Object(inner) => each_sql(inner, f),
        Value::Constant(_) => {}
        Value::Sql(sql) => f(sql),
        Value::List(items) => items.iter_mut().for_each(|item| each_sql_of(item, f)),
        Value::Enum(members) => f(&mut members.on),
        Value::Each(each) => {
            f(&mut each.list);
            each.when.iter_mut().for_each(&mut *f);
            each_sql(&mut each.item, f);
        }
    }
}

/// An object as the changes that make it.
fn as_patch(object: Object) -> Patch {
    let edits = object.into_iter().map(|(name, node)| match node.value {
        Value::Object(inner) => (name, Edit::Inside(as_patch(inner), node.at)),
        value => (name, Edit::Put(Node { value, at: node.at })),
    });
    edits.collect()
}

/// Replaces changes by an object's own ones.
fn merge(patch: &mut Patch, own: Patch) {
    for (name, edit) in own {
        match (patch.get_mut(&name), edit) {
            (Some(Edit::Inside(inner, _)), Edit::Inside(own, _)) => merge(inner, own),
            (Some(_), Edit::Remove(_)) => drop(patch.remove(&name)),
            (_, edit) => drop(patch.insert(name, edit)),
        }
    }
}

/// Whether an edit was written in a group.
pub(super) fn is_of_group(at: &Origin) -> bool {
    at.key.starts_with("group.")
}
