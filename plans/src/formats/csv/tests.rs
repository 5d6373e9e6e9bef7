//! Tests of the format `csv`.

use proptest::prelude::*;
use serde_json::json;

use crate::decode::damage_tests::{GoodFile, check_damage, mark};
use crate::decode::testing::Case;
use crate::spec::{ColumnKind, TimeUnit};

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

/// Logins, with typed columns before and behind the text that may have line ends.
fn logins() -> Case {
    let mut case = Case::new("csv")
        .column("when", ColumnKind::Epoch(TimeUnit::Second))
        .column("who", ColumnKind::Text)
        .column("ip", ColumnKind::Ip)
        .column("note", ColumnKind::Text)
        .column("ms", ColumnKind::Int64);
    case.batch_rows = 8192;
    case
}

fn multiline() -> Case {
    logins().option("multiline", "true")
}

/// The notes of good rows, and the reasons of the others.
fn notes(case: &Case, input: &str) -> Vec<String> {
    let whole = notes_of(case, input, &[]);
    assert_eq!(notes_of(case, input, &[1]), whole, "block size 1");
    assert_eq!(notes_of(case, input, &[7]), whole, "block size 7");
    whole
}

fn notes_of(case: &Case, input: &str, sizes: &[usize]) -> Vec<String> {
    let rows = case.all(input.as_bytes(), sizes, None);
    let note = |row: &serde_json::Map<String, serde_json::Value>| {
        let text = |key| row.get(key).and_then(serde_json::Value::as_str);
        let reason = text("_reject").map(|reason| format!("! {reason}"));
        reason.unwrap_or_else(|| text("note").unwrap_or("NULL").to_owned())
    };
    rows.iter().map(note).collect()
}

const UNCLOSED: &str = "! unclosed_quote";

#[test]
fn quotes_inside_of_a_field_are_text() {
    let input = "1700000000,a,192.0.2.1,pipe 2\" wide,1\n\
                 1700000001,b,192.0.2.2,5\",2\n\
                 1700000002,c,192.0.2.3,\"say \"hi\" now\",3\n\
                 1700000003,d,192.0.2.4,it is 7\" or 9\",4\n";
    let expected = ["pipe 2\" wide", "5\"", "say \"hi\" now", "it is 7\" or 9\""];
    assert_eq!(notes(&logins(), input), expected);
    assert_eq!(notes(&multiline(), input), expected);
}

#[test]
fn a_quoted_field_may_have_line_ends() {
    let input = "1700000000,a,192.0.2.1,\"one\ntwo, three\n\nlast \"\"quoted\"\"\",1\n\
                 1700000001,b,192.0.2.2,\"crlf\r\nends with comma,\",2\r\n\
                 1700000002,c,192.0.2.3,\"\n\",3\n\
                 1700000003,d,192.0.2.4,\"\"\"x\"\"\n\",4\n\
                 1700000004,e,192.0.2.5,plain,5";
    assert_eq!(
        notes(&multiline(), input),
        [
            "one\ntwo, three\n\nlast \"quoted\"",
            "crlf\r\nends with comma,",
            "\n",
            "\"x\"\n",
            "plain"
        ]
    );
    let rows = multiline().all(input.as_bytes(), &[], None);
    let lines: Vec<_> = rows
        .iter()
        .map(|row| row["_line"].as_u64().unwrap())
        .collect();
    assert_eq!(lines, [1, 5, 7, 9, 11]);
}

#[test]
fn an_open_quote_rejects_only_its_own_lines() {
    let good = "1700000009,z,192.0.2.9,plain,9\n";
    for (broken, rejected) in [
        ("1700000000,a,192.0.2.1,\"never closed,1\n", 1),
        ("1700000000,a,192.0.2.1,\"first\nsecond\nthird,1\n", 3),
        ("1700000000,\"a,192.0.2.1,x,1\n", 1),
        ("\"1700000000,a,192.0.2.1,x,1\n", 1),
        ("1700000000,a,192.0.2.1,x,\"1\n", 1),
    ] {
        let quoted = "1700000008,y,192.0.2.8,\"a, b\",8\n";
        for (behind, notes_behind) in [
            (good.repeat(3), vec!["plain"; 3]),
            (format!("{good}{quoted}"), vec!["plain", "a, b"]),
            (format!("{quoted}{good}"), vec!["a, b", "plain"]),
            (
                format!("{good}1700000008,y,192.0.2.8,\"a\nb\",8\n{good}"),
                vec!["plain", "a\nb", "plain"],
            ),
        ] {
            let input = format!("{good}{broken}{behind}");
            let mut expected = vec!["plain"];
            expected.extend(vec![UNCLOSED; rejected]);
            expected.extend(notes_behind);
            assert_eq!(notes(&multiline(), &input), expected, "{input}");
            assert_every_line_is_kept(&input);
        }
    }
}

