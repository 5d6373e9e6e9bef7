//! Zeek logs with tabs, whose lines `#fields` and `#types` name the fields and their types.
//! Zeek's JSON logs are read by the format `json_lines`.

use std::borrow::Cow;

use memchr::{memchr, memmem};

use crate::decode::column::Span;
use crate::decode::layout::{Field, Names};
use crate::decode::line_decoder::{LineDecoder, LineKind, LineParser};
use crate::decode::rows::{Rejected, Rows, write_json_string};
use crate::decode::{Decoder, DecoderRequest, Format, FormatOption, Reading};
use crate::spec::Column;

/// The format `zeek`.
#[derive(Debug)]
pub(super) struct Zeek;

impl Format for Zeek {
    fn name(&self) -> &'static str {
        "zeek"
    }

    fn help(&self) -> &'static str {
        "Zeek logs with tabs, in which lines `#fields` and `#types` name the fields; sets and vectors are JSON lists"
    }

    fn columns(&self) -> Vec<Column> {
        Vec::new()
    }

    fn options(&self) -> &'static [FormatOption] {
        &[]
    }

    fn reading(&self) -> Reading {
        Reading::Blocks(decoder)
    }
}

fn decoder(request: DecoderRequest) -> Box<dyn Decoder> {
    LineDecoder::boxed(ZeekParser::new(&request), request)
}

struct ZeekParser {
    names: Names,
    separator: Vec<u8>,
    set_separator: Vec<u8>,
    empty: Vec<u8>,
    unset: Vec<u8>,
    /// Empty where no line has named them.
    fields: Vec<Field>,
    types: Vec<Type>,
}

/// A type of fields, as far as it changes how values are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Text,
    Number,
    Boolean,
    TextList,
    NumberList,
    BooleanList,
}

impl Type {
    fn of(name: &str) -> Self {
        let inner = ["set[", "vector["]
            .iter()
            .find_map(|prefix| name.strip_prefix(prefix)?.strip_suffix(']'));
        match (inner.map(Self::of), name) {
            (Some(Self::Number), _) => Self::NumberList,
            (Some(Self::Boolean), _) => Self::BooleanList,
            (Some(_), _) => Self::TextList,
            (None, "count" | "int" | "double" | "interval" | "time" | "port") => Self::Number,
            (None, "bool") => Self::Boolean,
            (None, _) => Self::Text,
        }
    }

    fn element(self) -> Option<Self> {
        match self {
            Self::TextList => Some(Self::Text),
            Self::NumberList => Some(Self::Number),
            Self::BooleanList => Some(Self::Boolean),
            _ => None,
        }
    }
}

impl ZeekParser {
    fn new(request: &DecoderRequest) -> Self {
        Self {
            names: Names::new(request),
            separator: b"\t".to_vec(),
            set_separator: b",".to_vec(),
            empty: b"(empty)".to_vec(),
            unset: b"-".to_vec(),
            fields: Vec::new(),
            types: Vec::new(),
        }
    }

    fn take_directive(&mut self, line: &[u8]) -> Result<LineKind, Rejected> {
        if let Some(separator) = line.strip_prefix(b"#separator ") {
            self.separator = without_escapes(separator).into_owned();
            self.fields.clear();
            return match self.separator.is_empty() {
                false => Ok(LineKind::Header),
                true => Err(unknown_directive()),
            };
        }
        let text = String::from_utf8_lossy(line);
        let separator = String::from_utf8_lossy(&self.separator).into_owned();
        let mut parts = text.split(&*separator);
        let name = parts.next().unwrap_or_default();
        let mut first = || parts.next().unwrap_or_default().as_bytes().to_vec();
        match name {
            "#set_separator" => self.set_separator = first(),
            "#empty_field" => self.empty = first(),
            "#unset_field" => self.unset = first(),
            "#path" | "#open" | "#close" => {}
            "#fields" => return self.take_fields(&parts.collect::<Vec<_>>()),
            "#types" => self.types = parts.map(Type::of).collect(),
            _ => return Err(unknown_directive()),
        }
        Ok(LineKind::Header)
    }

    fn take_fields(&mut self, names: &[&str]) -> Result<LineKind, Rejected> {
        self.types.clear();
        self.fields = self.names.of_header(names.iter().copied());
        if names.iter().any(|name| self.names.column(name).is_some()) {
            return Ok(LineKind::Header);
        }
        self.fields.clear();
        let detail = format!(
            "none of the {} names in #fields is a declared column",
            names.len()
        );
        Err(Rejected::new("header_without_columns", detail))
    }

