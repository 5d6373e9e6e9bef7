//! The decoder of formats whose records may span lines. A record that never ends must not
//! swallow the lines behind it: they are read again, each by itself.
//!
//! Every byte is read a bounded number of times, and at most two records of maximum length
//! are in memory.

use arrow::buffer::Buffer;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use memchr::memchr;

use super::column::Span;
use super::damage::CUT_AT_END;
use super::line_decoder::{LineKind, LineParser, check_utf8, cut_at_end, too_long};
use super::lines::{Found, Lines, MAX_LINE, add_buffer};
use super::rows::{Rejected, Rows};
use super::{Broken, Decoder, DecoderRequest};

/// The reason why the lines of a record without an end are rejected.
const UNCLOSED: &str = "unclosed_quote";
/// The reasons to reject the first line of a record by itself.
const MAY_BE_OPEN: [&str; 3] = [UNCLOSED, "invalid_utf8", "too_few_fields"];
/// A line that was read this often as a part of records without an end begins no other one.
/// Without this limit some inputs would take quadratic time.
const MAX_TRIES: u32 = 16;

/// Parses records that may span lines. `LineParser::parse` gets whole records, and every
/// line that may be one.
pub(crate) trait RecordParser: LineParser {
    /// What is known of a record that goes on in the next line.
    type Open: Send;

    /// Returns the state of a record that begins with this line and goes on in the next one.
    fn open(&self, line: &[u8]) -> Option<Self::Open>;

    /// Reads on in an open record. `text` are its lines, and the last one begins at `line`.
    fn go_on(&self, open: &mut Self::Open, text: &[u8], line: usize) -> Step;

    /// Whether the line is a whole record.
    fn is_record(&self, line: &[u8]) -> bool;
}

/// What a line means to the record that is open before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The record goes on in the next line.
    Open,
    /// The record ends with the line.
    Whole,
    /// The lines are no record.
    Broken,
    /// The record ends with the line, but the line by itself is a record as well.
    Doubtful,
}

pub(crate) struct RecordDecoder<P: RecordParser> {
    parser: P,
    source: Source,
    rows: Rows,
    open: Option<OpenRecord<P::Open>>,
    ended: bool,
    broken: Option<Broken>,
    /// Offset of the text after the last line end, once it was taken.
    rest: Option<Option<u64>>,
}

/// The lines of a record whose end has not arrived, with the line ends between them.
struct OpenRecord<S> {
    state: S,
    text: Vec<u8>,
    number: u64,
    offset: u64,
    tries: u32,
}

impl<P: RecordParser + 'static> RecordDecoder<P> {
    pub(crate) fn boxed(parser: P, request: DecoderRequest) -> Box<dyn Decoder> {
        Box::new(Self {
            parser,
            source: Source {
                lines: Lines::default(),
                again: None,
            },
            rows: Rows::new(request),
            open: None,
            ended: false,
            broken: None,
            rest: None,
        })
    }
}

impl<P: RecordParser> Decoder for RecordDecoder<P> {
    fn push(&mut self, block: Bytes) {
        self.source.lines.push(block);
    }

    fn finish(&mut self, broken: Option<Broken>) {
        self.ended = true;
        self.broken = broken;
    }

    fn next_batch(&mut self) -> Option<RecordBatch> {
        let mut holds_much = false;
        while !self.rows.is_full() {
            let Some(line) = self.source.next(&mut self.rows.buffers) else {
                if self.ended && self.take_end() {
                    continue;
                }
                break;
            };
            self.take(&line);
            holds_much = self.rows.holds_much();
            match (holds_much, self.rows.is_empty()) {
                (false, _) => {}
                (true, false) => break,
                (true, true) => {
                    self.source.forget_buffers();
                    self.rows.forget_buffers();
                }
            }
        }
        let is_due = holds_much || self.rows.is_full() || self.ended;
        let is_due = is_due && !self.rows.is_empty();
        is_due.then(|| {
            self.source.forget_buffers();
            self.rows.take()
        })
    }
}

impl<P: RecordParser> RecordDecoder<P> {
    fn take(&mut self, line: &Line) {
        match self.open.take() {
            Some(open) => self.go_on(open, line),
            None => self.begin(line),
        }
    }

