//! Attributes that no mapping fills: they follow from the class, the version and the profiles.

use super::attributes::Builder;
use crate::spec::{Constant, Node, Value};

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

/// Whether the attribute at `path` is derived.
pub(super) fn is_derived(path: &str) -> bool {
    DERIVED.contains(&path)
}

impl Builder<'_> {
    /// Whether a value at a derived attribute is accepted. A constant that agrees is harmless.
    /// A foreign source may map others, but not to a class that is not the route's.
    pub(super) fn accepts_derived(&mut self, node: &Node, path: &str) -> bool {
        let expected = self.derived_value(path);
        let given = match &node.value {
            Value::Constant(given) => Some(given),
            _ => None,
        };
        if given.is_some() && given == expected.as_ref() {
            return true;
        }
        let message = "is derived and cannot be mapped";
        if let (Some(Constant::Integer(_)), Some(Constant::Integer(right))) = (given, &expected) {
            let remedy = format!("remove it; `{}` has {right}", self.class.name);
            self.found.error(&node.at, message, remedy);
            return false;
        }
        self.found.gap(&node.at, message, "remove it");
        self.found.is_foreign()
    }

    fn derived_value(&self, path: &str) -> Option<Constant> {
        let integer = |number: u32| Constant::Integer(i64::from(number));
        let text = |text: &str| Constant::Text(text.to_owned());
        Some(match path {
            "class_uid" => integer(self.class.uid),
            "class_name" => text(&self.class.caption),
            "category_uid" => integer(self.class.category_uid),
            "category_name" => text(&self.class.category_name),
            "metadata.version" => text(self.ocsf.version()),
            "metadata.profiles" => {
                Constant::List(self.declared.iter().map(|profile| text(profile)).collect())
            }
            _ => return None,
        })
    }
}
