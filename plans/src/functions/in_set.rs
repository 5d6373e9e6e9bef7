//! `in_set(text, value, …)`: whether the text is one of the values. `mapping` replaces the
//! name of a set by its values.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::BooleanArray;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

use super::definition::{Definition, Returns, all_text, literal_text};
use super::text::column;

pub(super) static IN_SET: Definition = Definition {
    name: "in_set",
    arguments: all_text,
    returns: Returns::Fixed(|| DataType::Boolean),
    invoke,
};

fn invoke(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let set: HashSet<&str> = args.args[1..]
        .iter()
        .map(literal_text)
        .collect::<Result<_>>()?;
    let source = column(args, 0)?;
    let found: BooleanArray = source
        .iter()
        .map(|value| value.map(|value| set.contains(value)))
        .collect();
    Ok(ColumnarValue::Array(Arc::new(found)))
}
