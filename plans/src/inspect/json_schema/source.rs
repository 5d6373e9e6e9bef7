//! The schema of `source.toml`.

use serde_json::{Value, json};

use super::attributes::{Definitions, Under};
use super::event::profiles;
use super::{DIALECT, list, one_or_more, since, sql, table, text};
use crate::formats;
use crate::ocsf::Schema;

/// Returns the JSON Schema of `source.toml`.
pub fn source(schema: &Schema) -> Value {
    let mut definitions = Definitions::new(schema);
    let base = base(schema, &mut definitions);
    let mut root = table(
        &json!({
            "format": format(),
            "events": events(),
            "aliases": list(&text("another name of the source")),
            "null": list(&text("a text that means no value")),
            "columns": named(&column(), "columns with their types"),
            "partition": partition(),
            "filter": filter(),
            "sets": named(
                &list(&json!({ "type": "string" })),
                "lists of values for in_set(column, 'name')",
            ),
            "let": named(&sql("an expression"), "expressions that others use by name"),
            "tables": named(
                &named(&json!({ "type": ["string", "integer"] }), "members by source value"),
                "tables that several enums use",
            ),
            "unmapped": {
                "enum": [true, false, "map", "json"],
                "description": "whether and how values without an attribute are kept",
            },
            "redact": redact(),
            "output": outputs(schema),
            "base": base,
        }),
        &["format", "events"],
    );
    root["$schema"] = Value::from(DIALECT);
    root["title"] = Value::from(format!("source.toml, OCSF {}", schema.version()));
    root["$defs"] = definitions.into_value();
    root
}

fn format() -> Value {
    let names: Vec<&str> = formats::listing()
        .flat_map(|format| std::iter::once(format.name()).chain(formats::aliases(format.name())))
        .collect();
    let name = json!({ "enum": names });
    json!({
        "description": "the wire format, or a table with its name and options",
        "anyOf": [name, {
            "type": "object",
            "properties": { "name": name },
            "required": ["name"],
            "additionalProperties": { "type": ["string", "integer", "boolean"] },
        }],
    })
}

/// A table whose keys are names that the user chooses.
pub(super) fn named(value: &Value, description: &str) -> Value {
    json!({
        "type": "object",
        "additionalProperties": value,
        "description": description,
    })
}

fn events() -> Value {
    json!({
        "type": "array",
        "items": { "type": "string" },
        "minItems": 1,
        "description": "names of event files, in the order in which they are tried",
    })
}

fn partition() -> Value {
    table(
        &json!({
            "account": one_or_more(&sql("the account of a row; the first that is not NULL")),
            "region": one_or_more(&sql("the region of a row; the first that is not NULL")),
        }),
        &[],
    )
}

fn filter() -> Value {
    one_or_more(&table(
        &json!({
            "when": sql("the rows to leave out"),
            "reason": text("the name by which these rows are counted"),
        }),
        &["when", "reason"],
    ))
}

fn redact() -> Value {
    table(
        &json!({
            "add": list(&text("a dotted glob of keys whose values are replaced")),
            "keep": list(&text("a dotted glob of keys whose values are kept")),
        }),
        &[],
    )
}

fn column() -> Value {
    let kinds: Vec<&str> = formats::COLUMN_TYPES.iter().map(|kind| kind.name).collect();
    let kind = json!({ "enum": kinds });
    let names = list(&json!({ "type": "string" }));
    let table = table(
        &json!({
            "type": kind,
            "strftime": text("the pattern of a time, such as %d/%b/%Y:%H:%M:%S %z"),
            "time": one_or_more(&text("a format of the time; the first that fits is used")),
            "source_name": text("the name in the file"),
            "names": names,
        }),
        &[],
    );
    json!({ "anyOf": [kind, table] })
}

fn outputs(schema: &Schema) -> Value {
    let output = table(
        &json!({
            "name": text("name in the paths of the output, at most 20 characters"),
            "uri": text("target"),
            "role_arn": text("IAM role that writes it"),
            "external_id": text("external id that the role requires"),
        }),
        &[],
    );
    let classes: Value = schema
        .classes()
        .map(|class| (class.name.clone(), output.clone()))
        .collect::<serde_json::Map<_, _>>()
        .into();
    table(&classes, &[])
}

/// The attributes that all events share. Each class takes those that it has.
fn base(schema: &Schema, definitions: &mut Definitions<'_>) -> Value {
    let attributes = || schema.classes().flat_map(|class| class.attributes.values());
    let set = definitions.table(attributes(), Under::Set);
    let map = definitions.table(attributes(), Under::Map);
    let names = schema.classes().flat_map(|class| &class.profiles);
    let profiles = profiles(names.map(String::as_str));
    let overlay = table(
        &json!({ "profiles": profiles, "set": set, "map": map }),
        &[],
    );
    table(
        &json!({ "profiles": profiles, "set": set, "map": map, "since": since(&overlay) }),
        &[],
    )
}
