//! Which sources map which attributes of which classes and objects.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostics::Diagnostics;
use crate::ocsf::{Attributes, Schema};
use crate::sources;
use crate::spec::{Object, Source, Value};

/// Names of sources by the attributes that they map.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    /// By the name of a class.
    classes: BTreeMap<String, BTreeSet<String>>,
    /// By the name of a class or object, and the name of its attribute.
    attributes: BTreeMap<(String, String), BTreeSet<String>>,
}

/// Returns what the shipped sources map.
pub fn of_shipped(schema: &Schema) -> Result<Coverage, Diagnostics> {
    let mut coverage = Coverage::default();
    for shipped in sources::list() {
        let loaded = shipped.load(schema.version())?;
        coverage.add(&loaded.source, schema);
    }
    Ok(coverage)
}

impl Coverage {
    /// The sources with an event of this class.
    pub fn of_class(&self, class: &str) -> Vec<&str> {
        names(self.classes.get(class))
    }

    /// The sources that map this attribute of a class or object.
    pub fn of_attribute(&self, owner: &str, attribute: &str) -> Vec<&str> {
        names(
            self.attributes
                .get(&(owner.to_owned(), attribute.to_owned())),
        )
    }

    /// Adds what `source` maps.
    pub fn add(&mut self, source: &Source, schema: &Schema) {
        for event in &source.events {
            let Some(class) = schema.class(&event.class) else {
                continue;
            };
            let names = self.classes.entry(class.name.clone()).or_default();
            names.insert(source.name.clone());
            let mut walk = Walk {
                coverage: self,
                source: &source.name,
                schema,
            };
            walk.object(&event.attributes, &class.name, &class.attributes);
        }
    }
}

fn names(found: Option<&BTreeSet<String>>) -> Vec<&str> {
    found.into_iter().flatten().map(String::as_str).collect()
}

/// A walk through the attributes of one event.
struct Walk<'a> {
    coverage: &'a mut Coverage,
    source: &'a str,
    schema: &'a Schema,
}

impl Walk<'_> {
    fn object(&mut self, object: &Object, owner: &str, attributes: &Attributes) {
        for (name, node) in object {
            let Some(attribute) = attributes.get(name) else {
                continue;
            };
            let key = (owner.to_owned(), name.clone());
            let names = self.coverage.attributes.entry(key).or_default();
            names.insert(self.source.to_owned());
            if let Some(inner) = self.schema.object_of(attribute) {
                self.value(&node.value, &inner.name, &inner.attributes);
            }
        }
    }

    fn value(&mut self, value: &Value, owner: &str, attributes: &Attributes) {
        match value {
            Value::Object(members) => self.object(members, owner, attributes),
            Value::Each(each) => self.object(&each.item, owner, attributes),
            Value::List(items) => {
                for item in items {
                    self.value(&item.value, owner, attributes);
                }
            }
            Value::Constant(_) | Value::Sql(_) | Value::Enum(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ocsf;

    #[test]
    fn shipped_sources_are_named_by_class_and_attribute() {
        let schema = ocsf::schema("1.1.0").expect("pinned");
        let coverage = of_shipped(schema).expect("shipped sources load");
        assert!(coverage.of_class("network_activity").contains(&"vpc_flow"));
        let of = |owner: &str, attribute: &str| coverage.of_attribute(owner, attribute);
        assert!(of("network_activity", "src_endpoint").contains(&"vpc_flow"));
        assert!(of("network_endpoint", "ip").contains(&"vpc_flow"));
        assert!(of("resource_details", "uid").contains(&"s3_access"));
        assert!(of("dns_query", "class").is_empty());
    }
}
