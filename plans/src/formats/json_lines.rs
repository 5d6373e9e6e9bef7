//! One JSON object on each line, or with `multiline` a sequence of objects in any layout.
//! Columns are found by their path. Values without a column are kept in `_extra`.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::decode::column::Span;
use crate::decode::json_scan::{Kind, Malformed, Scanner, Value, compact, unescape};
use crate::decode::layout::Field;
use crate::decode::line_decoder::{LineDecoder, LineKind, LineParser};
use crate::decode::lines::Splitter;
use crate::decode::rows::{Rejected, Rows, write_json_string};
use crate::decode::{Decoder, DecoderRequest, Format, Reading};
use crate::spec::{Column, ColumnKind};

#[derive(Debug)]
pub(super) struct JsonLines;

impl Format for JsonLines {
    fn name(&self) -> &'static str {
        "json_lines"
    }

    fn columns(&self) -> Vec<Column> {
        Vec::new()
    }

    fn options(&self) -> &'static [&'static str] {
        &["multiline"]
    }

    fn reading(&self) -> Reading {
        Reading::Blocks(decoder)
    }
}

fn decoder(request: DecoderRequest) -> Box<dyn Decoder> {
    let is_multiline = request
        .options
        .get("multiline")
        .is_some_and(|value| value == "true");
    let splitter = match is_multiline {
        true => Splitter::json_objects(),
        false => Splitter::LineEnd,
    };
    let parser = JsonParser {
        root: Node::new(&request),
        scratch: Vec::new(),
    };
    LineDecoder::boxed_with(parser, request, splitter)
}

struct JsonParser {
    root: Node,
    scratch: Vec<u8>,
}

/// The column of a key, and the columns inside its object.
#[derive(Default)]
struct Node {
    leaf: Option<Leaf>,
    members: HashMap<String, Node>,
}

struct Leaf {
    field: Field,
    /// Whether the column contains JSON text. Its strings keep their quotes.
    is_json: bool,
}

impl Node {
    fn new(request: &DecoderRequest) -> Self {
        let mut root = Self::default();
        for (index, column) in request.columns.iter().enumerate() {
            let slot = request.wanted.iter().position(|wanted| *wanted == index);
            let field = slot.map_or(Field::Unwanted, Field::Wanted);
            let name = column.source_name.as_deref().unwrap_or(&column.name);
            let is_json = column.kind == ColumnKind::Json;
            let path = path(name);
            if path.len() > 1 {
                // Some writers flatten objects, which makes the dots part of the key.
                root.add(&[name.to_owned()], field.clone(), is_json);
            }
            root.add(&path, field, is_json);
        }
        root
    }

    fn add(&mut self, path: &[String], field: Field, is_json: bool) {
        let mut node = self;
        for key in path {
            node = node.members.entry(key.clone()).or_default();
        }
        node.leaf = Some(Leaf { field, is_json });
    }
}

/// Splits at dots, except inside double quotes.
fn path(name: &str) -> Vec<String> {
    let mut keys = vec![String::new()];
    let mut is_quoted = false;
    for character in name.chars() {
        match character {
            '"' => is_quoted = !is_quoted,
            '.' if !is_quoted => keys.push(String::new()),
            other => keys.last_mut().expect("starts with one key").push(other),
        }
    }
    keys
}

impl LineParser for JsonParser {
    fn parse(&mut self, line: Span<'_>, rows: &mut Rows) -> Result<LineKind, Rejected> {
        let mut walk = Walk {
            line,
            scanner: Scanner::new(line.bytes),
            scratch: &mut self.scratch,
            rows,
        };
        walk.object(&self.root)?;
        match walk.scanner.peek() {
            None => Ok(LineKind::Row),
            Some(_) => Err(walk.scanner.malformed().into()),
        }
    }
}

impl From<Malformed> for Rejected {
    fn from(Malformed(at): Malformed) -> Self {
        Self::new(
            "invalid_json",
            format!("unexpected at byte {} of the line", at + 1),
        )
    }
}

/// Parses one line into a row.
struct Walk<'a, 'b> {
    line: Span<'a>,
    scanner: Scanner<'a>,
    scratch: &'b mut Vec<u8>,
    rows: &'b mut Rows,
}

