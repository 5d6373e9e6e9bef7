//! The decoder of all line formats. It finds the lines, and a `LineParser` turns each of
//! them into a row.

use arrow::record_batch::RecordBatch;
use bytes::Bytes;

use super::column::Span;
use super::damage::{CUT_AT_END, LINE_TOO_LONG};
use super::json_wrapper::Members;
use super::lines::{Found, Lines, MAX_LINE};
use super::records::{Records, ends_in_object};
use super::rows::{Rejected, Rows};
use super::{Broken, Decoder, DecoderRequest};

const INVALID_UTF8: &str = "invalid_utf8";

/// Parses the lines of one format.
pub(crate) trait LineParser: Send {
    /// Sets the columns of the current row. The line is valid UTF-8 and not empty.
    fn parse(&mut self, line: Span<'_>, rows: &mut Rows) -> Result<LineKind, Rejected>;

    /// Sets the columns of the current row that are around the list of records.
    fn context(&mut self, _members: &Members, _rows: &mut Rows) -> Result<(), Rejected> {
        Ok(())
    }

    /// Same as `parse`, for a line that is not UTF-8. `why` is the reason to reject it. A format
    /// with texts that outsiders write reads it, or else one byte keeps a record from the lake.
    fn parse_bytes(
        &mut self,
        _line: Span<'_>,
        why: Rejected,
        _rows: &mut Rows,
    ) -> Result<LineKind, Rejected> {
        Err(why)
    }
}

/// The kind of a parsed line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineKind {
    Row,
    /// The line names columns, or is blank. It makes no row.
    Header,
}

pub(crate) struct LineDecoder<P> {
    parser: P,
    records: Records,
    rows: Rows,
    ended: bool,
    /// Whether the last line was handled.
    rest_taken: bool,
    broken: Option<Broken>,
}

impl<P: LineParser + 'static> LineDecoder<P> {
    pub(crate) fn boxed(parser: P, request: DecoderRequest) -> Box<dyn Decoder> {
        Self::boxed_with(parser, request, Lines::default())
    }

    pub(crate) fn boxed_with(
        parser: P,
        request: DecoderRequest,
        records: impl Into<Records>,
    ) -> Box<dyn Decoder> {
        Box::new(Self {
            parser,
            records: records.into(),
            rows: Rows::new(request),
            ended: false,
            rest_taken: false,
            broken: None,
        })
    }
}

impl<P: LineParser> Decoder for LineDecoder<P> {
    fn push(&mut self, block: Bytes) {
        self.records.push(block);
    }

    fn finish(&mut self, broken: Option<Broken>) {
        self.ended = true;
        self.broken = broken;
        self.records.finish();
    }

    fn next_batch(&mut self) -> Option<RecordBatch> {
        let mut holds_much = false;
        while !self.rows.is_full() {
            let Some(line) = self.records.next(&mut self.rows.buffers) else {
                if self.ended && !std::mem::replace(&mut self.rest_taken, true) {
                    self.take_rest();
                }
                break;
            };
            self.take_line(line);
            holds_much = self.rows.holds_much();
            match (holds_much, self.rows.is_empty()) {
                (false, _) => {}
                (true, false) => break,
                (true, true) => {
                    self.records.forget_buffers();
                    self.rows.forget_buffers();
                }
            }
        }
        let is_due = holds_much || self.rows.is_full() || self.ended;
        let is_due = is_due && !self.rows.is_empty();
        is_due.then(|| {
            self.records.forget_buffers();
            self.rows.take()
        })
    }
}

impl<P: LineParser> LineDecoder<P> {
    fn take_line(&mut self, line: Found) {
        if line.is_empty() {
            return;
        }
        match self.parse(&line) {
            Err(why) if line.damage.is_none() && is_no_record(why.reason) => {
                let line = self.records.refuse(line);
                self.end(&line, Err(why));
            }
            outcome => self.end(&line, outcome),
        }
    }

    fn parse(&mut self, line: &Found) -> Result<LineKind, Rejected> {
        if let Some(damage) = line.damage {
            return Err(Rejected::new(damage.reason, damage.detail));
        }
        let span = span(&self.records, line);
        let checked = check(line, span.bytes);
        if let Some(members) = self.records.context() {
            self.parser.context(members, &mut self.rows)?;
        }
        match checked {
            Ok(()) => self.parser.parse(span, &mut self.rows),
            Err(why) if why.reason == INVALID_UTF8 => {
                self.parser.parse_bytes(span, why, &mut self.rows)
            }
            Err(why) => Err(why),
        }
    }

    fn end(&mut self, line: &Found, outcome: Result<LineKind, Rejected>) {
        let span = span(&self.records, line);
        match outcome {
            Ok(LineKind::Row) => self.rows.end(line.number, line.offset, span),
            Ok(LineKind::Header) => {}
            Err(why) => {
                if let Some(lines) = line.lines_of_cut {
                    self.rows.note_cut(lines);
                }
                self.rows.reject(&why, line.number, line.offset, span);
            }
        }
    }