    fn begin(&mut self, line: &Line) {
        if line.is_empty() {
            return;
        }
        if let Some(why) = self.source.fate(line) {
            return self.end(line, Err(why));
        }
        let outcome = self.parse(line);
        let may_open = |why: &Rejected| MAY_BE_OPEN.contains(&why.reason);
        if line.tries < MAX_TRIES && outcome.as_ref().is_err_and(may_open) {
            let text = self.source.text(line);
            if let Some(state) = self.parser.open(text) {
                self.rows.restart_row();
                self.open = Some(OpenRecord {
                    state,
                    text: text.to_vec(),
                    number: line.number,
                    offset: line.offset,
                    tries: line.tries,
                });
                return;
            }
        }
        self.end(line, outcome);
    }

    fn parse(&mut self, line: &Line) -> Result<LineKind, Rejected> {
        if line.is_too_long {
            return Err(too_long());
        }
        let span = self.source.span(line);
        if !line.is_ascii {
            check_utf8(span.bytes)?;
        }
        self.parser.parse(span, &mut self.rows)
    }

    fn go_on(&mut self, mut open: OpenRecord<P::Open>, line: &Line) {
        if line.is_too_long {
            self.end(line, Err(too_long()));
            let why = unclosed(open.number);
            return self.read_again(open, why, Fate::FirstRejected);
        }
        let start = open.append(self.source.text(line), line.offset);
        match self.parser.go_on(&mut open.state, &open.text, start) {
            Step::Open if open.text.len() <= MAX_LINE => self.open = Some(open),
            Step::Open | Step::Broken => {
                let why = match self.is_rest(line) {
                    true => self.why_open_at_end(&open),
                    false => unclosed(open.number),
                };
                self.read_again(open, why, Fate::FirstRejected);
            }
            Step::Whole => self.end_record(open, self.is_rest(line)),
            Step::Doubtful => {
                let mut why = unclosed(open.number);
                let number = line.number;
                why.detail += &format!(", or line {number}, a record by itself, is part of it");
                self.read_again(open, why, Fate::AllRejected);
            }
        }
    }

    /// Ends a record of several lines.
    fn end_record(&mut self, open: OpenRecord<P::Open>, is_rest: bool) {
        let text = Bytes::from(open.text);
        let span = Span {
            bytes: &text,
            buffer: add_buffer(&mut self.rows.buffers, text.clone()),
            offset: 0,
        };
        let outcome = check_utf8(&text).and_then(|()| self.parser.parse(span, &mut self.rows));
        match outcome {
            Ok(LineKind::Row) => {
                self.rows.end(open.number, open.offset, span);
                self.source.record_found();
            }
            Ok(LineKind::Header) => {}
            Err(why) => {
                let why = if is_rest { cut_at_end(&text, why) } else { why };
                self.rows.reject(&why, open.number, open.offset, span);
            }
        }
    }

    fn end(&mut self, line: &Line, outcome: Result<LineKind, Rejected>) {
        let is_rest = self.is_rest(line);
        let is_row = outcome.as_ref().is_ok_and(|kind| *kind == LineKind::Row);
        let reason = self.source.reason_of_failure(line, is_row);
        let span = self.source.span(line);
        match outcome {
            Ok(LineKind::Row) => self.rows.end(line.number, line.offset, span),
            Ok(LineKind::Header) => {}
            Err(why) => {
                let why = match reason {
                    Some(why) => why,
                    None if is_rest => cut_at_end(span.bytes, why),
                    None => why,
                };
                if let Some(lines) = line.lines_of_cut {
                    self.rows.note_cut(lines);
                }
                self.rows.reject(&why, line.number, line.offset, span);
            }
        }
    }

    /// Whether the line is the text after the last line end.
    fn is_rest(&self, line: &Line) -> bool {
        self.rest.flatten() == Some(line.offset)
    }

    /// Lets the lines of a record that has no end be read by themselves.
    fn read_again(&mut self, open: OpenRecord<P::Open>, why: Rejected, fate: Fate) {
        match &mut self.source.again {
            // All lines of the record are in it.
            Some(again) => {
                again.at = (open.offset - again.offset) as usize;
                again.number = open.number;
                again.tries += 1;
                (again.why, again.fate) = (why, fate);
            }
            none => {
                *none = Some(Again {
                    text: Bytes::from(open.text),
                    at: 0,
                    number: open.number,
                    offset: open.offset,
                    tries: open.tries + 1,
                    buffer: None,
                    why,
                    fate,
                });
            }
        }
    }

