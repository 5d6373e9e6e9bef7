//! One JSON object on each line, or with `multiline` a sequence of objects in any layout.
//! Columns are found by their path. Values without a column are kept in `_extra`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use crate::decode::column::{ARENA, Span};
use crate::decode::json_records::JsonRecords;
use crate::decode::json_scan::{Kind, Malformed, Scanner, Value, compact, unescape};
use crate::decode::json_wrapper::Members;
use crate::decode::layout::{Alternative, Field};
use crate::decode::line_decoder::{LineDecoder, LineKind, LineParser};
use crate::decode::lines::Lines;
use crate::decode::records::Records;
use crate::decode::rows::{Rejected, Rows, write_json_string};
use crate::decode::{Decoder, DecoderRequest, Format, FormatOption, Reading};
use crate::spec::{Column, ColumnKind};

#[derive(Debug)]
pub(super) struct JsonLines;

impl Format for JsonLines {
    fn name(&self) -> &'static str {
        "json_lines"
    }

    fn help(&self) -> &'static str {
        "one JSON object on each line; columns are found by name, or by a path such as `a.b`"
    }

    fn columns(&self) -> Vec<Column> {
        Vec::new()
    }

    fn options(&self) -> &'static [FormatOption] {
        &[
            FormatOption {
                name: "multiline",
                values: "true, false",
                default: "false",
                help: "an object may span lines, and objects may be items of a list",
            },
            FormatOption {
                name: "records",
                values: "a name, or a path such as `detail.items`",
                default: "none",
                help: "the list of records in objects that wrap them; members before it are columns of each record",
            },
        ]
    }

    fn reading(&self) -> Reading {
        Reading::Blocks(decoder)
    }
}

fn decoder(mut request: DecoderRequest) -> Box<dyn Decoder> {
    let is_multiline = request
        .options
        .get("multiline")
        .is_some_and(|value| value == "true");
    let records = match request.options.get("records") {
        Some(list) => JsonRecords::new(&path(list)).into(),
        None if is_multiline => JsonRecords::new(&[]).into(),
        None => Records::from(Lines::default()),
    };
    let root = Node::new(&request);
    let parser = JsonParser {
        seen: Seen::new(&root),
        root,
        scratch: Vec::new(),
        // Only strings may be NULL, and not numbers with the same text.
        null: std::mem::take(&mut request.null),
    };
    LineDecoder::boxed_with(parser, request, records)
}

struct JsonParser {
    root: Node,
    seen: Seen,
    scratch: Vec<u8>,
    /// Strings that are NULL in every column.
    null: Arc<[String]>,
}

/// The column of a key, and the columns inside its object.
#[derive(Default)]
struct Node {
    number: usize,
    leaf: Option<Leaf>,
    members: HashMap<String, Node>,
}

/// The declared keys that a record has. A line end that is lost joins two records to one, which
/// has most of its keys twice.
struct Seen {
    /// For each node the last record that had it.
    records: Vec<u64>,
    record: u64,
    repeated: u32,
}

/// So many repeated keys mean that two records are joined.
const JOINED: u32 = 2;

impl Seen {
    fn new(root: &Node) -> Self {
        Self {
            records: vec![0; root.count()],
            record: 0,
            repeated: 0,
        }
    }

    fn next_record(&mut self) {
        self.record += 1;
        self.repeated = 0;
    }

    fn see(&mut self, node: &Node) {
        let last = std::mem::replace(&mut self.records[node.number], self.record);
        self.repeated += u32::from(last == self.record);
    }

    fn check(&self) -> Result<(), Rejected> {
        if self.repeated < JOINED {
            return Ok(());
        }
        let detail = format!(
            "{} declared keys are repeated, as if two records were joined",
            self.repeated
        );
        Err(Rejected::new("repeated_keys", detail))
    }
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
            if !column.is_read() {
                continue;
            }
            let slot = request.wanted.iter().position(|wanted| *wanted == index);
            let is_json = column.kind == ColumnKind::Json && column.composite.is_none();
            for (rank, name) in column.spellings().enumerate() {
                let field = Field::of(column, slot, rank, name);
                let path = path(name);
                if path.len() > 1 {
                    // Some writers flatten objects, which makes the dots part of the key.
                    root.add(&[name.to_owned()], field.clone(), is_json);
                }
                root.add(&path, field, is_json);
            }
        }
        root.assign(&mut 0);
        root
    }

    /// Gives each node its number.
    fn assign(&mut self, next: &mut usize) {
        self.number = *next;
        *next += 1;
        self.members.values_mut().for_each(|node| node.assign(next));
    }

    fn count(&self) -> usize {
        1 + self.members.values().map(Self::count).sum::<usize>()
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
    fn context(&mut self, members: &Members, rows: &mut Rows) -> Result<(), Rejected> {
        match members.is_empty() {
            true => Ok(()),
            false => self.around(members, rows),
        }
    }

    fn parse(&mut self, line: Span<'_>, rows: &mut Rows) -> Result<LineKind, Rejected> {
        self.seen.next_record();
        let mut walk = Walk {
            line,
            scanner: Scanner::new(line.bytes),
            seen: &mut self.seen,
            scratch: &mut self.scratch,
            null: &self.null,
            rows,
            is_copied: false,
        };
        walk.object(&self.root)?;
        if walk.scanner.peek().is_some() {
            return Err(walk.scanner.malformed().into());
        }
        self.seen.check()?;
        Ok(LineKind::Row)
    }
}

