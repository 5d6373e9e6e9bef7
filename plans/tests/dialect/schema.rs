//! An evaluator of JSON Schema, for the keywords of the schemas of OCSF that another project
//! made. It shares nothing with the code under test.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use flate2::read::GzDecoder;
use serde_json::Value;

/// The JSON Schemas of all classes by their names.
pub(crate) struct Schemas(BTreeMap<String, Value>);

impl Schemas {
    /// Reads the file beside the project, if it is there.
    pub(crate) fn open() -> Option<Self> {
        let file = "../../shared/ocsf/jsonschema-1.1.0-all-profiles.json.gz";
        let file = File::open(Path::new(env!("CARGO_MANIFEST_DIR")).join(file));
        let Ok(file) = file else {
            eprintln!("SKIPPED: there are no JSON Schemas of OCSF beside the project");
            return None;
        };
        let schemas = serde_json::from_reader(GzDecoder::new(file));
        Some(Self(schemas.expect("JSON Schemas")))
    }

    /// What is wrong with an event of a class.
    pub(crate) fn faults(&self, class: &str, event: &Value) -> Vec<String> {
        let root = &self.0[class];
        let mut faults = Vec::new();
        check(root, root, event, "", &mut faults);
        faults
    }
}

fn check(root: &Value, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    let Some(keywords) = schema.as_object() else {
        return;
    };
    for (keyword, given) in keywords {
        let fault = match keyword.as_str() {
            "$ref" => {
                let pointer = given.as_str().and_then(|target| target.strip_prefix('#'));
                let target = root.pointer(pointer.expect("is local"));
                check(root, target.expect("exists"), value, at, faults);
                None
            }
            "type" => (!has_type(given, value)).then(|| format!("is no {given}")),
            "enum" => {
                let allowed = given.as_array().expect("is a list");
                (!allowed.contains(value)).then(|| "is not in the enum".to_owned())
            }
            "const" => (given != value).then(|| format!("is not {given}")),
            "required" => missing(given, value),
            "properties" => {
                members(root, given, value, at, faults);
                None
            }
            "additionalProperties" => unknown(schema, given, value),
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, given, item, &format!("{at}[{index}]"), faults);
                }
                None
            }
            "anyOf" => (holding(root, given, value) == 0).then(|| format!("lacks {given}")),
            "oneOf" => (holding(root, given, value) != 1).then(|| format!("not one of {given}")),
            "allOf" => {
                for part in given.as_array().into_iter().flatten() {
                    check(root, part, value, at, faults);
                }
                None
            }
            "not" => holds(root, given, value).then(|| format!("meets {given}")),
            "title" | "description" | "$id" | "$schema" | "$defs" => None,
            other => panic!("the keyword {other} is not evaluated"),
        };
        faults.extend(fault.map(|fault| format!("{at}: {fault}")));
    }
}

fn holds(root: &Value, schema: &Value, value: &Value) -> bool {
    let mut faults = Vec::new();
    check(root, schema, value, "", &mut faults);
    faults.is_empty()
}

/// The number of schemas that hold.
fn holding(root: &Value, schemas: &Value, value: &Value) -> usize {
    let schemas = schemas.as_array().into_iter().flatten();
    schemas.filter(|schema| holds(root, schema, value)).count()
}

fn has_type(name: &Value, value: &Value) -> bool {
    match name.as_str().expect("one type") {
        "array" => value.is_array(),
        "object" => value.is_object(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("there is no type {other}"),
    }
}

fn missing(names: &Value, value: &Value) -> Option<String> {
    let object = value.as_object()?;
    let mut names = names.as_array()?.iter().filter_map(Value::as_str);
    let missing = names.find(|name| !object.contains_key(*name))?;
    Some(format!("lacks {missing}"))
}

fn members(root: &Value, schemas: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    for (name, member) in value.as_object().into_iter().flatten() {
        if let Some(schema) = schemas.get(name) {
            check(root, schema, member, &format!("{at}.{name}"), faults);
        }
    }
}

fn unknown(schema: &Value, allowed: &Value, value: &Value) -> Option<String> {
    if *allowed != Value::Bool(false) {
        return None;
    }
    let known = schema.get("properties").and_then(Value::as_object);
    let mut names = value.as_object()?.keys();
    let is_known = |name: &str| known.is_some_and(|known| known.contains_key(name));
    let unknown = names.find(|name| !is_known(name))?;
    Some(format!("has an unknown attribute {unknown}"))
}
