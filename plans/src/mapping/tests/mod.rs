//! Programs evaluated on rows: what a mapping gives, value by value.

mod checks;
mod kept;
mod names;
mod programs;
mod promises;

use std::collections::BTreeMap;

use serde_json::json;

use self::programs::*;
use super::compile;
use crate::ocsf;
use crate::spec::*;

fn flow_columns() -> Vec<(&'static str, ColumnKind)> {
    vec![
        ("start", ColumnKind::Epoch(TimeUnit::Second)),
        ("end", ColumnKind::Epoch(TimeUnit::Second)),
        ("srcaddr", ColumnKind::Ip),
        ("pkt_srcaddr", ColumnKind::Ip),
        ("dstport", ColumnKind::Int32),
        ("bytes", ColumnKind::Int64),
        ("action", ColumnKind::Text),
        ("type", ColumnKind::Text),
        ("token", ColumnKind::Text),
    ]
}

fn flow() -> Source {
    let mut flow = event(
        "network_activity",
        &[
            ("time", map("start")),
            ("start_time", map("start")),
            ("end_time", map("end")),
            ("severity_id", set(1)),
            ("src_endpoint.ip", map("coalesce(pkt_srcaddr, srcaddr)")),
            (
                "src_endpoint.intermediate_ips",
                node(Value::List(vec![map("nullif(srcaddr, pkt_srcaddr)")])),
            ),
            ("dst_endpoint.port", map("dstport")),
            ("traffic.bytes", map("bytes")),
            (
                "activity_id",
                choose("action", &[("ACCEPT", "Traffic"), ("REJECT", "5")]),
            ),
            (
                "action_id",
                choose("action", &[("ACCEPT", "Allowed"), ("REJECT", "Denied")]),
            ),
            ("metadata.product.vendor_name", set("AWS")),
        ],
    );
    flow.profiles = vec!["datetime".into(), "security_control".into()];
    flow.consumed = vec!["action".into(), "pkt_srcaddr".into(), "srcaddr".into()];
    source(&flow_columns(), vec![flow])
}

#[test]
fn a_flow_becomes_a_network_activity_with_all_that_follows_from_it() {
    let program = compiled(&flow()).expect("compiles");
    let rows = [json!({
        "start": "2024-01-15T10:00:00Z", "end": "2024-01-15T10:00:09Z", "srcaddr": "10.0.0.1",
        "pkt_srcaddr": "10.0.0.7", "dstport": 443, "bytes": 5000000000i64, "action": "reject",
        "type": "IPv4", "token": "abc", "_extra": "{\"f30\":\"x\",\"bytes\":\"7\"}",
    })];
    let found = &run(&program, &rows)[0];
    let expected = json!({
        "activity_id": 5, "activity_name": "Refuse", "action_id": 2, "action": "Denied",
        "category_uid": 4, "category_name": "Network Activity",
        "class_uid": 4001, "class_name": "Network Activity",
        "type_uid": 400105, "type_name": "Network Activity: Refuse",
        "severity_id": 1, "severity": "Informational",
        "time": 1705312800000i64, "time_dt": "2024-01-15T10:00:00Z",
        "start_time": 1705312800000i64, "start_time_dt": "2024-01-15T10:00:00Z",
        "end_time": 1705312809000i64, "end_time_dt": "2024-01-15T10:00:09Z",
        "src_endpoint": {"ip": "10.0.0.7", "intermediate_ips": ["10.0.0.1"]},
        "dst_endpoint": {"port": 443},
        "traffic": {"bytes": 5000000000i64},
        "metadata": {"version": "1.1.0", "profiles": ["datetime", "security_control"],
                     "product": {"vendor_name": "AWS"}},
        "unmapped": {"type": "IPv4", "token": "[redacted]", "f30": "x", "bytes": "7"},
        "observables": found["observables"],
    });
    assert_eq!(*found, expected);
    let observed = found["observables"].as_array().expect("observables");
    let ip =
        json!({"name": "src_endpoint.ip", "type": "IP Address", "type_id": 2, "value": "10.0.0.7"});
    assert!(observed.contains(&ip), "{observed:?}");
}