/// Checks that the rows have all bytes of the file but its line ends.
fn assert_every_line_is_kept(input: &str) {
    let mut expected = Vec::new();
    for row in multiline().all(input.as_bytes(), &[], None) {
        let raw = row["_raw"].as_str().unwrap().to_owned();
        let at = usize::try_from(row["_offset"].as_u64().unwrap()).unwrap();
        let length = raw.len() / 2;
        let bytes = &input.as_bytes()[at..at + length];
        let hex = bytes.iter().map(|byte| format!("{byte:02x}"));
        assert_eq!(hex.collect::<String>(), raw);
        let line = input[..at].matches('\n').count() as u64 + 1;
        assert_eq!(row["_line"].as_u64(), Some(line));
        expected.push(raw);
    }
    let kept: usize = expected.iter().map(|raw| raw.len() / 2).sum();
    let ends = input.matches('\n').count();
    let inside: usize = expected.iter().map(|raw| raw.matches("0a").count()).sum();
    assert!(
        kept + ends - inside >= input.len(),
        "{kept} of {}",
        input.len()
    );
}

/// A writer that quotes correctly may be given text that looks like a record.
#[test]
fn lines_of_a_quoted_field_are_never_records() {
    let forged = "1700000001,eve,192.0.2.66,forged,2";
    let input = format!("1700000000,a,192.0.2.1,\"see:\n{forged}\nend\",1\n");
    assert_eq!(
        notes(&multiline(), &input),
        [format!("see:\n{forged}\nend")]
    );
    // Here the last line is a record as well, so that nothing decides.
    let input = "1700000000,a,192.0.2.1,\"x\n1700000001,eve,192.0.2.66,forged\",1\n\
                 1700000002,b,192.0.2.2,plain,2\n";
    assert_eq!(notes(&multiline(), input), [UNCLOSED, UNCLOSED, "plain"]);
    let input = "1700000000,a,192.0.2.1,\"open,1\n1700000001,b,192.0.2.2,plain,2\n\
                 1700000002,c,192.0.2.3,5\",3\n1700000003,d,192.0.2.4,plain,4\n";
    let expected = [UNCLOSED, UNCLOSED, UNCLOSED, "plain"];
    assert_eq!(notes(&multiline(), input), expected);
}

#[test]
fn a_multiline_record_with_a_bad_value_is_one_row() {
    let input = "1700000000,a,192.0.2.1,\"x\n1700000001,eve,192.0.2.66,forged,2\ny\",none\n\
                 1700000002,b,192.0.2.2,plain,2\n";
    assert_eq!(notes(&multiline(), input), ["! invalid_value", "plain"]);
}

#[test]
fn without_typed_columns_the_number_of_fields_decides() {
    let case = Case::new("csv")
        .column("who", ColumnKind::Text)
        .column("note", ColumnKind::Text)
        .option("multiline", "true");
    for (input, expected) in [
        ("a,\"x\ny\"\nb,z\n", &["x\ny", "z"][..]),
        ("a,\"x\nb,y\nc,z\n", &[UNCLOSED, "y", "z"]),
        ("a,\"x\nb,y\nc,\"z\"\n", &[UNCLOSED, "y", "z"]),
        ("\"x\ny\",a\nb,z\n", &["a", "z"]),
        ("a,\"x\nb,\"\"\nc,\"d,e\"\n", &[UNCLOSED, "", "d,e"]),
    ] {
        let mut case = case.clone();
        case.batch_rows = 100;
        assert_eq!(notes(&case, input), expected, "{input}");
    }
}