impl JsonParser {
    /// Sets the columns that the object around the record has.
    fn around(&mut self, members: &Members, rows: &mut Rows) -> Result<(), Rejected> {
        let mut object = vec![b'{'];
        for (name, value) in members {
            if object.len() > 1 {
                object.push(b',');
            }
            write_json_string(&mut object, name);
            object.push(b':');
            object.extend_from_slice(value);
        }
        object.push(b'}');
        let line = Span {
            bytes: &object,
            buffer: ARENA,
            offset: 0,
        };
        self.seen.next_record();
        let mut walk = Walk {
            line,
            scanner: Scanner::new(&object),
            seen: &mut self.seen,
            scratch: &mut self.scratch,
            null: &self.null,
            rows,
            is_copied: true,
        };
        walk.object(&self.root)
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
    seen: &'b mut Seen,
    scratch: &'b mut Vec<u8>,
    null: &'b [String],
    rows: &'b mut Rows,
    /// Whether texts have to be copied, since the line is not part of a block.
    is_copied: bool,
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
        self.seen.see(node);
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
        match &leaf.field {
            Field::Wanted(slot) if !self.null.is_empty() && self.is_null(value) => {
                self.rows.unset(*slot);
                Ok(())
            }
            Field::Wanted(slot) => self.put(*slot, leaf.is_json, value),
            Field::Alternative(one) => self.set_alternative(one, leaf.is_json, value),
            Field::Unwanted | Field::Unknown(_) => Ok(()),
        }
    }

    /// Whether the value is a string that is declared to be NULL.
    fn is_null(&mut self, value: Value) -> bool {
        let text = &self.line.bytes[value.start..value.end];
        let text = match value.kind {
            Kind::String { is_escaped: false } => text,
            Kind::String { is_escaped: true } => {
                self.scratch.clear();
                unescape(text, self.scratch);
                self.scratch.as_slice()
            }
            _ => return false,
        };
        self.null.iter().any(|null| null.as_bytes() == text)
    }

    fn set_alternative(
        &mut self,
        one: &Alternative,
        is_json: bool,
        value: Value,
    ) -> Result<(), Rejected> {
        let is_empty = value.start == value.end && !self.rows.is_text(one.slot) && !is_json;
        if value.kind == Kind::Null || is_empty || self.is_null(value) {
            return Ok(());
        }
        let bytes = self.line.bytes;
        let takes = self.rows.takes(one, |out| write_value(bytes, value, out));
        match takes {
            true => self.put(one.slot, is_json, value),
            false => Ok(()),
        }
    }

    fn put(&mut self, slot: usize, is_json: bool, value: Value) -> Result<(), Rejected> {
        let part = self.line.part(value.start, value.end);
        match value.kind {
            Kind::Null => self.rows.unset(slot),
            Kind::String { .. } if is_json => {
                self.set_part(slot, self.line.part(value.start - 1, value.end + 1))?;
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
                self.set_part(slot, part)?;
            }
        }
        Ok(())
    }

    fn set_part(&mut self, slot: usize, part: Span<'a>) -> Result<(), Rejected> {
        match self.is_copied {
            true => self.rows.set_owned(slot, part.bytes),
            false => self.rows.set(slot, part),
        }
    }

    /// Sets a number. Some writers format integers as `1.0` or `1e3`.
    fn set_number(&mut self, slot: usize, part: Span<'a>) -> Result<(), Rejected> {
        let outcome = self.set_part(slot, part);
        let whole = std::str::from_utf8(part.bytes)
            .ok()
            .and_then(|text| text.parse::<f64>().ok())
            .filter(|number| number.fract() == 0.0 && number.abs() < 9e15);
        match (outcome, whole) {
            (Err(_), Some(number)) => {
                let digits = (number as i64).to_string();
                self.rows.set_owned(slot, digits.as_bytes())?;
                self.rows.note(slot, part.bytes);
                Ok(())
            }
            (outcome, _) => outcome,
        }
    }

