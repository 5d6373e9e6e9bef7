//! Shipped sources, as far as their rules need no golden files.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::*;
use crate::inspect::golden;
use crate::{mapping, ocsf, sources};

/// The events of an object of a shipped source, and the reasons and details of its other rows.
fn map(name: &str, path: &Path) -> Vec<std::result::Result<Value, String>> {
    let shipped = sources::list().iter().find(|shipped| shipped.name == name);
    let loaded = shipped.expect("a shipped source").load("1.1.0");
    let source = loaded.unwrap_or_else(|errors| panic!("{errors}")).source;
    let schema = ocsf::schema("1.1.0").expect("a pinned version");
    let program = mapping::compile(&source, schema, false).program;
    let program = program.unwrap_or_else(|errors| panic!("{errors}"));
    let mut fates = Vec::new();
    let each = |fate| {
        fates.push(match fate {
            Fate::Event { json, .. } => Ok(serde_json::from_str(&json).expect("JSON")),
            Fate::Rejected { reason, detail, .. } => Err(format!("{reason}: {detail}")),
        });
        true
    };
    let object = golden::object(path).expect("an object");
    let account = Some("111122223333".to_owned());
    let read = preview(&program, &source.format, vec![object], account, each);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(read).expect("reads");
    fates
}

/// The events of S3 access logs.
fn requests(input: &[u8]) -> Vec<Value> {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(input).expect("writes");
    let fates = map("s3_access", file.path()).into_iter();
    fates.map(|fate| fate.expect("is an event")).collect()
}

fn request(requester: &str, operation: &str, key: &str, agent: &str) -> String {
    format!(
        "0123abcd shop [15/Mar/2024:10:00:00 +0000] 192.0.2.7 {requester} 7F {operation} {key} \
         \"GET /a HTTP/1.1\" 200 - 1 1 1 1 \"-\" \"{agent}\" -\n"
    )
}

/// The name of the object of a request.
fn object_name(event: &Value) -> &Value {
    &event["resources"][1]["name"]
}

#[test]
fn keys_are_decoded_as_their_operation_encodes_them() {
    for (operation, key, name) in [
        ("REST.GET.OBJECT", "a%2520b", "a b"),
        ("WEBSITE.GET.OBJECT", "a%252Bb", "a+b"),
        ("REST.PUT.OBJECT", "5%25", "5%"),
        ("REST.GET.OBJECT", "x%252541", "x%41"),
        ("BATCH.DELETE.OBJECT", "x%2541", "x%41"),
        ("BATCH.DELETE.OBJECT", "a+b%2Bc", "a b+c"),
        ("S3.EXPIRE.OBJECT", "gr%C3%BCn+7%25", "grün 7%"),
        ("S3.CREATE.DELETEMARKER", "x%2541", "x%41"),
    ] {
        let events = requests(request("-", operation, key, "curl").as_bytes());
        assert_eq!(object_name(&events[0]), name, "{operation} {key}");
    }
}

#[test]
fn bytes_of_clients_that_are_not_utf8_keep_no_request_out() {
    let line = request("-", "REST.GET.OBJECT", "a", "x ~ y");
    let bytes: Vec<u8> = line
        .bytes()
        .map(|byte| if byte == b'~' { 0xfe } else { byte })
        .collect();
    let events = requests(&bytes);
    assert_eq!(events[0]["http_request"]["user_agent"], "x \u{fffd} y");
    assert_eq!(events[0]["unmapped"]["user_agent_bytes"], r"\xfe");
}

/// The log of a shared case, or `None` with a message.
fn shared_case(name: &str) -> Option<PathBuf> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/cases");
    let path = cases.join(name).join("access.log");
    if path.exists() {
        return Some(path);
    }
    eprintln!("SKIPPED: there is no {}", path.display());
    None
}

/// The events of a shared case by their request ids. No row may be rejected.
fn shared_requests(name: &str) -> Option<BTreeMap<String, Value>> {
    let fates = map("s3_access", &shared_case(name)?).into_iter();
    let by_id = |event: Value| {
        let id = event["api"]["request"]["uid"].as_str().expect("an id");
        (id.to_owned(), event)
    };
    Some(
        fates
            .map(|fate| by_id(fate.expect("is an event")))
            .collect(),
    )
}

#[test]
fn shared_requesters_with_spaces() {
    let Some(events) = shared_requests("11-s3-oai-requester") else {
        return;
    };
    assert_eq!(events.len(), 3);
    for event in events.values() {
        assert_eq!(event["api"]["operation"], "REST.GET.OBJECT");
        assert_eq!(event["api"]["response"]["code"], 200);
        assert_eq!(object_name(event), "a.txt");
    }
    let uid = |id: &str| {
        events[id]["actor"]["user"]["uid"]
            .as_str()
            .expect("a requester")
    };
    assert!(
        uid("O1").starts_with("arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E2")
    );
    assert!(uid("O2").ends_with("/jane doe@example.com"));
    assert_eq!(
        events["O3"]["actor"]["invoked_by"],
        "svc:logging.s3.amazonaws.com"
    );
}

#[test]
fn shared_keys() {
    let Some(events) = shared_requests("12-s3-key-encoding") else {
        return;
    };
    let names: Vec<_> = events.values().map(object_name).collect();
    let expected = json!([
        "foo-%25Y",
        "foo-%25Y",
        "foo-%25Y",
        "Screen Shot 2024-03-15 at 9.00.png",
        "café/a+b.txt",
        "100%"
    ]);
    assert_eq!(json!(names), expected);
}

#[test]
fn shared_bytes_that_are_not_utf8() {
    let Some(events) = shared_requests("13-s3-not-utf8") else {
        return;
    };
    assert_eq!(events.len(), 4);
    let second = &events["U2"];
    assert_eq!(second["api"]["response"]["code"], 403);
    assert_eq!(second["api"]["response"]["error"], "SignatureDoesNotMatch");
    assert_eq!(second["src_endpoint"]["ip"], "192.0.2.77");
    assert_eq!(second["http_request"]["http_method"], "HEAD");
    let path = second["http_request"]["url"]["path"]
        .as_str()
        .expect("a path");
    assert!(
        path.contains('\u{fffd}') && path.ends_with(".rar"),
        "{path}"
    );
    assert!(
        second["unmapped"]["request_uri_bytes"]
            .as_str()
            .is_some_and(|bytes| bytes.starts_with("\\x"))
    );
    assert_eq!(events["U3"]["api"]["response"]["code"], 200);
}

#[test]
fn shared_lines_of_every_length() {
    let Some(events) = shared_requests("14-s3-bare-dash-new-fields") else {
        return;
    };
    assert_eq!(events.len(), 7);
    for id in ["N1", "N2"] {
        assert_eq!(events[id]["activity_name"], "Read");
    }
    assert!(
        events["N3"]["api"]["response"].get("code").is_none(),
        "{}",
        events["N3"]
    );
    assert_eq!(
        events["N3"]["actor"]["invoked_by"],
        "svc:delivery.logs.amazonaws.com"
    );
    for id in ["N4", "N5"] {
        assert_eq!(events[id]["unmapped"]["source_region"], "us-east-1");
    }
    let texts = events["N5"]["unmapped"].to_string();
    assert!(
        texts.contains("\"new1\"") && texts.contains("\"new two\""),
        "{texts}"
    );
    assert_eq!(events["N7"]["activity_id"], 99);
}
