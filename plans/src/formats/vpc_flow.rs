//! VPC flow logs as text. The fields may have any order. Their names come from a header, or
//! from the source's option `fields`. The default is the fourteen fields of version 2.

use memchr::{memchr, memchr_iter};

use crate::decode::column::Span;
use crate::decode::layout::{Field, Names, surplus_key};
use crate::decode::line_decoder::{LineDecoder, LineKind, LineParser};
use crate::decode::rows::{Rejected, Rows};
use crate::decode::time::TimeFormat;
use crate::decode::{Decoder, DecoderRequest, Format, FormatOption, Reading};
use crate::spec::{Column, ColumnKind, TimeUnit};

/// Number of fields in a file without a header and without declared fields.
const DEFAULT_FIELDS: usize = 14;

/// The key of the time that an export has before each line.
const EXPORTED: &str = "exported_at";

/// Every documented field, in the order of the versions that added them (2 to 5, 7 to 10).
#[rustfmt::skip]
const FIELDS: [(&str, ColumnKind); 42] = {
    use ColumnKind::{Int32, Int64, Ip, Text};
    const TIME: ColumnKind = ColumnKind::Epoch(TimeUnit::Second);
    [
        ("version", Int32), ("account-id", Text), ("interface-id", Text), ("srcaddr", Ip), ("dstaddr", Ip),
        ("srcport", Int32), ("dstport", Int32), ("protocol", Int32), ("packets", Int64), ("bytes", Int64),
        ("start", TIME), ("end", TIME), ("action", Text), ("log-status", Text),
        ("vpc-id", Text), ("subnet-id", Text), ("instance-id", Text), ("tcp-flags", Int32), ("type", Text),
        ("pkt-srcaddr", Ip), ("pkt-dstaddr", Ip),
        ("region", Text), ("az-id", Text), ("sublocation-type", Text), ("sublocation-id", Text),
        ("pkt-src-aws-service", Text), ("pkt-dst-aws-service", Text), ("flow-direction", Text), ("traffic-path", Int32),
        ("ecs-cluster-arn", Text), ("ecs-cluster-name", Text), ("ecs-container-instance-arn", Text),
        ("ecs-container-instance-id", Text), ("ecs-container-id", Text), ("ecs-second-container-id", Text),
        ("ecs-service-name", Text), ("ecs-task-definition-arn", Text), ("ecs-task-arn", Text), ("ecs-task-id", Text),
        ("reject-reason", Text),
        ("resource-id", Text),
        ("encryption-status", Text),
    ]
};

#[derive(Debug)]
pub(super) struct VpcFlow;

impl Format for VpcFlow {
    fn name(&self) -> &'static str {
        "vpc_flow"
    }

    fn help(&self) -> &'static str {
        "VPC flow logs as text, of any version and with fields in any order; `-` is NULL"
    }

    fn columns(&self) -> Vec<Column> {
        let column =
            |(name, kind): &(&str, ColumnKind)| Column::new(name.replace('-', "_"), kind.clone());
        FIELDS.iter().map(column).collect()
    }

    fn options(&self) -> &'static [FormatOption] {
        &[FormatOption {
            name: "fields",
            values: "names of fields, separated by spaces",
            default: "the 14 fields of version 2",
            help: "the order of the fields in files without a header",
        }]
    }

    fn reading(&self) -> Reading {
        Reading::Blocks(decoder)
    }
}

fn decoder(request: DecoderRequest) -> Box<dyn Decoder> {
    LineDecoder::boxed(FlowParser::new(&request), request)
}

struct FlowParser {
    names: Names,
    fields: Vec<Field>,
    /// Whether neither a header nor the source names the fields.
    is_default: bool,
}

impl FlowParser {
    fn new(request: &DecoderRequest) -> Self {
        let names = Names::new(request);
        let declared = request.options.get("fields");
        let fields = match declared {
            Some(declared) => names.fields(declared.split_whitespace()),
            None => names.fields(FIELDS[..DEFAULT_FIELDS].iter().map(|(name, _)| *name)),
        };
        Self {
            is_default: declared.is_none(),
            names,
            fields,
        }
    }

    fn take_header(&mut self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        self.fields = self.names.fields(line.split_ascii_whitespace());
        self.is_default = false;
    }