    /// Handles the last line. It needs no line end, but a line of a broken object is
    /// rejected. An object that broke between two lines adds an empty rejected row, so
    /// that the loss is counted.
    fn take_rest(&mut self) {
        let rest = self.records.rest(&mut self.rows.buffers);
        let rest = rest.filter(|line| !line.is_empty());
        let broken = self.broken.take().or_else(|| self.unclosed(rest.as_ref()));
        match (broken, rest) {
            (Some(broken), rest) => {
                let line = rest.unwrap_or_else(|| self.records.nothing());
                let why = Rejected::new(broken.reason, broken.detail);
                self.end(&line, Err(why));
            }
            (None, Some(line)) => {
                let outcome = self.parse(&line);
                let outcome = outcome.map_err(|why| cut_at_end(self.records.text(&line), why));
                self.end(&line, outcome);
            }
            (None, None) => {}
        }
    }

    /// Returns the damage of an object that ends within a record.
    fn unclosed(&self, rest: Option<&Found>) -> Option<Broken> {
        let is_cut_already = rest.is_some_and(|line| line.is_too_long);
        (self.records.is_open() && !is_cut_already).then(|| Broken {
            reason: CUT_AT_END,
            detail: "the object ends before a JSON object or an array does".to_owned(),
        })
    }
}

/// Returns why the last line, which has no line end, is rejected: it is cut if it lacks its end.
pub(super) fn cut_at_end(text: &[u8], why: Rejected) -> Rejected {
    let is_cut = match why.reason {
        "too_few_fields" | "unclosed_quote" => true,
        "invalid_value" | "invalid_utf8" if !text.starts_with(b"{") => true,
        "invalid_json" | "invalid_value" | "invalid_utf8" => ends_in_object(text),
        _ => false,
    };
    if !is_cut {
        return why;
    }
    Rejected::new(CUT_AT_END, format!("the last line is cut: {}", why.detail))
}

/// The text of a line, or nothing where there is no line.
fn span<'a>(records: &'a Records, line: &Found) -> Span<'a> {
    Span {
        bytes: records.text(line),
        buffer: line.buffer,
        offset: line.start(),
    }
}

/// Whether the text cannot be parsed, so that its end may be wrong.
fn is_no_record(reason: &str) -> bool {
    matches!(reason, "invalid_json" | "invalid_utf8")
}

fn check(line: &Found, bytes: &[u8]) -> Result<(), Rejected> {
    if line.is_too_long {
        return Err(too_long());
    }
    match line.is_ascii {
        true => Ok(()),
        false => check_utf8(bytes),
    }
}

/// The reason why a line that is too long is rejected.
pub(super) fn too_long() -> Rejected {
    let detail = format!("longer than {} MiB; its beginning is kept", MAX_LINE >> 20);
    Rejected::new(LINE_TOO_LONG, detail)
}

pub(super) fn check_utf8(bytes: &[u8]) -> Result<(), Rejected> {
    let Err(error) = std::str::from_utf8(bytes) else {
        return Ok(());
    };
    let detail = format!("byte {} of the line is not UTF-8", error.valid_up_to() + 1);
    Err(Rejected::new(INVALID_UTF8, detail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::testing::Case;
    use crate::spec::ColumnKind;

    struct Whole;

    impl LineParser for Whole {
        fn parse(&mut self, line: Span<'_>, rows: &mut Rows) -> Result<LineKind, Rejected> {
            if line.bytes.starts_with(b"#") {
                return Ok(LineKind::Header);
            }
            rows.set(0, line)?;
            Ok(LineKind::Row)
        }
    }

    /// A small gzip object can contain gigabytes of blank lines and headers.
    #[test]
    fn blocks_without_rows_are_released() {
        let mut case = Case::new("json_lines").column("text", ColumnKind::Text);
        case.batch_rows = 1000;
        let mut decoder = LineDecoder {
            parser: Whole,
            records: Lines::default().into(),
            rows: Rows::new(case.request()),
            ended: false,
            rest_taken: false,
            broken: None,
        };
        let header = [vec![b'#'; (1 << 19) - 1], vec![b'\n']].concat();
        let headers = Bytes::from(header.repeat(2));
        let (mut held, mut rows) = (0, 0);
        for block in 0..200 {
            if block % 50 == 20 {
                decoder.push(Bytes::from_static(b"a single line\n"));
            }
            decoder.push(headers.clone());
            rows += decoder.next_batch().map_or(0, |batch| batch.num_rows());
            held = held.max(decoder.rows.buffers.len());
        }
        decoder.finish(None);
        rows += decoder.next_batch().map_or(0, |batch| batch.num_rows());
        assert_eq!(rows, 4);
        assert!(held < 70, "{held} blocks of 1 MiB");
    }
}
