//! Classes, objects and attributes as JSON.

use plans::ocsf::{
    Attribute, Attributes, Constraint, ConstraintKind, Enumeration, Hit, Schema, Use,
};
use serde_json::{Value, json};

use super::human::requirement;
use super::{Meaning, Reference};

pub(super) fn classes(reference: &Reference) -> Value {
    let one = |class: &plans::ocsf::Class| {
        json!({
            "uid": class.uid,
            "name": class.name,
            "caption": class.caption,
            "category": class.category_name,
            "sources": reference.coverage.of_class(&class.name),
        })
    };
    let classes: Vec<Value> = reference.schema.classes().map(one).collect();
    json!({
        "schema_version": 1,
        "ocsf": reference.schema.version(),
        "classes": classes,
    })
}

pub(super) fn meaning(reference: &Reference, name: &str, meaning: &Meaning<'_>) -> Value {
    let class = meaning.class.map(|class| {
        json!({
            "uid": class.uid,
            "name": class.name,
            "caption": class.caption,
            "category": class.category_name,
            "profiles": class.profiles,
            "constraints": constraints(&class.constraints),
            "sources": reference.coverage.of_class(&class.name),
            "attributes": attributes(reference, &class.name, &class.attributes),
        })
    });
    let object = meaning.object.map(|object| {
        json!({
            "name": object.name,
            "caption": object.caption,
            "constraints": constraints(&object.constraints),
            "attributes": attributes(reference, &object.name, &object.attributes),
        })
    });
    let path = meaning.path.as_ref().map(|(attribute, path)| {
        let mut value = self::attribute(attribute);
        value["path"] = Value::from(path.as_str());
        value
    });
    let uses: Vec<Value> = meaning
        .uses
        .iter()
        .map(|used| use_of(reference, used))
        .collect();
    json!({
        "schema_version": 1,
        "ocsf": reference.schema.version(),
        "name": name,
        "class": class,
        "object": object,
        "attribute": path,
        "uses": uses,
    })
}

pub(super) fn hits(schema: &Schema, word: &str, hits: &[Hit]) -> Value {
    let one = |hit: &Hit| match hit {
        Hit::Class { name, caption } => {
            json!({ "kind": "class", "name": name, "caption": caption })
        }
        Hit::Object { name, caption } => {
            json!({ "kind": "object", "name": name, "caption": caption })
        }
        Hit::Attribute { name } => json!({ "kind": "attribute", "name": name }),
        Hit::Member {
            attribute,
            id,
            caption,
            owners,
        } => json!({
            "kind": "value",
            "name": attribute,
            "id": id,
            "caption": caption,
            "in": owners,
        }),
    };
    let hits: Vec<Value> = hits.iter().map(one).collect();
    json!({
        "schema_version": 1,
        "ocsf": schema.version(),
        "word": word,
        "hits": hits,
    })
}

fn use_of(reference: &Reference, used: &Use<'_>) -> Value {
    let mut value = attribute(used.attribute);
    value["in"] = Value::from(if used.is_class { "class" } else { "object" });
    value["owner"] = Value::from(used.owner);
    let sources = reference
        .coverage
        .of_attribute(used.owner, &used.attribute.name);
    value["sources"] = Value::from(sources);
    value
}

fn attributes(reference: &Reference, owner: &str, attributes: &Attributes) -> Vec<Value> {
    let one = |attribute: &Attribute| {
        let mut value = self::attribute(attribute);
        let sources = reference.coverage.of_attribute(owner, &attribute.name);
        value["sources"] = Value::from(sources);
        value
    };
    attributes.values().map(one).collect()
}

fn attribute(attribute: &Attribute) -> Value {
    json!({
        "name": attribute.name,
        "requirement": requirement(attribute),
        "type": attribute.type_name,
        "list": attribute.is_array,
        "profiles": attribute.profiles,
        "sibling": attribute.sibling,
        "values": attribute.enumeration.as_deref().map(members),
    })
}

fn members(members: &Enumeration) -> Vec<Value> {
    let one = |(id, caption): (&str, &str)| json!({ "id": id, "caption": caption });
    members.members().map(one).collect()
}

fn constraints(constraints: &[Constraint]) -> Vec<Value> {
    let one = |constraint: &Constraint| {
        let kind = match constraint.kind {
            ConstraintKind::AtLeastOne => "at_least_one",
            ConstraintKind::JustOne => "just_one",
        };
        json!({ "kind": kind, "attributes": constraint.attributes })
    };
    constraints.iter().map(one).collect()
}
