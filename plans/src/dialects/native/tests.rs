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

/// A source with tables, groups and named expressions, and the event `flow`.
fn shared(flow: &str) -> Event {
    let source = r#"
format = "json_lines"
events = ["flow"]
[let]
method = "http_method(line)"
verb = "upper(method)"
[tables.protocol]
tcp = 6
udp = "UDP"
[group.file.map]
name = "file_name(Path)"
path = "Path"
[group.process.set]
type_id = 1
[group.process.map]
name = "Image"
cmd_line = "CommandLine"
file = { use = "file", with = { Path = "Image" } }
[base]
profiles = ["host", "cloud"]
"#;
    let loaded = load(source, &format!("class = \"x\"\n{flow}"), "1.1.0");
    let mut source = loaded.unwrap_or_else(|wrong| panic!("{wrong}")).source;
    let names: Vec<&str> = source.lets.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["method", "verb"]);
    source.events.remove(0)
}

/// The text of an expression, and the columns that it reads under other names.
fn expression<'a>(object: &'a Object, name: &str) -> (&'a str, Vec<(&'a str, &'a str)>) {
    let Value::Sql(sql) = &object[name].value else {
        panic!("{name} is no expression");
    };
    let renamed = sql.renamed.iter();
    let renamed = renamed.map(|(name, column)| (name.as_str(), column.as_str()));
    (&sql.text, renamed.collect())
}

#[test]
fn an_event_has_named_expressions_and_the_profiles_of_its_base() {
    let event = shared("profiles = [\"datetime\"]\n[let]\nport = \"p + 1\"\n");
    assert_eq!(event.lets[0].0, "port");
    assert_eq!(event.lets[0].1.text, "p + 1");
    assert_eq!(event.base_profiles, ["host", "cloud"]);
    assert_eq!(event.profiles, ["datetime"]);
}

#[test]
fn an_enum_names_a_table_or_matches_its_captions() {
    let event = shared("[map]\na = { match = \"p\", to = \"protocol\" }\nb = { match = \"s\" }\n");
    let members = |name: &str| match &event.attributes[name].value {
        Value::Enum(members) => members.to.clone(),
        other => panic!("{name} is {other:?}"),
    };
    let table = members("a");
    assert_eq!(
        (table[0].0.as_str(), &table[0].1),
        ("tcp", &Constant::Integer(6))
    );
    assert_eq!(table[1].1, Constant::Text("UDP".to_owned()));
    assert_eq!(
        (&*table[1].2.file, table[1].2.line),
        ("demo/source.toml", 9)
    );
    assert!(members("b").is_empty());
}

#[test]
fn a_group_is_read_with_other_columns_and_own_keys() {
    let event = shared(
        "[set]\nprocess.type_id = 2\n[map.process]\nuse = \"process\"\nname = \"Own\"\n\
         [map.process.parent_process]\nuse = \"process\"\n\
         with = { Image = \"Parent.Image\", CommandLine = \"ParentLine\" }\ncmd_line = false\n",
    );
    let process = object(&event.attributes, "process");
    assert_eq!(
        process["type_id"].value,
        Value::Constant(Constant::Integer(2))
    );
    assert_eq!(expression(process, "name"), ("Own", vec![]));
    assert_eq!(expression(process, "cmd_line"), ("CommandLine", vec![]));
    let file = object(process, "file");
    assert_eq!(expression(file, "path"), ("Path", vec![("Path", "Image")]));
    let parent = object(process, "parent_process");
    assert_eq!(
        parent["type_id"].value,
        Value::Constant(Constant::Integer(1))
    );
    assert_eq!(
        expression(parent, "name"),
        ("Image", vec![("Image", "Parent.Image")])
    );
    assert!(!parent.contains_key("cmd_line"));
    let file = object(parent, "file");
    assert_eq!(
        expression(file, "path"),
        ("Path", vec![("Path", "Parent.Image")])
    );
    assert_eq!(&*file["path"].at.file, "demo/source.toml");
}

#[test]
fn a_list_of_objects_is_written_out_item_by_item() {
    let event = shared(
        "[[map.resources]]\nuid = \"a\"\nowner.name = \"o\"\n\
         [[map.resources]]\nuid = \"b\"\ntype_id = { match = \"t\" }\n",
    );
    let Value::List(items) = &event.attributes["resources"].value else {
        panic!("resources is no list");
    };
    let objects: Vec<&Object> = items
        .iter()
        .map(|item| match &item.value {
            Value::Object(object) => object,
            other => panic!("an item is {other:?}"),
        })
        .collect();
    assert_eq!(objects.len(), 2);
    assert_eq!(expression(object(objects[0], "owner"), "name").0, "o");
    assert!(matches!(objects[1]["type_id"].value, Value::Enum(_)));
    assert_eq!(items[1].at.line, 5);
}

#[test]
fn an_each_takes_some_of_the_elements_of_any_list() {
    let event = shared(
        "[map.hashes]\neach = \"split(Hashes, ',')\"\nwhen = \"item <> ''\"\nvalue = \"item\"\n",
    );
    let Value::Each(each) = &event.attributes["hashes"].value else {
        panic!("hashes is no each");
    };
    assert_eq!(each.list.text, "split(Hashes, ',')");
    assert_eq!(
        each.when.as_ref().map(|when| when.text.as_str()),
        Some("item <> ''")
    );
    assert_eq!(each.item.keys().collect::<Vec<_>>(), ["value"]);
}