    /// Handles what is left after the last line end. Returns whether there is more to read.
    ///
    /// An object that broke between two lines adds an empty rejected row, so that the loss is
    /// counted.
    fn take_end(&mut self) -> bool {
        if self.rest.is_none() {
            let rest = self.source.lines.rest(&mut self.rows.buffers);
            let rest = rest.map(Line::fresh).filter(|line| !line.is_empty());
            self.rest = Some(rest.as_ref().map(|line| line.offset));
            match (self.broken.clone(), rest) {
                (None, Some(line)) => self.take(&line),
                (None, None) => {}
                (Some(broken), Some(line)) => {
                    self.end(&line, Err(Rejected::new(broken.reason, broken.detail)));
                }
                (Some(broken), None) if self.open.is_none() => {
                    let line = Line::fresh(self.source.lines.nothing());
                    self.end(&line, Err(Rejected::new(broken.reason, broken.detail)));
                }
                (Some(_), None) => {}
            }
            return true;
        }
        let Some(open) = self.open.take() else {
            return false;
        };
        let why = self.why_open_at_end(&open);
        self.read_again(open, why, Fate::FirstRejected);
        true
    }

    /// Returns why a record is open where the object ends. If records follow its first line,
    /// its quote was never closed. Otherwise the object is cut.
    fn why_open_at_end(&self, open: &OpenRecord<P::Open>) -> Rejected {
        if let Some(broken) = &self.broken {
            return Rejected::new(broken.reason, broken.detail.clone());
        }
        let mut lines = open.text.split(|byte| *byte == b'\n').skip(1);
        if lines.any(|line| self.parser.is_record(without_return(line))) {
            return unclosed(open.number);
        }
        let detail = format!(
            "the object ends within a quoted field of the record in line {}",
            open.number
        );
        Rejected::new(CUT_AT_END, detail)
    }
}

fn unclosed(number: u64) -> Rejected {
    let detail = format!("a quoted field of the record in line {number} has no end");
    Rejected::new(UNCLOSED, detail)
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

impl<S> OpenRecord<S> {
    /// Appends a line and the line end before it. Returns where the line begins.
    fn append(&mut self, line: &[u8], offset: u64) -> usize {
        let is_returned = offset - self.offset > self.text.len() as u64 + 1;
        self.text
            .extend_from_slice(if is_returned { b"\r\n" } else { b"\n" });
        let start = self.text.len();
        self.text.extend_from_slice(line);
        start
    }
}

/// The lines of the object, and before them those that are read again.
struct Source {
    lines: Lines,
    again: Option<Again>,
}

/// Lines that are read again.
struct Again {
    text: Bytes,
    at: usize,
    /// Number of the line at `at`.
    number: u64,
    /// Offset of the text in the object.
    offset: u64,
    tries: u32,
    buffer: Option<u32>,
    /// Why its lines are rejected.
    why: Rejected,
    fate: Fate,
}

/// Which lines are rejected without being read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    AllRejected,
    FirstRejected,
    /// None. Lines that are no record are rejected for the reason of the first one.
    NoneUntilRecord,
    /// None.
    NoneRejected,
}

struct Line {
    place: Place,
    buffer: u32,
    number: u64,
    offset: u64,
    is_ascii: bool,
    is_too_long: bool,
    lines_of_cut: Option<u64>,
    tries: u32,
}

enum Place {
    Fresh(Found),
    Again { start: usize, end: usize },
}

impl Line {
    fn fresh(found: Found) -> Self {
        Self {
            buffer: found.buffer,
            number: found.number,
            offset: found.offset,
            is_ascii: found.is_ascii,
            is_too_long: found.is_too_long,
            lines_of_cut: found.lines_of_cut,
            tries: 0,
            place: Place::Fresh(found),
        }
    }

    fn is_empty(&self) -> bool {
        match &self.place {
            Place::Fresh(found) => found.is_empty(),
            Place::Again { start, end } => start == end,
        }
    }
}

impl Source {
    fn next(&mut self, buffers: &mut Vec<Buffer>) -> Option<Line> {
        if let Some(again) = &mut self.again {
            if let Some(line) = again.next(buffers) {
                return Some(line);
            }
            self.again = None;
        }
        self.lines.next(buffers).map(Line::fresh)
    }

    fn text(&self, line: &Line) -> &[u8] {
        match &line.place {
            Place::Fresh(found) => self.lines.text(found),
            Place::Again { start, end } => {
                let text = self.again.as_ref().map(|again| &again.text[*start..*end]);
                text.unwrap_or_default()
            }
        }
    }

