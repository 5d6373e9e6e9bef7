use serde_json::Value;

use super::*;
use crate::ocsf;
use crate::sources;

/// The mistakes of `value`. Knows the words that our schemas use, and no others.
fn mistakes(root: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    for (word, rule) in schema.as_object().expect("a schema is an object") {
        let good = match word.as_str() {
            "$schema" | "$defs" | "title" | "description" => true,
            "$ref" => {
                let pointer = rule.as_str().expect("a text").trim_start_matches('#');
                let target = root.pointer(pointer).expect("references have a target");
                mistakes(root, target, value, at, found);
                true
            }
            "type" => has_type(rule, value),
            "const" => rule == value,
            "enum" => rule.as_array().is_some_and(|all| all.contains(value)),
            "minLength" => value.as_str().is_none_or(|text| !text.is_empty()),
            "minItems" => value.as_array().is_none_or(|items| !items.is_empty()),
            "anyOf" => rule.as_array().is_some_and(|all| {
                all.iter().any(|one| {
                    let mut inner = Vec::new();
                    mistakes(root, one, value, at, &mut inner);
                    inner.is_empty()
                })
            }),
            "required" => value.as_object().is_none_or(|members| {
                let mut names = rule.as_array().into_iter().flatten();
                names.all(|name| members.contains_key(name.as_str().unwrap_or_default()))
            }),
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    mistakes(root, rule, item, &format!("{at}[{index}]"), found);
                }
                true
            }
            "properties" | "patternProperties" => true,
            "additionalProperties" => {
                members(root, schema, value, at, found);
                true
            }
            other => panic!("the check does not know `{other}`"),
        };
        if !good {
            found.push(format!("{at}: {word} {rule} refuses {value}"));
        }
    }
}

/// Checks the members of a table against `properties`, patterns and the rest.
fn members(root: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    for (name, member) in value.as_object().into_iter().flatten() {
        let at = format!("{at}.{name}");
        let pattern = schema.get("patternProperties").and_then(Value::as_object);
        let pattern = pattern.and_then(|all| all.values().next());
        let is_version = name.split('.').all(|part| part.parse::<u32>().is_ok());
        match (&schema["properties"][name], pattern) {
            (Value::Null, Some(rule)) if is_version => mistakes(root, rule, member, &at, found),
            (Value::Null, _) => match &schema["additionalProperties"] {
                Value::Bool(false) => found.push(format!("{at}: unknown key")),
                rule => mistakes(root, rule, member, &at, found),
            },
            (rule, _) => mistakes(root, rule, member, &at, found),
        }
    }
}

fn has_type(rule: &Value, value: &Value) -> bool {
    let is = |name: &Value| match name.as_str() {
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => false,
    };
    rule.as_array()
        .map_or_else(|| is(rule), |names| names.iter().any(is))
}

fn check(schema: &Value, toml: &str) -> Vec<String> {
    let value: Value = toml::from_str(toml).expect("it is TOML");
    let mut found = Vec::new();
    mistakes(schema, schema, &value, "", &mut found);
    found
}

/// The schema of an event's file, by the class that it names.
fn of_event(ocsf: &ocsf::Schema, toml: &str) -> Value {
    let value: Value = toml::from_str(toml).expect("it is TOML");
    let class = value["class"].as_str().expect("a class");
    event(ocsf, ocsf.class(class).expect("a known class"))
}

#[test]
fn every_shipped_source_agrees_with_its_schema() {
    for version in ocsf::versions() {
        let ocsf = ocsf::schema(version).expect("pinned");
        for shipped in sources::list() {
            for (name, text) in shipped.files() {
                let schema = match name.ends_with("/source.toml") {
                    true => source(ocsf),
                    false => of_event(ocsf, text),
                };
                let found = check(&schema, text);
                assert!(found.is_empty(), "{name} for {version}: {found:#?}");
            }
        }
    }
}

#[test]
fn every_form_of_a_source_is_known() {
    let ocsf = ocsf::schema("1.1.0").expect("pinned");
    let toml = r#"
        format = { name = "csv", header = true, delimiter = "|" }
        events = ["a"]
        null = ["-"]
        unmapped = "json"
        filter = { when = "a = 1", reason = "noise" }
        [columns]
        at = "epoch_s"
        src = { type = "ip", names = ["id.orig_h"] }
        when_seen = { strftime = "%d/%b/%Y", source_name = "date" }
        ts = { time = ["epoch_s", "rfc3339"] }
        [let]
        method = "http_method(line)"
        [tables.protocol]
        tcp = 6
        [base]
        profiles = ["cloud", "linux_users"]
        [base.set]
        metadata.product.name = "Door"
        severity_id = "High"
        [base.map]
        src_endpoint.ip = "src"
        [base.since."1.3.0".map]
        time = "at"
    "#;
    assert_eq!(check(&source(ocsf), toml), [""; 0]);
}

#[test]
fn every_form_of_an_event_is_known() {
    let ocsf = ocsf::schema("1.1.0").expect("pinned");
    let toml = r#"
        class = "authentication"
        profiles = ["cloud"]
        when = "kind = 'login'"
        [set]
        activity_id = "Logon"
        observables = [{ name = "a", type_id = "Other" }]
        [map]
        time = "at"
        user.groups = [{ name = "a" }, "b"]
        actor.process.file.hashes = { each = "split(h, ',')", when = "item <> ''", value = "item" }
        actor.process.parent_process.parent_process.name = "grand"
        severity_id = { match = "severity" }
        status_id = { match = "ok", to = { yes = "Success", "n*" = 2 } }
        status = false
        service.labels = { each = "labels", value = "item" }
        [[map.observables]]
        name = "src"
    "#;
    assert_eq!(check(&of_event(ocsf, toml), toml), [""; 0]);
}

#[test]
fn a_mistyped_key_caption_or_type_is_refused() {
    let ocsf = ocsf::schema("1.1.0").expect("pinned");
    for (line, at) in [
        ("[set]\nactivity_id = \"Logn\"", ".set.activity_id"),
        ("[set]\nusr.name = \"a\"", ".set.usr"),
        ("[map]\nuser.nam = \"a\"", ".map.user"),
        ("[map]\ntime = 5", ".map.time"),
        ("profile = []", ".profile"),
        ("profiles = [\"clowd\"]", ".profiles[0]"),
    ] {
        let toml = format!("class = \"authentication\"\n{line}");
        let found = check(&of_event(ocsf, &toml), &toml);
        assert!(
            found.iter().any(|one| one.starts_with(at)),
            "{line}: {found:?}"
        );
    }
    let found = check(
        &source(ocsf),
        "format = \"csv\"\nevents = []\n[columns]\na = \"texd\"",
    );
    assert!(
        found.iter().any(|one| one.starts_with(".events")),
        "{found:?}"
    );
    assert!(
        found.iter().any(|one| one.starts_with(".columns.a")),
        "{found:?}"
    );
}

#[test]
fn the_schemas_are_small_enough_for_an_editor() {
    let ocsf = ocsf::schema("1.3.0").expect("pinned");
    let class = ocsf.class("api_activity").expect("known");
    let text = event(ocsf, class).to_string();
    assert!(text.len() < 1_000_000, "{}", text.len());
    let text = source(ocsf).to_string();
    assert!(text.len() < 2_000_000, "{}", text.len());
}
