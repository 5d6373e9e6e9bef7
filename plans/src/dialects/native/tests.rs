use crate::diagnostics::Diagnostics;
use crate::dialects::{Loaded, load_embedded};
use crate::spec::{ColumnKind, Composite, Constant, Event, Object, TimeUnit, UnmappedStyle, Value};

const SOURCE: &str = r#"
format = { name = "csv", delimiter = ";", header = true }
events = ["flow"]
aliases = ["demo-log"]
unmapped = "json"
redact = { add = ["*.token"], keep = ["user.token"] }
[columns]
start = "epoch_s"
srcaddr = "ip"
day = { strftime = "%d/%b/%Y:%H:%M:%S %z", source_name = "Day" }
[partition]
account = ["account_id"]
region = "region"
[base.set]
cloud.provider = "AWS"
severity_id = 1
[base.map]
cloud.account.uid = "account_id"
cloud.region = "region"
[[filter]]
when = "action = 'SKIP'"
reason = "skipped by hand"
[sets]
logins = ["ConsoleLogin", "AssumeRole"]
[output.network_activity]
name = "demo-flow"
"#;

const FLOW: &str = r#"
class = "network_activity"
profiles = ["cloud"]
when = "action IS NOT NULL"
also = true
consumed = ["flags"]
[set]
severity_id = 2
metadata.labels = ["a", "b"]
is_alert = false
[map]
time = "start"
cloud.region = false
src_endpoint.ip = "coalesce(pkt_srcaddr, srcaddr)"
src_endpoint.intermediate_ips = ["nullif(srcaddr, pkt_srcaddr)"]
[map.activity_id]
match = "action"
to = { ACCEPT = "Traffic", "REJ*" = 5 }
[map.resources]
each = "resources"
uid = "item.ARN"
[since."1.3.0".map]
app_name = "service"
"#;

fn load(source: &str, flow: &str, version: &str) -> Result<Loaded, Diagnostics> {
    let files = [("demo/source.toml", source), ("demo/flow.toml", flow)];
    load_embedded(&files, version)
}

fn flow(version: &str) -> Event {
    let loaded = load(SOURCE, FLOW, version).expect("a good configuration");
    loaded.source.events.into_iter().next().expect("one event")
}

fn object<'a>(object: &'a Object, name: &str) -> &'a Object {
    match &object[name].value {
        Value::Object(inside) => inside,
        other => panic!("{name} is {other:?}"),
    }
}

fn messages(source: &str, flow: &str) -> Vec<String> {
    let found = load(source, flow, "1.1.0").expect_err("a bad configuration");
    found.0.iter().map(ToString::to_string).collect()
}

#[test]
fn a_source_is_read_completely() {
    let source = load(SOURCE, FLOW, "1.1.0").expect("good").source;
    assert_eq!(source.name, "demo");
    assert_eq!(source.aliases, ["demo-log"]);
    assert_eq!(source.format.name, "csv");
    assert_eq!(source.format.options["delimiter"], ";");
    assert_eq!(source.format.options["header"], "true");
    let columns: Vec<_> = source
        .columns
        .iter()
        .map(|c| (c.name.as_str(), &c.kind))
        .collect();
    let day = ColumnKind::Strftime("%d/%b/%Y:%H:%M:%S %z".to_owned());
    let expected = [
        ("start", &ColumnKind::Epoch(TimeUnit::Second)),
        ("srcaddr", &ColumnKind::Ip),
        ("day", &day),
    ];
    assert_eq!(columns, expected);
    assert_eq!(source.columns[2].names, ["Day"]);
    assert_eq!(source.account[0].text, "account_id");
    assert_eq!(source.region[0].text, "region");
    assert_eq!(source.filters[0].reason, "skipped by hand");
    assert_eq!(source.sets["logins"], ["ConsoleLogin", "AssumeRole"]);
    assert_eq!(source.unmapped.style, UnmappedStyle::Json);
    assert_eq!(source.redact.keep, ["user.token"]);
    assert_eq!(
        source.outputs["network_activity"].name.as_deref(),
        Some("demo-flow")
    );
}

#[test]
fn columns_have_names_formats_and_parts() {
    let text = SOURCE.replacen(
        "[columns]\n",
        "null = [\"-\", \"\"]\n[columns]\n\
         src = { type = \"ip\", names = [\"id.orig_h\", \"id_orig_h\"] }\n\
         ts = { time = [\"epoch_s\", \"rfc3339\", \"%Y/%m/%d\"] }\n\
         at = { time = \"epoch_ms\" }\n\
         peer = \"ip_port\"\n\
         kv = { type = \"pairs\", source_name = \"Message\" }\n",
        1,
    );
    let source = load(&text, FLOW, "1.1.0").expect("good").source;
    assert_eq!(source.format.null, ["-", ""]);
    let column = |name: &str| source.columns.iter().find(|c| c.name == name).unwrap();
    assert_eq!(column("src").names, ["id.orig_h", "id_orig_h"]);
    let seconds = ColumnKind::Epoch(TimeUnit::Second);
    let day = ColumnKind::Strftime("%Y/%m/%d".to_owned());
    let times = ColumnKind::Times(vec![seconds, ColumnKind::Rfc3339, day]);
    assert_eq!(column("ts").kind, times);
    assert_eq!(column("at").kind, ColumnKind::Epoch(TimeUnit::Millisecond));
    assert_eq!(column("peer").kind, ColumnKind::Text);
    assert_eq!(column("peer").composite, Some(Composite::IpPort));
    assert_eq!(column("kv").kind, ColumnKind::Json);
    assert_eq!(column("kv").composite, Some(Composite::Pairs));
    assert_eq!(column("kv").names, ["Message"]);
}

