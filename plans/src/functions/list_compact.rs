//! `list_compact(item, …)`: the items that are not NULL, or NULL if there are none.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array, ListArray, new_null_array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{filter, interleave};
use arrow::datatypes::{DataType, Field, Int32Type};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

use super::definition::{Definition, Returns, literal_text};
use super::of_type::holding;

pub(super) static LIST_COMPACT: Definition = Definition {
    name: "list_compact",
    arguments: same_type,
    returns: Returns::From(|fields, _| Ok(list_of(fields[0].data_type().clone()))),
    invoke,
};

fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item, true)))
}

/// Requires items of one type. `mapping` casts the items that it writes.
fn same_type(types: &[DataType]) -> Result<Vec<DataType>> {
    let Some(kind) = types.iter().find(|kind| !kind.is_null()) else {
        return exec_err!("at least one item with a type is needed");
    };
    Ok(vec![kind.clone(); types.len()])
}

fn invoke(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let items: Vec<ArrayRef> = args
        .args
        .iter()
        .map(|item| item.to_array(args.number_rows))
        .collect::<Result<_>>()?;
    let DataType::List(field) = list_of(items[0].data_type().clone()) else {
        return exec_err!("a list is a list");
    };
    let mut indices = Vec::new();
    let mut offsets = Vec::with_capacity(args.number_rows + 1);
    offsets.push(0i32);
    for row in 0..args.number_rows {
        for (item, array) in items.iter().enumerate() {
            if array.is_valid(row) {
                indices.push((item, row));
            }
        }
        offsets.push(indices.len() as i32);
    }
    let nulls: NullBuffer = offsets.windows(2).map(|pair| pair[0] < pair[1]).collect();
    let values = pick(&items, &indices)?;
    let offsets = OffsetBuffer::new(offsets.into());
    let list = ListArray::try_new(field, offsets, values, Some(nulls))?;
    Ok(ColumnarValue::Array(Arc::new(list)))
}

pub(super) static LIST_OF_TYPE: Definition = Definition {
    name: "list_of_type",
    arguments: |types| match types {
        [list, _] => Ok(vec![list.clone(), DataType::Utf8View]),
        _ => exec_err!("a list and a type are needed"),
    },
    returns: Returns::From(|fields, _| Ok(fields[0].data_type().clone())),
    invoke: of_type,
};

/// The lists without the items that are not of a type.
fn of_type(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let kind = literal_text(&args.args[1])?;
    let array = args.args[0].to_array(args.number_rows)?;
    let Some(lists) = array.as_list_opt::<i32>() else {
        return exec_err!("a list is needed");
    };
    let items = match kind.strip_prefix(ENUM_ITEMS) {
        Some(ids) => members(lists.values(), ids),
        None => holding(lists.values(), kind)?,
    };
    let there: BooleanArray = (0..items.len())
        .map(|at| Some(items.is_valid(at)))
        .collect();
    let offsets = lists.value_offsets();
    let mut lengths = Vec::with_capacity(lists.len());
    for (row, range) in offsets.windows(2).enumerate() {
        let range = range[0] as usize..range[1] as usize;
        let count = range.filter(|at| items.is_valid(*at)).count();
        lengths.push(if lists.is_null(row) { 0 } else { count });
    }
    let nulls: NullBuffer = lengths.iter().map(|length| *length > 0).collect();
    let DataType::List(field) = lists.data_type() else {
        return exec_err!("a list is a list");
    };
    let first = offsets.first().map_or(0, |first| *first as usize);
    let last = offsets.last().map_or(0, |last| *last as usize);
    let values = filter(
        &items.slice(first, last - first),
        &there.slice(first, last - first),
    )?;
    let list = ListArray::try_new(
        field.clone(),
        OffsetBuffer::from_lengths(lengths),
        values,
        Some(nulls),
    )?;
    Ok(ColumnarValue::Array(Arc::new(list)))
}

/// Before the ids of an enumeration, in place of a type.
pub(crate) const ENUM_ITEMS: &str = "enum:";

/// The ids that an enumeration has.
fn members(items: &ArrayRef, ids: &str) -> ArrayRef {
    let known: Vec<i32> = ids.split(',').filter_map(|id| id.parse().ok()).collect();
    match items.as_primitive_opt::<Int32Type>() {
        Some(items) => {
            let items = items.iter();
            let members = items.map(|id| id.filter(|id| known.contains(id)));
            Arc::new(members.collect::<Int32Array>())
        }
        None => Arc::clone(items),
    }
}

fn pick(items: &[ArrayRef], indices: &[(usize, usize)]) -> Result<ArrayRef> {
    if indices.is_empty() {
        return Ok(new_null_array(items[0].data_type(), 0));
    }
    let items: Vec<&dyn Array> = items.iter().map(AsRef::as_ref).collect();
    Ok(interleave(&items, indices)?)
}
