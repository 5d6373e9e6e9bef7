//! Builds a batch: the wanted columns and the system columns.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, UInt32Array, UInt64Array, make_view, new_null_array};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;

use super::DecoderRequest;
use super::column::{ARENA, Cells, ColumnBuilder, Span, binary_views, store, string_views};
use super::json_scan::Scanner;
use super::layout::Alternative;
use super::written::AnyKept;

/// A batch is full when its lines have this many bytes, so that long lines do not make
/// large batches.
const MAX_BYTES: usize = 32 << 20;
/// A batch is also full when it holds blocks of this many bytes, with or without rows.
const MAX_HELD: usize = 64 << 20;
/// Bytes of an offending value that a detail shows.
const SHOWN: usize = 64;
/// Shown in place of a value that may be a credential.
const REDACTED: &str = "[redacted]";

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
    /// The values of the row's columns with several names, and what gave them.
    chosen: Vec<Chosen>,
    /// Values under the other names, as members of `_extra`.
    others: Vec<u8>,
    /// Texts that are NULL in every column.
    null: Arc<[String]>,
    /// The columns that keep their texts as they are written.
    watched: Box<[usize]>,
    any_kept: AnyKept,
    /// Memory for the members of `_written`.
    members: Vec<u8>,
    written: Cells<u128>,
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

/// The value of a column with several names in the current row.
struct Chosen {
    slot: usize,
    rank: usize,
    /// The name and the value as a member of a JSON object.
    member: Vec<u8>,
}

impl Rows {
    pub(crate) fn new(request: DecoderRequest) -> Self {
        let any_kept = AnyKept::default();
        let columns = builders(&request, &any_kept);
        let watched = (0..columns.len()).filter(|slot| columns[*slot].is_written());
        Self {
            watched: watched.collect(),
            any_kept,
            columns,
            chosen: Vec::new(),
            others: Vec::new(),
            null: request.null,
            members: Vec::new(),
            written: Cells::new(),
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
            Err(expected) => Err(invalid_value(column, text.bytes, expected)),
        }
    }

    /// Parses `text` into a column with several names.
    pub(crate) fn set_alternative(
        &mut self,
        one: &Alternative,
        text: Span<'_>,
    ) -> Result<(), Rejected> {
        match self.takes_text(one, text.bytes) {
            true => self.set(one.slot, text),
            false => Ok(()),
        }
    }

    /// Whether a text under one of the names of a column is the column's value.
    pub(crate) fn takes_text(&mut self, one: &Alternative, text: &[u8]) -> bool {
        if self.is_null(text) {
            return false;
        }
        self.takes(one, |out| {
            write_json_string(out, &String::from_utf8_lossy(text))
        })
    }

    /// Whether a value under one of the names of a column is the column's value in the current
    /// row. A value under another name goes to `_extra`. `write` appends the value as JSON.
    pub(crate) fn takes(&mut self, one: &Alternative, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut member = Vec::new();
        write_json_string(&mut member, &one.name);
        member.push(b':');
        write(&mut member);
        let known = self.chosen.iter_mut().find(|known| known.slot == one.slot);
        let Some(known) = known else {
            let (slot, rank) = (one.slot, one.rank);
            self.chosen.push(Chosen { slot, rank, member });
            return true;
        };
        if known.rank == one.rank {
            known.member = member;
            return true;
        }
        let is_better = one.rank < known.rank;
        if is_better {
            known.rank = one.rank;
            std::mem::swap(&mut known.member, &mut member);
        }
        if !self.others.is_empty() {
            self.others.push(b',');
        }
        self.others.append(&mut member);
        is_better
    }

    /// Whether the text is NULL in every column.
    pub(crate) fn is_null(&self, text: &[u8]) -> bool {
        self.null.iter().any(|null| null.as_bytes() == text)
    }

    /// Keeps `text` as the one that the value of a column has in the source.
    pub(crate) fn note(&mut self, slot: usize, text: &[u8]) {
        self.columns[slot].note(text);
    }

