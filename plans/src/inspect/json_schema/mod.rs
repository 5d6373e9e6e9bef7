//! JSON Schemas (draft 2020-12) of the files of a source, for editors that complete and check
//! TOML with them. They are made from the schema of OCSF and the tables of the dialect. `lint`
//! checks more than they can say.

mod attributes;
mod event;
mod source;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

pub use event::event;
pub use source::source;

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// A table with these keys and no others.
fn table(properties: &Value, required: &[&str]) -> Value {
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// A list of such values.
fn list(items: &Value) -> Value {
    json!({ "type": "array", "items": items })
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

/// One such value, or a list of them.
fn one_or_more(item: &Value) -> Value {
    json!({ "anyOf": [item, list(item)] })
}

/// SQL over the columns of a source.
fn sql(description: &str) -> Value {
    json!({ "type": "string", "minLength": 1, "description": description })
}

/// Overlays for newer versions of OCSF.
fn since(overlay: &Value) -> Value {
    json!({
        "type": "object",
        "description": "changes from an OCSF version on, such as [since.\"1.3.0\".map]",
        "patternProperties": { r"^v?[0-9]+\.[0-9]+\.[0-9]+$": overlay },
        "additionalProperties": false,
    })
}
