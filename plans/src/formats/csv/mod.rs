//! Delimited text with any delimiter and quotes. A header or the declared order names the
//! columns.
//!
//! A quote opens a field only at the field's start. Inside a quoted field a quote is doubled.
//! Lines that break this rule are read in the one other way that gives them as many fields as
//! there are columns, with values that fit, and are rejected if there is none.

mod columns;
mod multiline;
mod quoting;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use memchr::{memchr, memmem};

use self::columns::{Columns, unclosed};
use self::quoting::{Flaw, Quoting, Token};
use crate::decode::column::Span;
use crate::decode::layout::{Field, surplus_key};
use crate::decode::line_decoder::{LineDecoder, LineKind, LineParser};
use crate::decode::rows::{Rejected, Rows};
use crate::decode::spanning::RecordDecoder;
use crate::decode::{Decoder, DecoderRequest, Format, FormatOption, Reading};
use crate::spec::Column;

/// The escape that is tried for lines that are no records without it.
const BACKSLASH: u8 = b'\\';

/// The format `csv`. `options` explains its options.
#[derive(Debug)]
pub(super) struct Csv;

impl Format for Csv {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn help(&self) -> &'static str {
        "delimited text with any delimiter and quotes, with or without a header"
    }

    fn columns(&self) -> Vec<Column> {
        Vec::new()
    }

    fn options(&self) -> &'static [FormatOption] {
        &OPTIONS
    }

    fn reading(&self) -> Reading {
        Reading::Blocks(decoder)
    }
}

static OPTIONS: [FormatOption; 9] = [
    FormatOption {
        name: "brackets",
        values: "true, false",
        default: "false",
        help: "a field in square brackets may contain the delimiter; the brackets are kept",
    },
    FormatOption {
        name: "comment",
        values: "a text",
        default: "none",
        help: "lines that begin with it are left out",
    },
    FormatOption {
        name: "delimiter",
        values: "one character, or tab",
        default: ",",
        help: "what separates the fields",
    },
    FormatOption {
        name: "escape",
        values: "one character",
        default: "none",
        help: "inside quotes it makes a quote, or itself, a part of the text; two quotes always mean one",
    },
    FormatOption {
        name: "header",
        values: "true, false",
        default: "false",
        help: "the first line names the columns; without it they have the declared order",
    },
    FormatOption {
        name: "min_fields",
        values: "a number",
        default: "all",
        help: "a record has at least so many fields; the columns of missing ones are NULL",
    },
    FormatOption {
        name: "multiline",
        values: "true, false",
        default: "false",
        help: "a quoted field may contain line ends; if it does not end, or if its last line is as well \
               a record with fitting values, the lines are rejected, and reading goes on behind them",
    },
    FormatOption {
        name: "null",
        values: "a text",
        default: "the empty text",
        help: "a text without quotes that is NULL, in addition to the empty one",
    },
    FormatOption {
        name: "quote",
        values: "one character, or none",
        default: "\"",
        help: "what encloses a field that contains delimiters; it counts only where a field begins",
    },
];

fn decoder(request: DecoderRequest) -> Box<dyn Decoder> {
    let parser = CsvParser::new(&request);
    match is_on(&request, "multiline") {
        true => RecordDecoder::boxed(parser, request),
        false => LineDecoder::boxed(parser, request),
    }
}

