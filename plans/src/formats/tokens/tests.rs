use proptest::prelude::*;
use serde_json::{Value, json};

use crate::decode::damage_tests::{GoodFile, check_damage, mark};
use crate::decode::testing::{Case, print_speed, shared_samples};
use crate::spec::{ColumnKind, TimeUnit};

const ACCESS_TIME: &str = "%d/%b/%Y:%H:%M:%S %z";

/// A web server's log with a column for each kind of field.
fn web() -> Case {
    Case::new("tokens")
        .column("client", ColumnKind::Ip)
        .column("user", ColumnKind::Text)
        .column("at", ColumnKind::Strftime(ACCESS_TIME.to_owned()))
        .column("request", ColumnKind::Text)
        .column("status", ColumnKind::Int32)
        .column("seconds", ColumnKind::Double)
        .column("referrer", ColumnKind::Text)
        .column("agent", ColumnKind::Text)
        .column("cipher", ColumnKind::Text)
}

fn line(request: &str, referrer: &str, agent: &str) -> String {
    format!(
        "192.0.2.7 ann [15/Mar/2024:10:00:00 +0100] \"{request}\" 200 0.25 \"{referrer}\" \"{agent}\" AES128"
    )
}

#[test]
fn marks_hold_fields_together_and_a_dash_is_null() {
    let input = "192.0.2.7 - [15/Mar/2024:10:00:00 +0100] \"GET /a HTTP/1.1\" 200 0.25 \"-\" \"x y\" -\n\
                 -   \"a  b\"  -  \"\"  \"-\"  [-]  \"[c]\"  [\"d\"]  e\n";
    assert_eq!(
        web().rows(input),
        [
            json!({
                "client": "192.0.2.7", "at": "2024-03-15T09:00:00Z", "request": "GET /a HTTP/1.1",
                "status": 200, "seconds": 0.25, "agent": "x y",
            }),
            json!({"user": "a  b", "request": "", "referrer": "[c]", "agent": "\"d\"", "cipher": "e"}),
        ]
    );
}

#[test]
fn an_address_in_brackets_keeps_its_port() {
    let case = Case::new("tokens")
        .column("peer", ColumnKind::Text)
        .column("n", ColumnKind::Int32);
    let rows = case.rows("[2001:db8::1]:443 7\n[2001:db8::1] 8\n");
    assert_eq!(
        rows,
        [
            json!({"peer": "[2001:db8::1]:443", "n": 7}),
            json!({"peer": "2001:db8::1", "n": 8})
        ]
    );
}

