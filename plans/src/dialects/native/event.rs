//! Reads the file of a route: a condition and a mapping to one class.

use super::attributes::Patch;
use super::section::{Entry, Reader, Section};
use super::source::Base;
use super::{attributes, shared};
use crate::spec::Event;

/// Reads the file of a route. Its attributes change those of the source's `base`.
pub(super) fn event(
    reader: &mut Reader<'_>,
    mut section: Section<'_>,
    name: &str,
    base: &Base,
    version: &str,
) -> Option<Event> {
    let class = section.require(reader, "class", "class = \"network_activity\"");
    let at = class.as_ref().map(|class| class.origin(reader));
    let class = class.and_then(|class| class.string(reader));
    let profiles = section.take("profiles");
    let profiles_at = profiles.as_ref().map(|profiles| profiles.origin(reader));
    let mut profiles = list(reader, profiles);
    let lets = shared::lets(reader, section.take("let"));
    let when = section.take("when").and_then(|when| when.sql(reader));
    let also = section.take("also").and_then(|also| also.boolean(reader));
    let consumed = list(reader, section.take("consumed"));
    let mut object = base.attributes.clone();
    let patch = patch(reader, &mut section);
    attributes::apply(&mut object, patch, &mut reader.found);
    let newer = overlays(reader, &mut section, version);
    section.finish(reader);
    for overlay in newer {
        attributes::apply(&mut object, overlay.patch, &mut reader.found);
        profiles = overlay.profiles.unwrap_or(profiles);
    }
    Some(Event {
        name: name.to_owned(),
        class: class?,
        profiles,
        when,
        also: also.unwrap_or(false),
        attributes: object,
        consumed,
        base_profiles: base.profiles.clone(),
        lets,
        profiles_at: profiles_at.or_else(|| at.clone()).unwrap_or_default(),
        at: at.unwrap_or_default(),
    })
}

fn list(reader: &mut Reader<'_>, entry: Option<Entry<'_>>) -> Vec<String> {
    entry.map(|entry| entry.texts(reader)).unwrap_or_default()
}

/// Reads `[set]` and `[map]` of a table.
pub(super) fn patch(reader: &mut Reader<'_>, section: &mut Section<'_>) -> Patch {
    let set = section.take("set");
    let map = section.take("map");
    let set = set.map(|set| attributes::constants(reader, &set));
    let map = map.map(|map| attributes::expressions(reader, &map));
    attributes::join(
        set.unwrap_or_default(),
        map.unwrap_or_default(),
        &mut reader.found,
    )
}

/// Changes that apply from an OCSF version on.
pub(super) struct Overlay {
    since: [u32; 3],
    pub(super) patch: Patch,
    pub(super) profiles: Option<Vec<String>>,
}

/// Reads `[since."x.y.z"]` tables. Returns those up to `version`, oldest first.
pub(super) fn overlays(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    version: &str,
) -> Vec<Overlay> {
    let Some(since) = section.take("since") else {
        return Vec::new();
    };
    let entries = since.table_entries(reader);
    let read = entries.iter().filter_map(|entry| overlay(reader, entry));
    let mut overlays: Vec<Overlay> = read.collect();
    let reached = triple(version).unwrap_or_default();
    overlays.retain(|overlay| overlay.since <= reached);
    overlays.sort_by_key(|overlay| overlay.since);
    overlays
}

fn overlay(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Overlay> {
    let since = triple(entry.name);
    if since.is_none() {
        let message = format!("`{}` is not a version", entry.name);
        reader.reject(entry, message, "write [since.\"1.3.0\".map]");
    }
    let mut section = entry.section(reader)?;
    let profiles = section
        .take("profiles")
        .map(|profiles| profiles.texts(reader));
    let patch = patch(reader, &mut section);
    section.finish(reader);
    let since = since?;
    Some(Overlay {
        since,
        patch,
        profiles,
    })
}

/// Parses `1.3.0` to numbers, which are compared like versions.
fn triple(version: &str) -> Option<[u32; 3]> {
    let version = version.strip_prefix('v').unwrap_or(version);
    let parts: Vec<u32> = version
        .split('.')
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    parts.try_into().ok()
}
