//! What the dialect promises: no row stops a load, no value disappears, and nothing is
//! written that OCSF would refuse.

use std::io::Write;

use serde_json::{Value as Json, json};

use crate::compiled::{CompileError, compile};
use crate::dialects;
use crate::inspect::preview::{Fate, preview};
use crate::scan::split::InputObject;

/// An event of a source of JSON lines, as a user writes it.
pub(super) struct Written<'a> {
    pub(super) columns: &'a str,
    pub(super) event: &'a str,
}

impl Written<'_> {
    /// What the lines become: events, or the reasons and details of their rejection.
    pub(super) fn of(&self, lines: &str) -> Vec<Result<Json, String>> {
        let root = format!(
            "format = \"json_lines\"\nevents = [\"e\"]\n[columns]\nt = \"epoch_s\"\n{}\n\
             [base.set]\nseverity_id = 1\nmetadata.product.vendor_name = \"V\"\n\
             metadata.product.name = \"P\"\n[base.map]\ntime = \"t\"\n",
            self.columns
        );
        let files = [
            ("demo/source.toml", root.as_str()),
            ("demo/e.toml", self.event),
        ];
        let loaded = dialects::load_embedded(&files, "1.1.0");
        let loaded = loaded.unwrap_or_else(|wrong| panic!("{wrong}"));
        let compiled = match compile(loaded, "1.1.0", false) {
            Ok(compiled) => compiled,
            Err(CompileError::Wrong { errors, .. }) => panic!("{errors}"),
            Err(other) => panic!("{other}"),
        };
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(lines.as_bytes()).expect("writes");
        let path = file.path().to_string_lossy();
        let object = InputObject {
            store: "file:///".to_owned(),
            path: path.trim_start_matches('/').to_owned(),
            size: lines.len() as u64,
            ..InputObject::default()
        };
        let mut fates = Vec::new();
        let each = |fate| {
            fates.push(match fate {
                Fate::Event { json, .. } => Ok(serde_json::from_str(&json).expect("JSON")),
                Fate::Rejected { reason, detail, .. } => Err(format!("{reason}: {detail}")),
            });
            true
        };
        let format = &compiled.source.format;
        let read = preview(&compiled.program, format, vec![object], None, each);
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.expect("a runtime").block_on(read).expect("reads");
        fates
    }

    /// The event of one line.
    pub(super) fn event_of(&self, line: &str) -> Json {
        let fate = self.of(line).remove(0);
        fate.unwrap_or_else(|rejected| panic!("{rejected}"))
    }
}

/// An application's error with attributes.
pub(super) fn application(map: &str) -> String {
    format!(
        "class = \"application_lifecycle\"\nprofiles = [\"host\"]\n[set]\nactivity_id = 1\napp.vendor_name = \"V\"\n\
         app.name = \"A\"\n[map]\n{map}\n"
    )
}

/// The attribute `unmapped` of the event.
pub(super) fn unmapped(event: &Json) -> Json {
    event.get("unmapped").cloned().unwrap_or(Json::Null)
}

#[test]
fn a_value_that_is_no_number_stops_no_row() {
    let event = application(
        "count = \"r\"\nstatus_detail = \"CASE WHEN r >= 400 THEN 'bad' ELSE 'good' END\"\n\
         message = \"CASE WHEN j.n > 5 THEN 'many' END\"\nstatus_code = \"coalesce(n, r)\"",
    );
    let written = Written {
        columns: "r = \"text\"\nn = \"int\"\nj = \"json\"",
        event: &event,
    };
    let lines = r#"{"t":1700000000,"r":"404","j":{"n":7}}
{"t":1700000000,"r":"abc","n":3,"j":{"n":"x"}}"#;
    let found = written.of(lines);
    let (first, second) = (found[0].as_ref().expect("is an event"), found[1].as_ref());
    let second = second.expect("is an event");
    assert_eq!(first["count"], 404);
    assert_eq!(first["status_detail"], "bad");
    assert_eq!(first["message"], "many");
    assert_eq!(second["status_detail"], "good");
    assert!(second.get("count").is_none(), "{second}");
    assert_eq!(unmapped(second), json!({"r": "abc", "j.n": "x"}));
}

