//! A list of objects, one for each element of a list.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanBufferBuilder, RecordBatch, StringViewArray,
    StringViewBuilder, UInt32Array, new_null_array,
};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{filter, take};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::common::{Result, exec_err};

use super::mask::{self, Mask};
use super::object::{Arrived, Build, Built, LeftOut, lists};
use super::{Expr, evaluate};
use crate::functions::{Redaction, json_elements, without_credentials};
use crate::mapping::{Each, Placed, Step};

/// Name of the element in expressions.
pub(in crate::sink) const ITEM: &str = "item";

/// Which elements belong to which row.
pub(super) struct Frame {
    /// The first element of each row, and the end of the last row's.
    starts: Vec<usize>,
    /// The row of each element.
    rows: UInt32Array,
}

impl Frame {
    /// The element with this number among those of a row.
    pub(super) fn element(&self, row: usize, number: usize) -> Option<usize> {
        let (start, end) = (*self.starts.get(row)?, *self.starts.get(row + 1)?);
        Some(start + number).filter(|element| *element < end)
    }

    /// For elements what holds for their rows.
    pub(super) fn of_elements(&self, rows: &Mask) -> Mask {
        let rows = rows.as_ref()?;
        let row_of = |element: usize| self.rows.value(element) as usize;
        let of = |element| rows.value(row_of(element));
        Some(BooleanBuffer::collect_bool(self.rows.len(), of))
    }
}

impl Build<'_> {
    pub(super) fn each(
        &mut self,
        each: &Each<Expr>,
        item: &FieldRef,
        batch: &RecordBatch,
    ) -> Result<Built> {
        let DataType::Struct(fields) = item.data_type() else {
            return exec_err!("a list of objects is one of structs");
        };
        let list = evaluate(&each.list, batch, &mut self.failures)?;
        // Credentials are gone before any expression sees an element.
        let (texts, frame) = elements(&list, &each.key, &each.redaction);
        let count = texts.len();
        if count == 0 {
            self.set_frame(each.number, frame);
            let kind = DataType::List(item.clone());
            let nulls = new_null_array(&kind, batch.num_rows());
            return Ok(Built::of(nulls, Vec::new()));
        }
        let inner = inner_batch(&each.outer, batch, texts, &frame.rows)?;
        let mut of_elements = Build::new(self.keys);
        of_elements.frames = std::mem::take(&mut self.frames);
        let mut objects = of_elements.object(&each.object, fields, &inner)?;
        let wanted = match &each.when {
            Some(when) => wanted(when, &inner, &mut of_elements)?,
            None => None,
        };
        let exists = mask::and(&objects.exists, &wanted);
        of_elements.keep(&mut objects.arrived, &wanted);
        self.frames = std::mem::take(&mut of_elements.frames);
        self.take_over(of_elements, &frame, &wanted);
        // An `each` inside of this one may read a column of the row: its elements are not those
        // of one list of the record, so their values stay in `unmapped` too.
        let keys = self.keys;
        objects.arrived.retain(|arrived| {
            let is_inside = keys[arrived.key].path.contains(&Step::Each(each.number));
            is_inside || arrived.around.is_empty()
        });
        for arrived in &mut objects.arrived {
            self.leave(arrived, each.number, &frame);
        }
        let mut lengths = vec![0; batch.num_rows()];
        for element in 0..count {
            let row = frame.rows.value(element) as usize;
            lengths[row] += usize::from(mask::contains(&exists, element));
        }
        let objects_there: ArrayRef = Arc::new(objects.array);
        let values = match &exists {
            Some(exists) => filter(&objects_there, &exists.clone().into())?,
            None => objects_there,
        };
        self.set_frame(each.number, frame);
        Ok(Built::of(lists(item, lengths, values)?, objects.arrived))
    }

    fn set_frame(&mut self, number: usize, frame: Frame) {
        if self.frames.len() <= number {
            self.frames.resize_with(number + 1, || None);
        }
        self.frames[number] = Some(frame);
    }

    /// Notes what arrived in elements: for values inside of the elements by element, and for
    /// other values by row, where any element has them.
    fn leave(&self, arrived: &mut Arrived, number: usize, frame: &Frame) {
        let path = &self.keys[arrived.key].path;
        if path.contains(&Step::Each(number)) {
            arrived.around.insert(0, number);
            return;
        }
        let mut rows = BooleanBufferBuilder::new(frame.starts.len() - 1);
        for range in frame.starts.windows(2) {
            let mut elements = range[0]..range[1];
            rows.append(elements.any(|element| mask::contains(&arrived.rows, element)));
        }
        arrived.rows = Some(rows.finish());
    }

    /// Takes over what was found in elements, as of their rows.
    fn take_over(&mut self, of_elements: Build<'_>, frame: &Frame, wanted: &Mask) {
        let row_of = |element: usize| frame.rows.value(element) as usize;
        for (element, detail) in of_elements.failures.rows {
            self.failures.rows.entry(row_of(element)).or_insert(detail);
        }
        for mut object in of_elements.left_out {
            let mut rows: Vec<(usize, u64)> = Vec::new();
            for (element, count) in object.rows {
                if !mask::contains(wanted, element) {
                    continue;
                }
                match rows.last_mut() {
                    Some((row, sum)) if *row == row_of(element) => *sum += count,
                    _ => rows.push((row_of(element), count)),
                }
            }
            if !rows.is_empty() {
                object.rows = rows;
                self.left_out.push(LeftOut { ..object });
            }
        }
    }
}