    /// Where the fields begin. An export from CloudWatch Logs has a time before each line of
    /// the default fields.
    #[inline]
    fn exported(&self, line: Span<'_>, rows: &mut Rows) -> usize {
        if line.bytes.get(10) != Some(&b'T') || !self.is_default {
            return 0;
        }
        let Some(end) = memchr(b' ', line.bytes) else {
            return 0;
        };
        let time = &line.bytes[..end];
        if TimeFormat::Rfc3339.read(time).is_none() {
            return 0;
        }
        rows.add_extra(EXPORTED, time);
        end + 1
    }
}

impl LineParser for FlowParser {
    fn parse(&mut self, line: Span<'_>, rows: &mut Rows) -> Result<LineKind, Rejected> {
        if is_blank(line.bytes) {
            return Ok(LineKind::Header);
        }
        if is_header(line.bytes) {
            self.take_header(line.bytes);
            return Ok(LineKind::Header);
        }
        let mut position = 0;
        let first = self.exported(line, rows);
        let mut start = first;
        let ends = memchr_iter(b' ', &line.bytes[first..]).map(|end| first + end);
        let ends = ends.chain(std::iter::once(line.bytes.len()));
        for end in ends {
            if end > start {
                set_field(
                    self.fields.get(position),
                    position,
                    line.part(start, end),
                    rows,
                )?;
                position += 1;
            }
            start = end + 1;
        }
        let expected = self.fields.len();
        if position < expected {
            let detail = format!("{position} of {expected} fields");
            return Err(Rejected::new("too_few_fields", detail));
        }
        // Half a record more is another record, whose line end is lost.
        if position > expected + expected / 2 {
            let detail = format!("{position} of {expected} fields, as if two lines were joined");
            return Err(Rejected::new("too_many_fields", detail));
        }
        Ok(LineKind::Row)
    }
}

#[inline]
fn set_field(
    field: Option<&Field>,
    position: usize,
    text: Span<'_>,
    rows: &mut Rows,
) -> Result<(), Rejected> {
    let is_null = text.bytes == b"-";
    match field {
        _ if is_null => {}
        Some(Field::Wanted(slot)) => rows.set(*slot, text)?,
        Some(Field::Unwanted) => {}
        Some(Field::Alternative(one)) => rows.set_alternative(one, text)?,
        Some(Field::Unknown(name)) => rows.add_extra(name, text.bytes),
        None => rows.add_extra(&surplus_key(position + 1), text.bytes),
    }
    Ok(())
}

/// Whether the line has nothing but spaces.
fn is_blank(line: &[u8]) -> bool {
    line.first() == Some(&b' ') && line.iter().all(|byte| *byte == b' ')
}

/// Whether most words of the line are names of fields. Newer fields have other names.
fn is_header(line: &[u8]) -> bool {
    // Lines of records nearly always have capitals or the dots of addresses.
    let is_of_names = |byte: &u8| {
        let is_plain = byte.is_ascii_lowercase() || byte.is_ascii_digit();
        is_plain || byte.is_ascii_whitespace() || matches!(byte, b'-' | b'_')
    };
    if !line.first().is_some_and(u8::is_ascii_lowercase) || !line.iter().all(is_of_names) {
        return false;
    }
    let (mut words, mut known) = (0, 0);
    for word in line.split(u8::is_ascii_whitespace) {
        words += usize::from(!word.is_empty());
        known += usize::from(FIELDS.iter().any(|(name, _)| is_name(name, word)));
    }
    known * 2 > words
}

