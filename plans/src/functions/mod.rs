//! SQL functions of mappings, one file each. They travel over the wire by name:
//! whatever configures one is a literal argument. None fails on a row's value.

mod definition;
mod each;
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
mod object;
mod observables;
mod redact;
mod text;
mod unmapped;
mod url;

use std::sync::{Arc, LazyLock};

use datafusion::common::ScalarValue;
use datafusion::logical_expr::ScalarUDF;

pub(crate) use definition::Definition;
pub(crate) use each::each_expr;
pub(crate) use enums::{Other, Table};
pub(crate) use json_text::dotted_key;
pub(crate) use observables::Observed;
pub(crate) use redact::Redaction;
pub(crate) use unmapped::{Source as UnmappedSource, Spec as UnmappedSpec, map_type};

/// Every function, in alphabetical order.
static FUNCTIONS: &[&Definition] = &[
    &each::EACH,
    &enums::ENUM_CAPTION,
    &enums::ENUM_ID,
    &enums::ID_CAPTION,
    &enums::ID_CHECKED,
    &http::HTTP_METHOD,
    &http::HTTP_PATH,
    &http::HTTP_VERSION,
    &in_set::IN_SET,
    &json_get::JSON_GET,
    &json_list::JSON_LIST,
    &json_text::JSON_TEXT,
    &list_compact::LIST_COMPACT,
    &object::OBJECT,
    &observables::OBSERVABLES,
    &redact::REDACT_QUERY,
    &ip::TRY_IP,
    &unmapped::UNMAPPED_JSON,
    &unmapped::UNMAPPED_MAP,
    &url::HOST_OF,
    &url::URL_DECODE,
    &url::URL_PATH,
    &url::URL_QUERY,
];

/// Every function, for the session that plans or runs a mapping.
pub fn all() -> Vec<Arc<ScalarUDF>> {
    static ALL: LazyLock<Vec<Arc<ScalarUDF>>> =
        LazyLock::new(|| FUNCTIONS.iter().map(|function| function.udf()).collect());
    ALL.clone()
}

/// The function of that name, for expressions that `mapping` builds itself.
///
/// # Panics
/// Names are written in this crate; an unknown one is a mistake in it.
pub(crate) fn named(name: &str) -> Arc<ScalarUDF> {
    all()
        .into_iter()
        .find(|function| function.name() == name)
        .expect("the functions that mappings are built of are in the table")
}

/// A configuration as the literal that functions take: text, in the type that they read.
pub(crate) fn wide_text(text: String) -> ScalarValue {
    ScalarValue::Utf8View(Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_has_a_name_of_its_own() {
        let mut names: Vec<_> = all().iter().map(|f| f.name().to_owned()).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), FUNCTIONS.len());
    }
}
