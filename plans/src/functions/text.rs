//! Reading and making text columns without copying what can be shared.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ByteView, StringViewArray, StringViewBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

/// Views up to this long hold their bytes themselves.
const INLINE: usize = 12;

/// An argument as a text column of the call's length.
pub(crate) fn column(args: &ScalarFunctionArgs, index: usize) -> Result<StringViewArray> {
    let array = args.args[index].to_array(args.number_rows)?;
    as_text(&array)
}

/// Any column as text.
pub(crate) fn as_text(array: &ArrayRef) -> Result<StringViewArray> {
    if array.data_type() == &DataType::Utf8View {
        return Ok(array.as_string_view().clone());
    }
    Ok(cast(array, &DataType::Utf8View)?.as_string_view().clone())
}

/// Makes a text column whose values are mostly parts of another's.
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

    /// Adds `part`, which lies within the source's value at `row`, or a text of its own.
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

/// Applies `part` to every value of the first argument that is not NULL.
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

/// The type of text in every output.
pub(crate) fn text_type() -> DataType {
    DataType::Utf8View
}
