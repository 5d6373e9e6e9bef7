//! Builds a batch: the wanted columns and the system columns.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, UInt32Array, UInt64Array, new_null_array};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;

use super::DecoderRequest;
use super::column::{Cells, ColumnBuilder, Span, binary_views, store, string_views};

/// A batch is full when its lines have this many bytes, so that long lines do not make
/// large batches.
const MAX_BYTES: usize = 32 << 20;
/// A batch is also full when it holds blocks of this many bytes, with or without rows.
const MAX_HELD: usize = 64 << 20;
/// Bytes of an offending value that a detail shows.
const SHOWN: usize = 64;

/// The reason why a row is rejected.
#[derive(Debug)]
pub(crate) struct Rejected {
    pub(crate) reason: &'static str,
    pub(crate) detail: String,
}

impl Rejected {
    pub(crate) fn new(reason: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { reason, detail }
    }
}

/// Collects rows until a batch is full.
pub(crate) struct Rows {
    schema: SchemaRef,
    columns: Vec<ColumnBuilder>,
    /// Buffers that views point into. `take` fills the first one from `arena`.
    pub(crate) buffers: Vec<Buffer>,
    arena: Vec<u8>,
    row: usize,
    bytes: usize,
    /// Bytes of the first `counted` buffers.
    held: usize,
    counted: usize,
    limit: usize,
    /// The members of the row's `_extra`, as JSON text without the outer braces.
    extra_members: Vec<u8>,
    extra: Cells<u128>,
    raw: Cells<u128>,
    reject: Cells<u128>,
    detail: Cells<u128>,
    /// The rows whose bytes are not all kept, with the physical lines of each.
    cut: Vec<(usize, u64)>,
    lines: Vec<u64>,
    offsets: Vec<u64>,
    object: u32,
    nulls: Vec<ArrayRef>,
}

