//! `json_list(json)`: the elements of a JSON array as text. Another value becomes a list of
//! one.

use std::sync::Arc;

use arrow::array::{Array, ArrayBuilder, ListBuilder, StringViewBuilder};
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

use super::definition::{Definition, Returns, one_text};
use super::json::{Raw, elements};
use super::split::MOST_ITEMS;
use super::text::{column, list_of_text};

pub(super) static JSON_LIST: Definition = Definition {
    name: "json_list",
    arguments: one_text,
    returns: Returns::Fixed(list_of_text),
    invoke,
};

fn invoke(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let source = column(args, 0)?;
    let mut lists = ListBuilder::with_capacity(StringViewBuilder::new(), source.len());
    for row in 0..source.len() {
        let value = source.is_valid(row).then(|| source.value(row));
        let any = value.is_some_and(|value| append(lists.values(), value));
        lists.append(any);
    }
    Ok(ColumnarValue::Array(Arc::new(lists.finish())))
}

/// Appends the elements that are not null. Returns whether there were any. An array of too
/// many elements has none.
fn append(values: &mut StringViewBuilder, value: &str) -> bool {
    let before = values.len();
    match Raw::parse(value) {
        Some(Raw::Array(array)) if elements(array).nth(MOST_ITEMS).is_some() => {}
        Some(Raw::Array(array)) => {
            for text in elements(array).filter_map(Raw::text) {
                values.append_value(text);
            }
        }
        Some(other) => other
            .text()
            .iter()
            .for_each(|text| values.append_value(text)),
        None => values.append_value(value),
    }
    values.len() > before
}
