//! Delimited text with any delimiter and quotes. A header or the declared order names the
//! columns.

use std::borrow::Cow;

use memchr::{memchr, memmem};

use crate::decode::column::Span;
use crate::decode::layout::{Field, Names, surplus_key};
use crate::decode::line_decoder::{LineDecoder, LineKind, LineParser};
use crate::decode::lines::Splitter;
use crate::decode::rows::{Rejected, Rows};
use crate::decode::{Decoder, DecoderRequest, Format, FormatOption, Reading};
use crate::spec::Column;

const QUOTE: u8 = b'"';

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

static OPTIONS: [FormatOption; 5] = [
    FormatOption {
        name: "brackets",
        values: "true, false",
        default: "false",
        help: "a field in square brackets may contain the delimiter; the brackets are kept",
    },
    FormatOption {
        name: "delimiter",
        values: "one character, or tab",
        default: ",",
        help: "what separates the fields",
    },
    FormatOption {
        name: "header",
        values: "true, false",
        default: "false",
        help: "the first line names the columns; without it they have the declared order",
    },
    FormatOption {
        name: "multiline",
        values: "true, false",
        default: "false",
        help: "a quoted field may contain line ends",
    },
    FormatOption {
        name: "null",
        values: "a text",
        default: "the empty text",
        help: "a text without quotes that is NULL, in addition to the empty one",
    },
];

fn decoder(request: DecoderRequest) -> Box<dyn Decoder> {
    let splitter = match is_on(&request, "multiline") {
        true => Splitter::Quoted(QUOTE),
        false => Splitter::LineEnd,
    };
    LineDecoder::boxed_with(CsvParser::new(&request), request, splitter)
}

