//! `json_entries(json_object)`: the members of a JSON object as an array of objects with the
//! members `key` and `value`.

use std::borrow::Cow;
use std::fmt::Write;

use serde_json::Value;

use super::definition::{Definition, Returns, one_text};
use super::json::{Raw, members};
use super::text::{map_parts, text_type};

pub(super) static JSON_ENTRIES: Definition = Definition {
    name: "json_entries",
    arguments: one_text,
    returns: Returns::Fixed(text_type),
    invoke: |args| map_parts(args, |json| entries(json).map(Cow::Owned)),
};

fn entries(json: &str) -> Option<String> {
    let Raw::Object(object) = Raw::parse(json)? else {
        return None;
    };
    let mut out = String::with_capacity(object.len());
    let mut mark = '[';
    for (key, value) in members(object) {
        let key = Value::from(&*key);
        let _ = write!(out, "{mark}{{\"key\":{key},\"value\":");
        match value {
            Raw::Null => out.push_str("null"),
            Raw::Text { inner, .. } => {
                let _ = write!(out, "\"{inner}\"");
            }
            Raw::Scalar(text) | Raw::Object(text) | Raw::Array(text) => out.push_str(text),
        }
        out.push('}');
        mark = ',';
    }
    out.push_str(if mark == '[' { "[]" } else { "]" });
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_become_entries_in_their_order() {
        let json = r#"{"b": "x\n", "a\"": {"c": [1, 2]}, "": null, "n": 1.50}"#;
        let expected = r#"[{"key":"b","value":"x\n"},{"key":"a\"","value":{"c": [1, 2]}},{"key":"","value":null},{"key":"n","value":1.50}]"#;
        assert_eq!(entries(json).as_deref(), Some(expected));
        assert_eq!(entries(" {} ").as_deref(), Some("[]"));
    }

    #[test]
    fn other_json_has_no_entries() {
        for json in ["", "[]", "null", "{", "a", "{\"a\":1}}"] {
            assert_eq!(entries(json), None, "{json}");
        }
    }
}