#[test]
fn escapes_are_read_in_quotes_alone() {
    let case = Case::new("tokens")
        .column("a", ColumnKind::Text)
        .column("b", ColumnKind::Text)
        .column("n", ColumnKind::Int32)
        .written();
    assert_eq!(
        case.rows("\"say \\\"hi\\\" \\\\\" \\x41 1\n\"\\x22\\xC3\\xA9\\xff\" \"\\x22\\xC3\\xA9\\n\" \"\\x37\"\n"),
        [
            json!({"a": "say \"hi\" \\", "b": "\\x41", "n": 1}),
            json!({"a": "\\x22\\xC3\\xA9\\xff", "b": "\"é\\n", "n": 7, "_written": r#"{"n":"\\x37"}"#}),
        ]
    );
}

#[test]
fn fields_may_be_missing_from_a_declared_number_on() {
    let case = |minimum: Option<&str>| {
        let case = Case::new("tokens")
            .column("a", ColumnKind::Text)
            .column("b", ColumnKind::Int32);
        match minimum {
            Some(minimum) => case.option("min_fields", minimum),
            None => case,
        }
    };
    let input = b"x 1\nx\n \nx 1 \"y z\" -\n";
    let few = "too_few_fields";
    assert_eq!(case(None).reasons(input), ["", few, few, ""]);
    assert_eq!(case(Some("1")).reasons(input), ["", "", few, ""]);
    assert_eq!(case(Some("0")).reasons(input), ["", "", "", ""]);
    let rows = case(Some("1")).rows("x\nx 1 \"y z\" - w\n");
    assert_eq!(
        rows,
        [
            json!({"a": "x"}),
            json!({"a": "x", "b": 1, "_extra": r#"{"field_3":"y z","field_5":"w"}"#})
        ]
    );
}

#[test]
fn each_tab_ends_a_field() {
    let case = web().option("delimiter", "tab");
    let input = "192.0.2.7\t\t[15/Mar/2024:10:00:00 +0100]\tGET /a\t200\t\t\"a\tb\"\t\"-\"\t\n";
    assert_eq!(
        case.rows(input),
        [json!({
            "client": "192.0.2.7", "at": "2024-03-15T09:00:00Z", "request": "GET /a", "status": 200,
            "referrer": "a\tb",
        })]
    );
}

#[test]
fn quotes_that_the_server_did_not_escape_move_no_neighbour() {
    for (request, referrer, agent) in [
        ("GET /a HTTP/1.1", "-", "x \"y\" z"),
        ("GET /a HTTP/1.1", "-", "x\" y"),
        ("GET /a HTTP/1.1", "-", "\"x\" \"y\" z"),
        ("GET /\" b HTTP/1.1", "https://shop.example/", "curl"),
        ("GET /\" 200 HTTP/1.1", "https://shop.example/", "curl"),
        ("GET /\"x\" b HTTP/1.1", "a\"b", "c\"d"),
        ("GET / HTTP/1.1", "-", "\"\" \""),
        ("GET / HTTP/1.1", "https://shop.example/", "\"x\" y\"z"),
    ] {
        let rows = web().rows(&line(request, referrer, agent));
        assert_eq!(rows[0]["request"], request, "{}", rows[0]);
        assert_eq!(rows[0]["agent"], agent, "{}", rows[0]);
        assert_eq!(
            (&rows[0]["status"], &rows[0]["cipher"]),
            (&json!(200), &json!("AES128"))
        );
        assert!(rows[0].get("_extra").is_none(), "{}", rows[0]);
    }
}

#[test]
fn types_decide_where_a_text_ends_that_looks_like_fields() {
    let case = Case::new("tokens")
        .column("agent", ColumnKind::Text)
        .column("status", ColumnKind::Int32)
        .column("peer", ColumnKind::Ip);
    let rows = case.rows("\"a\" \"b\" 200 192.0.2.1\n\"a\" 7 \"b\" 200 192.0.2.1\n");
    assert_eq!(
        rows,
        [
            json!({"agent": "a\" \"b", "status": 200, "peer": "192.0.2.1"}),
            json!({"agent": "a\" 7 \"b", "status": 200, "peer": "192.0.2.1"}),
        ]
    );
    let rows = case.rows("\"a\" x 192.0.2.1\n");
    assert_eq!(rows[0]["_detail"], "column status: `x` is not an integer");
}

#[test]
fn missing_fields_and_stray_quotes_go_together() {
    let case = Case::new("tokens")
        .column("agent", ColumnKind::Text)
        .column("n", ColumnKind::Int32)
        .column("cipher", ColumnKind::Text)
        .column("group", ColumnKind::Text)
        .option("min_fields", "2");
    assert_eq!(
        case.rows("\"x \"y\" z\" 7\n\"x\" y\" 7 \"A\"\n\"x\" y\" 7 A B \"C\"\n"),
        [
            json!({"agent": "x \"y\" z", "n": 7}),
            json!({"agent": "x\" y", "n": 7, "cipher": "A"}),
            json!({"agent": "x\" y", "n": 7, "cipher": "A", "group": "B", "_extra": r#"{"field_5":"C"}"#}),
        ]
    );
}

#[test]
fn with_a_fixed_number_of_fields_no_text_looks_like_fields() {
    let case = Case::new("tokens")
        .column("agent", ColumnKind::Text)
        .column("status", ColumnKind::Int32)
        .column("cipher", ColumnKind::Text);
    let input = "\"a\" 7 \"b\" 200 AES\n";
    let shifted = json!({
        "agent": "a", "status": 7, "cipher": "b", "_extra": r#"{"field_4":"200","field_5":"AES"}"#,
    });
    assert_eq!(case.rows(input), [shifted]);
    let case = case.option("fixed", "true").option("min_fields", "1");
    assert_eq!(
        case.rows(input),
        [json!({"agent": "a\" 7 \"b", "status": 200, "cipher": "AES"})]
    );
    assert_eq!(
        case.reasons(b"\"a\" 7\n\"a\" 7 x\n\"a\" 7 x y\na 7 x y\n"),
        ["too_few_fields", "", "too_many_fields", "too_many_fields"]
    );
}

#[test]
fn a_line_that_can_be_read_in_two_ways_is_rejected() {
    let case = Case::new("tokens")
        .column("referrer", ColumnKind::Text)
        .column("agent", ColumnKind::Text)
        .column("n", ColumnKind::Int32);
    let rows = case.rows("\"a\" \"b\" \"c\"d\" 7\n\"a\" \"b\"d\" 7\n\"a\" b\" c\" d\" 7\n");
    assert_eq!(rows[0]["_reject"], "ambiguous_quotes");
    assert_eq!(rows[1], json!({"referrer": "a", "agent": "b\"d", "n": 7}));
    assert_eq!(rows[2]["_detail"], "column n: `c\"` is not an integer");
}

#[test]
fn quotes_inside_of_bare_fields_are_text() {
    let case = Case::new("tokens")
        .column("url", ColumnKind::Text)
        .column("n", ColumnKind::Int32);
    assert_eq!(
        case.rows("/a\"b 1\n5\" 2\n"),
        [
            json!({"url": "/a\"b", "n": 1}),
            json!({"url": "5\"", "n": 2})
        ]
    );
}

#[test]
fn what_a_broken_line_lacks_is_named() {
    let good = line("GET / HTTP/1.1", "-", "curl");
    let broken = [
        good.replace("+0100]", "+0100"),
        good.replace("curl\"", "curl"),
        good.replace("200", "2oo"),
        good.replace(" AES128", ""),
    ];
    let input = broken.join("\n") + "\n";
    let reasons = [
        "unclosed_quote",
        "unclosed_quote",
        "invalid_value",
        "too_few_fields",
    ];
    assert_eq!(web().reasons(input.as_bytes()), reasons);
    for cut in [
        "192.0.2.7 ann [15/Mar",
        "192.0.2.7 ann [15/Mar/2024:10:00:00 +0100] \"GET",
    ] {
        assert_eq!(web().reasons(cut.as_bytes()), ["cut_at_end"]);
    }
}

#[test]
fn bytes_that_are_not_utf8_are_shown_and_kept() {
    let case = Case::new("tokens")
        .column("a", ColumnKind::Text)
        .column("n", ColumnKind::Int32);
    let rows = case.all(b"\"x \xff\" 1 \xfe\n\"\\x22\xff\" 2\n", &[3], None);
    assert_eq!(rows[0]["a"], "x \u{fffd}");
    assert_eq!(
        rows[0]["_extra"],
        r#"{"a_bytes":"\\xff","field_3":"\ufffd","field_3_bytes":"\\xfe"}"#
            .replace("\\ufffd", "\u{fffd}")
    );
    assert_eq!(rows[1]["a"], "\\x22\u{fffd}");
    assert_eq!(case.reasons(b"\"x\" \xff1\n"), ["invalid_value"]);
}

#[test]
fn long_texts_of_clients_take_linear_time() {
    for part in [
        "\" ",
        "\" \"",
        "\" 7 \"",
        "[ \" ",
        "[ ] ",
        "[",
        "\\\" ",
        "\" \"-\" ",
    ] {
        let text = part.repeat((1 << 18) / part.len());
        for line in [
            line("GET / HTTP/1.1", "-", &text),
            line(&text, "-", "curl"),
            text.clone(),
        ] {
            assert_eq!(web().rows(&line).len(), 1);
        }
    }
}

#[test]
fn every_record_of_the_load_balancers_samples_is_read() {
    let text = |case: Case, names: &str| {
        names
            .split(' ')
            .fold(case, |case, name| case.column(name, ColumnKind::Text))
    };
    let alb = text(Case::new("tokens"), "type time elb client target")
        .column("request_time", ColumnKind::Double)
        .column("target_time", ColumnKind::Double)
        .column("response_time", ColumnKind::Double)
        .column("status", ColumnKind::Int32)
        .column("target_status", ColumnKind::Text)
        .column("received", ColumnKind::Int64)
        .column("sent", ColumnKind::Int64);
    let alb = text(
        alb,
        "request agent cipher tls target_group trace domain certificate",
    )
    .column("priority", ColumnKind::Int32);
    let alb = text(
        alb,
        "created actions redirect error targets target_statuses classification classification_reason connection",
    );
    for (name, input) in shared_samples("alb") {
        let rows = alb
            .clone()
            .option("min_fields", "25")
            .all(&input, &[], None);
        for row in rows {
            assert!(
                row.get("_reject").is_none() && row.get("_extra").is_none(),
                "{name} {row:?}"
            );
            assert!(
                row["trace"]
                    .as_str()
                    .is_some_and(|trace| trace.starts_with("Root=") || trace.contains("XXX")),
                "{row:?}"
            );
        }
    }
    let classic = text(Case::new("tokens"), "time elb client backend")
        .column("request_time", ColumnKind::Double)
        .column("backend_time", ColumnKind::Double)
        .column("response_time", ColumnKind::Double)
        .column("status", ColumnKind::Int32)
        .column("backend_status", ColumnKind::Int32)
        .column("received", ColumnKind::Int64)
        .column("sent", ColumnKind::Int64);
    let classic = text(classic, "request agent cipher tls");
    let network = text(
        Case::new("tokens"),
        "type version time elb listener client target",
    )
    .column("connection_time", ColumnKind::Int64)
    .column("handshake_time", ColumnKind::Int64);
    let network = text(
        network,
        "received sent alert certificate serial cipher tls group domain frontend backend alpn created",
    );
    for (name, input) in shared_samples("elb_classic") {
        let case = match name.starts_with("nlb") {
            true => network.clone().option("min_fields", "21"),
            false => classic.clone(),
        };
        for row in case.all(&input, &[], None) {
            assert!(
                row.get("_reject").is_none() && row.get("_extra").is_none(),
                "{name} {row:?}"
            );
        }
    }
}

proptest! {
    #[test]
    fn every_line_is_a_row_for_any_block_size(
        texts in prop::collection::vec(r#"[a1 "\\\[\]é-]{0,40}"#, 0..10),
        noise in prop::collection::vec(any::<u8>(), 0..60),
        sizes in prop::collection::vec(1_usize..90, 1..6),
        is_tab in any::<bool>(),
    ) {
        let mut input = noise;
        for text in texts {
            input.extend_from_slice(b"\n");
            input.extend_from_slice(text.as_bytes());
            input.extend_from_slice(b"\n");
            input.extend_from_slice(line("GET /", "-", &text).as_bytes());
        }
        let case = web().option("delimiter", if is_tab { "tab" } else { "space" }).option("min_fields", "2");
        let whole = case.all(&input, &[], None);
        let is_row = |line: &&[u8]| !line.is_empty() && *line != b"\r";
        prop_assert_eq!(whole.len(), input.split(|byte| *byte == b'\n').filter(is_row).count());
        prop_assert_eq!(case.all(&input, &sizes, None), whole);
    }

    /// Whatever the client sends: the fields of others have their values, or the row is rejected.
    #[test]
    fn texts_of_clients_change_no_other_field(
        request in r#"([a7"-]|" |" -|" "|" 7){0,8}"#,
        agent in r#"([a7"-]|" |" -|" "|" 7){0,8}"#,
    ) {
        let case = Case::new("tokens")
            .option("fixed", "true")
            .column("n", ColumnKind::Int32)
            .column("request", ColumnKind::Text)
            .column("m", ColumnKind::Epoch(TimeUnit::Second))
            .column("ip", ColumnKind::Ip)
            .column("agent", ColumnKind::Text)
            .column("end", ColumnKind::Double);
        let line = format!("1 \"{request}\" 1700000000 192.0.2.1 \"{agent}\" 0.5");
        let row = &case.rows(&line)[0];
        if row.get("_reject").is_none() {
            let fields = ["n", "m", "ip", "end"].map(|name| row[name].clone());
            let expected: [Value; 4] = [json!(1), json!("2023-11-14T22:13:20Z"), json!("192.0.2.1"), json!(0.5)];
            prop_assert_eq!(&fields, &expected);
        }
    }
}

#[test]
#[ignore = "prints a speed"]
fn speed_of_decoding() {
    print_speed(
        &web(),
        &line(
            "GET /img/logo.png?x=1 HTTP/1.1",
            "https://shop.example/",
            "Mozilla/5.0 (X11; Linux x86_64)",
        ),
    );
}

fn good_file() -> GoodFile {
    let line = |record: usize| {
        let mark = mark(record);
        line(
            &format!("GET /{mark} HTTP/1.1"),
            "-",
            &format!("agent {mark}"),
        ) + "\n"
    };
    GoodFile {
        // Without it a line end that is lost makes surplus fields of the next line.
        case: web().option("fixed", "true"),
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
