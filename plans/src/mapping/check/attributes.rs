//! The walk through an event's attributes beside the schema's.

use std::collections::BTreeSet;

use super::constants;
use crate::diagnostics::{Diagnostics, Origin, nearest};
use crate::ocsf::{
    Attribute, Attributes, Class, Constraint, Enumeration, Requirement, Schema, Type, UNMAPPED,
};
use crate::spec::{Constant, Enum, Event, Node, Object, Value};

/// Paths that no mapping fills: they follow from the class, the version and the profiles.
const DERIVED: &[&str] = &[
    "class_uid",
    "class_name",
    "category_uid",
    "category_name",
    "type_uid",
    "type_name",
    "metadata.version",
    "metadata.profiles",
];

pub(super) struct Walk<'a> {
    pub(super) schema: &'a Schema,
    pub(super) class: &'a Class,
    pub(super) profiles: &'a [String],
    pub(super) found: &'a mut Diagnostics,
    /// What OCSF demands and nothing gives, or what it derives otherwise.
    pub(super) gaps: &'a mut Diagnostics,
}

/// The attributes that one level may have, and what they demand together.
struct Level<'a> {
    attributes: &'a Attributes,
    constraints: &'a [Constraint],
    /// `network_activity`, or the object's name.
    name: &'a str,
}

impl<'a> Walk<'a> {
    pub(super) fn event(&mut self, event: &Event) {
        let level = Level {
            attributes: &self.class.attributes,
            constraints: &self.class.constraints,
            name: &self.class.name,
        };
        self.object(&event.attributes, &level, "", &event.at);
    }

    /// Checks every attribute of an object, and then what is missing.
    fn object(&mut self, object: &Object, level: &Level<'a>, path: &str, at: &Origin) {
        for (name, node) in object {
            let path = join(path, name);
            match level.attributes.get(name) {
                Some(attribute) => self.attribute(node, attribute, &path),
                None => self.unknown(node, name, level, &path),
            }
        }
        self.missing(object, level, path, at);
        self.constraints(object, level, at);
    }

    fn unknown(&mut self, node: &Node, name: &str, level: &Level<'_>, path: &str) {
        let message = format!("`{}` has no attribute `{name}`", level.name);
        let known = level.attributes.keys().map(String::as_str);
        let remedy = match nearest(name, known) {
            Some(found) => format!("did you mean `{}`?", sibling_path(path, found)),
            None => "remove it; what is not mapped goes to `unmapped`".to_owned(),
        };
        self.found.push(&node.at, message, remedy);
    }

    fn attribute(&mut self, node: &Node, attribute: &'a Attribute, path: &str) {
        if !attribute.is_in(self.profiles.iter().map(String::as_str)) {
            let profile = attribute.profiles.join("` or `");
            let message = format!("belongs to the profile `{profile}`, which is not declared");
            self.found
                .push(&node.at, message, "add it to `profiles`, or remove this");
            return;
        }
        if DERIVED.contains(&path) {
            self.derived(node, path);
        } else if path == UNMAPPED {
            let remedy = "name columns in `consumed`, or set `unmapped` in source.toml";
            self.found
                .push(&node.at, "is filled with what nothing maps", remedy);
        } else {
            self.value(node, attribute, path);
        }
    }

    /// A constant that agrees is harmless; anything else would contradict the class.
    fn derived(&mut self, node: &Node, path: &str) {
        let expected = self.derived_value(path);
        let agrees = matches!((&node.value, &expected), (Value::Constant(given), Some(expected)) if given == expected);
        if !agrees {
            self.gaps
                .push(&node.at, "is derived and cannot be mapped", "remove it");
        }
    }

    fn derived_value(&self, path: &str) -> Option<Constant> {
        let integer = |number: u32| Constant::Integer(i64::from(number));
        let text = |text: &str| Constant::Text(text.to_owned());
        Some(match path {
            "class_uid" => integer(self.class.uid),
            "class_name" => text(&self.class.caption),
            "category_uid" => integer(self.class.category_uid),
            "category_name" => text(&self.class.category_name),
            "metadata.version" => text(self.schema.version()),
            "metadata.profiles" => {
                Constant::List(self.profiles.iter().map(|profile| text(profile)).collect())
            }
            _ => return None,
        })
    }

    fn value(&mut self, node: &Node, attribute: &'a Attribute, path: &str) {
        match &node.value {
            Value::List(items) if attribute.is_array => {
                for item in items {
                    self.single(item, attribute, path);
                }
            }
            Value::Constant(Constant::List(items)) if attribute.is_array => {
                for item in items {
                    self.constant(item, attribute, &node.at);
                }
            }
            Value::Each(each) if attribute.is_array => {
                self.item(&each.item, attribute, path, &node.at)
            }
            Value::Sql(_) if attribute.is_array => self.sql(attribute, &node.at),
            _ if attribute.is_array => {
                let remedy = match attribute.ty {
                    Type::Object(_) => "write a list of tables, or a table with `each`",
                    _ => "write a list, such as [\"…\"]",
                };
                self.found.push(&node.at, "is a list", remedy);
            }
            _ => self.single(node, attribute, path),
        }
    }