/// Hyphens in names may be underscores.
fn is_name(name: &str, word: &[u8]) -> bool {
    let is_same = |(a, b): (u8, &u8)| a == *b || (a == b'-' && *b == b'_');
    name.len() == word.len() && name.bytes().zip(word).all(is_same)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::decode::damage_tests::{GoodFile, check_damage, mark};
    use crate::decode::testing::{Case, own_samples, print_speed, shared_samples};

    #[test]
    fn without_a_header_the_default_order_applies() {
        let line = "2 111122223333 eni-0a1 10.0.0.5 2001:DB8::0001 443 50000 6 9 5000000000 1700000000 1700000060 ACCEPT OK";
        assert_eq!(
            Case::new("vpc_flow").rows(line),
            [json!({
                "version": 2, "account_id": "111122223333", "interface_id": "eni-0a1",
                "srcaddr": "10.0.0.5", "dstaddr": "2001:db8::1", "srcport": 443, "dstport": 50000,
                "protocol": 6, "packets": 9, "bytes": 5_000_000_000_i64,
                "start": "2023-11-14T22:13:20Z", "end": "2023-11-14T22:14:20Z",
                "action": "ACCEPT", "log_status": "OK",
            })]
        );
    }

    #[test]
    fn a_header_overrides_the_declared_order_and_may_repeat() {
        let case = Case::new("vpc_flow").option("fields", "dstport srcport");
        let input =
            "1 2\nsrcport new-field dstport\n3 x 4\n5 - 6 surplus\ndstport srcport\r\n7 8\r\n";
        assert_eq!(
            case.rows(input),
            [
                json!({"dstport": 1, "srcport": 2}),
                json!({"srcport": 3, "dstport": 4, "_extra": r#"{"new-field":"x"}"#}),
                json!({"srcport": 5, "dstport": 6, "_extra": r#"{"field_4":"surplus"}"#}),
                json!({"dstport": 7, "srcport": 8}),
            ]
        );
    }

    #[test]
    fn a_header_may_begin_with_a_newer_field() {
        let input = "new-field srcport dstport\nx 4 5\neni-0a 4 5\n";
        assert_eq!(
            Case::new("vpc_flow").rows(input),
            [
                json!({"srcport": 4, "dstport": 5, "_extra": r#"{"new-field":"x"}"#}),
                json!({"srcport": 4, "dstport": 5, "_extra": r#"{"new-field":"eni-0a"}"#}),
            ]
        );
        assert!(!is_header(b"eni-0a vpc-1 ok"));
        assert!(!is_header(b"ACCEPT srcport dstport"));
    }

    #[test]
    fn two_joined_lines_are_no_record() {
        let case = Case::new("vpc_flow").option("fields", "srcport dstport bytes packets");
        let reasons = case.reasons(b"1 2 3 4 5 6\n1 2 3 41 2 3 4\n1 2 3 4 1 2 3 4\n");
        assert_eq!(reasons, ["", "too_many_fields", "too_many_fields"]);
    }

    #[test]
    fn an_export_has_a_time_before_each_line() {
        let line = "2024-03-15T10:00:14.000Z 2 111122223333 eni-0a 10.0.0.1 10.0.0.2 1 2 6 9 5 1700000000 1700000060 ACCEPT OK";
        let rows = Case::new("vpc_flow").rows(line);
        assert_eq!(
            rows[0]["_extra"],
            r#"{"exported_at":"2024-03-15T10:00:14.000Z"}"#
        );
        assert_eq!(rows[0]["version"], 2);
        assert_eq!(rows[0]["log_status"], "OK");
        let declared = Case::new("vpc_flow").option("fields", "sent srcport");
        let row = declared.rows("2024-03-15T10:00:14.000Z 7").remove(0);
        assert_eq!(row["_extra"], r#"{"sent":"2024-03-15T10:00:14.000Z"}"#);
    }

    #[test]
    fn a_dash_is_null_and_its_row_is_kept() {
        let line = "2 111122223333 eni-0a1 - - - - - - - 1700000000 1700000060 - NODATA";
        let rows = Case::new("vpc_flow").rows(line);
        assert_eq!(rows[0]["log_status"], "NODATA");
        assert!(rows[0].get("srcaddr").is_none() && rows[0].get("_reject").is_none());
    }

    #[test]
    fn bad_lines_are_rows_with_a_reason() {
        let input = b"version srcport start\n2 x 1\n2 1\n\n  \n2 99999999999 1\n2 1 1\n2 1 \xff\n";
        assert_eq!(
            Case::new("vpc_flow").reasons(input),
            [
                "invalid_value",
                "too_few_fields",
                "invalid_value",
                "",
                "invalid_utf8"
            ]
        );
        let rows = Case::new("vpc_flow").rows("version srcport\n2 x\n");
        assert_eq!(
            rows,
            [
                json!({"_reject": "invalid_value", "_detail": "column srcport: `x` is not an integer"})
            ]
        );
    }

    #[test]
    fn only_wanted_columns_are_built_and_extra_has_no_unwanted_ones() {
        let mut case = Case::new("vpc_flow").option("fields", "srcport dstport");
        case.wanted = vec![6];
        assert_eq!(case.rows("1 2"), [json!({"dstport": 2})]);
        // Unwanted values are not parsed, so they cannot be invalid.
        assert_eq!(case.rows("x 2"), [json!({"dstport": 2})]);
    }

    #[test]
    fn rows_have_their_position() {
        let case = Case::new("vpc_flow").option("fields", "srcport");
        let rows = case.all(b"1\n\n22\r\n3", &[2], None);
        let positions: Vec<_> = rows
            .iter()
            .map(|row| {
                (
                    row["_object"].clone(),
                    row["_line"].clone(),
                    row["_offset"].clone(),
                )
            })
            .collect();
        let position = |line: u64, offset: u64| (json!(5), json!(line), json!(offset));
        assert_eq!(positions, [position(1, 0), position(3, 3), position(4, 7)]);
        assert_eq!(rows[1]["_raw"], "3232");
    }

    #[test]
    fn a_broken_object_ends_in_a_rejected_row() {
        let case = Case::new("vpc_flow").option("fields", "srcport");
        let broken = crate::decode::Broken {
            reason: "truncated_gzip",
            detail: "why".to_owned(),
        };
        for (input, raw) in [("1\n2", "32"), ("1\n", "")] {
            let rows = case.all(input.as_bytes(), &[1], Some(broken.clone()));
            assert_eq!(rows.len(), 2);
            assert_eq!(rows[1]["_reject"], "truncated_gzip");
            assert_eq!(rows[1]["_raw"], raw);
            assert_eq!(rows[1]["_line"], 2);
        }
    }

    #[test]
    fn own_samples_are_read_and_bad_lines_rejected() {
        for (name, input) in own_samples("vpc_flow") {
            let reasons = Case::new("vpc_flow").reasons(&input);
            if name == "bad-lines.log" {
                let bad = "invalid_value";
                assert_eq!(reasons, ["too_few_fields", bad, bad, bad, "", ""]);
            } else {
                assert!(reasons.iter().all(String::is_empty), "{name} {reasons:?}");
            }
        }
    }

    #[test]
    fn shared_samples_have_no_rejected_row() {
        for (name, input) in shared_samples("vpc_flow") {
            if !name.ends_with(".log") {
                continue;
            }
            let reasons = Case::new("vpc_flow").reasons(&input);
            // One of the files ends with its format string, which is not a record.
            let text = String::from_utf8_lossy(&input);
            let strays = text
                .lines()
                .filter(|line| line.starts_with("format:"))
                .count();
            let rejected = reasons.iter().filter(|reason| !reason.is_empty()).count();
            assert_eq!(rejected, strays, "{name} {reasons:?}");
            assert!(reasons.len() > strays, "{name} {reasons:?}");
        }
    }

    fn good_file() -> GoodFile {
        let line = |record: usize| {
            let mark = mark(record);
            format!(
                "2 111122223333 eni-{mark} 192.0.2.1 2001:db8::1 443 5{record} 6 14 9120 1705312800 1705312859 ACCEPT OK\n"
            )
        };
        GoodFile {
            case: Case::new("vpc_flow"),
            head: Vec::new(),
            records: (0..1000).map(|record| line(record).into_bytes()).collect(),
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
            lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..30),
            sizes in prop::collection::vec(1_usize..60, 1..8),
        ) {
            let case = Case::new("vpc_flow").option("fields", "version srcport srcaddr");
            every_line_is_a_row(&case, &lines, &sizes);
        }

        #[test]
        fn blocks_may_end_anywhere(
            lines in prop::collection::vec("2 (10.0.0.1|::1|2001:0db8::7|-) [0-9]{1,6} [a-zé]{0,20}", 0..30),
            sizes in prop::collection::vec(1_usize..60, 1..8),
        ) {
            let case = Case::new("vpc_flow").option("fields", "version srcaddr srcport vpc-id");
            let lines: Vec<_> = lines.into_iter().map(String::into_bytes).collect();
            every_line_is_a_row(&case, &lines, &sizes);
        }
    }

    #[test]
    #[ignore = "prints a speed"]
    fn speed_of_decoding() {
        let line = "2 111122223333 eni-0aa11bb22cc33dd44 198.51.100.24 10.20.0.15 51842 443 6 14 9120 1705312800 1705312859 ACCEPT OK";
        print_speed(&Case::new("vpc_flow"), line);
    }

    fn every_line_is_a_row(case: &Case, lines: &[Vec<u8>], sizes: &[usize]) {
        let input = lines.join(&b'\n');
        let whole = case.all(&input, &[], None);
        let is_row = |line: &&[u8]| {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            !line.is_empty() && !is_blank(line) && !is_header(line)
        };
        assert_eq!(
            whole.len(),
            input.split(|byte| *byte == b'\n').filter(is_row).count()
        );
        assert_eq!(case.all(&input, sizes, None), whole);
    }
}
