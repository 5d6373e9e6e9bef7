//! temporary
use super::definition::{Definition, Returns, literal_text};
use arrow::array::*;
use arrow::datatypes::*;
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};
use std::sync::Arc;

pub(super) static OF_TYPE: Definition = Definition {
    name: "of_type",
    arguments: |types| Ok(vec![types[0].clone(), DataType::Utf8View]),
    returns: Returns::From(|fields, _| Ok(fields[0].data_type().clone())),
    invoke,
};
fn invoke(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let kind = literal_text(&args.args[1])?;
    let array = args.args[0].to_array(args.number_rows)?;
    Ok(ColumnarValue::Array(holding(&array, kind)))
}
pub(super) fn holding(array: &ArrayRef, kind: &str) -> ArrayRef {
    match kind {
        "ip" => Arc::new(
            array
                .as_string_view()
                .iter()
                .map(|t| {
                    t.and_then(|t| t.parse::<std::net::IpAddr>().ok())
                        .map(|ip| ip.to_string())
                })
                .collect::<StringViewArray>(),
        ),
        "port" => Arc::new(
            array
                .as_primitive::<Int32Type>()
                .iter()
                .map(|n| n.filter(|n| (0..=65535).contains(n)))
                .collect::<Int32Array>(),
        ),
        "timestamp" => Arc::new(
            array
                .as_primitive::<Int64Type>()
                .iter()
                .map(|n| n.filter(|n| (0..4102444800000).contains(n)))
                .collect::<Int64Array>(),
        ),
        _ => array.clone(),
    }
}