fn is_on(request: &DecoderRequest, option: &str) -> bool {
    let value = request.options.get(option);
    value.is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

struct CsvParser {
    names: Names,
    fields: Vec<Field>,
    awaits_header: bool,
    delimiter: Vec<u8>,
    brackets: bool,
    null: Vec<u8>,
}

impl CsvParser {
    fn new(request: &DecoderRequest) -> Self {
        let names = Names::new(request);
        let option = |name| request.options.get(name).map(String::as_str);
        let delimiter = match option("delimiter") {
            None | Some("") => ",",
            Some("tab" | "\\t") => "\t",
            Some(text) => text,
        };
        Self {
            fields: names.declared(request),
            names,
            awaits_header: is_on(request, "header"),
            delimiter: delimiter.as_bytes().to_vec(),
            brackets: is_on(request, "brackets"),
            null: option("null").unwrap_or_default().as_bytes().to_vec(),
        }
    }

    fn take_header(&mut self, line: &[u8]) -> Result<(), Rejected> {
        let mut fields = Vec::new();
        let mut next = Some(0);
        while let Some(start) = next {
            let token = self.token(line, start)?;
            let name = token.text(line);
            fields.push(self.names.field(&String::from_utf8_lossy(&name)));
            next = token.next;
        }
        self.fields = fields;
        self.awaits_header = false;
        Ok(())
    }

    fn token(&self, line: &[u8], start: usize) -> Result<Token, Rejected> {
        let rest = &line[start..];
        if rest.first() == Some(&QUOTE) {
            return self.quoted(line, start);
        }
        let from = match rest.first() {
            Some(b'[') if self.brackets => memchr(b']', rest).unwrap_or(0),
            _ => 0,
        };
        let length = self.find_delimiter(&rest[from..]);
        let end = length.map_or(line.len(), |length| start + from + length);
        Ok(Token {
            start,
            end,
            next: length.map(|_| end + self.delimiter.len()),
            is_quoted: false,
            is_escaped: false,
        })
    }

    fn find_delimiter(&self, text: &[u8]) -> Option<usize> {
        match self.delimiter.as_slice() {
            [byte] => memchr(*byte, text),
            bytes => memmem::find(text, bytes),
        }
    }

    /// Parses a quoted field. Two quotes inside mean one quote. A quote that no delimiter
    /// follows is part of the text.
    fn quoted(&self, line: &[u8], start: usize) -> Result<Token, Rejected> {
        let mut at = start + 1;
        let mut is_escaped = false;
        while let Some(length) = memchr(QUOTE, &line[at..]) {
            let end = at + length;
            let rest = &line[end + 1..];
            if rest.is_empty() || rest.starts_with(&self.delimiter) {
                let next = (!rest.is_empty()).then(|| end + 1 + self.delimiter.len());
                let start = start + 1;
                return Ok(Token {
                    start,
                    end,
                    next,
                    is_quoted: true,
                    is_escaped,
                });
            }
            let is_double = rest[0] == QUOTE;
            is_escaped |= is_double;
            at = end + 1 + usize::from(is_double);
        }
        let detail = format!("the field that begins at byte {} has no end", start + 1);
        Err(Rejected::new("unclosed_quote", detail))
    }

    fn set(
        &self,
        position: usize,
        token: &Token,
        line: Span<'_>,
        rows: &mut Rows,
    ) -> Result<(), Rejected> {
        let text = token.text(line.bytes);
        if !token.is_quoted && (text.is_empty() || *text == *self.null) {
            return Ok(());
        }
        match self.fields.get(position) {
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
        if self.awaits_header {
            self.take_header(line.bytes)?;
            return Ok(LineKind::Header);
        }
        let mut position = 0;
        let mut next = Some(0);
        while let Some(start) = next {
            let token = self.token(line.bytes, start)?;
            self.set(position, &token, line, rows)?;
            position += 1;
            next = token.next;
        }
        if position < self.fields.len() {
            let detail = format!("{position} of {} fields", self.fields.len());
            return Err(Rejected::new("too_few_fields", detail));
        }
        Ok(LineKind::Row)
    }
}

/// The position of a field without its quotes, and the start of the next field.
struct Token {
    start: usize,
    end: usize,
    next: Option<usize>,
    is_quoted: bool,
    is_escaped: bool,
}

impl Token {
    fn text<'a>(&self, line: &'a [u8]) -> Cow<'a, [u8]> {
        let text = &line[self.start..self.end];
        if !self.is_escaped {
            return Cow::Borrowed(text);
        }
        let mut plain = Vec::with_capacity(text.len());
        let mut at = 0;
        while at < text.len() {
            plain.push(text[at]);
            at += if text[at..].starts_with(b"\"\"") {
                2
            } else {
                1
            };
        }
        Cow::Owned(plain)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use crate::decode::testing::Case;
    use crate::spec::ColumnKind;

    fn case() -> Case {
        Case::new("csv")
            .column("name", ColumnKind::Text)
            .column("n", ColumnKind::Int64)
    }

    #[test]
    fn without_a_header_the_declared_order_applies() {
        assert_eq!(
            case().rows("a,1\n,\n\"\",2\nb,3,x\n"),
            [
                json!({"name": "a", "n": 1}),
                json!({}),
                json!({"name": "", "n": 2}),
                json!({"name": "b", "n": 3, "_extra": r#"{"field_3":"x"}"#}),
            ]
        );
    }

    #[test]
    fn a_header_names_the_columns() {
        let case = case()
            .source_name("Number")
            .option("header", "true")
            .option("delimiter", "|");
        assert_eq!(
            case.rows("other|number|\"name\"\nx|7|a\n"),
            [json!({"name": "a", "n": 7, "_extra": r#"{"other":"x"}"#})]
        );
    }

    #[test]
    fn quotes_keep_delimiters_and_double_quotes() {
        let rows = case().rows("\"a,\"\"b\"\"\",\"1\"\n\"say \"hi\" now\",2\n");
        assert_eq!(
            rows,
            [
                json!({"name": "a,\"b\"", "n": 1}),
                json!({"name": "say \"hi\" now", "n": 2})
            ]
        );
        assert_eq!(
            case().reasons(b"\"a,1\nb\n"),
            ["unclosed_quote", "too_few_fields"]
        );
    }

    #[test]
    fn a_space_delimiter_leaves_brackets_whole() {
        let pattern = ColumnKind::Strftime("[%d/%b/%Y:%H:%M:%S%z]".to_owned());
        let case = Case::new("csv")
            .column("time", pattern)
            .column("name", ColumnKind::Text)
            .option("delimiter", " ")
            .option("brackets", "true")
            .option("null", "-");
        assert_eq!(
            case.rows("[06/Feb/2019:00:00:38 +0000] a\n[06/Feb/2019:00:00:38 +0000] -"),
            [
                json!({"time": "2019-02-06T00:00:38Z", "name": "a"}),
                json!({"time": "2019-02-06T00:00:38Z"})
            ]
        );
    }

    #[test]
    fn multiline_records_may_span_lines() {
        let case = case().option("multiline", "true");
        let whole = case.all(b"\"a\nb\",1\nc,2\n", &[], None);
        assert_eq!(whole[0]["name"], "a\nb");
        assert_eq!(whole[1]["name"], "c");
        assert_eq!(case.all(b"\"a\nb\",1\nc,2\n", &[1], None), whole);
    }

    proptest! {
        #[test]
        fn every_line_is_a_row_for_any_block_size(
            input in prop::collection::vec(prop::sample::select(b"ab1,,\"\"\n\n\r\xff".to_vec()), 0..300),
            sizes in prop::collection::vec(1_usize..20, 1..6),
        ) {
            let whole = case().all(&input, &[], None);
            let is_row = |line: &&[u8]| !line.is_empty() && *line != b"\r";
            prop_assert_eq!(whole.len(), input.split(|byte| *byte == b'\n').filter(is_row).count());
            prop_assert_eq!(case().all(&input, &sizes, None), whole);
        }
    }
}