    /// One value: what stands at an attribute, or one item of its list.
    fn single(&mut self, node: &Node, attribute: &'a Attribute, path: &str) {
        match &node.value {
            Value::Object(object) => self.item(object, attribute, path, &node.at),
            Value::Constant(constant) => self.constant(constant, attribute, &node.at),
            Value::Sql(_) => self.sql(attribute, &node.at),
            Value::Enum(mapped) => self.enumeration(mapped, attribute, &node.at),
            Value::List(_) | Value::Each(_) => {
                self.found.push(
                    &node.at,
                    "is a single value, not a list",
                    "write one expression",
                );
            }
        }
    }

    fn item(&mut self, object: &Object, attribute: &'a Attribute, path: &str, at: &Origin) {
        let Some(inside) = self.schema.object_of(attribute) else {
            let message = format!(
                "is {}, which has no attributes",
                constants::described(attribute)
            );
            self.found.push(at, message, "map one expression to it");
            return;
        };
        let level = Level {
            attributes: &inside.attributes,
            constraints: &inside.constraints,
            name: &inside.name,
        };
        self.object(object, &level, path, at);
    }

    fn sql(&mut self, attribute: &Attribute, at: &Origin) {
        if let Type::Object(name) = &attribute.ty {
            let message = format!("is an object (`{name}`), which no expression fills");
            let remedy = if attribute.is_array {
                "write a table with `each`, or a list of tables"
            } else {
                "map its attributes"
            };
            self.found.push(at, message, remedy);
        }
    }

    fn constant(&mut self, constant: &Constant, attribute: &Attribute, at: &Origin) {
        if let Err((message, remedy)) = constants::check(constant, attribute) {
            self.found.push(at, message, remedy);
        }
    }

    fn enumeration(&mut self, mapped: &Enum, attribute: &Attribute, at: &Origin) {
        let Some(enumeration) = &attribute.enumeration else {
            let remedy = "use an expression: CASE … WHEN … THEN … END";
            self.found.push(at, "has no enumeration in OCSF", remedy);
            return;
        };
        for (_, target, at) in &mapped.to {
            if !is_member(target, enumeration) {
                let remedy = members(target, enumeration);
                let message = format!(
                    "{} is not a member of the enumeration",
                    constants::shown(target)
                );
                self.found.push(at, message, remedy);
            }
        }
    }

    /// Required attributes that nothing fills, where their profile is declared.
    fn missing(&mut self, object: &Object, level: &Level<'a>, path: &str, at: &Origin) {
        for attribute in level.attributes.values() {
            let path = join(path, &attribute.name);
            let is_due = attribute.requirement == Requirement::Required
                && attribute.is_in(self.profiles.iter().map(String::as_str));
            if is_due && !object.contains_key(&attribute.name) && !DERIVED.contains(&path.as_str())
            {
                let example = self.example(attribute, &path);
                let message = format!("required attribute `{path}` is missing");
                self.gaps
                    .push(at, message, format!("map or set `{example}`"));
            }
        }
    }

    /// The first leaf that a required attribute needs.
    fn example(&self, attribute: &'a Attribute, path: &str) -> String {
        let (mut attribute, mut path) = (attribute, path.to_owned());
        let mut seen = BTreeSet::new();
        while let Some(object) = self.schema.object_of(attribute) {
            let is_required = |a: &&Attribute| {
                a.requirement == Requirement::Required
                    && a.profiles.is_empty()
                    && !DERIVED.contains(&join(&path, &a.name).as_str())
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

    /// Demands on several attributes together that none of the mapped ones meets.
    fn constraints(&mut self, object: &Object, level: &Level<'_>, at: &Origin) {
        // A misspelt attribute is reported already, and may be the one that is needed.
        if object
            .keys()
            .any(|name| !level.attributes.contains_key(name))
        {
            return;
        }
        for constraint in level.constraints {
            if !constraint
                .attributes
                .iter()
                .any(|name| object.contains_key(name))
            {
                let names = constraint.attributes.join(", ");
                let message = format!("`{}` needs one of {names}", level.name);
                self.gaps.push(at, message, "map one of them");
            }
        }
    }
}

fn is_member(target: &Constant, enumeration: &Enumeration) -> bool {
    match target {
        Constant::Text(text) => enumeration.find(text).is_some(),
        Constant::Integer(id) => enumeration.caption(*id).is_some(),
        _ => false,
    }
}

/// The nearest caption, or all of them.
pub(super) fn members(target: &Constant, enumeration: &Enumeration) -> String {
    if let Constant::Text(text) = target
        && let Some(found) = nearest(text, enumeration.captions())
    {
        return format!("did you mean `{found}`?");
    }
    let all = enumeration
        .members()
        .map(|(id, caption)| format!("{caption} ({id})"));
    format!("known: {}", all.collect::<Vec<_>>().join(", "))
}

fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() {
        name.to_owned()
    } else {
        format!("{parent}.{name}")
    }
}

/// `path` with another last segment.
fn sibling_path(path: &str, name: &str) -> String {
    match path.rsplit_once('.') {
        Some((parent, _)) => format!("{parent}.{name}"),
        None => name.to_owned(),
    }
}
