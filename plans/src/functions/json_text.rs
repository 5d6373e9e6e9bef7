//! `json_text(json)`: the JSON as text, with credentials replaced. `mapping` adds two
//! literal arguments: the key of the column, and the redaction rules of the source.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_datafusion_err, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};
use serde::{Deserialize, Serialize};

use super::definition::{Cache, Definition, Returns, literal_text};
use super::json::{Raw, elements, members};
use super::redact::{REDACTED, Redaction};
use super::text::{map_parts, text_type};

pub(super) static JSON_TEXT: Definition = Definition {
    name: "json_text",
    arguments,
    returns: Returns::Fixed(text_type),
    invoke,
};

pub(super) static JSON_PLAIN: Definition = Definition {
    name: "json_plain",
    arguments: |types| match types.len() {
        4 => Ok(vec![DataType::Utf8View; 4]),
        count => exec_err!("four arguments are needed, not {count}"),
    },
    returns: Returns::Fixed(text_type),
    invoke: plain,
};

/// The text of JSON as an attribute has it. Only objects, lists and the strings of a whole
/// JSON column differ from the JSON, so most values stay as they are.
fn plain(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let settings = settings(args)?;
    let is_whole = literal_text(&args.args[3])? == "true";
    map_parts(args, |text| {
        match text.trim_ascii_start().as_bytes().first() {
            Some(b'{' | b'[') => redacted(text, &settings.key, &settings.redaction),
            Some(b'"') if is_whole => match Raw::parse(text) {
                Some(string) => string.text(),
                None => Some(Cow::Borrowed(text)),
            },
            Some(b'n') if is_whole && text.trim_ascii() == "null" => None,
            _ => Some(Cow::Borrowed(text)),
        }
    })
}

/// The text of a value at a dotted key without credentials. A text may be JSON.
pub(crate) fn without_credentials<'t>(
    text: &'t str,
    key: &str,
    redaction: &Redaction,
) -> Cow<'t, str> {
    match text.trim_ascii_start().as_bytes().first() {
        Some(b'{' | b'[') => redacted(text, key, redaction).unwrap_or(Cow::Borrowed(text)),
        _ => Cow::Borrowed(text),
    }
}

/// The literal arguments.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Settings {
    /// The dotted key of the JSON.
    key: String,
    redaction: Redaction,
}

fn arguments(types: &[DataType]) -> Result<Vec<DataType>> {
    match types.len() {
        1..=3 => Ok(vec![DataType::Utf8View; types.len()]),
        count => exec_err!("one argument is needed, not {count}"),
    }
}

fn invoke(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let settings = settings(args)?;
    map_parts(args, |text| {
        redacted(text, &settings.key, &settings.redaction)
    })
}

fn settings(args: &ScalarFunctionArgs) -> Result<Arc<Settings>> {
    static SETTINGS: Cache<Settings> = Cache::new();
    let literal = |at: usize| args.args.get(at).map_or(Ok(""), literal_text);
    let (key, redaction) = (literal(1)?, literal(2)?);
    SETTINGS.get(format!("{key}\n{redaction}").as_bytes(), || {
        let redaction = match redaction {
            "" => Redaction::default(),
            text => serde_json::from_str(text)
                .map_err(|error| exec_datafusion_err!("invalid redaction: {error}"))?,
        };
        Ok(Settings {
            key: key.to_owned(),
            redaction,
        })
    })
}

/// Replaces credentials. A text without any is returned as it is. JSON null becomes NULL.
fn redacted<'t>(text: &'t str, key: &str, redaction: &Redaction) -> Option<Cow<'t, str>> {
    let Some(json) = Raw::parse(text) else {
        return Some(Cow::Borrowed(text));
    };
    if json == Raw::Null {
        return None;
    }
    let mut key = key.to_owned();
    if !has_hidden(json, &mut key, redaction, 0) {
        return Some(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len());
    write(json, &mut key, redaction, 0, &mut out);
    Some(Cow::Owned(out))
}

/// JSON nested deeper than this is not searched.
pub(crate) const DEPTH: usize = 64;

/// Calls `inner` with `name` appended to the key.
pub(crate) fn with_segment<T>(
    key: &mut String,
    name: &str,
    inner: impl FnOnce(&mut String) -> T,
) -> T {
    let length = key.len();
    if length > 0 {
        key.push('.');
    }
    push_segment(key, name);
    let result = inner(key);
    key.truncate(length);
    result
}

/// Returns the dotted key of a path. Segments that contain a dot are quoted.
pub(crate) fn dotted_key(path: &[impl AsRef<str>]) -> String {
    let mut key = String::new();
    for segment in path {
        if !key.is_empty() {
            key.push('.');
        }
        push_segment(&mut key, segment.as_ref());
    }
    key
}

