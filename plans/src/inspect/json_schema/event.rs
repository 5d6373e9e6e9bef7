//! The schema of an event's file.

use serde_json::{Value, json};

use super::attributes::{Definitions, Under};
use super::source::named;
use super::{DIALECT, list, since, sql, table, text};
use crate::ocsf::{Class, Schema};

/// Returns the JSON Schema of an event's file for a class.
pub fn event(schema: &Schema, class: &Class) -> Value {
    let mut definitions = Definitions::new(schema);
    let set = definitions.table(class.attributes.values(), Under::Set);
    let map = definitions.table(class.attributes.values(), Under::Map);
    let profiles = profiles(class.profiles.iter().map(String::as_str));
    let overlay = table(
        &json!({ "profiles": profiles, "set": set, "map": map }),
        &[],
    );
    let mut root = table(
        &json!({
            "class": { "const": class.name, "description": class.caption },
            "profiles": profiles,
            "when": sql("the rows that the event takes; without it every row"),
            "also": {
                "type": "boolean",
                "description": "adds an event to that of the route that takes the row",
            },
            "consumed": list(&text("a column or dotted path that `unmapped` leaves out")),
            "let": named(&sql("an expression"), "expressions that others use by name"),
            "set": set,
            "map": map,
            "since": since(&overlay),
        }),
        &["class"],
    );
    root["$schema"] = Value::from(DIALECT);
    root["title"] = Value::from(format!(
        "{} ({}), OCSF {}",
        class.caption,
        class.uid,
        schema.version()
    ));
    root["$defs"] = definitions.into_value();
    root
}

/// A list of profiles. An extension may be left out of a name.
pub(super) fn profiles<'a>(names: impl Iterator<Item = &'a str>) -> Value {
    let mut all: Vec<&str> = Vec::new();
    for name in names {
        all.push(name);
        all.extend(name.split_once('/').map(|(_, short)| short));
    }
    all.sort_unstable();
    all.dedup();
    list(&json!({ "enum": all }))
}
