//! SQL functions for mappings, one file each. Plans refer to them by name, so their
//! configuration is always a literal argument. No value of a row makes a function fail.

mod definition;
mod enums;
mod glob;
mod http;
mod in_set;
mod ip;
mod json;
mod json_get;
mod json_list;
mod json_text;
mod list_compact;
mod observables;
mod of_type;
mod redact;
mod registry;
mod text;
mod unmapped;
mod url;

use std::sync::{Arc, LazyLock};

use datafusion::common::ScalarValue;
use datafusion::logical_expr::ScalarUDF;

pub use definition::{Example, Listed};

pub(crate) use enums::{Other, Table, is_glob};
pub(crate) use json::{Raw, elements, json_elements, members};
pub(crate) use json_text::{
    DEPTH, Redactor, dotted_key, is_hidden, list_marks, names_hidden, quote, segments, with_segment,
};
pub use observables::Observed;
pub(crate) use observables::{observables, observables_type};
pub(crate) use redact::REDACTED;
pub use redact::Redaction;
pub(crate) use registry::register;
pub(crate) use unmapped::{entries_field, entry_fields, map_type};

/// Every function with its entry in docs/functions.md, in alphabetical order.
static FUNCTIONS: &[Listed] = &[
    enums::ENUM_CAPTION.internal(
        "enum_caption(text, table)",
        "The caption of the enum member that the table gives for a text.",
    ),
    enums::ENUM_HELD.internal(
        "enum_held(text, table)",
        "Whether the enum member and its caption together tell what the text was.",
    ),
    enums::ENUM_ID.internal(
        "enum_id(text, table)",
        "The id of the enum member that the table gives for a text: 0 for NULL, 99 for no match.",
    ),
    url::HOST_OF.listed(
        "host_of(url)",
        "The host of a URL or of `host:port`.",
        ("host_of('https://example.com:8443/a')", "example.com"),
    ),
    http::HTTP_METHOD.listed(
        "http_method(request_line)",
        "The method of an HTTP request line.",
        ("http_method('GET /a?b=c HTTP/1.1')", "GET"),
    ),
    http::HTTP_PATH.listed(
        "http_path(request_line)",
        "The target of an HTTP request line, with its query.",
        ("http_path('GET /a?b=c HTTP/1.1')", "/a?b=c"),
    ),
    http::HTTP_VERSION.listed(
        "http_version(request_line)",
        "The protocol version of an HTTP request line.",
        ("http_version('GET /a?b=c HTTP/1.1')", "HTTP/1.1"),
    ),
    enums::ID_CAPTION.internal(
        "id_caption(id, table)",
        "The caption of the enum member with that id.",
    ),
    enums::ID_CHECKED.internal(
        "id_checked(id, table)",
        "The id, or 99 if the enum has no such member.",
    ),
    in_set::IN_SET.listed(
        "in_set(text, set) or in_set(text, value, …)",
        "Whether a text is in one of the source's `[sets]`, or is one of the values.",
        ("in_set('DELETE', 'PUT', 'DELETE')", "true"),
    ),
    json_get::JSON_GET.listed(
        "json_get(json, key, …)",
        "The value that a path of literal keys leads to, as text.",
        (r#"json_get('{"a": {"b": 1}}', 'a', 'b')"#, "1"),
    ),
    json_list::JSON_LIST.listed(
        "json_list(json)",
        "The elements of a JSON array as texts. Another value becomes a list of one.",
        (r#"json_list('["a", 2, null]')"#, "[a, 2]"),
    ),
    json_text::JSON_PLAIN.internal(
        "json_plain(json, key, redaction, whole)",
        "The JSON as the text of an attribute: strings without quotes, credentials replaced.",
    ),
    json_text::JSON_TEXT.listed(
        "json_text(json)",
        "The JSON as text, with credentials replaced as the source's redaction rules say.",
        (
            r#"json_text('{"a": 1, "password": "x"}')"#,
            r#"{"a":1,"password":"[redacted]"}"#,
        ),
    ),
    list_compact::LIST_COMPACT.listed(
        "list_compact(item, …)",
        "A list of the items that are not NULL, or NULL if all are.",
        ("list_compact('a', NULL, 'b')", "[a, b]"),
    ),
    list_compact::LIST_OF_TYPE.internal(
        "list_of_type(list, type)",
        "The list without the items that are not of an OCSF type.",
    ),
    of_type::OF_TYPE.internal(
        "of_type(value, type)",
        "The value, or NULL if it is not of an OCSF type.",
    ),
    redact::REDACT_QUERY.listed(
        "redact_query(text)",
        "A URL or query string with the values of credential parameters replaced.",
        ("redact_query('/a?b=c&token=x')", "/a?b=c&token=[redacted]"),
    ),
    ip::TRY_IP.listed(
        "try_ip(text)",
        "The canonical form of an IP address, or NULL if the text is none.",
        ("try_ip('2001:DB8:0::1')", "2001:db8::1"),
    ),
    url::URL_DECODE.listed(
        "url_decode(text)",
        "The text with percent escapes decoded. It stays as it is if the result is not UTF-8.",
        ("url_decode('a%20b')", "a b"),
    ),
    url::URL_PATH.listed(
        "url_path(url)",
        "The path of a URL or of a request target.",
        ("url_path('https://example.com/a/b?c=d')", "/a/b"),
    ),
    url::URL_QUERY.listed(
        "url_query(url)",
        "The query of a URL or of a request target, without the question mark.",
        ("url_query('/a/b?c=d')", "c=d"),
    ),
];

/// Returns every function with its entry on the reference page.
pub fn listing() -> &'static [Listed] {
    FUNCTIONS
}

/// Returns every function, for the session that plans or runs a mapping.
pub fn all() -> Vec<Arc<ScalarUDF>> {
    static ALL: LazyLock<Vec<Arc<ScalarUDF>>> = LazyLock::new(|| {
        FUNCTIONS
            .iter()
            .map(|listed| listed.definition.udf())
            .collect()
    });
    ALL.clone()
}

/// Returns the function with this name, for expressions that `mapping` builds.
///
/// # Panics
/// Panics if there is no such function. Only names in this crate are passed.
pub(crate) fn named(name: &str) -> Arc<ScalarUDF> {
    all()
        .into_iter()
        .find(|function| function.name() == name)
        .expect("the table has all functions that this crate names")
}

/// Returns a text as a literal of the type that functions read.
pub(crate) fn wide_text(text: String) -> ScalarValue {
    ScalarValue::Utf8View(Some(text))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::RecordBatch;
    use arrow::datatypes::Schema;
    use arrow::util::display::array_value_to_string;
    use datafusion::common::DFSchema;

    use super::*;
    use crate::session;

    #[test]
    fn names_are_unique_and_sorted() {
        let names: Vec<_> = FUNCTIONS.iter().map(Listed::name).collect();
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    }

    #[test]
    fn signatures_start_with_the_name() {
        for listed in FUNCTIONS {
            let call = format!("{}(", listed.name());
            assert!(listed.signature.starts_with(&call), "{call}");
            assert!(listed.about.ends_with('.'), "{call}");
        }
    }

    #[test]
    fn examples_have_the_documented_results() {
        for listed in FUNCTIONS {
            if let Some(example) = &listed.example {
                assert_eq!(evaluate(example.sql), example.result, "{}", example.sql);
            }
        }
    }

    fn evaluate(sql: &str) -> String {
        let state = session::compiling();
        let schema = DFSchema::empty();
        let expr = state.create_logical_expr(sql, &schema).expect("it parses");
        let expr = session::plan_expr(state, &expr, &schema).expect("it plans");
        let row = RecordBatch::new_empty(Arc::new(Schema::empty()));
        let result = expr.evaluate(&row).expect("it runs");
        let result = result.into_array(1).expect("it is one value");
        array_value_to_string(&result, 0).expect("it prints")
    }
}
