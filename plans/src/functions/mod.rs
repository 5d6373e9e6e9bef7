//! SQL functions for mappings, one file each. Plans refer to them by name, so their
//! configuration is always a literal argument. No value of a row makes a function fail.

mod allowed;
mod definition;
mod duration;
mod enums;
mod glob;
mod hash_algorithm;
#[cfg(test)]
mod hostile;
mod http;
mod in_set;
mod ip;
mod json;
mod json_entries;
mod json_find;
mod json_get;
mod json_list;
mod json_text;
mod list_compact;
mod observables;
mod of_type;
mod path;
mod redact;
mod refusal;
mod registry;
mod shapes;
mod split;
mod text;
mod unmapped;
mod url;

use std::sync::{Arc, LazyLock};

use datafusion::common::ScalarValue;
use datafusion::logical_expr::ScalarUDF;

pub use allowed::{Allowed, allowed};
pub use definition::{Example, Listed};

pub(crate) use enums::{Other, Table, is_glob};
pub(crate) use json::{Raw, elements, json_elements, members};
pub(crate) use json_text::{
    DEPTH, dotted_key, is_hidden, list_marks, names_hidden, quote, segments, with_segment,
    without_credentials,
};
pub(crate) use list_compact::ENUM_ITEMS;
pub use observables::Observed;
pub(crate) use observables::{observables, observables_type};
pub(crate) use redact::REDACTED;
pub use redact::Redaction;
pub(crate) use refusal::{refusal, remedy};
pub(crate) use registry::register;
pub(crate) use unmapped::{entries_field, entry_fields, map_type};