    /// Same as `set`, for a text that is not part of a block.
    pub(crate) fn set_owned(&mut self, slot: usize, text: &[u8]) -> Result<(), Rejected> {
        let column = &mut self.columns[slot];
        // Text columns keep a reference to the arena. Other kinds only parse the bytes.
        let offset = self.arena.len();
        self.arena.extend_from_slice(text);
        let span = Span {
            bytes: text,
            buffer: ARENA,
            offset: offset as u32,
        };
        match column.set(self.row, span, &mut self.arena) {
            Ok(()) => Ok(()),
            Err(expected) => Err(invalid_value(column, text, expected)),
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
        if self.is_null(text) {
            return;
        }
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
        if !self.chosen.is_empty() {
            self.end_alternatives();
        }
        if !self.extra_members.is_empty() {
            let object = store_object(&mut self.arena, &mut self.extra_members);
            self.extra.set(self.row, object);
        }
        if !self.watched.is_empty() && self.any_kept.take() {
            self.end_written();
        }
        self.raw.set(self.row, raw.view());
        self.lines.push(line);
        self.offsets.push(offset);
        self.bytes += raw.bytes.len();
        self.row += 1;
    }

    #[cold]
    fn end_alternatives(&mut self) {
        self.chosen.clear();
        if !self.others.is_empty() && !self.extra_members.is_empty() {
            self.extra_members.push(b',');
        }
        self.extra_members.append(&mut self.others);
    }

    #[inline(never)]
    fn end_written(&mut self) {
        let mut members = std::mem::take(&mut self.members);
        for slot in &self.watched {
            self.columns[*slot].take_written(&mut members);
        }
        if !members.is_empty() {
            let object = store_object(&mut self.arena, &mut members);
            self.written.set(self.row, object);
        }
        self.members = members;
    }

    /// Notes that the current row lacks bytes, and that it has this many physical lines.
    pub(crate) fn note_cut(&mut self, lines: u64) {
        self.cut.push((self.row, lines));
    }

    /// Removes all values of the current row.
    pub(crate) fn clear_row(&mut self) {
        for column in &mut self.columns {
            column.unset(self.row);
        }
        self.extra_members.clear();
        self.chosen.clear();
        self.others.clear();
    }

    /// Ends the current row as rejected. Its columns are NULL.
    pub(crate) fn reject(&mut self, why: &Rejected, line: u64, offset: u64, raw: Span<'_>) {
        self.clear_row();
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
        let written = string_views(&mut self.written, rows, buffers);
        arrays.push(written.unwrap_or_else(|| self.null_column(first + 8, rows)));
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

/// The builders of the wanted columns.
fn builders(request: &DecoderRequest, any_kept: &AnyKept) -> Vec<ColumnBuilder> {
    let wanted = request.wanted.iter().enumerate();
    let builder = |(slot, index): (usize, &usize)| {
        let is_written = request.written.get(slot).is_some_and(|written| *written);
        let any = is_written.then_some(any_kept);
        ColumnBuilder::guarded(&request.columns[*index], &request.null, any)
    };
    wanted.map(builder).collect()
}

/// Moves the members of a JSON object to the arena. Returns the view of the object.
fn store_object(arena: &mut Vec<u8>, members: &mut Vec<u8>) -> u128 {
    let start = arena.len();
    arena.push(b'{');
    arena.append(members);
    arena.push(b'}');
    make_view(&arena[start..], ARENA, start as u32)
}

#[cold]
fn invalid_value(column: &ColumnBuilder, text: &[u8], expected: &str) -> Rejected {
    let (name, shown) = (&column.name, shown(column, text));
    let detail = format!("column {name}: {shown} is not {expected}");
    Rejected::new("invalid_value", detail)
}

/// Returns what a message shows of a value. A nested value may contain credentials.
fn shown(column: &ColumnBuilder, text: &[u8]) -> String {
    if column.is_hidden {
        return format!("`{REDACTED}`");
    }
    match text.trim_ascii_start() {
        [b'{', ..] => "a JSON object".to_owned(),
        // Some texts have brackets, such as times.
        [b'[', ..] if text.contains(&b'"') || Scanner::new(text).value().is_ok() => {
            "a JSON list".to_owned()
        }
        _ => {
            let beginning = String::from_utf8_lossy(&text[..text.len().min(SHOWN)]);
            let dots = if text.len() > SHOWN { "…" } else { "" };
            format!("`{beginning}{dots}`")
        }
    }
}

/// Writes `text` as a JSON string.
pub(crate) fn write_json_string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a text always has a JSON form");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::decode::testing::Case;
    use crate::spec::{ColumnKind, TimeUnit};

    fn csv(kinds: &[(&str, ColumnKind)]) -> Case {
        let mut case = Case::new("csv");
        for (name, kind) in kinds {
            case = case.column(name, kind.clone()).written();
        }
        case
    }

    #[test]
    fn texts_are_kept_where_the_value_has_another_text() {
        let case = csv(&[
            ("n", ColumnKind::Int32),
            ("d", ColumnKind::Double),
            ("b", ColumnKind::Boolean),
            ("ip", ColumnKind::Ip),
            ("t", ColumnKind::Epoch(TimeUnit::Second)),
            ("text", ColumnKind::Text),
        ]);
        let input = "7,1.5,true,10.0.0.1,,x\n007,1,TRUE,::0001,0,007\n0,-0.5,false,::1,,\n";
        let written: Vec<_> = case
            .rows(input)
            .iter()
            .map(|row| row["_written"].clone())
            .collect();
        let second = r#"{"n":"007","d":"1","b":"TRUE","ip":"::0001"}"#;
        assert_eq!(written, [json!(null), json!(second), json!(null)]);
    }

    #[test]
    fn a_rejected_row_keeps_no_texts() {
        let rows = csv(&[("n", ColumnKind::Int32), ("m", ColumnKind::Int32)]).rows("01,x\n1,2\n");
        assert!(rows.iter().all(|row| row["_written"].is_null()), "{rows:?}");
    }

    #[test]
    fn columns_that_are_not_asked_for_keep_no_texts() {
        let case = Case::new("csv").column("n", ColumnKind::Int32);
        assert!(case.rows("01\n")[0].get("_written").is_none());
    }

    #[test]
    fn details_show_no_credentials() {
        let case = Case::new("csv")
            .column("n", ColumnKind::Int32)
            .option("delimiter", "|");
        let detail =
            |case: &Case, text: &str| case.rows(&format!("{text}\n"))[0]["_detail"].clone();
        for (text, shown) in [
            ("x", "`x`"),
            (r#"{"password":"x"#, "a JSON object"),
            (r#"["x", 1]"#, "a JSON list"),
            ("[1]", "a JSON list"),
            ("[06/Feb/2019]", "`[06/Feb/2019]`"),
        ] {
            let expected = format!("column n: {shown} is not an integer");
            assert_eq!(detail(&case, text), expected, "{text}");
        }
        let mut hidden = case;
        hidden.columns[0].hidden = true;
        assert_eq!(
            detail(&hidden, "x"),
            "column n: `[redacted]` is not an integer"
        );
    }

    #[test]
    fn declared_texts_are_null_in_every_column() {
        let case = Case::new("csv")
            .column("n", ColumnKind::Int32)
            .column("text", ColumnKind::Text)
            .column("json", ColumnKind::Json)
            .null(&["-", "", "N/A"]);
        assert_eq!(
            case.rows("-,\"N/A\",-,-,x\n1,\"\",--,\"\"\n"),
            [
                json!({"_extra": r#"{"field_5":"x"}"#}),
                json!({"n": 1, "json": "--"})
            ]
        );
    }

    #[test]
    fn the_first_name_with_a_value_wins() {
        let case = Case::new("csv")
            .column("ip", ColumnKind::Ip)
            .names(&["src", "source", "client"])
            .option("header", "true")
            .null(&["-"]);
        let input = "client,Source,other\n10.0.0.1,10.0.0.2,a\n10.0.0.1,-,b\n,,c\n";
        assert_eq!(
            case.rows(input),
            [
                json!({"ip": "10.0.0.2", "_extra": r#"{"other":"a","client":"10.0.0.1"}"#}),
                json!({"ip": "10.0.0.1", "_extra": r#"{"other":"b"}"#}),
                json!({"_extra": r#"{"other":"c"}"#}),
            ]
        );
        let columns = case.all(b"src,client\n::1,::2\n", &[], None);
        assert_eq!(columns[0]["ip"], "::1");
        assert_eq!(columns[0]["_extra"], r#"{"client":"::2"}"#);
        let reasons = case.reasons(b"src,client\nx,::2\n::1,::1\n");
        assert_eq!(reasons, ["invalid_value", ""]);
    }
}
