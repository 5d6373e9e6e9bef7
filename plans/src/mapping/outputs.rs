//! Names of outputs, as Security Lake registers custom sources: one per class.

use std::collections::BTreeMap;

use super::format::below;
use super::found::Found;
use crate::diagnostics::{Origin, did_you_mean};
use crate::spec::Source;

/// The role that Security Lake makes for a source carries its name.
const LONGEST: usize = 20;

/// Checks the names of a source's outputs.
pub(super) fn check(source: &Source, found: &mut Found) {
    let classes = source.classes();
    for (class, output) in &source.outputs {
        if !classes.contains(class.as_str()) {
            let message = format!("no event becomes class `{class}`");
            found.error(
                &output.at,
                message,
                did_you_mean(class, classes.iter().copied()),
            );
        }
        if let Some(name) = &output.name {
            self::name(name, &below(&output.at, "name"), found);
        }
    }
    repeated(source, found);
    if classes.len() > 1 {
        unnamed(source, found);
    } else if source.outputs.values().all(|output| output.name.is_none()) {
        default_name(source, found);
    }
}

fn name(name: &str, at: &Origin, found: &mut Found) {
    let length = name.chars().count();
    if length > LONGEST {
        let message = format!("`{name}` has {length} characters");
        found.error(at, message, "Security Lake allows 20 at most");
    }
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if name.is_empty() || !name.chars().all(is_allowed) {
        let message = format!("`{name}` is not a source name for Security Lake");
        found.error(at, message, "use letters, digits and dashes");
    }
}

fn repeated(source: &Source, found: &mut Found) {
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for (class, output) in &source.outputs {
        let Some(name) = &output.name else { continue };
        if let Some(other) = seen.insert(name, class) {
            let message = format!("`{name}` is also the name of `{other}`");
            found.error(
                &below(&output.at, "name"),
                message,
                "one object holds one class; choose another name",
            );
        }
    }
}

/// Several classes cannot share the source's own name.
fn unnamed(source: &Source, found: &mut Found) {
    for event in &source.events {
        let output = source.outputs.get(&event.class);
        if output.and_then(|output| output.name.as_ref()).is_none() {
            let class = &event.class;
            let message = format!(
                "class `{class}` has no output name, though the source has several classes"
            );
            let remedy = format!("add `[output.{class}]` with `name = \"…\"` to source.toml");
            found.error(&event.at, message, remedy);
        }
    }
}

fn default_name(source: &Source, found: &mut Found) {
    if source.name.chars().count() > LONGEST {
        let at = source
            .events
            .first()
            .map_or(&source.format.at, |event| &event.at);
        let message = format!(
            "the source's name `{}` has more than 20 characters",
            source.name
        );
        let class = source.events.first().map_or("CLASS", |event| &event.class);
        found.error(
            at,
            message,
            format!("add `[output.{class}]` with a shorter `name`"),
        );
    }
}