#[test]
fn an_event_overrides_its_base() {
    let event = flow("1.1.0");
    assert!(event.also);
    assert_eq!(event.profiles, ["cloud"]);
    assert_eq!(event.consumed, ["flags"]);
    let cloud = object(&event.attributes, "cloud");
    assert!(cloud.contains_key("provider") && cloud.contains_key("account"));
    assert!(
        !cloud.contains_key("region"),
        "false removes a key of the base"
    );
    let severity = &event.attributes["severity_id"].value;
    assert_eq!(*severity, Value::Constant(Constant::Integer(2)));
    let alert = &event.attributes["is_alert"].value;
    assert_eq!(*alert, Value::Constant(Constant::Boolean(false)));
    let labels = &object(&event.attributes, "metadata")["labels"].value;
    assert!(matches!(labels, Value::Constant(Constant::List(items)) if items.len() == 2));
}

#[test]
fn enums_lists_and_each_are_distinguished() {
    let event = flow("1.1.0");
    let Value::Enum(activity) = &event.attributes["activity_id"].value else {
        panic!("a table with match is an enum");
    };
    assert_eq!(activity.on.text, "action");
    let targets: Vec<_> = activity
        .to
        .iter()
        .map(|(glob, to, _)| (glob.as_str(), to.clone()))
        .collect();
    let expected = [
        ("ACCEPT", Constant::Text("Traffic".to_owned())),
        ("REJ*", Constant::Integer(5)),
    ];
    assert_eq!(targets, expected);
    let source = object(&event.attributes, "src_endpoint");
    assert!(matches!(&source["intermediate_ips"].value, Value::List(items) if items.len() == 1));
    let Value::Each(resources) = &event.attributes["resources"].value else {
        panic!("a table with each is a list of objects");
    };
    assert_eq!(resources.list.text, "resources");
    assert!(resources.item.contains_key("uid"));
}

#[test]
fn overlays_apply_from_their_version_on() {
    assert!(!flow("1.1.0").attributes.contains_key("app_name"));
    assert!(flow("1.3.0").attributes.contains_key("app_name"));
}

#[test]
fn an_expression_has_the_position_of_its_first_character() {
    let event = flow("1.1.0");
    let Value::Sql(time) = &event.attributes["time"].value else {
        panic!("time is SQL");
    };
    assert_eq!((time.at.line, time.at.column), (12, 9));
    assert_eq!(time.at.key, "map.time");
    let long = FLOW.replace("\"start\"", "'''\n  start'''");
    let event = &load(SOURCE, &long, "1.1.0").expect("good").source.events[0];
    let Value::Sql(time) = &event.attributes["time"].value else {
        panic!("time is SQL");
    };
    assert_eq!((time.at.line, time.at.column), (13, 1));
}

#[test]
fn dotted_keys_and_tables_are_equal() {
    let dotted = "class = \"x\"\n[map]\na.b = \"c\"\n";
    let nested = "class = \"x\"\n[map.a]\nb = \"c\"\n";
    let read = |flow: &str| {
        let event = load(SOURCE, flow, "1.1.0")
            .expect("good")
            .source
            .events
            .remove(0);
        object(&event.attributes, "a")
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(read(dotted), read(nested));
}

#[test]
fn every_error_of_every_file_is_reported_with_its_position() {
    let source = SOURCE.replace("redact =", "redcat =");
    let flow = FLOW
        .replace("time = \"start\"", "time = 7")
        .replace("also = true", "also = \"yes\"");
    assert_eq!(
        messages(&source, &flow),
        [
            "demo/flow.toml:5:8: also: expects true or false, found a string (write it without quotes)",
            "demo/flow.toml:12:8: map.time: expects an SQL expression, found an integer \
             (write constants under [set], and SQL as a string)",
            "demo/source.toml:6:1: redcat: unknown key (did you mean `redact`?)",
        ]
    );
}

#[test]
fn an_attribute_is_not_both_set_and_mapped() {
    let flow = FLOW.replace("is_alert = false", "time = 5");
    assert_eq!(
        messages(SOURCE, &flow),
        ["demo/flow.toml:12:1: map.time: is set under both [set] and [map] (remove one of them)"]
    );
}

#[test]
fn syntax_errors_of_all_files_are_reported() {
    let found = messages("format = \n", "class = \"a\n");
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().all(|message| message.contains("TOML syntax")));
}
