use proptest::prelude::*;
use serde_json::json;

use crate::decode::damage_tests::{GoodFile, check_damage, mark};
use crate::decode::testing::{Case, own_samples, shared_samples};

const HEAD: &str =
    "owner bucket [06/Feb/2019:01:00:38 +0100] 192.0.2.3 user id REST.GET.OBJECT a%2520b";

fn line(request: &str, referrer: &str, agent: &str, tail: &str) -> String {
    format!("{HEAD} {request} 200 - 113 - 7 - {referrer} {agent} {tail}")
}

fn quoted_fields(request: &str, referrer: &str, agent: &str) -> [Option<String>; 3] {
    let rows = Case::new("s3_access").rows(&line(request, referrer, agent, "- host SigV4"));
    assert!(rows[0].get("_reject").is_none(), "{}", rows[0]);
    assert_eq!(rows[0]["signature_version"], "SigV4");
    let text = |name: &str| {
        rows[0]
            .get(name)
            .and_then(|value| value.as_str())
            .map(str::to_owned)
    };
    ["request_uri", "referrer", "user_agent"].map(text)
}

#[test]
fn a_line_of_eighteen_fields_is_complete() {
    assert_eq!(
        Case::new("s3_access").rows(&line("\"GET /a HTTP/1.1\"", "\"-\"", "\"curl\"", "-")),
        [json!({
            "bucket_owner": "owner", "bucket": "bucket", "time": "2019-02-06T00:00:38Z",
            "remote_ip": "192.0.2.3", "requester": "user", "request_id": "id",
            "operation": "REST.GET.OBJECT", "key": "a%2520b", "request_uri": "GET /a HTTP/1.1",
            "http_status": 200, "bytes_sent": 113, "total_time": 7, "user_agent": "curl",
        })]
    );
}

#[test]
fn surplus_fields_are_kept() {
    let tail = "v h s c a hh tls arn Yes eu-west-1 new \"two words\"";
    let rows = Case::new("s3_access").rows(&line("-", "-", "-", tail));
    assert_eq!(rows[0]["source_region"], "eu-west-1");
    assert_eq!(
        rows[0]["_extra"],
        r#"{"field_28":"new","field_29":"two words"}"#
    );
}

#[test]
fn stray_quotes_stay_inside_their_field() {
    let check = |request: &str, referrer: &str, agent: &str| {
        let quoted = [request, referrer, agent].map(|text| format!("\"{text}\""));
        let expected = [request, referrer, agent].map(|text| Some(text.to_owned()));
        assert_eq!(quoted_fields(&quoted[0], &quoted[1], &quoted[2]), expected);
    };
    check("GET / HTTP/1.1", "x", "a \"b\" c");
    check("GET /?q=\"a\" b HTTP/1.1", "x", "y");
    check(
        "GET / HTTP/1.1",
        "https://x/\"say \"hi\"",
        "many \"quotes\" and \"\" pairs",
    );
    check("GET / HTTP/1.1", "", "");
    check("GET / HTTP/1.1", "x", "ends with \"\"");
}

#[test]
fn bare_dashes_are_null() {
    assert_eq!(quoted_fields("-", "-", "-"), [None, None, None]);
    assert_eq!(
        quoted_fields("\"-\"", "-", "\"x\""),
        [None, None, Some("x".to_owned())]
    );
}

#[test]
fn own_samples_are_read_and_bad_lines_rejected() {
    for (name, input) in own_samples("s3_access") {
        let reasons = Case::new("s3_access").reasons(&input);
        if name == "bad-lines.log" {
            let bad = "invalid_value";
            assert_eq!(
                reasons,
                [
                    "too_few_fields",
                    bad,
                    bad,
                    "unclosed_quote",
                    "unclosed_quote",
                    ""
                ]
            );
        } else {
            assert!(reasons.iter().all(String::is_empty), "{name} {reasons:?}");
        }
    }
}