    fn set(&self, position: usize, text: Span<'_>, rows: &mut Rows) -> Result<(), Rejected> {
        let Some(field) = self.fields.get(position) else {
            return Ok(());
        };
        if *text.bytes == *self.unset || *field == Field::Unwanted {
            return Ok(());
        }
        let kind = self.types.get(position).copied().unwrap_or(Type::Text);
        let value = self.value(text.bytes, kind);
        match (field, value) {
            (Field::Unknown(name), value) => rows.add_extra(name, &value),
            (Field::Alternative(one), value) if !rows.takes_text(one, &value) => {}
            (Field::Unwanted, _) => {}
            (Field::Wanted(slot), value) => put(*slot, text, value, rows)?,
            (Field::Alternative(one), value) => put(one.slot, text, value, rows)?,
        }
        Ok(())
    }

    fn value<'a>(&self, text: &'a [u8], kind: Type) -> Cow<'a, [u8]> {
        let Some(element) = kind.element() else {
            return match kind {
                _ if *text == *self.empty => Cow::Borrowed(b""),
                Type::Boolean => boolean(text),
                _ => without_escapes(text),
            };
        };
        if *text == *self.empty {
            return Cow::Borrowed(b"[]");
        }
        let mut list = vec![b'['];
        for (at, part) in split(text, &self.set_separator).enumerate() {
            if at > 0 {
                list.push(b',');
            }
            self.write_element(part, element, &mut list);
        }
        list.push(b']');
        Cow::Owned(list)
    }

    fn write_element(&self, text: &[u8], kind: Type, list: &mut Vec<u8>) {
        if *text == *self.unset {
            return list.extend_from_slice(b"null");
        }
        match kind {
            Type::Number if is_json_number(text) => list.extend_from_slice(text),
            Type::Boolean if matches!(text, b"T" | b"F") => {
                list.extend_from_slice(&boolean(text));
            }
            _ => write_json_string(list, &String::from_utf8_lossy(&without_escapes(text))),
        }
    }
}

impl LineParser for ZeekParser {
    fn parse(&mut self, line: Span<'_>, rows: &mut Rows) -> Result<LineKind, Rejected> {
        if line.bytes.starts_with(b"#") {
            return self.take_directive(line.bytes);
        }
        if self.fields.is_empty() {
            let detail = "no line #fields with a declared column came before";
            return Err(Rejected::new("missing_fields_line", detail));
        }
        let (found, expected) = (
            split(line.bytes, &self.separator).count(),
            self.fields.len(),
        );
        if found != expected {
            let reason = match found < expected {
                true => "too_few_fields",
                false => "too_many_fields",
            };
            return Err(Rejected::new(
                reason,
                format!("{found} of {expected} fields"),
            ));
        }
        let mut start = 0;
        for (position, text) in split(line.bytes, &self.separator).enumerate() {
            let end = start + text.len();
            self.set(position, line.part(start, end), rows)?;
            start = end + self.separator.len();
        }
        Ok(LineKind::Row)
    }
}

fn put(slot: usize, text: Span<'_>, value: Cow<'_, [u8]>, rows: &mut Rows) -> Result<(), Rejected> {
    match value {
        value if value.is_empty() && !rows.is_text(slot) => Ok(()),
        Cow::Borrowed(value) if value.len() == text.bytes.len() => rows.set(slot, text),
        value => rows.set_owned(slot, &value),
    }
}

fn split<'a>(text: &'a [u8], separator: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let found = match separator {
            [] => None,
            [byte] => memchr(*byte, text),
            bytes => memmem::find(text, bytes),
        };
        rest = found.map(|at| &text[at + separator.len()..]);
        Some(found.map_or(text, |at| &text[..at]))
    })
}

fn boolean(text: &[u8]) -> Cow<'_, [u8]> {
    Cow::Borrowed(match text {
        b"T" => b"true",
        b"F" => b"false",
        other => other,
    })
}

/// Whether the text is a number in JSON, too.
fn is_json_number(text: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Number>(text).is_ok()
}

/// Reads the escapes `\xNN`. A text that would not be UTF-8 stays as it is.
fn without_escapes(text: &[u8]) -> Cow<'_, [u8]> {
    if memmem::find(text, b"\\x").is_none() {
        return Cow::Borrowed(text);
    }
    let mut plain = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let escape = text[at..]
            .strip_prefix(b"\\x")
            .and_then(|rest| rest.get(..2));
        match escape.and_then(hex_byte) {
            Some(byte) => {
                plain.push(byte);
                at += 4;
            }
            None => {
                plain.push(text[at]);
                at += 1;
            }
        }
    }
    match std::str::from_utf8(&plain) {
        Ok(_) => Cow::Owned(plain),
        Err(_) => Cow::Borrowed(text),
    }
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let value = digit(digits[0])? * 16 + digit(digits[1])?;
    u8::try_from(value).ok()
}

