//! W3C extended logs, such as those of IIS and CloudFront. Lines `#Fields:` name the fields of
//! the lines behind them. No value is quoted.

use memchr::{memchr, memchr_iter};

use crate::decode::column::Span;
use crate::decode::layout::{Field, Names, set_field};
use crate::decode::line_decoder::{LineDecoder, LineKind, LineParser};
use crate::decode::rows::{Rejected, Rows};
use crate::decode::{Decoder, DecoderRequest, Format, FormatOption, Reading};
use crate::spec::Column;

/// The directive that names the fields.
const FIELDS: &[u8] = b"#Fields:";

/// The format `w3c`. `options` explains its options.
#[derive(Debug)]
pub(super) struct W3c;

impl Format for W3c {
    fn name(&self) -> &'static str {
        "w3c"
    }

    fn help(&self) -> &'static str {
        "W3C extended logs (IIS, CloudFront), in which lines `#Fields:` name the fields; `-` is NULL"
    }

    fn columns(&self) -> Vec<Column> {
        Vec::new()
    }

    fn options(&self) -> &'static [FormatOption] {
        &[
            FormatOption {
                name: "delimiter",
                values: "one character, or tab",
                default: "a tab in lines that have one, else a space",
                help: "what separates the fields",
            },
            FormatOption {
                name: "fields",
                values: "names of fields, separated by spaces",
                default: "none",
                help: "the order of the fields where no line `#Fields:` came before",
            },
        ]
    }

    fn reading(&self) -> Reading {
        Reading::Blocks(decoder)
    }
}

fn decoder(request: DecoderRequest) -> Box<dyn Decoder> {
    LineDecoder::boxed(W3cParser::new(&request), request)
}

struct W3cParser {
    names: Names,
    /// Empty where no line has named them.
    fields: Vec<Field>,
    delimiter: Option<u8>,
}

impl W3cParser {
    fn new(request: &DecoderRequest) -> Self {
        let option = |name| request.options.get(name).map(String::as_str);
        let names = Names::new(request);
        let fields = option("fields").unwrap_or_default();
        Self {
            fields: names.of_header(fields.split_whitespace()),
            names,
            delimiter: match option("delimiter") {
                None | Some("") => None,
                Some("tab" | "\\t") => Some(b'\t'),
                Some(text) => text.bytes().next(),
            },
        }
    }

    fn take_directive(&mut self, line: &[u8]) -> Result<LineKind, Rejected> {
        if line.len() >= FIELDS.len() && line[..FIELDS.len()].eq_ignore_ascii_case(FIELDS) {
            return self.take_fields(&line[FIELDS.len()..]);
        }
        let name = memchr(b':', line).map(|end| &line[1..end]);
        let is_name = |name: &[u8]| {
            let mut bytes = name.iter();
            !name.is_empty() && bytes.all(|byte| byte.is_ascii_alphabetic() || *byte == b'-')
        };
        if name.is_some_and(is_name) {
            return Ok(LineKind::Header);
        }
        let detail = "the line begins with # and is no directive";
        Err(Rejected::new("unknown_directive", detail))
    }

    fn take_fields(&mut self, line: &[u8]) -> Result<LineKind, Rejected> {
        let line = String::from_utf8_lossy(line);
        let is_between =
            |c: char| c.is_whitespace() || self.delimiter.is_some_and(|byte| c == char::from(byte));
        let names: Vec<_> = line
            .split(is_between)
            .filter(|name| !name.is_empty())
            .collect();
        self.fields = self.names.of_header(names.iter().copied());
        if names.iter().any(|name| self.names.column(name).is_some()) {
            return Ok(LineKind::Header);
        }
        self.fields.clear();
        let detail = format!(
            "none of the {} names in #Fields is a declared column",
            names.len()
        );
        Err(Rejected::new("header_without_columns", detail))
    }
}

impl LineParser for W3cParser {
    fn parse(&mut self, line: Span<'_>, rows: &mut Rows) -> Result<LineKind, Rejected> {
        if line.bytes.starts_with(b"#") {
            return self.take_directive(line.bytes);
        }
        if self.fields.is_empty() {
            let detail = "no line #Fields with a declared column came before";
            return Err(Rejected::new("missing_fields_line", detail));
        }
        let has_tab = || memchr(b'\t', line.bytes).is_some();
        let delimiter = self
            .delimiter
            .unwrap_or_else(|| if has_tab() { b'\t' } else { b' ' });
        check_count(line.bytes, delimiter, self.fields.len())?;
        let mut start = 0;
        for field in &self.fields {
            let rest = &line.bytes[start..];
            let end = start + memchr(delimiter, rest).unwrap_or(rest.len());
            let text = line.part(start, end);
            if !matches!(text.bytes, b"" | b"-") {
                set_field(field, text, rows)?;
            }
            start = (end + 1).min(line.bytes.len());
        }
        Ok(LineKind::Row)
    }
}

