//! `json_find(json_list, key, value, result_key)`: a member of the first object in a JSON
//! array that another member identifies, such as the value of a header by its name.

use std::borrow::Cow;

use arrow::array::Array;
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

use super::definition::{Definition, Returns};
use super::json::{Raw, elements, members};
use super::text::{Parts, Texts, column, text_type};

pub(super) static JSON_FIND: Definition = Definition {
    name: "json_find",
    arguments: |types| match types.len() {
        4 => Ok(vec![DataType::Utf8View; 4]),
        count => exec_err!(
            "a JSON list, a key, its value and the key of the result are needed, not {count} arguments"
        ),
    },
    returns: Returns::Fixed(text_type),
    invoke,
};

fn invoke(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let source = column(args, 0)?;
    let [keys, values, result_keys] = [1, 2, 3].map(|index| Texts::of(args, index));
    let (keys, values, result_keys) = (keys?, values?, result_keys?);
    let mut parts = Parts::of(&source);
    for row in 0..source.len() {
        let found = match (keys.at(row), values.at(row), result_keys.at(row)) {
            (Some(key), Some(value), Some(result_key)) if source.is_valid(row) => {
                find(source.value(row), key, value, result_key)
            }
            _ => None,
        };
        parts.push(row, found);
    }
    Ok(ColumnarValue::Array(parts.finish()))
}

/// Searches the objects of an array. An object is a list of one.
fn find<'a>(json: &'a str, key: &str, value: &str, result_key: &str) -> Option<Cow<'a, str>> {
    let object = match Raw::open(json)? {
        Raw::Array(array) => elements(array).find(|item| has(*item, key, value))?,
        object => has(object, key, value).then_some(object)?,
    };
    member(object, result_key)?.text()
}

fn has(item: Raw<'_>, key: &str, value: &str) -> bool {
    let found = member(item, key).and_then(Raw::text);
    found.is_some_and(|found| found.eq_ignore_ascii_case(value))
}

fn member<'a>(item: Raw<'a>, key: &str) -> Option<Raw<'a>> {
    match item {
        Raw::Object(object) => members(object)
            .find(|(name, _)| name == key)
            .map(|found| found.1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADERS: &str = r#" [1, {"name":"Host","value":"h"}, {"value":"a\"b","name":"User-Agent"},
        {"name":"user-agent","value":"second"}, {"name":7,"value":null}]"#;

    fn check(json: &str, value: &str, expected: Option<&str>) {
        let found = find(json, "name", value, "value");
        assert_eq!(found.as_deref(), expected, "{json}: {value}");
    }

    #[test]
    fn the_first_object_with_the_value_is_found_in_any_case() {
        check(HEADERS, "user-agent", Some("a\"b"));
        check(HEADERS, "HOST", Some("h"));
        check(HEADERS, "7", None);
        check(HEADERS, "Referer", None);
        check(r#"{"name":"n","value":[1]}"#, "n", Some("[1]"));
    }

    #[test]
    fn other_json_has_no_such_object() {
        for json in [
            "",
            "[",
            "[{",
            r#"[{"name":"n""#,
            "null",
            "n",
            r#"["n"]"#,
            "[[]]",
        ] {
            check(json, "n", None);
        }
    }
}
