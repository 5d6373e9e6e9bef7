//! Builders of single columns. A row without a value for a column does not touch the
//! builder, so missing columns cost nothing. The next value fills the gap with NULLs.
//! A rejected row is removed by truncation.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryViewArray, BooleanArray, Float64Array, Int32Array, Int64Array,
    NullBufferBuilder, StringViewArray, TimestampMillisecondArray, make_view,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, ScalarBuffer};

use super::time::TimeFormat;
use super::value;
use super::value::Ip;
use crate::spec::{Column, ColumnKind};

/// Buffer 0 of every batch holds the texts that no block contains verbatim.
pub(crate) const ARENA: u32 = 0;

/// Bytes and their position in the buffers of a batch.
#[derive(Clone, Copy)]
pub(crate) struct Span<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) buffer: u32,
    pub(crate) offset: u32,
}

impl<'a> Span<'a> {
    pub(crate) fn part(&self, start: usize, end: usize) -> Span<'a> {
        Span {
            bytes: &self.bytes[start..end],
            buffer: self.buffer,
            offset: self.offset + start as u32,
        }
    }

    pub(crate) fn view(&self) -> u128 {
        make_view(self.bytes, self.buffer, self.offset)
    }
}

/// Appends a text to the arena and returns the view of it.
pub(crate) fn store(arena: &mut Vec<u8>, text: &[u8]) -> u128 {
    let offset = arena.len();
    arena.extend_from_slice(text);
    make_view(text, ARENA, offset as u32)
}

/// The values of one column up to the last row that has one.
pub(crate) struct Cells<T> {
    values: Vec<T>,
    nulls: NullBufferBuilder,
}

impl<T: Copy + Default> Cells<T> {
    pub(crate) fn new() -> Self {
        Self {
            values: Vec::new(),
            nulls: NullBufferBuilder::new(0),
        }
    }

    #[inline]
    pub(crate) fn set(&mut self, row: usize, value: T) {
        if self.values.len() != row {
            self.align(row);
        }
        self.values.push(value);
        self.nulls.append_non_null();
    }

    /// Removes the value of `row`.
    pub(crate) fn unset(&mut self, row: usize) {
        if self.values.len() > row {
            self.align(row);
        }
    }

    fn align(&mut self, row: usize) {
        let length = self.values.len();
        if length > row {
            self.nulls.truncate(row);
        } else {
            self.nulls.append_n_nulls(row - length);
        }
        self.values.resize(row, T::default());
    }

    /// Takes the values of `rows` rows. Returns `None` if all are NULL.
    pub(crate) fn take(&mut self, rows: usize) -> Option<(Vec<T>, Option<NullBuffer>)> {
        if self.values.is_empty() {
            return None;
        }
        self.align(rows);
        let next = Vec::with_capacity(rows);
        Some((
            std::mem::replace(&mut self.values, next),
            self.nulls.finish(),
        ))
    }
}

pub(crate) fn string_views(
    cells: &mut Cells<u128>,
    rows: usize,
    buffers: &Arc<[Buffer]>,
) -> Option<ArrayRef> {
    let (views, nulls) = cells.take(rows)?;
    let array = StringViewArray::try_new(ScalarBuffer::from(views), Arc::clone(buffers), nulls)
        .expect("views are made from the buffers' own text, which was checked to be UTF-8");
    Some(Arc::new(array))
}

pub(crate) fn binary_views(
    cells: &mut Cells<u128>,
    rows: usize,
    buffers: &Arc<[Buffer]>,
) -> Option<ArrayRef> {
    let (views, nulls) = cells.take(rows)?;
    let array = BinaryViewArray::try_new(ScalarBuffer::from(views), Arc::clone(buffers), nulls)
        .expect("views are made from the buffers' own bytes");
    Some(Arc::new(array))
}

/// A column that parses texts to its kind.
pub(crate) struct ColumnBuilder {
    pub(crate) name: String,
    cells: KindCells,
}

enum KindCells {
    Text(Cells<u128>),
    Ip(Cells<u128>),
    Int32(Cells<i32>),
    Int64(Cells<i64>),
    Double(Cells<f64>),
    Boolean(Cells<bool>),
    Time(TimeFormat, Cells<i64>),
}