impl<'a> Walk<'a, '_> {
    fn object(&mut self, node: &Node) -> Result<(), Rejected> {
        self.scanner.expect(b'{')?;
        let mut is_done = self.scanner.take(b'}');
        while !is_done {
            let key = self.scanner.key()?;
            let key = self.string(key);
            match node.members.get(key.as_ref()) {
                Some(member) => self.known(&key, member)?,
                None => {
                    let value = self.scanner.value()?;
                    self.add_extra(&key, value);
                }
            }
            is_done = self.scanner.take(b'}');
            if !is_done {
                self.scanner.expect(b',')?;
            }
        }
        Ok(())
    }

    fn known(&mut self, key: &str, node: &Node) -> Result<(), Rejected> {
        let is_object = self.scanner.peek() == Some(b'{');
        let before = self.scanner;
        let value = self.scanner.value()?;
        if let Some(leaf) = &node.leaf {
            self.set(leaf, value)?;
        }
        if is_object && !node.members.is_empty() {
            self.scanner = before;
            return self.inside(key, node);
        }
        if node.leaf.is_none() {
            self.add_extra(key, value);
        }
        Ok(())
    }

    /// Parses an object with columns inside. Its other members go to `_extra` under its key.
    fn inside(&mut self, key: &str, node: &Node) -> Result<(), Rejected> {
        let before = std::mem::take(self.rows.extra_members());
        self.object(node)?;
        let inner = std::mem::replace(self.rows.extra_members(), before);
        if !inner.is_empty() && node.leaf.is_none() {
            self.rows.add_extra_json(key, |out| {
                out.push(b'{');
                out.extend_from_slice(&inner);
                out.push(b'}');
            });
        }
        Ok(())
    }

    fn set(&mut self, leaf: &Leaf, value: Value) -> Result<(), Rejected> {
        let Field::Wanted(slot) = leaf.field else {
            return Ok(());
        };
        let part = self.line.part(value.start, value.end);
        match value.kind {
            Kind::Null => self.rows.unset(slot),
            Kind::String { .. } if leaf.is_json => {
                self.rows
                    .set(slot, self.line.part(value.start - 1, value.end + 1))?;
            }
            Kind::String { .. } if part.bytes.is_empty() && !self.rows.is_text(slot) => {
                self.rows.unset(slot);
            }
            Kind::String { is_escaped: true } => {
                self.scratch.clear();
                unescape(part.bytes, self.scratch);
                self.rows.set_owned(slot, self.scratch)?;
            }
            Kind::Nested { has_spaces: true } => {
                self.scratch.clear();
                compact(part.bytes, self.scratch);
                self.rows.set_owned(slot, self.scratch)?;
            }
            Kind::Number => self.set_number(slot, part)?,
            Kind::Boolean | Kind::String { .. } | Kind::Nested { .. } => {
                self.rows.set(slot, part)?
            }
        }
        Ok(())
    }

    /// Sets a number. Some writers format integers as `1.0` or `1e3`.
    fn set_number(&mut self, slot: usize, part: Span<'a>) -> Result<(), Rejected> {
        let outcome = self.rows.set(slot, part);
        let whole = std::str::from_utf8(part.bytes)
            .ok()
            .and_then(|text| text.parse::<f64>().ok())
            .filter(|number| number.fract() == 0.0 && number.abs() < 9e15);
        match (outcome, whole) {
            (Err(_), Some(number)) => self
                .rows
                .set_owned(slot, (number as i64).to_string().as_bytes()),
            (outcome, _) => outcome,
        }
    }

    fn add_extra(&mut self, key: &str, value: Value) {
        let bytes = self.line.bytes;
        self.rows.add_extra_json(key, |out| match value.kind {
            Kind::String { .. } => out.extend_from_slice(&bytes[value.start - 1..=value.end]),
            Kind::Nested { has_spaces: true } => compact(&bytes[value.start..value.end], out),
            _ => out.extend_from_slice(&bytes[value.start..value.end]),
        });
    }

    fn string(&mut self, value: Value) -> Cow<'a, str> {
        let bytes = &self.line.bytes[value.start..value.end];
        if value.kind != (Kind::String { is_escaped: true }) {
            return String::from_utf8_lossy(bytes);
        }
        let mut plain = Vec::new();
        unescape(bytes, &mut plain);
        Cow::Owned(String::from_utf8_lossy(&plain).into_owned())
    }
}

