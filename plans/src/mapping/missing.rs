//! What OCSF requires of a class or object and a mapping does not give.

use std::collections::BTreeSet;

use super::attributes::{Builder, Level};
use super::derived::is_derived;
use super::tree::join;
use crate::diagnostics::Origin;
use crate::ocsf::{Attribute, Requirement};
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
                let remedy = format!("map or set `{example}`");
                self.found.gap(at, message, remedy);
            }
        }
        self.constraints(object, level, at);
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
    fn constraints(&mut self, object: &Object, level: &Level<'_>, at: &Origin) {
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
                let names = constraint.attributes.join(", ");
                let message = format!("`{}` needs one of {names}", level.name);
                self.found.gap(at, message, "map one of them");
            }
        }
    }
}
