//! Reads and builds text columns. Parts of existing values are shared, not copied.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ByteView, StringViewArray, StringViewBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

/// Views up to this length contain the bytes themselves.
const INLINE: usize = 12;

/// Returns an argument as a text column with one value for each row.
pub(crate) fn column(args: &ScalarFunctionArgs, index: usize) -> Result<StringViewArray> {
    let array = args.args[index].to_array(args.number_rows)?;
    as_text(&array)
}

/// A text argument. One with the same value for all rows is kept once.
pub(crate) struct Texts {
    array: StringViewArray,
    is_one: bool,
}

impl Texts {
    pub(crate) fn of(args: &ScalarFunctionArgs, index: usize) -> Result<Self> {
        let (array, is_one) = match &args.args[index] {
            ColumnarValue::Scalar(value) => (value.to_array_of_size(1)?, true),
            ColumnarValue::Array(array) => (Arc::clone(array), false),
        };
        Ok(Self {
            array: as_text(&array)?,
            is_one,
        })
    }

    /// Returns the text for a row, or `None` for NULL.
    pub(crate) fn at(&self, row: usize) -> Option<&str> {
        let row = if self.is_one { 0 } else { row };
        self.array.is_valid(row).then(|| self.array.value(row))
    }
}

/// Casts a column to text.
pub(crate) fn as_text(array: &ArrayRef) -> Result<StringViewArray> {
    if array.data_type() == &DataType::Utf8View {
        return Ok(array.as_string_view().clone());
    }
    Ok(cast(array, &DataType::Utf8View)?.as_string_view().clone())
}

/// Builds a text column from parts of the values of another one.
pub(crate) struct Parts<'a> {
    source: &'a StringViewArray,
    builder: StringViewBuilder,
}

impl<'a> Parts<'a> {
    pub(crate) fn of(source: &'a StringViewArray) -> Self {
        let mut builder = StringViewBuilder::with_capacity(source.len());
        for buffer in source.data_buffers() {
            builder.append_block(buffer.clone());
        }
        Self { source, builder }
    }

    /// Adds a value. A part of the source's value at `row` is shared. Other texts are copied.
    pub(crate) fn push(&mut self, row: usize, part: Option<Cow<'_, str>>) {
        match part {
            None => self.builder.append_null(),
            Some(Cow::Borrowed(part)) if part.len() > INLINE => self.share(row, part),
            Some(part) => self.builder.append_value(part),
        }
    }

    fn share(&mut self, row: usize, part: &str) {
        let whole = self.source.value(row);
        let view = ByteView::from(self.source.views()[row]);
        let start = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
        let within = start
            .checked_add(part.len())
            .is_some_and(|end| end <= whole.len());
        let shared = within
            && self
                .builder
                .try_append_view(
                    view.buffer_index,
                    view.offset + start as u32,
                    part.len() as u32,
                )
                .is_ok();
        if !shared {
            self.builder.append_value(part);
        }
    }

    pub(crate) fn finish(mut self) -> ArrayRef {
        Arc::new(self.builder.finish())
    }
}

/// Applies `part` to every value of the first argument, except NULLs.
pub(crate) fn map_parts(
    args: &ScalarFunctionArgs,
    part: impl Fn(&str) -> Option<Cow<'_, str>>,
) -> Result<ColumnarValue> {
    let source = column(args, 0)?;
    let mut parts = Parts::of(&source);
    for row in 0..source.len() {
        let value = source.is_valid(row).then(|| source.value(row));
        parts.push(row, value.and_then(&part));
    }
    Ok(ColumnarValue::Array(parts.finish()))
}

/// Returns the type of text in all outputs.
pub(crate) fn text_type() -> DataType {
    DataType::Utf8View
}

/// Returns the type of lists of text.
pub(crate) fn list_of_text() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Utf8View, true)))
}
