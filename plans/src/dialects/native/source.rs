//! Reads `source.toml`: how a source is read, attributes that all routes share, and outputs.

use std::collections::BTreeMap;
use std::rc::Rc;

use toml::de::DeValue;

use super::section::{Entry, Reader, Section};
use super::shared::Shared;
use super::{Document, ROOT, attributes, columns, event, shared};
use crate::diagnostics::{Diagnostics, Origin};
use crate::spec::{
    Column, Event, Filter, Format, Object, Output, Redact, Source, Sql, Unmapped, UnmappedStyle,
};

/// The content of `source.toml`.
struct Root<'t> {
    format: Option<Format>,
    aliases: Vec<String>,
    columns: Vec<Column>,
    account: Vec<Sql>,
    region: Vec<Sql>,
    filters: Vec<Filter>,
    sets: BTreeMap<String, Vec<String>>,
    unmapped: Unmapped,
    redact: Redact,
    outputs: BTreeMap<String, Output>,
    lets: Vec<(String, Sql)>,
    base: Base,
    events: Vec<(String, Entry<'t>)>,
}

/// What all routes share.
#[derive(Debug, Default)]
pub(super) struct Base {
    pub(super) attributes: Object,
    pub(super) profiles: Vec<String>,
    /// Position of the profiles.
    at: Origin,
}