/// Every function with its entry in docs/functions.md, in alphabetical order.
static FUNCTIONS: &[Listed] = &[
    duration::ADD_MS.listed(
        "add_ms(time, n)",
        "The time plus n milliseconds. NULL if no time is so late.",
        ("add_ms(to_timestamp('2024-01-01T00:00:00Z'), '1500')", "2024-01-01T00:00:01.500Z"),
    )
    .types("time, integer or its text", "time"),
    duration::DURATION_MS.listed(
        "duration_ms(n, 'unit')",
        "A duration in the unit 'ns', 'us', 'ms', 's', 'm' or 'h', rounded to milliseconds.",
        ("duration_ms('0.0236', 's')", "24"),
    )
    .types("number or its text, constant text", "long"),
    enums::ENUM_CAPTION.internal(
        "enum_caption(text, table)",
        "The caption of the enum member that the table gives for a text.",
    ),
    enums::ENUM_HELD.internal(
        "enum_held(text, table)",
        "Whether the text follows from the enum member and its caption.",
    ),
    enums::ENUM_ID.internal(
        "enum_id(text, table)",
        "The id of the enum member that the table gives for a text: 0 for NULL, 99 for no match.",
    ),
    path::EXTENSION.listed(
        "extension(path)",
        "The extension of a file, as written and without its dot. A name such as `.bashrc` has none.",
        (r"extension('C:\Windows\cmd.exe')", "exe"),
    )
    .types("text", "text"),
    path::FILE_NAME.listed(
        "file_name(path)",
        "The last name in a Windows or POSIX path.",
        (r"file_name('C:\Windows\cmd.exe')", "cmd.exe"),
    )
    .types("text", "text"),
    hash_algorithm::HASH_ALGORITHM.listed(
        "hash_algorithm(hex)",
        "OCSF's caption for a digest of that length: MD5, SHA-1, SHA-256 or SHA-512. NULL for other texts.",
        ("hash_algorithm('da39a3ee5e6b4b0d3255bfef95601890afd80709')", "SHA-1"),
    )
    .types("text", "text"),
    url::HOST_OF.listed(
        "host_of(url)",
        "The host of a URL, of `host:port` or of `[address]:port`. An address alone is a host.",
        ("host_of('https://example.com:8443/a')", "example.com"),
    )
    .types("text", "text"),
    http::HTTP_METHOD.listed(
        "http_method(request_line)",
        "The method of an HTTP request line.",
        ("http_method('GET /a?b=c HTTP/1.1')", "GET"),
    )
    .types("text", "text"),
    http::HTTP_PATH.listed(
        "http_path(request_line)",
        "The target of an HTTP request line, with its query.",
        ("http_path('GET /a?b=c HTTP/1.1')", "/a?b=c"),
    )
    .types("text", "text"),
    http::HTTP_VERSION.listed(
        "http_version(request_line)",
        "The protocol version of an HTTP request line.",
        ("http_version('GET /a?b=c HTTP/1.1')", "HTTP/1.1"),
    )
    .types("text", "text"),
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
    )
    .types("text, constants", "boolean"),
    json_entries::JSON_ENTRIES.listed(
        "json_entries(json_object)",
        "The members of a JSON object as a JSON array of objects with `key` and `value`, for `each`.",
        (r#"json_entries('{"env": "prod"}')"#, r#"[{"key":"env","value":"prod"}]"#),
    )
    .types("text", "text"),
    json_find::JSON_FIND.listed(
        "json_find(json_list, key, value, result_key)",
        "The member `result_key` of the first object in a JSON array whose member `key` equals the value in any case.",
        (r#"json_find('[{"name": "Host", "value": "a.b"}]', 'name', 'host', 'value')"#, "a.b"),
    )
    .types("texts", "text"),
    json_get::JSON_GET.listed(
        "json_get(json, 'key', …)",
        "The value that a path of literal keys leads to, as text.",
        (r#"json_get('{"a": {"b": 1}}', 'a', 'b')"#, "1"),
    )
    .types("text, constant texts", "text"),
    json_list::JSON_LIST.listed(
        "json_list(json)",
        "The elements of a JSON array as texts. Another value becomes a list of one. A JSON null, \
         no elements and more than 65,536 give NULL.",
        (r#"json_list('["a", 2, null]')"#, "[a, 2]"),
    )
    .types("text", "list of texts"),
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
    )
    .types("text", "text"),
    list_compact::LIST_COMPACT.listed(
        "list_compact(item, …)",
        "A list of the items.",
        ("list_compact('a', NULL, 'b')", "[a, b]"),
    )
    .types("values of one type", "list")
    .nulls("NULL items are left out, and a list of none is NULL."),
    list_compact::LIST_OF_TYPE.internal(
        "list_of_type(list, type)",
        "The list without the items that are not of an OCSF type.",
    ),
    of_type::OF_TYPE.internal(
        "of_type(value, type)",
        "The value, or NULL if it is not a value of that OCSF type. Addresses become canonical.",
    ),
    path::PARENT_FOLDER.listed(
        "parent_folder(path)",
        "A Windows or POSIX path without its last name.",
        ("parent_folder('/usr/bin/env')", "/usr/bin"),
    )
    .types("text", "text"),
    split::PART.listed(
        "part(text, separator, n)",
        "The n-th part between separators, from 1, or from -1 at the end. NULL if it is absent or empty.",
        ("part('MD5=0cc1', '=', 2)", "0cc1"),
    )
    .types("text, text, integer", "text"),
    url::PORT_OF.listed(
        "port_of(url)",
        "The port that a URL, `host:port` or `[address]:port` names.",
        ("port_of('[2001:db8::1]:443')", "443"),
    )
    .types("text", "integer"),
    redact::REDACT_QUERY.listed(
        "redact_query(text)",
        "A URL or query string with the values of credential parameters replaced.",
        ("redact_query('/a?b=c&token=x')", "/a?b=c&token=[redacted]"),
    )
    .types("text", "text"),
    split::SPLIT.listed(
        "split(text, separator)",
        "The parts between separators. Empty ones are left out. No parts and more than 65,536 give NULL.",
        ("split('a, b,,c', ',')", "[a,  b, c]"),
    )
    .types("text, text", "list of texts"),
    ip::TRY_IP.listed(
        "try_ip(text)",
        "The canonical form of an IP address, or NULL if the text is none.",
        ("try_ip('2001:DB8:0::1')", "2001:db8::1"),
    )
    .types("text", "text"),
    url::URL_DECODE.listed(
        "url_decode(text)",
        "The text with percent escapes decoded. It stays as it is if the result is not UTF-8.",
        ("url_decode('a%20b')", "a b"),
    )
    .types("text", "text"),
    url::URL_PATH.listed(
        "url_path(url)",
        "The path of a URL or of a request target.",
        ("url_path('https://example.com/a/b?c=d')", "/a/b"),
    )
    .types("text", "text"),
    url::URL_QUERY.listed(
        "url_query(url)",
        "The query of a URL or of a request target, without the question mark.",
        ("url_query('/a/b?c=d')", "c=d"),
    )
    .types("text", "text"),
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

    use arrow::array::{ArrayRef, RecordBatch};
    use arrow::datatypes::{DataType, Schema};
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
            assert_eq!(listed.takes.is_empty(), listed.is_internal(), "{call}");
        }
    }

    #[test]
    fn examples_have_the_documented_results() {
        for listed in FUNCTIONS {
            if let Some(example) = &listed.example {
                let result = evaluate(example.sql);
                let text = array_value_to_string(&result, 0).expect("it prints");
                assert_eq!(text, example.result, "{}", example.sql);
                let kind = in_words(result.data_type());
                assert!(kind.starts_with(listed.gives), "{kind}: {}", example.sql);
            }
        }
    }

    fn in_words(kind: &DataType) -> String {
        match kind {
            DataType::Boolean => "boolean".to_owned(),
            DataType::Int32 => "integer".to_owned(),
            DataType::Int64 => "long".to_owned(),
            DataType::Timestamp(..) => "time".to_owned(),
            DataType::List(item) => format!("list of {}s", in_words(item.data_type())),
            _ => "text".to_owned(),
        }
    }

    fn evaluate(sql: &str) -> ArrayRef {
        let state = session::compiling();
        let schema = DFSchema::empty();
        let expr = state.create_logical_expr(sql, &schema).expect("it parses");
        let expr = session::plan_expr(state, &expr, &schema).expect("it plans");
        let row = RecordBatch::new_empty(Arc::new(Schema::empty()));
        let result = expr.evaluate(&row).expect("it runs");
        result.into_array(1).expect("it is one value")
    }
}
