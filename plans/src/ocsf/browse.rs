//! Looking around in a schema: where an attribute is used, and what contains a word.

use std::collections::BTreeMap;

use super::{Attribute, Attributes, Object, Schema};
use crate::diagnostics::did_you_mean;

/// A class or object that has an attribute.
#[derive(Clone, Copy, Debug)]
pub struct Use<'a> {
    /// Name of the class or object.
    pub owner: &'a str,
    pub is_class: bool,
    pub attribute: &'a Attribute,
}

/// A place where a word was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hit {
    Class {
        name: String,
        caption: String,
    },
    Object {
        name: String,
        caption: String,
    },
    Attribute {
        name: String,
    },
    /// A member of an attribute's enumeration.
    Member {
        attribute: String,
        id: String,
        caption: String,
        /// The classes and objects whose attribute has it.
        owners: Vec<String>,
    },
}

impl Schema {
    /// Returns every object, sorted by name.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.objects.values()
    }

    /// Returns every use of the attribute called `name`: by classes, then by objects.
    pub fn uses(&self, name: &str) -> Vec<Use<'_>> {
        self.owners()
            .filter_map(|(owner, is_class, attributes)| {
                let attribute = attributes.get(name)?;
                Some(Use {
                    owner,
                    is_class,
                    attribute,
                })
            })
            .collect()
    }

    /// Every class, then every object: name, whether it is a class, and attributes.
    fn owners(&self) -> impl Iterator<Item = (&str, bool, &Attributes)> {
        let classes = self.classes.values();
        let classes = classes.map(|class| (class.name.as_str(), true, &class.attributes));
        let objects = self.objects.values();
        classes.chain(objects.map(|object| (object.name.as_str(), false, &object.attributes)))
    }

    /// Returns the names and captions that contain `word`, in any case: classes, objects,
    /// attributes, then members of enumerations.
    pub fn search(&self, word: &str) -> Vec<Hit> {
        let word = word.to_lowercase();
        let contains = |text: &str| text.to_lowercase().contains(&word);
        let mut hits = Vec::new();
        for class in self.classes.values() {
            if contains(&class.name) || contains(&class.caption) {
                hits.push(Hit::Class {
                    name: class.name.clone(),
                    caption: class.caption.clone(),
                });
            }
        }
        for object in self.objects.values() {
            if contains(&object.name) || contains(&object.caption) {
                hits.push(Hit::Object {
                    name: object.name.clone(),
                    caption: object.caption.clone(),
                });
            }
        }
        let mut names: Vec<&String> = self.owners().flat_map(|(.., all)| all.keys()).collect();
        names.sort();
        names.dedup();
        let names = names.into_iter().filter(|name| contains(name));
        hits.extend(names.map(|name| Hit::Attribute { name: name.clone() }));
        hits.extend(self.members(contains));
        hits
    }

    /// The members of enumerations whose caption is sought.
    fn members(&self, is_sought: impl Fn(&str) -> bool) -> Vec<Hit> {
        let mut found: BTreeMap<(&str, &str, &str), Vec<String>> = BTreeMap::new();
        for (owner, _, attributes) in self.owners() {
            for attribute in attributes.values() {
                let members = attribute.enumeration.iter().flat_map(|all| all.members());
                for (id, caption) in members.filter(|(_, caption)| is_sought(caption)) {
                    let key = (attribute.name.as_str(), id, caption);
                    found.entry(key).or_default().push(owner.to_owned());
                }
            }
        }
        let hit =
            |((attribute, id, caption), owners): ((&str, &str, &str), Vec<String>)| Hit::Member {
                attribute: attribute.to_owned(),
                id: id.to_owned(),
                caption: caption.to_owned(),
                owners,
            };
        found.into_iter().map(hit).collect()
    }

    /// Returns the remedy for a name that no class, object or attribute has.
    pub fn remedy_for_name(&self, name: &str) -> String {
        let owners = self.owners().map(|(name, ..)| name);
        let attributes = self.owners().flat_map(|(.., all)| all.keys());
        let names = owners.chain(attributes.map(String::as_str));
        did_you_mean(name, names)
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;

    #[test]
    fn an_attribute_is_found_in_classes_and_objects() {
        let schema = schema("1.1.0").expect("pinned");
        let uses = schema.uses("user");
        let has = |owner: &str| uses.iter().find(|found| found.owner == owner);
        assert!(has("authentication").is_some_and(|found| found.is_class));
        assert!(has("actor").is_some_and(|found| !found.is_class));
        assert!(schema.uses("no_such").is_empty());
    }

    #[test]
    fn a_word_is_found_in_names_and_captions_in_any_case() {
        let schema = schema("1.1.0").expect("pinned");
        let hits = schema.search("LOGON");
        let is_logon = |hit: &Hit| {
            matches!(hit, Hit::Member { attribute, caption, owners, .. }
            if attribute == "activity_id" && caption == "Logon"
                && owners.contains(&"authentication".to_owned()))
        };
        assert!(hits.iter().any(is_logon), "{hits:?}");
        let hits = schema.search("network activity");
        assert!(hits.contains(&Hit::Class {
            name: "network_activity".to_owned(),
            caption: "Network Activity".to_owned(),
        }));
    }

    #[test]
    fn an_unknown_name_has_a_near_one() {
        let schema = schema("1.1.0").expect("pinned");
        let remedy = |name: &str| schema.remedy_for_name(name);
        assert!(remedy("authentcation").contains("`authentication`"));
        assert!(remedy("src_endpiont").contains("`src_endpoint`"));
        assert_eq!(remedy("xyzzyxyzzyxyzzy"), "");
    }
}