#[test]
fn shared_samples_have_no_rejected_row() {
    for (name, input) in shared_samples("s3_access") {
        let rows = Case::new("s3_access").all(&input, &[], None);
        for row in &rows {
            assert!(
                row.get("_reject").is_none() && row.get("_extra").is_none(),
                "{name} {row:?}"
            );
            assert!(
                row.contains_key("host_id") && row.contains_key("http_status"),
                "{name}"
            );
        }
    }
}

proptest! {
    #[test]
    fn every_line_is_a_row_for_any_block_size(
        texts in prop::collection::vec(r#"[a "\[\]é-]{0,30}"#, 0..10),
        noise in prop::collection::vec(any::<u8>(), 0..60),
        sizes in prop::collection::vec(1_usize..90, 1..6),
    ) {
        let mut input = noise;
        for text in texts {
            input.extend_from_slice(b"\n");
            input.extend_from_slice(line("\"GET /\"", "-", &format!("\"{text}\""), "- -").as_bytes());
        }
        let case = Case::new("s3_access");
        let whole = case.all(&input, &[], None);
        let is_row = |line: &&[u8]| !line.is_empty() && *line != b"\r";
        prop_assert_eq!(whole.len(), input.split(|byte| *byte == b'\n').filter(is_row).count());
        prop_assert_eq!(case.all(&input, &sizes, None), whole);
    }
}

const HOST_ID: &str = "Zm9yIHRlc3RzIG9ubHkgbm90IGEgcmVhbCBob3N0IGlk";

/// A line of today with the given texts of the client.
fn modern(request: &str, referrer: &str, agent: &str) -> String {
    format!(
        "{HEAD} \"{request}\" 403 AccessDenied 243 - 12 - \"{referrer}\" \"{agent}\" - {HOST_ID} \
         SigV4 TLS_AES_128_GCM_SHA256 AuthHeader shop.s3.eu-central-1.amazonaws.com TLSv1.3 - -"
    )
}

/// The row of a line, and that nothing moved in it.
fn read(line: &str) -> serde_json::Value {
    let row = Case::new("s3_access").rows(line).remove(0);
    assert_eq!(row["operation"], "REST.GET.OBJECT", "{row}");
    assert_eq!(row["http_status"], 403, "{row}");
    assert_eq!(row["host_id"], HOST_ID, "{row}");
    assert_eq!(row["tls_version"], "TLSv1.3", "{row}");
    assert!(row.get("_extra").is_none(), "{row}");
    row
}

#[test]
fn quotes_of_clients_move_no_neighbour() {
    let usual = "GET /a HTTP/1.1";
    let page = "https://shop.example/";
    for (request, referrer, agent) in [
        (usual, "-", "a \"b\" \"c\" d"),
        (usual, page, "a \"b\" \"c\" d"),
        (usual, "x \"y\"z", "curl"),
        (usual, page, "\" \" \""),
        (usual, "-", "\""),
        (usual, "-", "\"\""),
        (usual, page, "ends in a space and a quote \" "),
        ("GET /\" 200 - 1 HTTP/1.1", page, "curl"),
        ("GET /\" 200 - 1 1 1 1 \"-\" \"x\" - HTTP/1.1", page, "curl"),
        ("GET /x\" 200 - 1 1 1 1 \"r\" \"u HTTP/1.1", page, "curl"),
        ("GET /\" \"b\" HTTP/1.0", "-", "-"),
        ("GET /\"\" HTTP/2", page, "\"a\" - - - - \"b\""),
        (usual, page, "x\" 200 - 1 1 1 1 \"-\" \"y"),
        (usual, page, "x HTTP/1.1\" 200 - 1 1 1 1 - \"y"),
        (usual, page, "x\" - - - - - - - - - - \"y"),
        (
            usual,
            page,
            "x\" - QUJDREVGR0hJSktMTU5PUA== SigV4 A AuthHeader h TLSv1.2 - - eu-west-1 \"y",
        ),
        ("GET /\t[a] ]\" b HTTP/1.1", page, "[ \" ] ["),
    ] {
        let row = read(&modern(request, referrer, agent));
        assert_eq!(row["request_uri"], request);
        assert_eq!(row["user_agent"].as_str().unwrap_or("-"), agent);
        assert_eq!(row["referrer"].as_str().unwrap_or("-"), referrer);
    }
}

/// The same bytes are a record with a long request URI and one with a long user agent.
#[test]
fn a_line_of_two_readings_is_rejected() {
    let forged = "GET /a HTTP/1.1\" 200 - 1 1 1 1 \"-\" \"x HTTP/1.1";
    let rows = Case::new("s3_access").rows(&modern(forged, "-", "curl"));
    assert_eq!(rows[0]["_reject"], "ambiguous_quotes");
    let agent = "x HTTP/1.1\" 200 - 1 1 1 1 \"-\" \"y";
    let rows = Case::new("s3_access").rows(&modern("GET /a HTTP/1.1", "-", agent));
    assert_eq!(rows[0]["_reject"], "ambiguous_quotes");
}

#[test]
fn a_requester_may_have_spaces() {
    let request = |requester: &str| {
        let head = HEAD.replace(" user ", &format!(" {requester} "));
        modern("GET /a HTTP/1.1", "-", "curl").replace(HEAD, &head)
    };
    for requester in [
        "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E2EXAMPLE",
        "arn:aws:sts::111122223333:assumed-role/ops/ann lee@example.com",
        "a  b",
        "x REST.GET.OBJECT y",
    ] {
        let row = read(&request(requester));
        assert_eq!(row["requester"], requester);
        assert_eq!(row["request_id"], "id");
        assert_eq!(row["key"], "a%2520b");
    }
    let forged = "x F1 REST.PUT.OBJECT k - 200 - - 1 - - - - -";
    let reasons = Case::new("s3_access").reasons(request(forged).as_bytes());
    assert_eq!(reasons, ["ambiguous_quotes"]);
}

#[test]
fn an_operation_of_another_form_is_read() {
    let line = modern("GET /a HTTP/1.1", "-", "curl").replace("REST.GET.OBJECT", "NewOperation");
    let rows = Case::new("s3_access").rows(&line);
    assert_eq!(rows[0]["operation"], "NewOperation");
    assert_eq!(rows[0]["http_status"], 403);
}

#[test]
fn fields_of_other_forms_are_taken_where_the_quotes_leave_no_doubt() {
    let line = modern("GET /a HTTP/1.1", "-", "a \"b\" c").replace("SigV4", "SigV9+x");
    let row = &Case::new("s3_access").rows(&line)[0];
    assert_eq!(
        (&row["signature_version"], &row["user_agent"]),
        (&json!("SigV9+x"), &json!("a \"b\" c"))
    );
    let line = modern("GET /a HTTP/1.1", "-", "curl").replace("12 -", "\"12\" \"-\"");
    let row = &Case::new("s3_access").rows(&line)[0];
    assert_eq!(
        (&row["total_time"], &row["host_id"]),
        (&json!(12), &json!(HOST_ID))
    );
}

#[test]
fn bytes_that_are_not_utf8_are_shown_and_kept() {
    let line = modern("GET /~ HTTP/1.1", "-", "a ~~ b");
    let bytes: Vec<u8> = line
        .bytes()
        .map(|byte| if byte == b'~' { 0xfe } else { byte })
        .collect();
    let rows = Case::new("s3_access").all(&bytes, &[7], None);
    assert_eq!(rows[0]["request_uri"], "GET /\u{fffd} HTTP/1.1");
    assert_eq!(rows[0]["user_agent"], "a \u{fffd}\u{fffd} b");
    assert_eq!(
        rows[0]["_extra"],
        r#"{"request_uri_bytes":"\\xfe","user_agent_bytes":"\\xfe \\xfe"}"#
    );
    assert_eq!(rows[0]["http_status"], 403);
}

#[test]
fn what_a_broken_line_lacks_is_named() {
    let line = modern("GET /a HTTP/1.1", "-", "a \"b\" c");
    for (broken, reason) in [
        (line.replace(" 403 ", " 4o3 "), "invalid_value"),
        (line.replace("[06", "06"), "invalid_value"),
        (line.replace("+0100]", "+0100"), "unclosed_quote"),
        (line.replace(" 243", "\n243"), "too_few_fields"),
        ("a b".to_owned(), "too_few_fields"),
        (" ".to_owned(), "too_few_fields"),
    ] {
        let rows = Case::new("s3_access").rows(&format!("{broken}\n"));
        assert_eq!(rows[0]["_reject"], reason, "{broken}");
    }
}

/// These take very long where the rest of the line is read again for each quote.
#[test]
fn long_texts_of_clients_take_linear_time() {
    let usual = "GET /a HTTP/1.1";
    let repeated = |text: &str| text.repeat((1 << 19) / text.len());
    for part in [
        "\" ",
        "\" \"",
        "\" - - - - - - - - - - ",
        " HTTP/1.1\" 200 - 1 1 1 1 \"-\" \"",
        "\" 200 - 1 1 1 1 - - - ",
        "[ \" ",
        "] [",
    ] {
        let text = repeated(part);
        for (request, agent) in [(usual, text.as_str()), (&text, "curl")] {
            let rows = Case::new("s3_access").rows(&modern(request, "-", agent));
            assert_eq!(rows.len(), 1);
            let is_forged = rows[0]
                .get("http_status")
                .is_some_and(|status| *status != 403);
            assert!(!is_forged, "{part}");
        }
    }
    let long = repeated("a - ");
    let line = modern(usual, "-", "curl").replace(" user ", &format!(" {long} "));
    assert_eq!(
        read(&line)["requester"].as_str().map(str::len),
        Some(long.trim_end().len())
    );
}

#[test]
#[ignore = "prints a speed"]
fn speed_of_decoding() {
    let line = modern(
        "GET /img/logo.png?x=1 HTTP/1.1",
        "https://shop.example/",
        "Mozilla/5.0 (X11; Linux x86_64)",
    );
    crate::decode::testing::print_speed(&Case::new("s3_access"), &line);
}

/// Texts of clients, made of what could be taken for the fields of others.
fn client_text() -> impl Strategy<Value = String> {
    let parts = [
        "a",
        " ",
        "\"",
        "\" \"",
        "-",
        " - ",
        " HTTP/1.1",
        "\" 200 - 1 1 1 1 \"",
        "\" 200 - 1 1 1 1 - \"",
        "\" - - \"",
        "\" - QUJDREVGR0hJSktMTU5PUA== SigV4 A AuthHeader h TLSv1.2 - - eu-west-1 \"",
        "r\" - - QUJDREVGR0hJSktMTU5PUA== SigV4 A AuthHeader h TLSv1.2 - - \"",
    ];
    prop::collection::vec(prop::sample::select(parts.to_vec()), 0..6)
        .prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever clients send: what S3 writes keeps its place, or the row is rejected.
    #[test]
    fn texts_of_clients_change_no_field_of_s3(
        target in client_text(),
        referrer in client_text(),
        agent in client_text(),
    ) {
        let line = modern(&format!("GET /{target} HTTP/1.1"), &referrer, &agent);
        let row = &Case::new("s3_access").rows(&line)[0];
        if row.get("_reject").is_none() {
            prop_assert_eq!(&row["http_status"], 403);
            prop_assert_eq!(&row["error_code"], "AccessDenied");
            prop_assert_eq!(&row["host_id"], HOST_ID);
            prop_assert_eq!(&row["host_header"], "shop.s3.eu-central-1.amazonaws.com");
            prop_assert_eq!(row.get("_extra"), None);
            prop_assert_eq!(&row["request_uri"], &format!("GET /{target} HTTP/1.1"));
        }
    }
}

fn good_file() -> GoodFile {
    let line = |record: usize| {
        let mark = mark(record);
        let request = format!("\"GET /{mark} HTTP/1.1\"");
        let tail =
            "- aGVsbG9oZWxsb2hlbGxvaGVsbG8= SigV4 - AuthHeader b.s3.amazonaws.com TLSv1.2 - -";
        line(&request, "\"-\"", &format!("\"agent {mark}\""), tail) + "\n"
    };
    GoodFile {
        case: Case::new("s3_access"),
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