impl ColumnBuilder {
    pub(crate) fn new(column: &Column) -> Self {
        let cells = match &column.kind {
            ColumnKind::Text | ColumnKind::Json => KindCells::Text(Cells::new()),
            ColumnKind::Ip => KindCells::Ip(Cells::new()),
            ColumnKind::Int32 => KindCells::Int32(Cells::new()),
            ColumnKind::Int64 => KindCells::Int64(Cells::new()),
            ColumnKind::Double => KindCells::Double(Cells::new()),
            ColumnKind::Boolean => KindCells::Boolean(Cells::new()),
            ColumnKind::Epoch(unit) => KindCells::Time(TimeFormat::Epoch(*unit), Cells::new()),
            ColumnKind::Rfc3339 => KindCells::Time(TimeFormat::Rfc3339, Cells::new()),
            ColumnKind::Strftime(pattern) => {
                KindCells::Time(TimeFormat::strftime(pattern), Cells::new())
            }
        };
        Self {
            name: column.name.clone(),
            cells,
        }
    }

    /// Whether every text is a value of this column, even the empty one.
    pub(crate) fn is_text(&self) -> bool {
        matches!(self.cells, KindCells::Text(_))
    }

    /// Parses `text` as the value of `row`. The error names the type that was expected.
    #[inline]
    pub(crate) fn set(
        &mut self,
        row: usize,
        text: Span<'_>,
        arena: &mut Vec<u8>,
    ) -> Result<(), &'static str> {
        match &mut self.cells {
            KindCells::Text(cells) => cells.set(row, text.view()),
            KindCells::Ip(cells) => {
                let view = match value::ip(text.bytes).ok_or("an IP address")? {
                    Ip::AsWritten => text.view(),
                    Ip::Rewritten(canonical) => store(arena, canonical.as_bytes()),
                };
                cells.set(row, view);
            }
            KindCells::Int32(cells) => {
                let number = value::integer(text.bytes).ok_or("an integer")?;
                cells.set(row, i32::try_from(number).map_err(|_| "a 32-bit integer")?);
            }
            KindCells::Int64(cells) => {
                cells.set(row, value::integer(text.bytes).ok_or("a 64-bit integer")?);
            }
            KindCells::Double(cells) => {
                cells.set(row, value::double(text.bytes).ok_or("a number")?)
            }
            KindCells::Boolean(cells) => {
                cells.set(row, value::boolean(text.bytes).ok_or("a boolean")?);
            }
            KindCells::Time(format, cells) => {
                cells.set(
                    row,
                    format
                        .read(text.bytes)
                        .ok_or("a time in the declared format")?,
                );
            }
        }
        Ok(())
    }

    pub(crate) fn unset(&mut self, row: usize) {
        match &mut self.cells {
            KindCells::Text(cells) | KindCells::Ip(cells) => cells.unset(row),
            KindCells::Int32(cells) => cells.unset(row),
            KindCells::Int64(cells) | KindCells::Time(_, cells) => cells.unset(row),
            KindCells::Double(cells) => cells.unset(row),
            KindCells::Boolean(cells) => cells.unset(row),
        }
    }

    /// Takes the column of a batch. Returns `None` if all values are NULL.
    pub(crate) fn take(&mut self, rows: usize, buffers: &Arc<[Buffer]>) -> Option<ArrayRef> {
        Some(match &mut self.cells {
            KindCells::Text(cells) | KindCells::Ip(cells) => {
                return string_views(cells, rows, buffers);
            }
            KindCells::Int32(cells) => {
                let (values, nulls) = cells.take(rows)?;
                Arc::new(Int32Array::new(values.into(), nulls))
            }
            KindCells::Int64(cells) => {
                let (values, nulls) = cells.take(rows)?;
                Arc::new(Int64Array::new(values.into(), nulls))
            }
            KindCells::Double(cells) => {
                let (values, nulls) = cells.take(rows)?;
                Arc::new(Float64Array::new(values.into(), nulls))
            }
            KindCells::Boolean(cells) => {
                let (values, nulls) = cells.take(rows)?;
                Arc::new(BooleanArray::new(BooleanBuffer::from(values), nulls))
            }
            KindCells::Time(_, cells) => {
                let (values, nulls) = cells.take(rows)?;
                Arc::new(TimestampMillisecondArray::new(values.into(), nulls).with_timezone("UTC"))
            }
        })
    }
}