#[test]
fn an_expression_that_fails_for_a_row_rejects_that_row_alone() {
    let event = application("count = \"10 / n\"\nmessage = \"m\"");
    let written = Written {
        columns: "n = \"int\"\nm = \"text\"",
        event: &event,
    };
    let mut lines = String::new();
    for n in 0..100 {
        let n = if n == 61 || n == 3 { 0 } else { 5 };
        lines += &format!("{{\"t\":1700000000,\"n\":{n},\"m\":\"m\"}}\n");
    }
    let found = written.of(&lines);
    let failed: Vec<(usize, &String)> = found
        .iter()
        .enumerate()
        .filter_map(|(row, fate)| Some((row, fate.as_ref().err()?)))
        .collect();
    assert_eq!(
        failed.iter().map(|(row, _)| *row).collect::<Vec<_>>(),
        [3, 61]
    );
    let detail = failed[0].1;
    assert!(
        detail.starts_with("expression_failed: e.toml:8:10 map.count: "),
        "{detail}"
    );
    assert_eq!(found[4].as_ref().expect("an event")["count"], 2);
}

#[test]
fn a_condition_that_fails_rejects_that_row_alone() {
    let event = format!("when = \"10 / n > 1\"\n{}", application("message = \"m\""));
    let written = Written {
        columns: "n = \"int\"\nm = \"text\"",
        event: &event,
    };
    let found = written.of("{\"t\":1700000000,\"n\":0}\n{\"t\":1700000000,\"n\":1}\n");
    let detail = found[0].as_ref().expect_err("fails");
    assert!(
        detail.starts_with("expression_failed: e.toml:1:9 when: "),
        "{detail}"
    );
    assert!(found[1].is_ok(), "{found:?}");
}

#[test]
fn a_value_leaves_unmapped_only_in_the_rows_where_it_arrived() {
    let event = application(
        "device.ip = \"a\"\ndevice.hostname = \"h\"\ncount = \"n\"\n\
         message = \"coalesce(x, y)\"\nstatus_detail = \"CASE WHEN k = 1 THEN p ELSE q END\"",
    );
    let event = event.replace("[map]", "device.type_id = 1\n[map]");
    let written = Written {
        columns: "a = \"text\"\nh = \"text\"\nn = \"text\"\nx = \"text\"\ny = \"text\"\n\
                  k = \"int\"\np = \"text\"\nq = \"text\"",
        event: &event,
    };
    let lines = r#"{"t":1700000000,"a":"203.0.113.10:443","h":"h.example","n":"https","x":"1","y":"2","k":1,"p":"p","q":"q"}
{"t":1700000000,"a":"203.0.113.10","h":"h.example","n":"7","x":"1","y":"1","k":2,"p":"p","q":"q"}
{"t":1700000000,"y":"2"}"#;
    let found = written.of(lines);
    let event = |row: usize| found[row].as_ref().expect("an event");
    assert_eq!(
        unmapped(event(0)),
        json!({"a": "203.0.113.10:443", "n": "https", "y": "2", "k": "1", "q": "q"})
    );
    assert_eq!(unmapped(event(1)), json!({"k": "2", "p": "p"}));
    assert_eq!(unmapped(event(2)), Json::Null);
    assert_eq!(event(2)["message"], "2");
}

#[test]
fn an_enum_keeps_a_text_that_neither_member_nor_caption_has() {
    let event = application("message = \"m\"")
        .replace("activity_id = 1\n", "")
        .replace("[map]", "[map]\nactivity_id = \"id\"\nseverity = \"own\"")
        + "\n[map.status_id]\nmatch = \"s\"\nto = { ok = \"Success\", \"fail*\" = \"Failure\" }\n\
           [map.severity_id]\nmatch = \"v\"\nto = { hot = \"High\" }\n";
    let written = Written {
        columns: "m = \"text\"\ns = \"text\"\nid = \"int\"\nv = \"text\"\nown = \"text\"",
        event: &event,
    };
    let lines = r#"{"t":1700000000,"s":"OK","id":3,"v":"hot","own":"o"}
{"t":1700000000,"s":"fail by hand","id":77,"v":"cold","own":"o"}
{"t":1700000000,"s":"maybe","id":3}"#;
    let found = written.of(lines);
    let event = |row: usize| found[row].as_ref().expect("an event");
    assert_eq!(event(0)["status_id"], 1);
    assert_eq!(unmapped(event(0)), Json::Null);
    assert_eq!(event(1)["status_id"], 2);
    assert_eq!(event(1)["activity_id"], 99);
    assert_eq!(
        unmapped(event(1)),
        json!({"s": "fail by hand", "id": "77", "v": "cold"})
    );
    assert_eq!(
        (&event(2)["status_id"], &event(2)["status"]),
        (&json!(99), &json!("maybe"))
    );
    assert_eq!(unmapped(event(2)), Json::Null);
}