#[test]
fn a_row_of_nulls_stays_null_where_it_may() {
    let program = compiled(&flow()).expect("compiles");
    let ends = json!({"start": "2024-01-15T10:00:00Z", "srcaddr": "10.0.0.1", "dstport": 1});
    let with = |name: &str, value: &str| {
        let mut row = ends.clone();
        row[name] = json!(value);
        run(&program, &[row]).remove(0)
    };
    let found = with("action", "NODATA");
    assert_eq!(found["activity_id"], 99);
    assert_eq!(found["activity_name"], "NODATA");
    assert_eq!(found["type_uid"], 400199);
    assert_eq!(found["type_name"], "Network Activity: Other");
    for gone in ["end_time", "traffic", "unmapped"] {
        assert!(found.get(gone).is_none(), "{gone}: {found}");
    }
    let found = with("type", "IPv4");
    assert_eq!(
        (&found["activity_id"], &found["activity_name"]),
        (&json!(0), &json!("Unknown"))
    );
    let demands = program.routes[0].event.demands.iter();
    let demands: Vec<&str> = demands.map(|demand| demand.detail.as_str()).collect();
    assert!(demands.contains(&"time"), "{demands:?}");
    assert!(!demands.contains(&"activity_id"), "{demands:?}");
    let rejected = run_all(&program, &[json!({"start": "2024-01-15T10:00:00Z"})]).remove(0);
    let reason = rejected.expect_err("it has no endpoint");
    assert_eq!(
        reason,
        "required_attribute_missing: dst_endpoint (event network_activity, class network_activity)"
    );
}

fn trail() -> Source {
    let mut login = event(
        "authentication",
        &[
            ("time", map("eventTime")),
            ("user.uid", map("userIdentity.arn")),
            ("activity_id", set(1)),
        ],
    );
    login.when = Some(sql("in_set(eventName, 'login')"));
    let api = event(
        "api_activity",
        &[
            ("time", map("eventTime")),
            (
                "activity_id",
                choose("eventName", &[("Create*", "Create"), ("Get*", "Read")]),
            ),
            ("api.operation", map("eventName")),
            ("api.request.data", map("json_text(requestParameters)")),
            ("actor.user.uid", map("userIdentity.arn")),
            ("actor.user.name", map("userIdentity.\"a.b\"")),
            (
                "actor.session.created_time",
                map("userIdentity.session.created"),
            ),
            ("src_endpoint.ip", map("sourceIPAddress")),
            (
                "src_endpoint.svc_name",
                map("CASE WHEN try_ip(sourceIPAddress) IS NULL THEN sourceIPAddress END"),
            ),
            (
                "resources",
                node(Value::Each(Each {
                    when: None,
                    list: sql("resources"),
                    item: object(&[
                        ("uid", map("item.ARN")),
                        ("type", map("item.type")),
                        ("name", map("concat(item.type, '@', eventName)")),
                        ("owner.name", map("item.owner")),
                    ]),
                })),
            ),
        ],
    );
    let columns = [
        ("eventTime", ColumnKind::Rfc3339),
        ("eventName", ColumnKind::Text),
        ("sourceIPAddress", ColumnKind::Text),
        ("userIdentity", ColumnKind::Json),
        ("requestParameters", ColumnKind::Json),
        ("resources", ColumnKind::Json),
    ];
    let mut source = source(&columns, vec![login, api]);
    source.sets = BTreeMap::from([("login".to_owned(), vec!["ConsoleLogin".to_owned()])]);
    source.outputs = BTreeMap::from(["authentication", "api_activity"].map(|class| {
        let output = Output {
            name: Some(class.replace('_', "-")),
            ..Output::default()
        };
        (class.to_owned(), output)
    }));
    source
}