fn is_on(request: &DecoderRequest, option: &str) -> bool {
    let value = request.options.get(option);
    value.is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

struct CsvParser {
    columns: Columns,
    awaits_header: bool,
    comment: Vec<u8>,
    quoting: Quoting,
    /// The same with a backslash as escape, if no escape is declared.
    with_backslash: Option<Quoting>,
    lenient: Quoting,
}

/// Why a line could not be read.
enum Failure {
    Structure(Flaw),
    Value(Rejected),
}

impl CsvParser {
    fn new(request: &DecoderRequest) -> Self {
        let option = |name| request.options.get(name).map(String::as_str);
        let quoting = quoting(request);
        let has_backslash = quoting.escape.is_none() && quoting.quote.is_some();
        let with_backslash = has_backslash.then(|| Quoting {
            escape: Some(BACKSLASH),
            ..quoting.clone()
        });
        let min_fields = option("min_fields").and_then(|number| number.trim().parse().ok());
        Self {
            columns: Columns::new(request, option("null").unwrap_or_default(), min_fields),
            awaits_header: is_on(request, "header"),
            comment: option("comment").unwrap_or_default().as_bytes().to_vec(),
            with_backslash,
            lenient: Quoting {
                is_lenient: true,
                ..quoting.clone()
            },
            quoting,
        }
    }

    /// Whether the line is no part of the table.
    #[inline]
    fn is_left_out(&self, line: &[u8]) -> bool {
        match line.first() {
            Some(b' ' | b'\t') if self.is_blank(line) => true,
            _ => !self.comment.is_empty() && line.starts_with(&self.comment),
        }
    }

    /// Whether the line has only white space, and no delimiter.
    fn is_blank(&self, line: &[u8]) -> bool {
        line.trim_ascii().is_empty() && memmem::find(line, &self.quoting.delimiter).is_none()
    }

    /// Sets the columns of a row. Returns the number of fields.
    fn read(&self, line: Span<'_>, quoting: &Quoting, rows: &mut Rows) -> Result<usize, Failure> {
        let mut fields = 0;
        for token in quoting.tokens(line.bytes) {
            let token = token.map_err(Failure::Structure)?;
            let text = quoting.text(&token, line.bytes);
            self.set(fields, &token, text, line, rows)
                .map_err(Failure::Value)?;
            fields += 1;
        }
        Ok(fields)
    }

    #[inline]
    fn set(
        &self,
        position: usize,
        token: &Token,
        text: Cow<'_, [u8]>,
        line: Span<'_>,
        rows: &mut Rows,
    ) -> Result<(), Rejected> {
        if !token.is_quoted && self.columns.is_null(&text) {
            return Ok(());
        }
        match self.columns.fields.get(position) {
            Some(Field::Unwanted) => Ok(()),
            Some(Field::Wanted(slot)) => put(*slot, token, text, line, rows),
            Some(Field::Alternative(one)) => {
                let is_absent = text.is_empty() && !rows.is_text(one.slot);
                match !is_absent && rows.takes_text(one, &text) {
                    true => put(one.slot, token, text, line, rows),
                    false => Ok(()),
                }
            }
            Some(Field::Unknown(name)) => {
                rows.add_extra(name, &text);
                Ok(())
            }
            None => {
                rows.add_extra(&surplus_key(position + 1), &text);
                Ok(())
            }
        }
    }

    /// Reads a line that is no record at first sight. A line with a strange structure is read
    /// in another way if this gives it all fields.
    #[cold]
    fn read_oddity(
        &mut self,
        line: Span<'_>,
        outcome: Result<usize, Failure>,
        rows: &mut Rows,
    ) -> Result<LineKind, Rejected> {
        if matches!(outcome, Err(Failure::Value(_)))
            && self.columns.has_header
            && self.columns.take_other_header(line.bytes, &self.quoting)
        {
            return Ok(LineKind::Header);
        }
        let shape = self.quoting.shape(line.bytes);
        let is_plain = shape.flaw.is_none() && self.columns.is_count(shape.fields);
        if !is_plain && let Some(other) = self.other_quoting(line.bytes, shape.flaw) {
            rows.restart_row();
            return row(self.read(line, other, rows));
        }
        match (shape.flaw, outcome) {
            (Some(flaw @ Flaw::Open(_)), _) => Err(unclosed(flaw)),
            (Some(Flaw::Stray(_)), _) => {
                rows.restart_row();
                let outcome = self.read(line, &self.lenient, rows);
                self.check_count(line.bytes, &self.lenient)?;
                row(outcome)
            }
            (None, outcome) => {
                self.check_count(line.bytes, &self.quoting)?;
                row(outcome)
            }
        }
    }

    /// Whether a line has more fields than columns, and nothing else is strange about it.
    fn is_surplus(&self, line: &[u8], fields: usize) -> bool {
        fields > self.columns.fields.len()
            && memchr(BACKSLASH, line).is_none()
            && !self.columns.is_joined(line, &self.quoting, fields)
    }

    /// Returns another way to read a line, in which it has all fields with values that fit.
    fn other_quoting(&self, line: &[u8], flaw: Option<Flaw>) -> Option<&Quoting> {
        let has_escape = memchr(BACKSLASH, line).is_some();
        let escaped = self.with_backslash.as_ref().filter(|_| has_escape);
        let is_stray = matches!(flaw, Some(Flaw::Stray(_)));
        let lenient = is_stray.then_some(&self.lenient);
        let mut others = escaped.into_iter().chain(lenient);
        others.find(|other| self.columns.is_record(line, other))
    }

    /// Checks the number of fields of a line.
    fn check_count(&self, line: &[u8], quoting: &Quoting) -> Result<(), Rejected> {
        let shape = quoting.shape(line);
        if let Some(flaw) = shape.flaw {
            return Err(unclosed(flaw));
        }
        let (found, all) = (shape.fields, self.columns.fields.len());
        if !self.columns.is_enough(found) {
            let detail = format!("{found} of {all} fields{}", self.hint(line));
            return Err(Rejected::new("too_few_fields", detail));
        }
        if found > all && self.columns.is_joined(line, quoting, found) {
            let hint = self.hint(line);
            let detail =
                format!("{found} fields for {all} columns, as if the line were two records{hint}");
            return Err(Rejected::new("too_many_fields", detail));
        }
        Ok(())
    }

    /// What may be the cause of a wrong number of fields.
    fn hint(&self, line: &[u8]) -> String {
        match memchr(b'\r', line) {
            Some(at) => format!("; byte {} is a carriage return", at + 1),
            None => String::new(),
        }
    }
}

fn row(outcome: Result<usize, Failure>) -> Result<LineKind, Rejected> {
    match outcome {
        Ok(_) => Ok(LineKind::Row),
        Err(Failure::Value(why)) => Err(why),
        Err(Failure::Structure(flaw)) => Err(unclosed(flaw)),
    }
}

fn quoting(request: &DecoderRequest) -> Quoting {
    let option = |name| request.options.get(name).map(String::as_str);
    let delimiter = match option("delimiter") {
        None | Some("") => ",",
        Some("tab" | "\\t") => "\t",
        Some(text) => text,
    };
    let quote = match option("quote") {
        None => Some(b'"'),
        Some("none" | "") => None,
        Some(text) => text.bytes().next(),
    };
    let escape = option("escape").and_then(|text| text.bytes().next());
    Quoting {
        delimiter: delimiter.as_bytes().to_vec(),
        quote,
        escape: escape.filter(|escape| Some(*escape) != quote),
        brackets: is_on(request, "brackets"),
        is_lenient: false,
    }
}

fn put(
    slot: usize,
    token: &Token,
    text: Cow<'_, [u8]>,
    line: Span<'_>,
    rows: &mut Rows,
) -> Result<(), Rejected> {
    match text {
        _ if text.is_empty() && !rows.is_text(slot) => Ok(()),
        Cow::Borrowed(_) => rows.set(slot, line.part(token.start, token.end)),
        Cow::Owned(text) => rows.set_owned(slot, &text),
    }
}

impl LineParser for CsvParser {
    fn parse(&mut self, line: Span<'_>, rows: &mut Rows) -> Result<LineKind, Rejected> {
        if self.is_left_out(line.bytes) {
            return Ok(LineKind::Header);
        }
        if self.awaits_header {
            self.columns.take_first_header(line.bytes, &self.quoting)?;
            self.awaits_header = false;
            return Ok(LineKind::Header);
        }
        if self.columns.has_header && self.columns.take_repeated_header(line.bytes, &self.quoting) {
            return Ok(LineKind::Header);
        }
        let outcome = self.read(line, &self.quoting, rows);
        match outcome {
            Ok(fields) if self.columns.is_count(fields) => Ok(LineKind::Row),
            Ok(fields) if self.is_surplus(line.bytes, fields) => Ok(LineKind::Row),
            outcome => self.read_oddity(line, outcome, rows),
        }
    }
}