/// A line has as many fields as were named. With any other number some value is not where its
/// name is.
fn check_count(line: &[u8], delimiter: u8, expected: usize) -> Result<(), Rejected> {
    let found = memchr_iter(delimiter, line).count() + 1;
    if found == expected {
        return Ok(());
    }
    let reason = match found < expected {
        true => "too_few_fields",
        false => "too_many_fields",
    };
    Err(Rejected::new(
        reason,
        format!("{found} of {expected} fields"),
    ))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;
    use serde_json::json;

    use crate::decode::damage_tests::{GoodFile, check_damage, mark};
    use crate::decode::testing::{Case, shared_samples};
    use crate::spec::ColumnKind;

    fn case() -> Case {
        Case::new("w3c")
            .column("day", ColumnKind::Text)
            .source_name("date")
            .column("time", ColumnKind::Text)
            .column("c_ip", ColumnKind::Ip)
            .column("status", ColumnKind::Int32)
            .source_name("sc-status")
            .column("agent", ColumnKind::Text)
            .source_name("cs(User-Agent)")
    }

    #[test]
    fn fields_are_named_by_directives_that_may_change() {
        let input = "#Software: Web Server\r\n#Version: 1.0\r\n\
                     #Fields: date time c-ip sc-status cs(User-Agent) x\r\n\
                     2024-03-15 10:00:00 192.0.2.1 200 Agent/1.0+(x) y\r\n\
                     2024-03-15 10:00:01 - 404 - -\r\n\
                     #Date: 2024-03-16 00:00:00\r\n#fields:\tsc-status\tdate\r\n\
                     500\t2024-03-16\r\n";
        assert_eq!(
            case().rows(input),
            [
                json!({
                    "day": "2024-03-15", "time": "10:00:00", "c_ip": "192.0.2.1",
                    "status": 200, "agent": "Agent/1.0+(x)", "_extra": r#"{"x":"y"}"#,
                }),
                json!({"day": "2024-03-15", "time": "10:00:01", "status": 404}),
                json!({"day": "2024-03-16", "status": 500}),
            ]
        );
    }

    #[test]
    fn bad_lines_are_rows_with_a_reason() {
        let input =
            b"1 2\n#Fields: time sc-status\na 1\na 1 b\na\na x\n#024 1\n#Fields: other\nx\n\
                      #Fields: sc-status\n7\n";
        assert_eq!(
            case().reasons(input),
            [
                "missing_fields_line",
                "",
                "too_many_fields",
                "too_few_fields",
                "invalid_value",
                "unknown_directive",
                "header_without_columns",
                "missing_fields_line",
                "",
            ]
        );
    }

    #[test]
    fn fields_and_delimiter_are_options() {
        let case = case()
            .option("fields", "sc-status time")
            .option("delimiter", ",");
        assert_eq!(
            case.rows("200,10:00:00\n#Fields: time,sc-status\na b,1\n"),
            [
                json!({"status": 200, "time": "10:00:00"}),
                json!({"status": 1, "time": "a b"})
            ]
        );
    }

    #[test]
    fn shared_samples_have_no_rejected_row() {
        for (name, packed) in shared_samples("cloudfront") {
            let mut input = Vec::new();
            flate2::read::GzDecoder::new(packed.as_slice())
                .read_to_end(&mut input)
                .unwrap();
            let reasons = case().reasons(&input);
            assert_eq!(reasons, vec![""; 40], "{name}");
        }
    }

    fn good_file() -> GoodFile {
        let mut case = case();
        case.batch_rows = 8192;
        let record = |number: usize| {
            let (mark, high, low) = (mark(number), number / 250, number % 250);
            format!("2024-03-15\t{mark}\t198.51.{high}.{low}\t200\tAgent/1.0%20{mark}\t-\t{mark}\n")
        };
        GoodFile {
            case,
            head: b"#Fields: date time c-ip sc-status cs(User-Agent) sc-bytes x-id\n".to_vec(),
            records: (0..1000)
                .map(|number| record(number).into_bytes())
                .collect(),
        }
    }

    #[test]
    fn damage_stays_local() {
        check_damage(&good_file(), 0..150);
    }

    #[test]
    #[ignore = "takes minutes"]
    fn damage_stays_local_in_many_ways() {
        check_damage(&good_file(), 0..10_000);
    }

    proptest! {
        #[test]
        fn every_line_is_a_row_for_any_block_size(
            input in prop::collection::vec(prop::sample::select(b"a1 \t-\"\n\n\r\xff".to_vec()), 0..300),
            sizes in prop::collection::vec(1_usize..20, 1..6),
        ) {
            let case = case().option("fields", "time sc-status");
            let whole = case.all(&input, &[], None);
            let is_row = |line: &&[u8]| !line.is_empty() && *line != b"\r";
            prop_assert_eq!(whole.len(), input.split(|byte| *byte == b'\n').filter(is_row).count());
            prop_assert_eq!(case.all(&input, &sizes, None), whole);
        }
    }
}