#[test]
fn enums_behave_alike_in_set_map_and_match() {
    let event = "class = \"http_activity\"\n[set]\nactivity_id = \"get\"\n\
                 dst_endpoint.ip = \"10.0.0.1\"\nsrc_endpoint.ip = \"10.0.0.2\"\nhttp_response.code = 200\nhttp_request.user_agent = \"u\"\n[map]\n\
                 http_request.http_method = \"method\"\n\
                 status_id = \"CASE WHEN ok THEN 'Success' ELSE 'failure' END\"\n\
                 severity_id = { match = \"level\" }\n";
    let written = Written {
        columns: "method = \"text\"\nok = \"boolean\"\nlevel = \"text\"",
        event,
    };
    let lines = r#"{"t":1700000000,"method":"post","ok":true,"level":"HIGH"}
{"t":1700000000,"method":"BREW","ok":false,"level":"4"}"#;
    let found = written.of(lines);
    let event = |row: usize| found[row].as_ref().expect("an event");
    assert_eq!(
        (&event(0)["activity_id"], &event(0)["activity_name"]),
        (&json!(3), &json!("Get"))
    );
    assert_eq!(event(0)["http_request"]["http_method"], "POST");
    assert_eq!(
        (&event(0)["status_id"], &event(0)["status"]),
        (&json!(1), &json!("Success"))
    );
    assert_eq!(event(1)["status_id"], 2);
    assert_eq!(
        (&event(0)["severity_id"], &event(1)["severity_id"]),
        (&json!(4), &json!(4))
    );
    assert_eq!(unmapped(event(0)), json!({"ok": "true"}));
    assert!(event(1)["http_request"].get("http_method").is_none());
    assert_eq!(unmapped(event(1)), json!({"method": "BREW", "ok": "false"}));
}