impl Rows {
    /// Adds a value to `_extra`. `write` appends it as JSON.
    fn add_extra_json(&mut self, key: &str, write: impl FnOnce(&mut Vec<u8>)) {
        let members = self.extra_members();
        if !members.is_empty() {
            members.push(b',');
        }
        write_json_string(members, key);
        members.push(b':');
        write(members);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::decode::testing::{Case, shared_samples};

    fn case() -> Case {
        Case::new("json_lines")
            .column("name", ColumnKind::Text)
            .column("n", ColumnKind::Int64)
            .column("all", ColumnKind::Json)
            .column("ip", ColumnKind::Ip)
            .source_name("src.ip")
    }

    #[test]
    fn columns_are_found_by_name_and_path() {
        let line = r#"{"src":{"ip":"::0001","port":80},"n":12,"name":"a\u00e9\"","all":{"x" : [1, "y z"]},"rest":null}"#;
        assert_eq!(
            case().rows(line),
            [json!({
                "name": "aé\"", "n": 12, "ip": "::1", "all": r#"{"x":[1,"y z"]}"#,
                "_extra": r#"{"src":{"port":80},"rest":null}"#,
            })]
        );
        assert_eq!(
            case().rows(r#"{"src.ip":"10.0.0.1"}"#),
            [json!({"ip": "10.0.0.1"})]
        );
    }

    #[test]
    fn values_take_the_type_of_their_column() {
        let input = r#"{"name":true,"n":"7","all":"text"}
{"name":[1, 2],"n":1e3,"all":12345678901234567890}
{"name":null,"n":"","all":null,"ip":""}
{"n":1,"n":2}"#;
        assert_eq!(
            case().rows(input),
            [
                json!({"name": "true", "n": 7, "all": "\"text\""}),
                json!({"name": "[1,2]", "n": 1000, "all": "12345678901234567890"}),
                json!({"_extra": r#"{"ip":""}"#}),
                json!({"n": 2}),
            ]
        );
    }

    #[test]
    fn lines_without_an_object_are_rejected() {
        let input = b"[1]\n{\"n\":1\n{} x\n12\n{\"n\":1.5}\n{\"n\":{}}\n \n{}";
        let reasons = case().reasons(input);
        let bad = "invalid_json";
        let wrong = "invalid_value";
        assert_eq!(reasons, [bad, bad, bad, bad, wrong, wrong, bad, ""]);
    }

    #[test]
    fn multiline_accepts_objects_in_any_layout() {
        let case = case().option("multiline", "true");
        let input = b"[\n{\n \"n\": 1,\n \"name\": \"}\\\"{\"\n},\n{\"n\":2}{\"n\":3}\n]\n";
        let whole = case.all(input, &[], None);
        assert_eq!(
            whole.iter().map(|row| row["n"].clone()).collect::<Vec<_>>(),
            [1, 2, 3]
        );
        assert_eq!(whole[0]["name"], "}\"{");
        assert_eq!(case.all(input, &[1], None), whole);
        assert_eq!(case.all(input, &[7, 3], None), whole);
    }

    #[test]
    fn shared_samples_have_no_rejected_row() {
        for source in ["guardduty", "route53_resolver", "network_firewall"] {
            for (name, input) in shared_samples(source) {
                let reasons = case().reasons(&input);
                assert!(reasons.iter().all(String::is_empty), "{name} {reasons:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn every_line_is_a_row_for_any_block_size(
            lines in prop::collection::vec(
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..30),
                    r#"\{"(n|src|name|é)":("[a-z\\\\é]{0,20}"|[0-9.e]{1,4}|\{"ip":"::1", "x":\[\]\})\}"#.prop_map(String::into_bytes),
                ],
                0..20,
            ),
            sizes in prop::collection::vec(1_usize..40, 1..6),
        ) {
            let input = lines.join(&b'\n');
            let whole = case().all(&input, &[], None);
            let is_row = |line: &&[u8]| !line.is_empty() && *line != b"\r";
            prop_assert_eq!(whole.len(), input.split(|byte| *byte == b'\n').filter(is_row).count());
            prop_assert_eq!(case().all(&input, &sizes, None), whole);
        }

        #[test]
        fn multiline_handles_arbitrary_bytes(
            input in prop::collection::vec(prop::sample::select(b"{}[]\",:\\ \n1n\xff".to_vec()), 0..200),
            sizes in prop::collection::vec(1_usize..20, 1..6),
        ) {
            let case = case().option("multiline", "true");
            prop_assert_eq!(case.all(&input, &sizes, None), case.all(&input, &[], None));
        }
    }
}