impl Rows {
    pub(crate) fn new(request: DecoderRequest) -> Self {
        let wanted = request.wanted.iter();
        Self {
            columns: wanted
                .map(|index| ColumnBuilder::new(&request.columns[*index]))
                .collect(),
            buffers: vec![Buffer::from(Vec::<u8>::new())],
            arena: Vec::new(),
            row: 0,
            bytes: 0,
            held: 0,
            counted: 0,
            limit: request.batch_rows.max(1),
            extra_members: Vec::new(),
            extra: Cells::new(),
            raw: Cells::new(),
            reject: Cells::new(),
            detail: Cells::new(),
            cut: Vec::new(),
            lines: Vec::new(),
            offsets: Vec::new(),
            object: request.object,
            schema: request.schema,
            nulls: Vec::new(),
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.row >= self.limit || self.bytes >= MAX_BYTES
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.row == 0
    }

    /// Whether the blocks must be released. `take` releases them with the rows. If there are
    /// no rows (only blank lines, for example), call `forget_buffers`.
    pub(crate) fn holds_much(&mut self) -> bool {
        let new = self.buffers.iter().skip(self.counted);
        self.held += new.map(Buffer::len).sum::<usize>();
        self.counted = self.buffers.len();
        self.held >= MAX_HELD
    }

    pub(crate) fn forget_buffers(&mut self) {
        self.buffers.truncate(1);
        (self.held, self.counted) = (0, 0);
    }

    /// Parses `text` into the wanted column `slot` of the current row.
    #[inline]
    pub(crate) fn set(&mut self, slot: usize, text: Span<'_>) -> Result<(), Rejected> {
        let column = &mut self.columns[slot];
        match column.set(self.row, text, &mut self.arena) {
            Ok(()) => Ok(()),
            Err(expected) => Err(invalid_value(&column.name, text.bytes, expected)),
        }
    }

    /// Same as `set`, for a text that is not part of a block.
    pub(crate) fn set_owned(&mut self, slot: usize, text: &[u8]) -> Result<(), Rejected> {
        let column = &mut self.columns[slot];
        // Text columns keep a reference to the arena. Other kinds only parse the bytes.
        let offset = self.arena.len();
        self.arena.extend_from_slice(text);
        let span = Span {
            bytes: text,
            buffer: super::column::ARENA,
            offset: offset as u32,
        };
        match column.set(self.row, span, &mut self.arena) {
            Ok(()) => Ok(()),
            Err(expected) => Err(invalid_value(&column.name, text, expected)),
        }
    }

    /// Removes the value of the current row.
    pub(crate) fn unset(&mut self, slot: usize) {
        self.columns[slot].unset(self.row);
    }

    pub(crate) fn is_text(&self, slot: usize) -> bool {
        self.columns[slot].is_text()
    }

    /// Adds a text without a column to `_extra`.
    pub(crate) fn add_extra(&mut self, key: &str, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        self.add_key(key);
        write_json_string(&mut self.extra_members, &text);
    }

    fn add_key(&mut self, key: &str) {
        if !self.extra_members.is_empty() {
            self.extra_members.push(b',');
        }
        write_json_string(&mut self.extra_members, key);
        self.extra_members.push(b':');
    }

    /// Returns the members of `_extra`, for formats that write JSON themselves.
    pub(crate) fn extra_members(&mut self) -> &mut Vec<u8> {
        &mut self.extra_members
    }

    /// Ends the current row.
    pub(crate) fn end(&mut self, line: u64, offset: u64, raw: Span<'_>) {
        if !self.extra_members.is_empty() {
            let start = self.arena.len();
            self.arena.push(b'{');
            self.arena.append(&mut self.extra_members);
            self.arena.push(b'}');
            let view =
                arrow::array::make_view(&self.arena[start..], super::column::ARENA, start as u32);
            self.extra.set(self.row, view);
        }
        self.raw.set(self.row, raw.view());
        self.lines.push(line);
        self.offsets.push(offset);
        self.bytes += raw.bytes.len();
        self.row += 1;
    }

    /// Notes that the current row lacks bytes, and that it has this many physical lines.
    pub(crate) fn note_cut(&mut self, lines: u64) {
        self.cut.push((self.row, lines));
    }

    /// Ends the current row as rejected. Its columns are NULL.
    pub(crate) fn reject(&mut self, why: &Rejected, line: u64, offset: u64, raw: Span<'_>) {
        for column in &mut self.columns {
            column.unset(self.row);
        }
        self.extra_members.clear();
        let reason = store(&mut self.arena, why.reason.as_bytes());
        self.reject.set(self.row, reason);
        let detail = store(&mut self.arena, why.detail.as_bytes());
        self.detail.set(self.row, detail);
        self.end(line, offset, raw);
    }

    /// Takes the collected rows.
    pub(crate) fn take(&mut self) -> RecordBatch {
        let rows = std::mem::take(&mut self.row);
        self.bytes = 0;
        (self.held, self.counted) = (0, 0);
        let buffers = self.take_buffers();
        let mut arrays = Vec::with_capacity(self.schema.fields().len());
        for index in 0..self.columns.len() {
            let array = self.columns[index].take(rows, &buffers);
            arrays.push(array.unwrap_or_else(|| self.null_column(index, rows)));
        }
        self.take_system(rows, &buffers, &mut arrays);
        RecordBatch::try_new(Arc::clone(&self.schema), arrays)
            .expect("builders are made from the schema and filled to the same length")
    }

    fn take_buffers(&mut self) -> Arc<[Buffer]> {
        let mut buffers =
            std::mem::replace(&mut self.buffers, vec![Buffer::from(Vec::<u8>::new())]);
        buffers[0] = Buffer::from(std::mem::take(&mut self.arena));
        buffers.into()
    }

    fn take_system(&mut self, rows: usize, buffers: &Arc<[Buffer]>, arrays: &mut Vec<ArrayRef>) {
        let first = self.columns.len();
        let extra = string_views(&mut self.extra, rows, buffers);
        let raw = binary_views(&mut self.raw, rows, buffers);
        let reject = string_views(&mut self.reject, rows, buffers);
        let detail = string_views(&mut self.detail, rows, buffers);
        arrays.push(extra.unwrap_or_else(|| self.null_column(first, rows)));
        arrays.push(Arc::new(UInt32Array::from_value(self.object, rows)));
        arrays.push(Arc::new(UInt64Array::from(std::mem::take(&mut self.lines))));
        arrays.push(Arc::new(UInt64Array::from(std::mem::take(
            &mut self.offsets,
        ))));
        arrays.push(raw.unwrap_or_else(|| self.null_column(first + 4, rows)));
        arrays.push(reject.unwrap_or_else(|| self.null_column(first + 5, rows)));
        arrays.push(detail.unwrap_or_else(|| self.null_column(first + 6, rows)));
        let cut = std::mem::take(&mut self.cut);
        arrays.push(match cut.is_empty() {
            true => self.null_column(first + 7, rows),
            false => Arc::new(lines_of(&cut, rows)),
        });
    }

    /// Returns an all-NULL column. All columns and batches share one array for each type.
    fn null_column(&mut self, field: usize, rows: usize) -> ArrayRef {
        let wanted: &DataType = self.schema.field(field).data_type();
        let known = self
            .nulls
            .iter()
            .position(|array| array.data_type() == wanted);
        if let Some(at) = known {
            if self.nulls[at].len() >= rows {
                return self.nulls[at].slice(0, rows);
            }
            self.nulls.swap_remove(at);
        }
        let array = new_null_array(wanted, rows);
        self.nulls.push(Arc::clone(&array));
        array
    }
}

/// A column of the physical lines of some rows.
fn lines_of(cut: &[(usize, u64)], rows: usize) -> UInt64Array {
    let mut lines = vec![None; rows];
    for (row, count) in cut {
        lines[*row] = Some(*count);
    }
    lines.into()
}

fn invalid_value(column: &str, text: &[u8], expected: &str) -> Rejected {
    let shown = String::from_utf8_lossy(&text[..text.len().min(SHOWN)]);
    let dots = if text.len() > SHOWN { "…" } else { "" };
    let detail = format!("column {column}: `{shown}{dots}` is not {expected}");
    Rejected::new("invalid_value", detail)
}

/// Writes `text` as a JSON string.
pub(crate) fn write_json_string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a text always has a JSON form");
}