#[test]
fn no_json_becomes_text_with_its_credentials() {
    let event = application(
        "message = \"j\"\nstatus_detail = \"coalesce(j.inner, 'none')\"\nraw_data = \"_raw\"\n\
         status_code = \"upper(j.inner)\"\nmetadata.labels = \"j.list\"\nmetadata.event_code = \"s\"",
    );
    let written = Written {
        columns: "j = \"json\"\ns = \"json\"",
        event: &event,
    };
    let event = written.event_of(
        r#"{"t":1700000000,"j":{"password":"p1","inner":{"apiKey":"p2"},"list":[{"token":"p3"}]},"s":"plain"}"#,
    );
    let text = event.to_string();
    for secret in ["p1", "p2", "p3", "P2"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    assert_eq!(event["metadata"]["event_code"], "plain");
    assert!(
        event["raw_data"]
            .as_str()
            .expect("text")
            .contains("[redacted]")
    );
}

#[test]
fn no_element_of_a_list_becomes_an_object_with_its_credentials() {
    let event = "class = \"api_activity\"\n[set]\nactivity_id = 1\napi.operation = \"o\"\n\
                 actor.invoked_by = \"i\"\nsrc_endpoint.svc_name = \"s\"\n[map]\n\
                 [map.resources]\neach = \"j.headers\"\nname = \"item.name\"\nuid = \"item.value\"\n\
                 namespace = \"item\"\n";
    let written = Written {
        columns: "j = \"json\"",
        event,
    };
    let event = written.event_of(
        r#"{"t":1700000000,"j":{"headers":[{"name":"Authorization","value":"Basic x1"},{"name":"Host","value":"h"}]}}"#,
    );
    assert!(!event.to_string().contains("x1"), "{event}");
    assert_eq!(event["resources"][1]["uid"], "h");
}

#[test]
fn an_optional_object_that_ocsf_would_refuse_is_left_out_and_its_values_stay() {
    let event = application(
        "actor.process.pid = \"pid\"\nactor.process.file.name = \"file\"\n\
         actor.process.file.path = \"path\"\nactor.user.name = \"user\"",
    )
    .replace(
        "[map]",
        "actor.process.file.type_id = 1\nactor.user.type_id = 1\n[map]",
    );
    let written = Written {
        columns: "pid = \"int\"\nfile = \"text\"\npath = \"text\"\nuser = \"text\"",
        event: &event,
    };
    let lines = r#"{"t":1700000000,"pid":7}
{"t":1700000000,"pid":7,"path":"/bin/x"}
{"t":1700000000,"pid":7,"path":"/bin/x","file":"x","user":"u"}
{"t":1700000000}"#;
    let found = written.of(lines);
    let event = |row: usize| found[row].as_ref().expect("an event");
    assert_eq!(event(0)["actor"], json!({"process": {"pid": 7}}));
    assert_eq!(event(1)["actor"], json!({"process": {"pid": 7}}));
    assert_eq!(unmapped(event(1)), json!({"path": "/bin/x"}));
    assert_eq!(event(2)["actor"]["process"]["file"]["type"], "Regular File");
    assert_eq!(event(2)["actor"]["user"]["name"], "u");
    assert!(event(3).get("actor").is_none(), "{}", event(3));
}

#[test]
fn items_of_a_list_are_left_out_alike() {
    let event = "class = \"api_activity\"\n[set]\nactivity_id = 1\napi.operation = \"o\"\n\
                 actor.invoked_by = \"i\"\nsrc_endpoint.svc_name = \"s\"\n\
                 [[map.resources]]\nuid = \"arn\"\ntype = \"'bucket'\"\n\
                 [[map.resources]]\nname = \"other\"\n";
    let written = Written {
        columns: "arn = \"text\"\nother = \"text\"",
        event,
    };
    let found =
        written.of("{\"t\":1700000000,\"arn\":\"a\",\"other\":\"b\"}\n{\"t\":1700000000}\n");
    let event = |row: usize| found[row].as_ref().expect("an event");
    assert_eq!(
        event(0)["resources"],
        json!([{"uid": "a", "type": "bucket"}, {"name": "b"}])
    );
    assert_eq!(unmapped(event(0)), Json::Null);
}

#[test]
fn values_stay_from_the_elements_that_did_not_arrive() {
    let event = "class = \"api_activity\"\n[set]\nactivity_id = 1\napi.operation = \"o\"\n\
                 actor.invoked_by = \"i\"\nsrc_endpoint.svc_name = \"s\"\n[map]\n\
                 message = \"j.tags[1].k\"\n\
                 [map.resources]\neach = \"j.list\"\nuid = \"item.arn\"\nowner.uid = \"item.owner.id\"\n\
                 [map.actor.authorizations]\neach = \"j.auth\"\nwhen = \"item.on = 'true'\"\n\
                 decision = \"item.d\"\n";
    let written = Written {
        columns: "j = \"json\"",
        event,
    };
    let event = written.event_of(
        r#"{"t":1700000000,"j":{"list":[{"arn":"1","x":"a"},null,{"owner":{"id":"o"}},{"x":"b"}],"auth":[{"on":true,"d":"d1"},{"on":false,"d":"d2"}],"tags":[{"k":"t0"},{"k":"t1"}]}}"#,
    );
    // An owner alone is no resource to OCSF.
    assert_eq!(event["resources"], json!([{"uid": "1"}]));
    assert_eq!(
        event["actor"]["authorizations"],
        json!([{"decision": "d1"}])
    );
    assert_eq!(event["message"], "t1");
    assert_eq!(
        unmapped(&event),
        json!({"j.list[].x": "a,b", "j.list[].owner.id": "o", "j.auth[].on": "true,false", "j.auth[].d": "d2", "j.tags[].k": "t0"})
    );
}

#[test]
fn types_hold() {
    let event = application(
        "device.ip = \"ip\"\ndevice.hostname = \"host\"\ndevice.mac = \"mac\"\nstart_time = \"at\"\n\
         device.location.lat = \"f\"\nduration = \"d\"",
    )
    .replace("[map]", "device.type_id = 1\n[map]")
    .replace("device.location.lat = \"f\"\n", "");
    let written = Written {
        columns: "ip = \"text\"\nhost = \"text\"\nmac = \"text\"\nat = \"epoch_ms\"\nd = \"double\"",
        event: &event,
    };
    let lines = r#"{"t":1700000000,"ip":"2001:DB8::1","host":"a.example","mac":"00:11:22:33:44:55","at":1700000000123,"d":5.0}
{"t":1700000000,"ip":"10.0.0.1:443","host":"a b","mac":"x","at":4102444800000,"d":1.5}"#;
    let found = written.of(lines);
    let event = |row: usize| found[row].as_ref().expect("an event");
    assert_eq!(event(0)["device"]["ip"], "2001:db8::1");
    assert_eq!(event(0)["duration"], 5);
    assert_eq!(unmapped(event(0)), Json::Null);
    assert!(event(1).get("device").is_none(), "{}", event(1));
    assert!(event(1).get("start_time").is_none(), "{}", event(1));
    assert_eq!(
        unmapped(event(1)),
        json!({"ip": "10.0.0.1:443", "host": "a b", "mac": "x", "at": "4102444800000", "d": "1.5"})
    );
}

#[test]
fn a_missing_time_says_which_column_has_which_value() {
    let event = application("message = \"m\"")
        .replace("[map]", "[map]\ntime = \"TRY_CAST(m AS TIMESTAMP)\"");
    let written = Written {
        columns: "m = \"text\"\ntoken = \"text\"",
        event: &event,
    };
    let found = written.of("{\"m\":\"soon\"}\n{}\n");
    let details: Vec<&String> = found
        .iter()
        .filter_map(|fate| fate.as_ref().err())
        .collect();
    assert_eq!(details[0], "time_missing: e.toml:8:9 map.time: m is `soon`");
    assert_eq!(
        details[1],
        "time_missing: e.toml:8:9 map.time: m has no value"
    );
}

#[test]
fn a_table_fills_an_attribute_without_an_enumeration() {
    let event = application(
        "count = { match = \"p\", to = { tcp = 6, udp = 17 } }\n\
         message = { match = \"p\", to = { tcp = \"Transmission\" } }\n\
         duration = \"duration_ms(d, 's')\"",
    );
    let written = Written {
        columns: "p = \"text\"\nd = \"double\"",
        event: &event,
    };
    let found = written
        .of("{\"t\":1700000000,\"p\":\"TCP\",\"d\":1.5}\n{\"t\":1700000000,\"p\":\"gre\"}\n");
    let event = |row: usize| found[row].as_ref().expect("an event");
    assert_eq!(
        (&event(0)["count"], &event(0)["message"]),
        (&json!(6), &json!("Transmission"))
    );
    assert_eq!(event(0)["duration"], 1500);
    assert!(event(1).get("count").is_none());
    assert_eq!(unmapped(event(1)), json!({"p": "gre"}));
}

#[test]
fn a_text_that_is_json_loses_its_credentials_too() {
    let event =
        application("message = \"m\"\ncount = \"10 / n\"\nstart_time = \"to_timestamp(x)\"");
    let written = Written {
        columns: "m = \"text\"\nx = \"text\"\nn = \"int\"\nother = \"text\"",
        event: &event,
    };
    let found = written.of(
        "{\"t\":1700000000,\"m\":{\"password\":\"p1\"},\"other\":{\"token\":\"p2\"}}\n\
         {\"t\":1700000000,\"x\":{\"token\":\"p3\"}}\n",
    );
    let text = format!("{found:?}");
    for secret in ["p1", "p2", "p3"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    assert!(found[1].is_err(), "{text}");
}

#[test]
fn a_required_object_without_its_content_rejects_the_row() {
    let event = "class = \"http_activity\"\n[set]\nactivity_id = 1\nhttp_response.code = 1\n\
                 dst_endpoint.ip = \"10.0.0.1\"\nsrc_endpoint.ip = \"10.0.0.1\"\n\
                 http_request.url.path = \"constant\"\n[map]\n\
                 http_request.url.query_string = \"q\"\n";
    let written = Written {
        columns: "q = \"text\"",
        event,
    };
    let found = written.of("{\"t\":1700000000}\n{\"t\":1700000000,\"q\":\"a=b\"}\n");
    let reason = found[0].as_ref().expect_err("it has no request");
    assert_eq!(
        reason,
        "required_attribute_missing: http_request (event e, class http_activity)"
    );
    assert!(found[1].is_ok(), "{found:?}");
}

#[test]
fn only_zero_and_one_are_boolean_numbers() {
    let event = "class = \"authentication\"\n[set]\nactivity_id = 1\nuser.name = \"u\"\n\
                 service.name = \"s\"\n[map]\nis_mfa = \"n\"\nis_remote = \"CAST(m AS BOOLEAN)\"\n";
    let written = Written {
        columns: "n = \"int\"\nm = \"int\"",
        event,
    };
    let found = written.of("{\"t\":1700000000,\"n\":37796,\"m\":5}\n{\"t\":1700000000,\"n\":1}\n");
    let event = |row: usize| found[row].as_ref().expect("an event");
    assert!(event(0).get("is_mfa").is_none());
    assert_eq!(unmapped(event(0)), json!({"n": "37796", "m": "5"}));
    assert_eq!(event(1)["is_mfa"], true);
    assert_eq!(unmapped(event(1)), Json::Null);
}

#[test]
fn a_cast_that_does_not_exist_is_refused() {
    let event = application("start_time = \"TRY_CAST(b AS TIMESTAMP)\"");
    let root = "format = \"json_lines\"\nevents = [\"e\"]\n[columns]\nt = \"epoch_s\"\nb = \"boolean\"\n\
                [base.set]\nseverity_id = 1\nmetadata.product.vendor_name = \"V\"\n[base.map]\ntime = \"t\"\n";
    let files = [("demo/source.toml", root), ("demo/e.toml", &event)];
    let found = crate::lint::lint_embedded(&files, "1.1.0");
    let errors: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
    assert!(
        errors[0].contains("a boolean cannot become a time"),
        "{errors:?}"
    );
}

#[test]
fn what_an_each_takes_for_one_element_arrives_too() {
    let event = "class = \"api_activity\"\n[set]\nactivity_id = 1\napi.operation = \"o\"\n\
                 actor.invoked_by = \"i\"\nsrc_endpoint.svc_name = \"s\"\n[map]\n\
                 [map.resources]\neach = \"j.one\"\nuid = \"item.arn\"\nname = \"n\"\n";
    let written = Written {
        columns: "j = \"json\"\nn = \"text\"",
        event,
    };
    let event = written.event_of(r#"{"t":1700000000,"j":{"one":{"arn":"a","x":"b"}},"n":"n"}"#);
    assert_eq!(event["resources"], json!([{"uid": "a", "name": "n"}]));
    assert_eq!(unmapped(&event), json!({"j.one.x": "b"}));
}

#[test]
fn a_list_of_ids_has_members_only() {
    let event = "class = \"dns_activity\"\n[set]\nactivity_id = 1\nquery.hostname = \"h\"\n\
                 src_endpoint.ip = \"10.0.0.1\"\ndst_endpoint.ip = \"10.0.0.1\"\n\
                 [[map.answers]]\nrdata = \"r\"\nflag_ids = \"f\"\n";
    let written = Written {
        columns: "r = \"text\"\nf = \"json\"",
        event,
    };
    let event = written.event_of(r#"{"t":1700000000,"r":"x","f":[1,10050]}"#);
    assert_eq!(event["answers"][0]["flag_ids"], json!([1]));
    assert_eq!(unmapped(&event), json!({"f[]": "1,10050"}));
    let event = written.event_of(r#"{"t":1700000000,"r":"x","f":["x"]}"#);
    assert!(event["answers"][0].get("flag_ids").is_none(), "{event}");
}

#[test]
fn a_datetime_is_within_the_calendar_too() {
    let event = application("end_time_dt = \"n\"").replace("\"host\"", "\"host\", \"datetime\"");
    let written = Written {
        columns: "n = \"long\"",
        event: &event,
    };
    let event = written.event_of(r#"{"t":1700000000,"n":9223372036854765624}"#);
    assert!(event.get("end_time_dt").is_none(), "{event}");
    assert_eq!(unmapped(&event), json!({"n": "9223372036854765624"}));
}
