//! The attributes of classes and objects, under `[set]` as constants and under `[map]` as
//! expressions. Objects are definitions, so that they may contain themselves.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{list, sql};
use crate::ocsf::{Attribute, Enumeration, Requirement, Schema, Type};

/// The definitions that a schema refers to.
pub(super) struct Definitions<'a> {
    schema: &'a Schema,
    found: Map<String, Value>,
}

/// The table that an attribute is in.
#[derive(Clone, Copy)]
pub(super) enum Under {
    Set,
    Map,
}

impl Under {
    fn name(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Map => "map",
        }
    }
}

impl<'a> Definitions<'a> {
    pub(super) fn new(schema: &'a Schema) -> Self {
        let found = Map::from_iter([
            (
                "expression".to_owned(),
                sql("SQL over the columns; text constants belong under [set]"),
            ),
            (
                "removed".to_owned(),
                json!({ "const": false, "description": "removes the key of the base" }),
            ),
        ]);
        Self { schema, found }
    }

    pub(super) fn into_value(self) -> Value {
        Value::Object(self.found)
    }

    /// A table of these attributes. Several of one name are alternatives.
    pub(super) fn table<'b>(
        &mut self,
        attributes: impl IntoIterator<Item = &'b Attribute>,
        under: Under,
    ) -> Value {
        let mut properties: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for attribute in attributes {
            let value = self.attribute(attribute, under);
            let known = properties.entry(&attribute.name).or_default();
            if !known.contains(&value) {
                known.push(value);
            }
        }
        let properties: Map<String, Value> = properties
            .into_iter()
            .map(|(name, values)| (name.to_owned(), any_of(values)))
            .collect();
        super::table(&Value::Object(properties), &[])
    }

    fn attribute(&mut self, attribute: &Attribute, under: Under) -> Value {
        let value = match under {
            Under::Set => self.constant(attribute),
            Under::Map => self.expression(attribute),
        };
        let mut described =
            Map::from_iter([("description".to_owned(), Value::String(describe(attribute)))]);
        if let Value::Object(members) = value {
            described.extend(members);
        }
        Value::Object(described)
    }

    fn constant(&mut self, attribute: &Attribute) -> Value {
        let one = match (&attribute.ty, &attribute.enumeration) {
            (Type::Object(name), _) => self.object(name, Under::Set),
            (_, Some(members)) => captions(members, &attribute.ty),
            (Type::Boolean, _) => json!({ "type": "boolean" }),
            (Type::Integer | Type::Long | Type::Timestamp, _) => json!({ "type": "integer" }),
            (Type::Float, _) => json!({ "type": "number" }),
            (Type::Json, _) => json!({}),
            (Type::Datetime | Type::Text, _) => json!({ "type": "string" }),
        };
        match attribute.is_array {
            true => list(&one),
            false => one,
        }
    }

    fn expression(&mut self, attribute: &Attribute) -> Value {
        let expression = reference("expression");
        let mut one = vec![expression.clone()];
        match (&attribute.ty, &attribute.enumeration) {
            (Type::Object(name), _) => one.push(self.object(name, Under::Map)),
            (ty, members) => one.push(lookup(members.as_deref(), ty)),
        }
        if !attribute.is_array {
            one.push(reference("removed"));
            return any_of(one);
        }
        let each = match &attribute.ty {
            Type::Object(name) => self.each(name),
            _ => each(Map::from_iter([("value".to_owned(), expression.clone())])),
        };
        any_of(vec![
            expression,
            list(&any_of(one)),
            each,
            reference("removed"),
        ])
    }

    /// A reference to the definition of an object.
    fn object(&mut self, name: &str, under: Under) -> Value {
        let key = format!("{}.{name}", under.name());
        if !self.found.contains_key(&key) {
            // It refers to itself while it is being made.
            self.found.insert(key.clone(), Value::Null);
            let schema = self.schema;
            let attributes = schema.object(name).map(|object| object.attributes.values());
            let table = self.table(attributes.into_iter().flatten(), under);
            self.found.insert(key.clone(), table);
        }
        reference(&key)
    }

    /// A reference to the definition of a list of objects, each made of one element.
    fn each(&mut self, name: &str) -> Value {
        let key = format!("each.{name}");
        if !self.found.contains_key(&key) {
            self.found.insert(key.clone(), Value::Null);
            let mut properties = Map::new();
            let schema = self.schema;
            for attribute in schema
                .object(name)
                .into_iter()
                .flat_map(|o| o.attributes.values())
            {
                let value = self.attribute(attribute, Under::Map);
                properties.insert(attribute.name.clone(), value);
            }
            self.found.insert(key.clone(), each(properties));
        }
        reference(&key)
    }
}

/// A table with `each`, and the attributes of one item.
fn each(mut properties: Map<String, Value>) -> Value {
    properties.insert(
        "each".to_owned(),
        sql("a JSON array or a list; its element is `item`"),
    );
    properties.insert("when".to_owned(), sql("the elements to take"));
    super::table(&Value::Object(properties), &["each"])
}

/// A table with `match`: the members of an enumeration by the values of a source.
fn lookup(members: Option<&Enumeration>, ty: &Type) -> Value {
    let member = members.map_or_else(
        || json!({ "type": ["string", "integer"] }),
        |members| captions(members, ty),
    );
    let to = json!({
        "description": "globs of source values, each with a member; or the name of a table",
        "anyOf": [
            { "type": "object", "additionalProperties": member },
            { "type": "string" },
        ],
    });
    super::table(
        &json!({ "match": sql("the source value"), "to": to }),
        &["match"],
    )
}

/// The captions and ids of an enumeration.
fn captions(members: &Enumeration, ty: &Type) -> Value {
    let mut values: Vec<Value> = members.captions().map(Value::from).collect();
    for (id, _) in members.members() {
        let id = match (ty, id.parse::<i64>()) {
            (Type::Integer | Type::Long, Ok(number)) => Value::from(number),
            _ => Value::from(id),
        };
        if !values.contains(&id) {
            values.push(id);
        }
    }
    json!({ "enum": values })
}

fn reference(key: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{key}") })
}

/// Any of these. One alone needs no alternative.
fn any_of(mut values: Vec<Value>) -> Value {
    match values.len() {
        1 => values.remove(0),
        _ => json!({ "anyOf": values }),
    }
}

/// What an editor shows beside the attribute.
fn describe(attribute: &Attribute) -> String {
    let requirement = match attribute.requirement {
        Requirement::Required => "required",
        Requirement::Recommended => "recommended",
        Requirement::Optional => "optional",
    };
    let list = if attribute.is_array { "[]" } else { "" };
    let mut text = format!("{requirement}, {}{list}", attribute.type_name);
    if !attribute.profiles.is_empty() {
        text.push_str(&format!(", profile {}", attribute.profiles.join(" or ")));
    }
    text
}
