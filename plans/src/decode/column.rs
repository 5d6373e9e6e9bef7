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
use super::written::{self, AnyKept, Written};
use crate::spec::{Column, ColumnKind, TimeUnit};

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
    /// Whether messages must not show its values.
    pub(crate) is_hidden: bool,
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
    /// Cells with more rules. They cost nothing where there are none.
    Guarded(Box<Guard>),
}

/// Cells with the texts that are NULL, and with the texts as they are written.
struct Guard {
    cells: KindCells,
    null: Arc<[String]>,
    written: Option<Written>,
}

impl ColumnBuilder {
    pub(crate) fn new(column: &Column) -> Self {
        Self {
            name: column.name.clone(),
            is_hidden: column.hidden,
            cells: KindCells::new(&column.kind),
        }
    }

    /// Creates a column in which some texts are NULL. With `any` it keeps the texts that differ
    /// from those of their values.
    pub(crate) fn guarded(column: &Column, null: &Arc<[String]>, any: Option<&AnyKept>) -> Self {
        let mut builder = Self::new(column);
        let any = any.filter(|_| !builder.is_text());
        if any.is_some() || !null.is_empty() {
            builder.cells = KindCells::Guarded(Box::new(Guard {
                cells: builder.cells,
                null: Arc::clone(null),
                written: any.map(|any| Written::new(&column.name, any.clone())),
            }));
        }
        builder
    }

    /// Whether every text is a value of this column, even the empty one.
    pub(crate) fn is_text(&self) -> bool {
        match &self.cells {
            KindCells::Guarded(guard) => matches!(guard.cells, KindCells::Text(_)),
            cells => matches!(cells, KindCells::Text(_)),
        }
    }

    /// Whether it keeps texts as they are written.
    pub(crate) fn is_written(&self) -> bool {
        matches!(&self.cells, KindCells::Guarded(guard) if guard.written.is_some())
    }

    /// Keeps `text` as the one that the current row's value has in the source.
    pub(crate) fn note(&mut self, text: &[u8]) {
        if let KindCells::Guarded(guard) = &mut self.cells
            && let Some(written) = &mut guard.written
        {
            written.keep(text);
        }
    }

    /// Appends the text that was kept for the current row as a member of a JSON object.
    pub(crate) fn take_written(&mut self, members: &mut Vec<u8>) {
        if let KindCells::Guarded(guard) = &mut self.cells
            && let Some(written) = &mut guard.written
        {
            written.take(members);
        }
    }

    /// Parses `text` as the value of `row`. The error names the type that was expected.
    #[inline]
    pub(crate) fn set(
        &mut self,
        row: usize,
        text: Span<'_>,
        arena: &mut Vec<u8>,
    ) -> Result<(), &'static str> {
        self.cells.set(row, text, arena)
    }

    pub(crate) fn unset(&mut self, row: usize) {
        self.cells.unset(row);
    }

    /// Takes the column of a batch. Returns `None` if all values are NULL.
    pub(crate) fn take(&mut self, rows: usize, buffers: &Arc<[Buffer]>) -> Option<ArrayRef> {
        self.cells.take(rows, buffers)
    }
}

