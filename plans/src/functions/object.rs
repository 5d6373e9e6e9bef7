//! `object(name, value, …)`: a struct, or NULL if all values are NULL.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StructArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

use super::definition::{Definition, Returns};

pub(super) static OBJECT: Definition = Definition {
    name: "object",
    arguments: |types| Ok(types.to_vec()),
    returns: Returns::From(|fields, literals| Ok(DataType::Struct(members(fields, literals)?))),
    invoke,
};

fn members(fields: &[FieldRef], literals: &[Option<&ScalarValue>]) -> Result<Fields> {
    let mut members = Vec::with_capacity(fields.len() / 2);
    for (pair, names) in fields.chunks(2).zip(literals.chunks(2)) {
        let ([_, value], [Some(name), _]) = (pair, names) else {
            return exec_err!("alternating names (as literals) and values are needed");
        };
        let Some(Some(name)) = name.try_as_str() else {
            return exec_err!("a name is text, not {name}");
        };
        members.push(Field::new(name, value.data_type().clone(), true));
    }
    Ok(members.into())
}

fn invoke(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let DataType::Struct(fields) = args.return_field.data_type() else {
        return exec_err!("an object is a struct");
    };
    let columns: Vec<ArrayRef> = args
        .args
        .iter()
        .skip(1)
        .step_by(2)
        .map(|value| value.to_array(args.number_rows))
        .collect::<Result<_>>()?;
    let nulls = any_valid(&columns, args.number_rows);
    let object = StructArray::try_new(fields.clone(), columns, nulls)?;
    Ok(ColumnarValue::Array(Arc::new(object)))
}

/// Returns validity: a row is valid if any column is. Returns `None` if all rows are valid.
fn any_valid(columns: &[ArrayRef], rows: usize) -> Option<NullBuffer> {
    let mut any: Option<arrow::buffer::BooleanBuffer> = None;
    for column in columns {
        let valid = column.logical_nulls()?;
        any = Some(match any {
            None => valid.inner().clone(),
            Some(before) => &before | valid.inner(),
        });
    }
    Some(any.map_or_else(|| NullBuffer::new_null(rows), NullBuffer::new))
}