#[test]
fn paths_walk_json_and_lists_of_objects_come_from_arrays() {
    let program = compiled(&trail()).expect("compiles");
    let rows = [
        json!({
            "eventTime": "2024-01-15T10:00:00Z", "eventName": "CreateUser",
            "sourceIPAddress": "iam.amazonaws.com",
            "userIdentity": {"arn": "arn:x", "a.b": "dotted", "session": {"created": "2024-01-15T09:00:00Z", "mfa": false}},
            "requestParameters": {"userName": "u", "password": "p"},
            "resources": [{"ARN": "r1", "type": "T", "accountId": "1"}, null, {"ARN": "r2", "owner": "o"}, {"accountId": "2"}],
        }),
        json!({"eventTime": "2024-01-15T10:00:00Z", "eventName": "ConsoleLogin", "userIdentity": {"arn": "arn:y"}}),
        json!({"eventTime": "2024-01-15T10:00:00Z", "eventName": "GetUser", "sourceIPAddress": "::1", "resources": "no json {", "userIdentity": {"arn": "arn:z"}}),
    ];
    let found = run(&program, &rows);
    let api = &found[0];
    assert_eq!(api["class_uid"], 6003);
    assert_eq!(api["activity_name"], "Create");
    assert_eq!(
        api["api"]["request"]["data"],
        r#"{"password":"[redacted]","userName":"u"}"#
    );
    assert_eq!(
        api["actor"],
        json!({"user": {"uid": "arn:x", "name": "dotted"}, "session": {"created_time": 1705309200000i64}})
    );
    assert_eq!(
        api["src_endpoint"],
        json!({"svc_name": "iam.amazonaws.com"})
    );
    assert_eq!(
        api["resources"],
        json!([
            {"uid": "r1", "type": "T", "name": "T@CreateUser"},
            {"uid": "r2", "name": "@CreateUser", "owner": {"name": "o"}},
            {"name": "@CreateUser"},
        ])
    );
    assert_eq!(
        api["unmapped"],
        json!({
            "userIdentity.session.mfa": "false",
            "resources[].accountId": "1,2",
        })
    );
    assert_eq!(found[1]["class_uid"], 3002);
    assert_eq!(found[1]["user"], json!({"uid": "arn:y"}));
    assert_eq!(found[2]["activity_id"], 2);
    assert!(found[2].get("resources").is_none());
    assert_eq!(found[2]["unmapped"]["resources"], "no json {");
}

#[test]
fn the_raw_shape_keeps_the_parsed_columns() {
    let schema = ocsf::schema("1.1.0").expect("pinned");
    let program = compile(&flow(), schema, true).program.expect("compiles");
    let route = &program.routes[0];
    assert_eq!((route.class.uid, route.class.name.as_str()), (0, "raw"));
    assert_eq!(route.schema.fields().len(), flow_columns().len());
    let row = json!({"start": "2024-01-15T10:00:00Z", "srcaddr": "10.0.0.1", "bytes": 7});
    assert_eq!(run(&program, std::slice::from_ref(&row)), [row]);
}

#[test]
fn the_digest_covers_what_rows_depend_on_and_nothing_else() {
    let digest = |source: &Source| compiled(source).expect("compiles").digest;
    let first = digest(&flow());
    let mut moved = flow();
    moved.events[0].at = at(99);
    moved.aliases = vec!["vpc".into()];
    assert_eq!(digest(&moved), first);
    let mut changed = flow();
    changed.redact.keep = vec!["token".into()];
    assert_ne!(digest(&changed), first);
}

#[test]
fn without_unmapped_only_what_is_used_is_parsed() {
    let mut source = flow();
    source.unmapped.kept = false;
    let program = compiled(&source).expect("compiles");
    let names: Vec<&str> = program.parsed().map(|c| c.name.as_str()).collect();
    assert!(
        !names.contains(&"type") && !names.contains(&"token"),
        "{names:?}"
    );
    assert!(
        program.routes[0]
            .schema
            .field_with_name("unmapped")
            .is_err()
    );
}

/// Compiles `path = text` and gives the first diagnostic.
fn rejected(path: &str, value: Node) -> String {
    let members = [("time", map("start")), (path, value)];
    let source = source(&flow_columns(), vec![event("network_activity", &members)]);
    compiled(&source).expect_err("is refused").0[0].to_string()
}

#[test]
fn an_expression_that_would_be_too_deep_a_tree_is_refused() {
    let (flat, text) = ("1+".repeat(251) + "1", "a".repeat(20_000));
    let found = rejected("message", map(&flat));
    assert!(found.contains("event.toml:1:10: "), "{found}");
    assert!(found.contains("more than 250 operators"), "{found}");
    for far_too_long in [format!("'{text}'"), "1+".repeat(200_000) + "1"] {
        let found = rejected("message", map(&far_too_long));
        assert!(found.contains("more than 16 KiB (put lists"), "{found}");
    }
}