    fn add_extra(&mut self, key: &str, value: Value) {
        let bytes = self.line.bytes;
        self.rows
            .add_extra_json(key, |out| write_value(bytes, value, out));
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

/// Appends a value of the line as JSON.
fn write_value(line: &[u8], value: Value, out: &mut Vec<u8>) {
    match value.kind {
        Kind::String { .. } => out.extend_from_slice(&line[value.start - 1..=value.end]),
        Kind::Nested { has_spaces: true } => compact(&line[value.start..value.end], out),
        _ => out.extend_from_slice(&line[value.start..value.end]),
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
    use crate::decode::damage_tests::{GoodFile, check_damage, mark};
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
    fn two_joined_records_are_none() {
        let rows = case().rows(r#"{"name":"a","n":1,"rest":"x","name":"b","n":2}"#);
        let detail = "2 declared keys are repeated, as if two records were joined";
        assert_eq!(
            rows,
            [json!({"_reject": "repeated_keys", "_detail": detail})]
        );
    }

    #[test]
    fn declared_strings_are_null_and_numbers_are_not() {
        let case = case().null(&["-", "", "0", "a\"b"]);
        let input = r#"{"n":0,"name":"-","all":"-","src":{"ip":"-"},"rest":"-"}
{"n":"0","name":"a\"b","all":{"x":"-"},"src":{"ip":""}}
{"name":"x","name":""}
{"name":"\u002d","all":""}"#;
        assert_eq!(
            case.rows(input),
            [
                json!({"n": 0, "_extra": r#"{"rest":"-"}"#}),
                json!({"all": r#"{"x":"-"}"#}),
                json!({}),
                json!({}),
            ]
        );
    }

    #[test]
    fn the_first_name_with_a_value_wins_in_any_order() {
        let case = Case::new("json_lines")
            .column("ip", ColumnKind::Ip)
            .names(&["id.orig_h", "id_orig_h", "src"])
            .column("name", ColumnKind::Json);
        let input = r#"{"src":"::3","id_orig_h":"::2","id":{"orig_h":"::1","x":1}}
{"id.orig_h":"::1","src": {"a": 1}}
{"id":{"orig_h":null},"id_orig_h":"","src":"::3","name":"n"}
{"id_orig_h":"::2","id_orig_h":"::4"}
{"other":1}"#;
        assert_eq!(
            case.rows(input),
            [
                json!({"ip": "::1", "_extra": r#"{"id":{"x":1},"src":"::3","id_orig_h":"::2"}"#}),
                json!({"ip": "::1", "_extra": r#"{"src":{"a":1}}"#}),
                json!({"ip": "::3", "name": "\"n\""}),
                json!({"ip": "::4"}),
                json!({"_extra": r#"{"other":1}"#}),
            ]
        );
    }

    #[test]
    fn a_number_keeps_its_text() {
        let case = Case::new("json_lines")
            .column("n", ColumnKind::Int64)
            .written()
            .column("d", ColumnKind::Double)
            .written();
        let input = r#"{"n":1e3,"d":2}
{"n":"007","n":7,"d":2.5}
{"n":1.0}
{"n":1.0,"n":null}"#;
        let rows = case.rows(input);
        let written: Vec<_> = rows.iter().map(|row| row["_written"].as_str()).collect();
        let first = r#"{"n":"1e3","d":"2"}"#;
        assert_eq!(written, [Some(first), None, Some(r#"{"n":"1.0"}"#), None]);
        assert_eq!(rows[0]["n"], 1000);
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
    fn records_are_items_of_a_list_with_the_columns_around_it() {
        let case = case().option("records", "logEvents");
        let input = r#"{"name":"a","src":{"ip":"::1"},"owner":"o","logEvents":[{"n":1},{"n":2,"name":"b"}]}
{"name":"c","n":3}{"logEvents":[{"n":4}]}"#;
        let around = |n: i64, name: &str| json!({"name": name, "n": n, "ip": "::1", "_extra": r#"{"owner":"o"}"#});
        assert_eq!(
            case.rows(input),
            [
                around(1, "a"),
                around(2, "b"),
                json!({"name": "c", "n": 3}),
                json!({"n": 4})
            ]
        );
        let blocks = case.all(input.as_bytes(), &[7], None);
        assert_eq!(blocks, case.all(input.as_bytes(), &[], None));
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

    /// Objects with their marks, each followed by `between`.
    fn objects(pretty: bool, between: &str) -> Vec<Vec<u8>> {
        let object = |record: usize| {
            let mark = mark(record);
            let object = json!({
                "id": mark, "n": record, "src": {"ip": "192.0.2.1", "port": 443},
                "all": {"list": [{"id": 1, "text": mark}], "text": "{,\"}"}, "name": mark,
            });
            let text = match pretty {
                true => serde_json::to_string_pretty(&object).unwrap(),
                false => object.to_string(),
            };
            (text + between).into_bytes()
        };
        (0..1000).map(object).collect()
    }

    /// Lines, objects in several layouts, and a list in a wrapping object.
    fn good_files() -> [GoodFile; 4] {
        let file = |case: Case, head: &str, records| GoodFile {
            case,
            head: head.as_bytes().to_vec(),
            records,
        };
        let several = || case().option("multiline", "true");
        let mut wrapped = objects(false, ",");
        if let Some(last) = wrapped.last_mut() {
            last.pop();
            last.extend_from_slice(b"]}");
        }
        [
            file(case(), "", objects(false, "\n")),
            file(several(), "", objects(false, "\n")),
            file(several(), "", objects(true, "\n")),
            file(
                case().option("records", "Records"),
                "{\"Records\":[",
                wrapped,
            ),
        ]
    }

    #[test]
    fn damage_stays_local() {
        for file in good_files() {
            check_damage(&file, 0..60);
        }
    }

    #[test]
    #[ignore = "takes minutes"]
    fn damage_stays_local_in_many_ways() {
        for file in good_files() {
            check_damage(&file, 0..10_000);
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