#[test]
fn backslashes_are_tried_where_a_line_is_no_record_otherwise() {
    let head = "1700000000,a,192.0.2.1";
    for (note, expected) in [
        (r#""a \"b\", c""#, "a \"b\", c"),
        (r#""a\"""#, "a\""),
        (r#""C:\dir\""#, r"C:\dir\"),
        (r#""C:\"""#, "C:\""),
        (r#"x \" y"#, r#"x \" y"#),
    ] {
        let input = format!("{head},{note},1\n1700000001,b,192.0.2.2,plain,2\n");
        assert_eq!(notes(&logins(), &input), [expected, "plain"], "{note}");
        assert_eq!(notes(&multiline(), &input), [expected, "plain"], "{note}");
    }
    let input = "1700000000,a,192.0.2.1,\"one \\\"x\\\"\ntwo\",1\n\
                 1700000001,b,192.0.2.2,\"one\n\\\"x\\\"\",2\n";
    let expected = ["one \"x\"\ntwo", "one\n\"x\""];
    assert_eq!(notes(&multiline(), input), expected);
}

#[test]
fn an_escape_is_an_option() {
    let case = logins().option("escape", "\\");
    let input = "1700000000,a,192.0.2.1,\"C:\\\\\",1\n1700000000,a,192.0.2.1,\"x\\\",y\",1\n";
    assert_eq!(notes(&case, input), ["C:\\", "x\",y"]);
    let case = logins().option("quote", "'");
    assert_eq!(notes(&case, "1,a,192.0.2.1,'x, \"y\"',1\n"), ["x, \"y\""]);
    let case = logins().option("quote", "none");
    assert_eq!(notes(&case, "1,a,192.0.2.1,\"x,1\n"), ["\"x"]);
}

#[test]
fn a_cut_record_at_the_end_is_damage() {
    for (input, expected) in [
        (
            "1,a,192.0.2.1,\"x\ny",
            &["! cut_at_end", "! cut_at_end"][..],
        ),
        ("1,a,192.0.2.1,\"x\n2,b,192.0.2.2,y,1\n", &[UNCLOSED, "y"]),
        ("1,a,192.0.2.1,\"x\n2,b,192.0.2.2,y,1", &[UNCLOSED, "y"]),
        ("1,a,192.0.2.1,\"x\ny\",1", &["x\ny"]),
        ("1,a,192.0.2.1,\"x\ny\"", &["! cut_at_end", "! cut_at_end"]),
        ("1,a,192.0.2.1,x,1\n2,b", &["x", "! cut_at_end"]),
    ] {
        assert_eq!(notes(&multiline(), input), expected, "{input}");
    }
    let broken = crate::decode::Broken {
        reason: "truncated_gzip",
        detail: "why".to_owned(),
    };
    for (input, rows) in [
        ("1,a,192.0.2.1,x,1\n", 2),
        ("1,a,192.0.2.1,x,1\n2,b", 2),
        ("1,a,192.0.2.1,x,1\n2,b,192.0.2.2,\"y\n", 2),
        ("1,a,192.0.2.1,x,1\n2,b,192.0.2.2,\"y\nz", 3),
    ] {
        let found = multiline().all(input.as_bytes(), &[3], Some(broken.clone()));
        let reason = |row: &serde_json::Map<_, _>| row.get("_reject").cloned();
        let reasons: Vec<_> = found.iter().map(reason).collect();
        assert_eq!(reasons.len(), rows, "{input}");
        assert_eq!(reasons[0], None);
        assert!(
            reasons[1..]
                .iter()
                .all(|reason| *reason == Some(json!("truncated_gzip")))
        );
    }
}

#[test]
fn a_header_names_a_declared_column() {
    let case = logins().option("header", "true");
    let detail = |input: &str| case.rows(input)[0]["_detail"].clone();
    for (input, hint) in [
        ("sep=;\nx\n", "the line says that the delimiter is `;`"),
        ("when;who;ip\n", "with the delimiter `;` it does"),
        (
            "1,a,192.0.2.1,x,1\n",
            "if the file has none, write `header = false`",
        ),
        ("Report of May\n", "it has 1 fields with this delimiter"),
    ] {
        let line = input.lines().next().unwrap();
        let expected = format!("the header `{line}` names no declared column; {hint}");
        assert_eq!(detail(input), expected);
    }
    let input = "sep=;\nwhen;who;ip;note;ms\n1;a;192.0.2.1;x;1\n";
    assert_eq!(
        case.reasons(input.as_bytes()),
        ["header_without_columns"; 3]
    );
    // A title before the header is rejected.
    let input = "Report of May\nwhen,who,ip,note,ms\n1,a,192.0.2.1,x,1\n";
    assert_eq!(notes(&case, input), ["! header_without_columns", "x"]);
}

#[test]
fn headers_of_joined_files_are_no_records() {
    let case = logins().option("header", "true");
    let input = "When,Who,IP,Note,Ms\n1,a,192.0.2.1,x,1\nWhen,Who,IP,Note,Ms\n\
                 2,when,192.0.2.1,y,2\n\u{feff}\"MS\",\"note\",\"when\",\"who\",\"ip\",\"new\"\n\
                 3,z,3,c,192.0.2.3,more\nnewer,ms,note,when,who,ip\nq,4,w,4,d,192.0.2.4\n";
    assert_eq!(notes(&case, input), ["x", "y", "z", "w"]);
    let case = Case::new("csv")
        .column("name", ColumnKind::Text)
        .column("note", ColumnKind::Text)
        .option("header", "true");
    assert_eq!(notes(&case, "name,note\nname,x\nnote,name\n"), ["x"]);
}

#[test]
fn a_name_that_a_header_has_twice_names_its_first_column() {
    let case = case().option("header", "true");
    assert_eq!(
        case.rows("name,n,Name,x,x\na,1,b,c,d\n"),
        [json!({"name": "a", "n": 1, "_extra": r#"{"field_3":"b","x":"c","field_5":"d"}"#})]
    );
}

#[test]
fn comments_and_blank_lines_are_left_out() {
    let case = logins().option("comment", "#");
    let input = "# by hand\n1,a,192.0.2.1,x,1\n   \n\t\n#2,b\n2,b,192.0.2.2,# y,2\n";
    assert_eq!(notes(&case, input), ["x", "# y"]);
    let tabs = Case::new("csv")
        .column("a", ColumnKind::Text)
        .column("note", ColumnKind::Text)
        .option("delimiter", "tab");
    assert_eq!(notes(&tabs, "\t\na\tx\n"), ["NULL", "x"]);
}

#[test]
fn a_line_may_lack_its_last_fields_if_the_source_says_so() {
    let case = logins().option("min_fields", "4");
    assert_eq!(
        notes(&case, "1,a,192.0.2.1,x\n2,b,192.0.2.2\n3,c,192.0.2.3,y,3\n"),
        ["x", "! too_few_fields", "y"]
    );
}

#[test]
fn two_records_in_one_line_are_no_record() {
    let case = logins().option("header", "true");
    let input = "when,who,ip,note,ms\n1,a,192.0.2.1,x,12,b,192.0.2.2,y,2\n\
                 1,a,192.0.2.1,x,1\r2,b,192.0.2.2,y,2\n1,a,192.0.2.1,x,1,new,newer\n";
    assert_eq!(
        notes(&case, input),
        ["! too_many_fields", "! too_many_fields", "x"]
    );
    let detail = case.rows(input)[1]["_detail"].clone();
    assert_eq!(
        detail,
        "9 fields for 5 columns, as if the line were two records; byte 18 is a carriage return"
    );
}

/// Records of all kinds that a writer of CSV makes.
fn good_file(case: Case, has_line_ends: bool) -> GoodFile {
    let record = |number: usize| {
        let mark = mark(number);
        let note = match number % 5 {
            0 => format!("plain {mark}"),
            1 => format!("\"quoted, {mark}\""),
            2 => format!("\"say \"\"{mark}\"\" now\""),
            3 if has_line_ends => {
                format!("\"{mark} one\n{mark} two, three\n\nlast \"\"{mark}\"\"\"")
            }
            3 => format!("3.5\" {mark}"),
            _ => mark.clone(),
        };
        let seconds = 1_700_000_000 + number * 7;
        let (high, low) = (number / 250, number % 250);
        format!("{seconds},user {mark},198.51.{high}.{low},{note},{number}\n").into_bytes()
    };
    GoodFile {
        case,
        head: Vec::new(),
        records: (0..1000).map(record).collect(),
    }
}

#[test]
fn damage_stays_local() {
    check_damage(&good_file(logins(), false), 0..150);
    check_damage(&good_file(multiline(), true), 0..150);
}

#[test]
#[ignore = "takes minutes"]
fn damage_of_lines_stays_local_in_many_ways() {
    check_damage(&good_file(logins(), false), 0..10_000);
}

#[test]
#[ignore = "takes minutes"]
fn damage_of_multiline_records_stays_local_in_many_ways() {
    check_damage(&good_file(multiline(), true), 0..10_000);
}

#[test]
fn shared_cases_are_read() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/cases/17-csv-multiline-stray-quote");
    let case = logins_with_outcome()
        .option("header", "true")
        .option("multiline", "true");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
    let Some(good) = read("good.csv") else {
        return eprintln!("skipped: no cases in {}", folder.display());
    };
    let expected = ["line one\nline two, with comma\n\nlast \"quoted\"", "plain"];
    assert_eq!(notes(&case, &good), expected);
    let stray = ["disk 3.5\" full", "plain", "screen 17\" dead", "plain"];
    for name in ["stray.csv", "stray-last-text.csv"] {
        assert_eq!(notes(&case, &read(name).unwrap()), stray, "{name}");
    }
    for name in ["backslash.csv", "backslash-text.csv"] {
        let expected = ["a \"b\", c", "plain"];
        assert_eq!(notes(&case, &read(name).unwrap()), expected, "{name}");
    }
    let found = notes(&case, &read("open.csv").unwrap());
    assert_eq!(found[0], UNCLOSED);
    assert_eq!(found[1..], vec!["plain"; 50]);
}

fn logins_with_outcome() -> Case {
    let mut case = Case::new("csv")
        .column("when", ColumnKind::Epoch(TimeUnit::Second))
        .column("who", ColumnKind::Text)
        .column("ip", ColumnKind::Ip)
        .column("outcome", ColumnKind::Text)
        .column("note", ColumnKind::Text)
        .column("ms", ColumnKind::Int64);
    case.batch_rows = 100;
    case
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

    #[test]
    fn every_byte_is_in_a_row_of_multiline_files_for_any_block_size(
        input in prop::collection::vec(prop::sample::select(b"ab1,,\"\"\"\n\n\r\\\xff".to_vec()), 0..300),
        sizes in prop::collection::vec(1_usize..20, 1..6),
    ) {
        let case = case().option("multiline", "true");
        let whole = case.all(&input, &[], None);
        let mut at = 0;
        for row in &whole {
            // What is between two rows are line ends.
            let offset = usize::try_from(row["_offset"].as_u64().unwrap()).unwrap();
            prop_assert!(input[at..offset].iter().all(|byte| b"\r\n".contains(byte)));
            at = offset + row["_raw"].as_str().unwrap().len() / 2;
        }
        prop_assert!(input[at..].iter().all(|byte| b"\r\n".contains(byte)));
        prop_assert_eq!(case.all(&input, &sizes, None), whole);
    }
}

#[test]
#[ignore = "prints a speed"]
fn speed_of_decoding() {
    let quoted = "1705312800,alice,198.51.100.24,\"a, \"\"b\"\"\",51842\n";
    let plain = "1705312800,user.name@example.com,198.51.100.24,some text of a message,51842\n";
    for (name, line) in [("plain", plain), ("quoted", quoted)] {
        let block = bytes::Bytes::from(line.repeat((1 << 20) / line.len()));
        for case in [logins(), multiline()] {
            let (start, blocks) = (std::time::Instant::now(), 100);
            let mut decoder = super::decoder(case.request());
            let mut rows = 0;
            for _ in 0..blocks {
                decoder.push(block.clone());
                while let Some(batch) = decoder.next_batch() {
                    rows += batch.num_rows();
                }
            }
            let seconds = start.elapsed().as_secs_f64();
            let speed = (blocks * block.len()) as f64 / 1e6 / seconds;
            println!("csv {name}: {speed:.0} MB/s, {rows} rows");
        }
    }
}
