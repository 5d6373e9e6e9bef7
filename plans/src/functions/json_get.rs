//! `json_get(json, key, …)`: the value at a path of keys, as text.

use arrow::array::Array;
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

use super::definition::{Definition, Returns, all_text, literal_text};
use super::json::Raw;
use super::text::{Parts, column, text_type};

pub(super) static JSON_GET: Definition = Definition {
    name: "json_get",
    arguments: all_text,
    returns: Returns::Fixed(text_type),
    invoke,
};

fn invoke(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let keys: Vec<&str> = args.args[1..]
        .iter()
        .map(literal_text)
        .collect::<Result<_>>()?;
    let source = column(args, 0)?;
    let mut parts = Parts::of(&source);
    for row in 0..source.len() {
        let found = source
            .is_valid(row)
            .then(|| source.value(row))
            .and_then(Raw::open)
            .and_then(|json| json.walk(&keys));
        parts.push(row, found.and_then(Raw::text));
    }
    Ok(ColumnarValue::Array(parts.finish()))
}
