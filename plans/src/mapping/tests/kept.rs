//! Values that stay in `unmapped`, since no attribute says what they were.

use serde_json::{Value as Json, json};

use super::promises::{Written, application, unmapped};

#[test]
fn texts_with_one_member_stay_since_it_does_not_say_which_it_was() {
    let event = application("message = \"m\"")
        + "\n[map.status_id]\nmatch = \"s\"\n\
           to = { denied = \"Failure\", error = \"Failure\", failure = \"Failure\", ok = \"Success\" }\n";
    let written = Written {
        columns: "m = \"text\"\ns = \"text\"",
        event: &event,
    };
    let lines = r#"{"t":1700000000,"s":"Denied"}
{"t":1700000000,"s":"failure"}
{"t":1700000000,"s":"OK"}
{"t":1700000000,"s":"maybe"}"#;
    let found = written.of(lines);
    let left = |row: usize| unmapped(found[row].as_ref().expect("an event"));
    assert_eq!(left(0), json!({"s": "Denied"}));
    assert_eq!(left(1), Json::Null);
    assert_eq!(left(2), Json::Null);
    assert_eq!(left(3), Json::Null);
}

#[test]
fn a_time_of_another_unit_is_no_time() {
    let event = application("message = \"m\"");
    let written = Written {
        columns: "m = \"text\"",
        event: &event,
    };
    let found = written.of("{\"t\":1700000}\n{\"t\":1700000000}");
    let reason = found[0].as_ref().expect_err("it is of 1970");
    assert!(reason.starts_with("time_implausible: "), "{reason}");
    assert!(reason.contains("1970-01-20"), "{reason}");
    assert!(found[1].is_ok());
}

#[test]
fn a_text_that_is_compared_as_a_number_stays() {
    let event = application("message = \"nullif(a, n)\"\nstatus = \"nullif(b, '-')\"");
    let written = Written {
        columns: "a = \"text\"\nb = \"text\"\nn = \"double\"",
        event: &event,
    };
    let event = written.event_of(r#"{"t":1700000000,"a":"9007199254740993","b":"07"}"#);
    assert_eq!(event["status"], "07");
    assert_eq!(unmapped(&event), json!({"a": "9007199254740993"}));
}

#[test]
fn a_value_that_a_function_makes_null_stays() {
    let event = application(
        "message = \"coalesce(try_ip(a), try_ip(b))\"\nstatus = \"CASE WHEN a IS NULL THEN a ELSE at END\"\n\
         status_code = \"coalesce(CAST(d AS VARCHAR), n)\"",
    )
    .replace("activity_id = 1\n", "")
        + "[map.activity_id]\nmatch = \"CASE WHEN n > 5 THEN c END\"\n";
    let written = Written {
        columns: "a = \"text\"\nb = \"text\"\nat = \"epoch_ms\"\nd = \"double\"\nn = \"int\"\nc = \"text\"",
        event: &event,
    };
    let event = written.event_of(
        r#"{"t":1700000000,"a":"no address","b":"10.0.0.1","d":-1.25,"n":3,"c":"Install","at":1700000000123}"#,
    );
    assert_eq!(event["message"], "10.0.0.1");
    let left = unmapped(&event);
    for (column, value) in [
        ("a", "no address"),
        ("d", "-1.25"),
        ("n", "3"),
        ("c", "Install"),
    ] {
        assert_eq!(left[column], value, "{column}: {event}");
    }
}