fn wanted(when: &Placed<Expr>, batch: &RecordBatch, build: &mut Build<'_>) -> Result<Mask> {
    let condition = evaluate(when, batch, &mut build.failures)?;
    match condition.as_boolean_opt() {
        Some(condition) => Ok(mask::of(condition)),
        None => exec_err!("a condition is a boolean"),
    }
}

/// The elements of all lists as texts, and the rows that they are of.
fn elements(list: &ArrayRef, key: &str, redaction: &Redaction) -> (StringViewArray, Frame) {
    let mut texts = StringViewBuilder::new();
    let mut rows: Vec<u32> = Vec::new();
    let mut starts = Vec::with_capacity(list.len() + 1);
    let json = list.as_string_view_opt();
    let lists = list.as_list_opt::<i32>();
    for row in 0..list.len() {
        starts.push(rows.len());
        if list.is_null(row) {
            continue;
        }
        let mut add = |text: &str| {
            texts.append_value(without_credentials(text, key, redaction));
            rows.push(row as u32);
        };
        if let Some(json) = json {
            json_elements(json.value(row), &mut add);
        } else if let Some(lists) = lists {
            let items = lists.value(row);
            let items = items.as_string_view();
            items.iter().flatten().for_each(add);
        }
    }
    starts.push(rows.len());
    let frame = Frame {
        starts,
        rows: rows.into(),
    };
    (texts.finish(), frame)
}

/// The elements, with the other columns that their expressions use.
fn inner_batch(
    outer: &[String],
    batch: &RecordBatch,
    texts: StringViewArray,
    rows: &UInt32Array,
) -> Result<RecordBatch> {
    let mut columns: Vec<ArrayRef> = vec![Arc::new(texts)];
    for name in outer {
        let Some(column) = batch.column_by_name(name) else {
            return exec_err!("the rows have no column {name}");
        };
        columns.push(take(column, rows, None)?);
    }
    let schema = inner_schema(outer, batch.schema_ref())?;
    Ok(RecordBatch::try_new(Arc::new(schema), columns)?)
}

/// The schema over which the expressions of an `each` are planned.
pub(in crate::sink) fn inner_schema(outer: &[String], around: &Schema) -> Result<Schema> {
    let mut fields: Vec<FieldRef> = vec![Arc::new(Field::new(ITEM, DataType::Utf8View, true))];
    for name in outer {
        let field = around.field_with_name(name)?;
        fields.push(Arc::new(field.clone().with_nullable(true)));
    }
    Ok(Schema::new(fields))
}