impl Guard {
    #[inline(never)]
    fn set(&mut self, row: usize, text: Span<'_>, arena: &mut Vec<u8>) -> Result<(), &'static str> {
        if self.null.iter().any(|null| null.as_bytes() == text.bytes) {
            self.unset(row);
            return Ok(());
        }
        let before = arena.len();
        self.cells.set(row, text, arena)?;
        let Some(written) = &mut self.written else {
            return Ok(());
        };
        let is_same = match &self.cells {
            KindCells::Text(_) | KindCells::Guarded(_) => true,
            // An address that is rewritten is stored in the arena.
            KindCells::Ip(_) => arena.len() == before,
            KindCells::Int32(_) | KindCells::Int64(_) => written::is_plain_integer(text.bytes),
            KindCells::Double(_) => written::is_plain_double(text.bytes),
            KindCells::Boolean(_) => matches!(text.bytes, b"true" | b"false"),
            KindCells::Time(TimeFormat::Epoch(TimeUnit::Second | TimeUnit::Millisecond), _) => {
                written::is_plain_integer(text.bytes) && !text.bytes.contains(&b'.')
            }
            KindCells::Time(..) => false,
        };
        match is_same {
            true => written.forget(),
            false => written.keep(text.bytes),
        }
        Ok(())
    }

    fn unset(&mut self, row: usize) {
        self.cells.unset(row);
        if let Some(written) = &mut self.written {
            written.forget();
        }
    }
}

impl KindCells {
    fn new(kind: &ColumnKind) -> Self {
        if let Some(format) = TimeFormat::of(kind) {
            return Self::Time(format, Cells::new());
        }
        match kind {
            ColumnKind::Ip => Self::Ip(Cells::new()),
            ColumnKind::Int32 => Self::Int32(Cells::new()),
            ColumnKind::Int64 => Self::Int64(Cells::new()),
            ColumnKind::Double => Self::Double(Cells::new()),
            ColumnKind::Boolean => Self::Boolean(Cells::new()),
            _ => Self::Text(Cells::new()),
        }
    }

    #[inline]
    fn set(&mut self, row: usize, text: Span<'_>, arena: &mut Vec<u8>) -> Result<(), &'static str> {
        match self {
            Self::Text(cells) => cells.set(row, text.view()),
            Self::Ip(cells) => {
                let view = match value::ip(text.bytes).ok_or("an IP address")? {
                    Ip::AsWritten => text.view(),
                    Ip::Rewritten(canonical) => store(arena, canonical.as_bytes()),
                };
                cells.set(row, view);
            }
            Self::Int32(cells) => {
                let number = value::integer(text.bytes).ok_or("an integer")?;
                cells.set(row, i32::try_from(number).map_err(|_| "a 32-bit integer")?);
            }
            Self::Int64(cells) => {
                cells.set(row, value::integer(text.bytes).ok_or("a 64-bit integer")?);
            }
            Self::Double(cells) => cells.set(row, value::double(text.bytes).ok_or("a number")?),
            Self::Boolean(cells) => {
                cells.set(row, value::boolean(text.bytes).ok_or("a boolean")?);
            }
            Self::Time(format, cells) => {
                let millis = format.read(text.bytes);
                cells.set(row, millis.ok_or("a time in the declared format")?);
            }
            Self::Guarded(guard) => guard.set(row, text, arena)?,
        }
        Ok(())
    }

    fn unset(&mut self, row: usize) {
        match self {
            Self::Text(cells) | Self::Ip(cells) => cells.unset(row),
            Self::Int32(cells) => cells.unset(row),
            Self::Int64(cells) | Self::Time(_, cells) => cells.unset(row),
            Self::Double(cells) => cells.unset(row),
            Self::Boolean(cells) => cells.unset(row),
            Self::Guarded(guard) => guard.unset(row),
        }
    }

    fn take(&mut self, rows: usize, buffers: &Arc<[Buffer]>) -> Option<ArrayRef> {
        Some(match self {
            Self::Text(cells) | Self::Ip(cells) => {
                return string_views(cells, rows, buffers);
            }
            Self::Guarded(guard) => return guard.cells.take(rows, buffers),
            Self::Int32(cells) => {
                let (values, nulls) = cells.take(rows)?;
                Arc::new(Int32Array::new(values.into(), nulls))
            }
            Self::Int64(cells) => {
                let (values, nulls) = cells.take(rows)?;
                Arc::new(Int64Array::new(values.into(), nulls))
            }
            Self::Double(cells) => {
                let (values, nulls) = cells.take(rows)?;
                Arc::new(Float64Array::new(values.into(), nulls))
            }
            Self::Boolean(cells) => {
                let (values, nulls) = cells.take(rows)?;
                Arc::new(BooleanArray::new(BooleanBuffer::from(values), nulls))
            }
            Self::Time(_, cells) => {
                let (values, nulls) = cells.take(rows)?;
                Arc::new(TimestampMillisecondArray::new(values.into(), nulls).with_timezone("UTC"))
            }
        })
    }
}
