//! What the routes of a source share: profiles and attributes of its base. A class takes
//! those that it has. It is a mistake only if no class has one.

use std::collections::BTreeSet;

use super::found::Found;
use super::tree::join;
use crate::diagnostics::did_you_mean;
use crate::ocsf;
use crate::ocsf::{Attributes, Schema};
use crate::spec::{Event, Node, Object, Source, Value};

/// The source whose events have the profiles and attributes of its base that their classes
/// have. What no class has stays in the first event, where it is reported.
pub(super) fn fitted(source: &Source, schema: &Schema, found: &mut Found) -> Source {
    base_profiles(source, schema, found);
    let mut fitted = source.clone();
    for event in &mut fitted.events {
        if let Some(class) = schema.class(&event.class) {
            event.profiles = profiles(event, class);
            event.base_profiles.clear();
        }
    }
    let mut sorted = Sorted::default();
    for event in &mut fitted.events {
        Walk::of(source, schema, event, &mut sorted, false);
    }
    for event in &mut fitted.events {
        Walk::of(source, schema, event, &mut sorted, true);
    }
    fitted
}

/// The profiles that an event declares: its own ones, and those of the base that its class has.
pub(super) fn profiles(event: &Event, class: &ocsf::Class) -> Vec<String> {
    let mut profiles = event.profiles.clone();
    for profile in &event.base_profiles {
        let is_new = !profiles.contains(profile);
        if is_new && class.profile(profile).is_some() {
            profiles.push(profile.clone());
        }
    }
    profiles
}

/// Reports profiles of the base that no class of the source has.
pub(super) fn base_profiles(source: &Source, schema: &Schema, found: &mut Found) {
    let known = source.classes();
    let classes: Vec<&ocsf::Class> = known
        .into_iter()
        .filter_map(|name| schema.class(name))
        .collect();
    // An unknown class is reported, and may have the profile.
    if classes.len() < source.classes().len() {
        return;
    }
    let Some(event) = source.events.first() else {
        return;
    };
    for profile in &event.base_profiles {
        if !classes.iter().any(|class| class.profile(profile).is_some()) {
            let known: BTreeSet<&str> = classes
                .iter()
                .flat_map(|class| class.profiles.iter().map(String::as_str))
                .collect();
            let message = format!("no class of the source has the profile `{profile}`");
            found.error(&source.base_at, message, did_you_mean(profile, known));
        }
    }
}

/// Dotted attributes of the base.
#[derive(Default)]
struct Sorted {
    /// Those that a class has.
    known: BTreeSet<String>,
    /// Those that no class has, and that an event before keeps.
    kept: BTreeSet<String>,
}

struct Walk<'a> {
    schema: &'a Schema,
    root_file: &'a str,
    profiles: Vec<String>,
    sorted: &'a mut Sorted,
    prunes: bool,
}

impl Walk<'_> {
    fn of(source: &Source, schema: &Schema, event: &mut Event, sorted: &mut Sorted, prunes: bool) {
        let Some(class) = schema.class(&event.class) else {
            return;
        };
        let mut walk = Walk {
            schema,
            root_file: &source.format.at.file,
            profiles: event.profiles.clone(),
            sorted,
            prunes,
        };
        walk.object(&mut event.attributes, &class.attributes, "", false);
    }

    fn object(&mut self, object: &mut Object, attributes: &Attributes, path: &str, is_base: bool) {
        object.retain(|name, node| {
            let path = join(path, name);
            let is_base = self.is_base(node, is_base);
            let profiles = self.profiles.iter().map(String::as_str);
            let Some(attribute) = attributes.get(name).filter(|a| a.is_in(profiles)) else {
                return !self.is_wholly_base(node, is_base) || self.keeps(path);
            };
            if is_base && !self.prunes {
                self.sorted.known.insert(path.clone());
            }
            let inner = self.schema.object_of(attribute);
            if let (Value::Object(object), Some(inner)) = (&mut node.value, inner) {
                self.object(object, &inner.attributes, &path, is_base);
                return !(self.prunes && is_base && object.is_empty());
            }
            true
        });
    }

    /// Whether a value was written in the base, or in a group that the base uses.
    fn is_base(&self, node: &Node, is_below: bool) -> bool {
        let key = node.at.key.as_str();
        let is_shared = key.starts_with("base.") || (is_below && key.starts_with("group."));
        is_shared && *node.at.file == *self.root_file
    }

    /// Whether no event adds to it: what an event writes itself is never left out.
    fn is_wholly_base(&self, node: &Node, is_base: bool) -> bool {
        let is_inside = |node: &Node| self.is_wholly_base(node, self.is_base(node, true));
        match &node.value {
            Value::Object(object) => is_base && object.values().all(is_inside),
            _ => is_base,
        }
    }

    fn keeps(&mut self, path: String) -> bool {
        !self.prunes || (!self.sorted.known.contains(&path) && self.sorted.kept.insert(path))
    }
}