/// The segments of a dotted key, without the quotes of those that contain dots.
pub(crate) fn segments(key: &str) -> Vec<String> {
    let mut segments = vec![String::new()];
    let mut is_quoted = false;
    for character in key.chars() {
        match character {
            '"' => is_quoted = !is_quoted,
            '.' if !is_quoted => segments.push(String::new()),
            other => segments.last_mut().expect("there is one").push(other),
        }
    }
    segments
}

/// A segment without its list marks, and how many it has.
pub(crate) fn list_marks(segment: &str) -> (&str, usize) {
    let mut name = segment;
    let mut marks = 0;
    while let Some(shorter) = name.strip_suffix("[]") {
        name = shorter;
        marks += 1;
    }
    (name, marks)
}

/// Appends a segment, quoted if it contains a dot.
pub(super) fn push_segment(key: &mut String, name: &str) {
    if name.contains('.') {
        key.push('"');
        key.push_str(name);
        key.push('"');
    } else {
        key.push_str(name);
    }
}

/// Whether an object is a named value, such as a header, and its name is that of a
/// credential.
pub(crate) fn names_hidden(object: &str, redaction: &Redaction) -> bool {
    members(object).any(|(name, value)| {
        matches!(name.as_ref(), "name" | "Name" | "key" | "Key")
            && matches!(value, Raw::Text { .. })
            && value.text().is_some_and(|text| redaction.hides(&text))
    })
}

/// Whether a member of an object must be replaced.
pub(crate) fn is_hidden(key: &str, name: &str, named: bool, redaction: &Redaction) -> bool {
    (named && name.eq_ignore_ascii_case("value")) || redaction.hides(key)
}

fn has_hidden(json: Raw<'_>, key: &mut String, redaction: &Redaction, depth: usize) -> bool {
    match json {
        _ if depth > DEPTH => false,
        Raw::Object(object) => {
            let named = names_hidden(object, redaction);
            members(object).any(|(name, value)| {
                with_segment(key, &name, |key| {
                    is_hidden(key, &name, named, redaction)
                        || has_hidden(value, key, redaction, depth + 1)
                })
            })
        }
        Raw::Array(array) => elements(array).any(|e| has_hidden(e, key, redaction, depth + 1)),
        _ => false,
    }
}

fn write(json: Raw<'_>, key: &mut String, redaction: &Redaction, depth: usize, out: &mut String) {
    match json {
        Raw::Object(object) if depth <= DEPTH => {
            let named = names_hidden(object, redaction);
            let mut mark = '{';
            for (name, value) in members(object) {
                out.push(mark);
                mark = ',';
                quote(&name, out);
                out.push(':');
                with_segment(key, &name, |key| {
                    match is_hidden(key, &name, named, redaction) {
                        true => quote(REDACTED, out),
                        false => write(value, key, redaction, depth + 1, out),
                    }
                });
            }
            out.push_str(if mark == '{' { "{}" } else { "}" });
        }
        Raw::Array(array) if depth <= DEPTH => {
            let mut mark = '[';
            for element in elements(array) {
                out.push(mark);
                mark = ',';
                write(element, key, redaction, depth + 1, out);
            }
            out.push_str(if mark == '[' { "[]" } else { "]" });
        }
        Raw::Null => out.push_str("null"),
        Raw::Text { inner, .. } => {
            let _ = write!(out, "\"{inner}\"");
        }
        Raw::Scalar(text) | Raw::Object(text) | Raw::Array(text) => out.push_str(text),
    }
}

/// Appends a text as a JSON string.
pub(crate) fn quote(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let found = redacted(text, "", &Redaction::default());
        assert_eq!(found.as_deref(), Some(expected));
    }

    #[test]
    fn only_credentials_are_replaced() {
        check(
            r#"{"a": {"sessionToken":"s3","b":[1, "x\n"]},"c":null}"#,
            r#"{"a":{"sessionToken":"[redacted]","b":[1,"x\n"]},"c":null}"#,
        );
        check(
            r#"{"headers":[{"name":"Authorization","value":"Basic x"},{"name":"Host","value":"h"}]}"#,
            r#"{"headers":[{"name":"Authorization","value":"[redacted]"},{"name":"Host","value":"h"}]}"#,
        );
    }

    #[test]
    fn text_without_credentials_is_unchanged() {
        check(r#"{"a" : 1 }"#, r#"{"a" : 1 }"#);
        check("plain", "plain");
        assert_eq!(redacted("null", "", &Redaction::default()), None);
    }
}