/// Returns the source in the documents, or `None` if required parts are unreadable.
pub(super) fn source(
    documents: &[Document<'_>],
    version: &str,
    found: &mut Diagnostics,
) -> Option<Source> {
    let document = documents
        .iter()
        .find(|document| document.base_name() == ROOT)?;
    let (mut reader, section) = document.open(Rc::new(Shared::default()))?;
    let root = root(&mut reader, section, version);
    let events = events(&mut reader, documents, &root, version, found);
    report_strays(documents, &root, found);
    let name = name(&mut reader);
    found.append(reader.found);
    Some(Source {
        name,
        aliases: root.aliases,
        format: root.format?,
        columns: root.columns,
        account: root.account,
        region: root.region,
        filters: root.filters,
        sets: root.sets,
        lets: root.lets,
        base_at: root.base.at,
        events,
        unmapped: root.unmapped,
        redact: root.redact,
        outputs: root.outputs,
        load: None,
    })
}

/// Returns the name of the source, which is the name of its folder.
fn name(reader: &mut Reader<'_>) -> String {
    let mut parts = reader.text.file.rsplit('/');
    let name = parts.nth(1).unwrap_or("source").to_owned();
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.chars().all(is_allowed) {
        let at = reader.text.whole();
        let message = format!("the folder name `{name}` is not a valid source name");
        reader
            .found
            .push(&at, message, "use letters, digits, `_` and `-`");
    }
    name
}

fn root<'t>(reader: &mut Reader<'_>, mut section: Section<'t>, version: &str) -> Root<'t> {
    let format = section.require(reader, "format", "format = \"json_lines\"");
    let events = section.require(reader, "events", "events = [\"flow\"]");
    let null = section.take("null");
    let mut format = format.and_then(|format| columns::format(reader, &format));
    if let Some(format) = &mut format {
        columns::null(reader, null, format);
    }
    let (account, region) = partition(reader, section.take("partition"));
    shared::tables(reader, section.take("tables"));
    shared::groups(reader, section.take("group"));
    let root = Root {
        format,
        aliases: section
            .take("aliases")
            .map(|a| a.texts(reader))
            .unwrap_or_default(),
        columns: section
            .take("columns")
            .map(|c| columns::columns(reader, &c))
            .unwrap_or_default(),
        account,
        region,
        filters: filters(reader, section.take("filter")),
        sets: sets(reader, section.take("sets")),
        unmapped: unmapped(reader, section.take("unmapped")),
        redact: redact(reader, section.take("redact")),
        outputs: outputs(reader, section.take("output")),
        lets: shared::lets(reader, section.take("let")),
        base: base(reader, section.take("base"), version),
        events: events
            .map(|events| event_names(reader, &events))
            .unwrap_or_default(),
    };
    section.finish(reader);
    root
}

fn partition(reader: &mut Reader<'_>, entry: Option<Entry<'_>>) -> (Vec<Sql>, Vec<Sql>) {
    let Some(mut section) = entry.and_then(|entry| entry.section(reader)) else {
        return (Vec::new(), Vec::new());
    };
    let account = section.take("account").map(|sql| sql.sqls(reader));
    let region = section.take("region").map(|sql| sql.sqls(reader));
    section.finish(reader);
    (account.unwrap_or_default(), region.unwrap_or_default())
}

/// Reads `[filter]`, or any number of `[[filter]]`.
fn filters(reader: &mut Reader<'_>, entry: Option<Entry<'_>>) -> Vec<Filter> {
    let Some(entry) = entry else {
        return Vec::new();
    };
    let written = match entry.value.get_ref() {
        DeValue::Table(_) => vec![entry],
        _ => entry.items(reader, "a table or a list of tables"),
    };
    written
        .iter()
        .filter_map(|filter| self::filter(reader, filter))
        .collect()
}

fn filter(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Filter> {
    let mut section = entry.section(reader)?;
    let when = section.require(reader, "when", "when = \"action = 'SKIP'\"");
    let reason = section.require(reader, "reason", "reason = \"why these rows are left out\"");
    let when = when.and_then(|when| when.sql(reader));
    let reason = reason.and_then(|reason| reason.string(reader));
    section.finish(reader);
    Some(Filter {
        when: when?,
        reason: reason?,
    })
}

fn sets(reader: &mut Reader<'_>, entry: Option<Entry<'_>>) -> BTreeMap<String, Vec<String>> {
    let mut sets = BTreeMap::new();
    for set in entry
        .map(|entry| entry.table_entries(reader))
        .unwrap_or_default()
    {
        sets.insert(set.name.to_owned(), set.texts(reader));
    }
    sets
}

fn unmapped(reader: &mut Reader<'_>, entry: Option<Entry<'_>>) -> Unmapped {
    let mut unmapped = Unmapped {
        kept: true,
        style: UnmappedStyle::Map,
    };
    let Some(entry) = entry else {
        return unmapped;
    };
    match entry.value.get_ref() {
        DeValue::Boolean(kept) => unmapped.kept = *kept,
        DeValue::String(text) if text == "json" => unmapped.style = UnmappedStyle::Json,
        DeValue::String(text) if text == "map" => {}
        _ => entry.reject_type(
            reader,
            "true, false or \"json\"",
            "true keeps it as map<string,string>",
        ),
    }
    unmapped
}

fn redact(reader: &mut Reader<'_>, entry: Option<Entry<'_>>) -> Redact {
    let Some(mut section) = entry.and_then(|entry| entry.section(reader)) else {
        return Redact::default();
    };
    let add = section.take("add").map(|add| add.texts(reader));
    let keep = section.take("keep").map(|keep| keep.texts(reader));
    section.finish(reader);
    Redact {
        add: add.unwrap_or_default(),
        keep: keep.unwrap_or_default(),
    }
}

fn outputs(reader: &mut Reader<'_>, entry: Option<Entry<'_>>) -> BTreeMap<String, Output> {
    let mut outputs = BTreeMap::new();
    for class in entry
        .map(|entry| entry.table_entries(reader))
        .unwrap_or_default()
    {
        if let Some(output) = output(reader, &class) {
            outputs.insert(class.name.to_owned(), output);
        }
    }
    outputs
}

fn output(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Output> {
    let mut section = entry.section(reader)?;
    let mut text = |name| section.take(name).and_then(|entry| entry.string(reader));
    let output = Output {
        name: text("name"),
        uri: text("uri"),
        role_arn: text("role_arn"),
        external_id: text("external_id"),
        at: entry.origin(reader),
    };
    section.finish(reader);
    Some(output)
}

/// Reads the attributes that all routes share, for an OCSF version.
fn base(reader: &mut Reader<'_>, entry: Option<Entry<'_>>, version: &str) -> Base {
    let mut base = Base::default();
    let Some(mut section) = entry.and_then(|entry| entry.section(reader)) else {
        return base;
    };
    if let Some(profiles) = section.take("profiles") {
        base.at = profiles.origin(reader);
        base.profiles = profiles.texts(reader);
    }
    let patch = event::patch(reader, &mut section);
    attributes::apply(&mut base.attributes, patch, &mut reader.found);
    let newer = event::overlays(reader, &mut section, version);
    section.finish(reader);
    for overlay in newer {
        attributes::apply(&mut base.attributes, overlay.patch, &mut reader.found);
        base.profiles = overlay.profiles.unwrap_or(base.profiles);
    }
    base
}

fn event_names<'t>(reader: &mut Reader<'_>, entry: &Entry<'t>) -> Vec<(String, Entry<'t>)> {
    let names = entry.strings(reader);
    let is_empty = entry
        .value
        .get_ref()
        .as_array()
        .is_some_and(|a| a.is_empty());
    if is_empty {
        reader.reject(
            entry,
            "lists no event",
            "add the name of an event's file, such as \"flow\"",
        );
    }
    let mut kept: Vec<(String, Entry<'t>)> = Vec::new();
    for (name, item) in names {
        if kept.iter().any(|(known, _)| *known == name) {
            reader.reject(
                &item,
                format!("event `{name}` is listed twice"),
                "remove one of them",
            );
        } else {
            kept.push((name, item));
        }
    }
    kept
}

fn events(
    reader: &mut Reader<'_>,
    documents: &[Document<'_>],
    root: &Root<'_>,
    version: &str,
    found: &mut Diagnostics,
) -> Vec<Event> {
    let mut events = Vec::new();
    for (name, item) in &root.events {
        let file = format!("{name}.toml");
        let Some(document) = documents.iter().find(|d| d.base_name() == file) else {
            reader.reject(
                item,
                format!("there is no `{file}`"),
                "add the file, or remove the event",
            );
            continue;
        };
        if let Some((mut reader, section)) = document.open(Rc::clone(&reader.shared)) {
            events.extend(event::event(
                &mut reader,
                section,
                name,
                &root.base,
                version,
            ));
            found.append(reader.found);
        }
    }
    events
}

/// Reports files that `events` does not list, as they would be ignored silently.
fn report_strays(documents: &[Document<'_>], root: &Root<'_>, found: &mut Diagnostics) {
    for document in documents {
        let stem = document.base_name().trim_end_matches(".toml");
        let is_named = root.events.iter().any(|(name, _)| name == stem);
        if document.base_name() != ROOT && !is_named && !root.events.is_empty() {
            let message = format!("`{stem}` is not among the events of {ROOT}");
            let remedy = "name it in `events`, or remove the file";
            found.push(&document.text.whole(), message, remedy);
        }
    }
}
