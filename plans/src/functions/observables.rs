//! OCSF's list `observables`, without NULLs and repeated values.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int32Array, ListArray, StringViewArray, StructArray, UInt32Array,
    new_empty_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{interleave, take};
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::Result;
use serde::{Deserialize, Serialize};

use super::text::as_text;

/// The description of one value.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Observed {
    /// The dotted attribute.
    pub(crate) name: String,
    pub(crate) type_id: i32,
    /// The caption of `type_id`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
}

fn fields() -> Fields {
    vec![
        Field::new("name", DataType::Utf8View, true),
        Field::new("type", DataType::Utf8View, true),
        Field::new("type_id", DataType::Int32, true),
        Field::new("value", DataType::Utf8View, true),
    ]
    .into()
}

/// Returns the type of one observable.
fn observable_type() -> DataType {
    DataType::Struct(fields())
}

/// Returns the type of the list.
pub(crate) fn observables_type() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(observable_type(), true)))
}

/// The descriptions as columns, one row for each value.
struct Facts {
    names: ArrayRef,
    kinds: ArrayRef,
    type_ids: ArrayRef,
}

fn facts(all: &[&Observed]) -> Facts {
    let names: StringViewArray = all.iter().map(|o| Some(o.name.as_str())).collect();
    let kinds: StringViewArray = all.iter().map(|o| Some(o.kind.as_str())).collect();
    let type_ids: Int32Array = all.iter().map(|o| Some(o.type_id)).collect();
    Facts {
        names: Arc::new(names),
        kinds: Arc::new(kinds),
        type_ids: Arc::new(type_ids),
    }
}

/// The values of one attribute. A row has one value or a list.
struct Values {
    texts: StringViewArray,
    lists: Option<ListArray>,
}

impl Values {
    fn of(array: &ArrayRef) -> Result<Self> {
        match array.as_list_opt::<i32>() {
            Some(lists) => Ok(Self {
                texts: as_text(lists.values())?,
                lists: Some(lists.clone()),
            }),
            None => Ok(Self {
                texts: as_text(array)?,
                lists: None,
            }),
        }
    }

    /// Returns the range of the row's values in `texts`.
    fn range(&self, row: usize) -> std::ops::Range<usize> {
        match &self.lists {
            None => row..row + 1,
            Some(lists) if lists.is_null(row) => 0..0,
            Some(lists) => {
                let offsets = lists.value_offsets();
                offsets[row] as usize..offsets[row + 1] as usize
            }
        }
    }
}

/// The lists of some rows: `values` has an attribute's value of each row, and `facts` what
/// the attributes are.
pub(crate) fn observables(
    facts: &[&Observed],
    values: &[ArrayRef],
    rows: usize,
) -> Result<ArrayRef> {
    let facts = self::facts(facts);
    let columns: Vec<Values> = values.iter().map(Values::of).collect::<Result<_>>()?;
    let mut indices: Vec<(usize, usize)> = Vec::with_capacity(rows * columns.len());
    let mut offsets = Vec::with_capacity(rows + 1);
    offsets.push(0i32);
    for row in 0..rows {
        for (at, column) in columns.iter().enumerate() {
            add_distinct(column, at, row, &mut indices);
        }
        offsets.push(indices.len() as i32);
    }
    let nulls: NullBuffer = offsets.windows(2).map(|pair| pair[0] < pair[1]).collect();
    let objects = objects(&facts, &columns, &indices)?;
    let field = Arc::new(Field::new_list_field(observable_type(), true));
    let offsets = OffsetBuffer::new(offsets.into());
    let lists = ListArray::try_new(field, offsets, objects, Some(nulls))?;
    Ok(Arc::new(lists))
}

/// Adds the row's values of one attribute, without duplicates.
fn add_distinct(column: &Values, at: usize, row: usize, indices: &mut Vec<(usize, usize)>) {
    let start = indices.len();
    for index in column.range(row) {
        if column.texts.is_null(index) {
            continue;
        }
        let value = column.texts.value(index);
        let known = indices[start..]
            .iter()
            .any(|(_, other)| column.texts.value(*other) == value);
        if !known {
            indices.push((at, index));
        }
    }
}

fn objects(facts: &Facts, columns: &[Values], indices: &[(usize, usize)]) -> Result<ArrayRef> {
    if indices.is_empty() {
        return Ok(new_empty_array(&observable_type()));
    }
    let which: UInt32Array = indices.iter().map(|(at, _)| *at as u32).collect();
    let texts: Vec<&dyn Array> = columns.iter().map(|c| &c.texts as &dyn Array).collect();
    let columns = vec![
        take(&facts.names, &which, None)?,
        take(&facts.kinds, &which, None)?,
        take(&facts.type_ids, &which, None)?,
        interleave(&texts, indices)?,
    ];
    Ok(Arc::new(StructArray::try_new(fields(), columns, None)?))
}
