//! What OCSF requires of a class or object and a mapping does not give.

use std::collections::BTreeSet;

use super::attributes::{Builder, Level};
use super::derived::is_derived;
use super::tree::join;
use crate::diagnostics::Origin;
use crate::ocsf::{Attribute, Attributes, Constraint, Requirement};
use crate::spec::Object;

impl<'a> Builder<'a> {
    /// Reports required attributes and constraints that `object` does not meet.
    pub(super) fn missing(&mut self, object: &Object, level: &Level<'a>, path: &str, at: &Origin) {
        for attribute in level.attributes.values() {
            let path = join(path, &attribute.name);
            let is_due = attribute.requirement == Requirement::Required
                && attribute.is_in(self.declared_profiles());
            // The route reports a missing time.
            let is_other = is_derived(&path) || path == "time";
            if is_due && !is_other && !object.contains_key(&attribute.name) {
                let example = self.example(attribute, &path);
                let message = format!("required attribute `{path}` is missing");
                let remedy = format!("map or set `{example}`{}", of_profile(attribute));
                self.found.gap(at, message, remedy);
            }
        }
        self.constraints(object, level, path, at);
    }

    /// The first leaf that a required attribute needs.
    fn example(&self, attribute: &'a Attribute, path: &str) -> String {
        let (mut attribute, mut path) = (attribute, path.to_owned());
        let mut seen = BTreeSet::new();
        while let Some(object) = self.ocsf.object_of(attribute) {
            let is_required = |a: &&Attribute| {
                a.requirement == Requirement::Required
                    && a.profiles.is_empty()
                    && !is_derived(&join(&path, &a.name))
            };
            let by_constraint = object
                .constraints
                .first()
                .and_then(|c| c.attributes.first());
            let next = object.attributes.values().find(is_required);
            let next = next.or_else(|| object.attributes.get(by_constraint?));
            let Some(next) = next.filter(|_| seen.insert(&object.name)) else {
                break;
            };
            path = join(&path, &next.name);
            attribute = next;
        }
        path
    }

    /// Reports constraints on several attributes that none of the mapped ones meets.
    fn constraints(&mut self, object: &Object, level: &Level<'_>, path: &str, at: &Origin) {
        // A misspelt attribute is reported already, and may be the one that is needed.
        if object
            .keys()
            .any(|name| !level.attributes.contains_key(name))
        {
            return;
        }
        for constraint in level.constraints {
            let is_met = constraint
                .attributes
                .iter()
                .any(|name| object.contains_key(name));
            if !is_met {
                let all = alternatives(constraint, level.attributes, self.declared);
                let message = format!("`{}` needs one of {}", level.name, all.join(", "));
                let first = all.first().copied().unwrap_or_default();
                let remedy = format!("map one of them, such as `{}`", join(path, first));
                self.found.gap(at, message, remedy);
            }
        }
    }
}

/// The attributes of a constraint that an event with these profiles may have, mapped or not.
pub(super) fn alternatives<'a>(
    constraint: &'a Constraint,
    attributes: &Attributes,
    profiles: &[String],
) -> Vec<&'a str> {
    let is_allowed = |name: &&String| {
        attributes
            .get(*name)
            .is_some_and(|attribute| attribute.is_in(profiles.iter().map(String::as_str)))
    };
    let names = constraint.attributes.iter().filter(is_allowed);
    names.map(String::as_str).collect()
}

/// Which profile requires an attribute.
fn of_profile(attribute: &Attribute) -> String {
    match attribute.profiles.as_slice() {
        [] => String::new(),
        profiles => format!("; the profile `{}` requires it", profiles.join("` or `")),
    }
}