#[test]
fn the_longest_expression_fits_on_the_stack() {
    let longest = "action || ".repeat(250) + "action";
    let members = [("time", map("start")), ("message", map(&longest))];
    let source = source(&flow_columns(), vec![event("network_activity", &members)]);
    let program = compiled(&source).expect("it is short enough");
    let rows = run(&program, &[json!({"start": "2024-01-15", "action": "x"})]);
    assert_eq!(rows[0]["message"], "x".repeat(251));
    let branches: Vec<String> = (0..600).map(|n| format!("WHEN {n} THEN 'p{n}'")).collect();
    let wide = format!("CASE dstport {} END", branches.join(" "));
    let members = [("time", map("start")), ("message", map(&wide))];
    let source = self::source(&flow_columns(), vec![event("network_activity", &members)]);
    let program = compiled(&source).expect("branches are on one level");
    let rows = run(&program, &[json!({"start": "2024-01-15", "dstport": 443})]);
    assert_eq!(rows[0]["message"], "p443");
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let check = |path: &str, text: &str, expected: &str| {
        let found = rejected(path, map(text));
        assert!(found.contains(expected), "{text}: {found}");
    };
    check(
        "message",
        "upper(actoin)",
        "event.toml:1:16: there is no column `actoin` (did you mean `action`?",
    );
    check("message", "Success", "constant belongs under [set]");
    check("message", "upper(action", "event.toml:1:");
    check(
        "message",
        "no_such_function(action)",
        "event.toml:1:10: there is no function `no_such_function`",
    );
    check(
        "message",
        "list_repeat(action, 9)",
        "event.toml:1:10: the function 'list_repeat' cannot be used here (docs/functions.md",
    );
    check(
        "message",
        "IF(action = 'a', 1, 2)",
        "event.toml:1:10: `IF(…)` is no SQL (write CASE WHEN",
    );
    check(
        "message",
        "enum_id(action, 'x')",
        "the function 'enum_id' is only for compiled mappings",
    );
    check(
        "message",
        "regexp_replace(action, action, 'a')",
        "the function 'regexp_replace' needs a constant as its `pattern`",
    );
    check("message", "count(action)", "cannot be used here");
    check("message", "(SELECT 1)", "a subquery cannot be used here");
    check("message", "now()", "changes from run to run");
    check("message", "action.name", "`action` is not a JSON column");
    check("message", "", "the expression is empty");
    check("message", "action action", "event.toml:1:");
    check(
        "mesage",
        "action",
        "has no attribute `mesage` (did you mean `message`?)",
    );
    check("src_endpoint", "srcaddr", "is an object");
    check(
        "message",
        "in_set(action, 'none')",
        "there is no set `none`",
    );
    check(
        "action_id",
        "dstport",
        "the profile `security_control`, which is not declared",
    );
}

#[test]
fn constants_have_to_fit() {
    assert!(rejected("severity_id", set(50)).contains("is not a member of the enumeration"));
    assert!(rejected("dst_endpoint.port", set("http")).contains("expects a port, found `http`"));
    assert!(
        rejected("activity_id", choose("action", &[("a", "Trafic")]))
            .contains("did you mean `Traffic`?")
    );
}

#[test]
fn columns_beat_keywords_and_odd_names_are_quoted() {
    let columns = [
        ("time", ColumnKind::Epoch(TimeUnit::Second)),
        ("end", ColumnKind::Text),
        ("user", ColumnKind::Text),
        ("cs(Referer)", ColumnKind::Text),
        ("@timestamp", ColumnKind::Rfc3339),
        ("a.b", ColumnKind::Text),
    ];
    let members = [
        ("time", map("\"@timestamp\"")),
        ("message", map("coalesce(end, user)")),
        ("status_detail", map("\"cs(Referer)\"")),
        ("status_code", map("a.b")),
        (
            "status",
            map("CASE WHEN user IS NULL THEN 'none' ELSE upper(user) END"),
        ),
    ];
    let program = compiled(&source(&columns, vec![event("network_activity", &members)]));
    let program = program.expect("compiles");
    let row = json!({"end": null, "user": "u", "cs(Referer)": "r", "a.b": "c", "@timestamp": "2024-01-01T00:00:00Z"});
    let found = &run(&program, &[row])[0];
    assert_eq!(found["message"], "u");
    assert_eq!(found["status"], "U");
    assert_eq!(found["status_detail"], "r");
    assert_eq!(found["status_code"], "c");
    assert_eq!(found["time"], 1704067200000i64);
    assert!(found.get("unmapped").is_none(), "{found}");
}

#[test]
fn every_source_that_ships_compiles_in_every_shape_and_version() {
    for shipped in crate::sources::list() {
        for version in ocsf::versions() {
            let loaded = shipped.load(version).expect("reads");
            let source = &loaded.source;
            let schema = ocsf::schema(version).expect("pinned");
            for raw in [false, true] {
                let program = compile(source, schema, raw).program;
                let program = program.unwrap_or_else(|wrong| panic!("{wrong}"));
                let empty = json!({});
                assert_eq!(run(&program, &[empty]).len(), 1);
            }
        }
    }
}