    fn span(&self, line: &Line) -> Span<'_> {
        let offset = match &line.place {
            Place::Fresh(found) => found.start(),
            Place::Again { start, .. } => *start as u32,
        };
        Span {
            bytes: self.text(line),
            buffer: line.buffer,
            offset,
        }
    }

    /// Returns why the line is rejected without being read.
    fn fate(&self, line: &Line) -> Option<Rejected> {
        let again = self.again.as_ref().filter(|_| line.is_again())?;
        let is_rejected = matches!(again.fate, Fate::AllRejected | Fate::FirstRejected);
        is_rejected.then(|| Rejected::new(again.why.reason, again.why.detail.clone()))
    }

    /// Returns the reason of a line that is no record because of the ones before it. Call it
    /// once for each line.
    fn reason_of_failure(&mut self, line: &Line, is_row: bool) -> Option<Rejected> {
        let again = self.again.as_mut().filter(|_| line.is_again())?;
        match again.fate {
            Fate::AllRejected => {}
            Fate::FirstRejected => again.fate = Fate::NoneUntilRecord,
            Fate::NoneUntilRecord if is_row => again.fate = Fate::NoneRejected,
            Fate::NoneUntilRecord => {}
            Fate::NoneRejected => return None,
        }
        Some(Rejected::new(again.why.reason, again.why.detail.clone()))
    }

    /// Lines that are read again have their own reasons from here on.
    fn record_found(&mut self) {
        if let Some(again) = &mut self.again {
            again.fate = Fate::NoneRejected;
        }
    }

    fn forget_buffers(&mut self) {
        self.lines.forget_buffers();
        if let Some(again) = &mut self.again {
            again.buffer = None;
        }
    }
}

impl Line {
    fn is_again(&self) -> bool {
        matches!(self.place, Place::Again { .. })
    }
}

impl Again {
    fn next(&mut self, buffers: &mut Vec<Buffer>) -> Option<Line> {
        let start = self.at;
        let rest = self.text.get(start..).filter(|rest| !rest.is_empty())?;
        let line_end = memchr(b'\n', rest);
        let length = line_end.unwrap_or(rest.len());
        // The last line has no line end here, and no carriage return that belongs to it.
        let text = match line_end {
            Some(_) => without_return(&rest[..length]),
            None => rest,
        };
        self.at += length + 1;
        self.number += 1;
        let whole = &self.text;
        let buffer = *self
            .buffer
            .get_or_insert_with(|| add_buffer(buffers, whole.clone()));
        Some(Line {
            place: Place::Again {
                start,
                end: start + text.len(),
            },
            buffer,
            number: self.number - 1,
            offset: self.offset + start as u64,
            is_ascii: false,
            is_too_long: false,
            lines_of_cut: None,
            tries: self.tries,
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use crate::decode::testing::Case;
    use crate::spec::ColumnKind;

    fn case() -> Case {
        let mut case = Case::new("csv")
            .column("n", ColumnKind::Int64)
            .column("text", ColumnKind::Text)
            .option("multiline", "true");
        case.batch_rows = 8192;
        case
    }

    fn rows(case: &Case, input: &str) -> (usize, usize) {
        let blocks = input.as_bytes().chunks(1 << 20).map(Bytes::copy_from_slice);
        let batches = case.batches(blocks, None);
        let total = batches.iter().map(|batch| batch.num_rows()).sum::<usize>();
        let good = |batch: &arrow::record_batch::RecordBatch| {
            batch.column_by_name("_reject").unwrap().null_count()
        };
        (total, batches.iter().map(good).sum())
    }

    #[test]
    fn an_open_quote_before_more_than_a_record_may_have_rejects_only_its_line() {
        let lines = (17 << 20) / 16;
        let input = format!("7,a\n1,\"never\n{}", "12345678,abcdef\n".repeat(lines));
        assert_eq!(rows(&case(), &input), (lines + 2, lines + 1));
    }

    #[test]
    fn many_open_quotes_take_linear_time() {
        for line in [
            "1,\"x\n",
            "1,\"\n",
            "\"\n",
            "a\",\"b\n",
            "\",\"\n",
            "1,\"\"\"x\n",
        ] {
            let lines = (1 << 20) / line.len();
            let (total, _) = rows(&case(), &line.repeat(lines));
            assert!(total > 0, "{line}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_ends_an_open_record() {
        let long = "x".repeat(17 << 20);
        let input = format!("1,\"open\n2,a\n{long}\n3,b\n");
        assert_eq!(rows(&case(), &input), (4, 2));
    }
}