fn unknown_directive() -> Rejected {
    let detail = "the line begins with # and is no directive";
    Rejected::new("unknown_directive", detail)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use crate::decode::damage_tests::{GoodFile, check_damage, mark};
    use crate::decode::testing::{Case, shared_samples};
    use crate::spec::{ColumnKind, TimeUnit};

    const HEAD: &str = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n\
                        #unset_field\t-\n#path\tconn\n#open\t2024-03-15-10-00-00\n";

    fn case() -> Case {
        Case::new("zeek")
            .column("ts", ColumnKind::Epoch(TimeUnit::Second))
            .column("id.orig_h", ColumnKind::Ip)
            .column("query", ColumnKind::Text)
            .column("local", ColumnKind::Boolean)
            .column("answers", ColumnKind::Json)
    }

    #[test]
    fn directives_name_fields_and_types() {
        let input = format!(
            "{HEAD}#fields\tts\tid.orig_h\tquery\tlocal\tanswers\tttls\n\
             #types\ttime\taddr\tstring\tbool\tvector[string]\tvector[interval]\n\
             1700000000.5\t192.0.2.1\ta\\x09b\tT\ta\\x2cb,c\t1.0,2.5\n\
             1700000001.0\t2001:db8::1\t(empty)\tF\t(empty)\t-\n\
             1700000002.0\t-\t\\xff\t-\t-\t(empty)\n#close\t2024-03-15-11-00-00\n"
        );
        assert_eq!(
            case().rows(&input),
            [
                json!({
                    "ts": "2023-11-14T22:13:20.500Z", "id.orig_h": "192.0.2.1", "query": "a\tb",
                    "local": true, "answers": r#"["a,b","c"]"#, "_extra": r#"{"ttls":"[1.0,2.5]"}"#,
                }),
                json!({
                    "ts": "2023-11-14T22:13:21Z", "id.orig_h": "2001:db8::1", "query": "",
                    "local": false, "answers": "[]",
                }),
                json!({
                    "ts": "2023-11-14T22:13:22Z", "query": "\\xff", "_extra": r#"{"ttls":"[]"}"#,
                }),
            ]
        );
    }

    #[test]
    fn directives_may_change_between_lines() {
        let input = "#fields\tquery\tlocal\na\ttrue\n#separator \\x7c\n#unset_field|NULL\n\
                     #fields|local|query\nNULL|-\n";
        assert_eq!(
            case().rows(input),
            [json!({"query": "a", "local": true}), json!({"query": "-"})]
        );
    }

    #[test]
    fn bad_lines_are_rows_with_a_reason() {
        let input = b"a\tb\n#fields\tts\tquery\n1\ta\n1\n1\ta\tb\nx\ta\n#odd\n#fields\tother\n1\n";
        assert_eq!(
            case().reasons(input),
            [
                "missing_fields_line",
                "",
                "too_few_fields",
                "too_many_fields",
                "invalid_value",
                "unknown_directive",
                "header_without_columns",
                "missing_fields_line",
            ]
        );
    }

    /// The shared samples are Zeek's JSON logs.
    #[test]
    fn shared_samples_are_read_as_json_lines() {
        let case = Case::new("json_lines").column("ts", ColumnKind::Epoch(TimeUnit::Second));
        for (name, input) in shared_samples("zeek") {
            let reasons = case.reasons(&input);
            assert!(!reasons.is_empty(), "{name}");
            assert!(reasons.iter().all(String::is_empty), "{name} {reasons:?}");
        }
    }

    fn good_file() -> GoodFile {
        let mut case = case();
        case.batch_rows = 8192;
        let record = |number: usize| {
            let (mark, high, low) = (mark(number), number / 250, number % 250);
            let seconds = 1_700_000_000 + number;
            format!("{seconds}.25\t{mark}\t198.51.{high}.{low}\tq {mark}\tT\t{mark},x\t-\n")
        };
        GoodFile {
            case,
            head: format!(
                "{HEAD}#fields\tts\tuid\tid.orig_h\tquery\tlocal\tanswers\tnone\n\
                 #types\ttime\tstring\taddr\tstring\tbool\tset[string]\tcount\n"
            )
            .into_bytes(),
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
            input in prop::collection::vec(prop::sample::select(b"a1\t-,(T\\x\n\n\r\xff".to_vec()), 0..300),
            sizes in prop::collection::vec(1_usize..20, 1..6),
        ) {
            let input = [b"#fields\tquery\tts\n".to_vec(), input].concat();
            let whole = case().all(&input, &[], None);
            let is_row = |line: &&[u8]| !line.is_empty() && *line != b"\r";
            let lines = input.split(|byte| *byte == b'\n').filter(is_row).count() - 1;
            prop_assert_eq!(whole.len(), lines);
            prop_assert_eq!(case().all(&input, &sizes, None), whole);
        }
    }
}
