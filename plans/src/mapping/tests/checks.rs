//! What a compilation reports: every mistake in a configuration, each once.

use super::programs::{event, map, set, source};
use crate::lint::lint_embedded;
use crate::mapping::{Compilation, compile};
use crate::ocsf;
use crate::spec::{ColumnKind, Node};

const GOOD: &str = r#"
class = "network_activity"
profiles = ["cloud"]
[set]
severity_id = 1
cloud.provider = "AWS"
metadata.product.vendor_name = "AWS"
metadata.product.name = "Amazon VPC"
[map]
time = "start"
src_endpoint.ip = "srcaddr"
dst_endpoint.port = "dstport"
dst_endpoint.ip = "dstaddr"
[map.activity_id]
match = "action"
to = { ACCEPT = "traffic", REJECT = 5 }
"#;

const COLUMNS: &str = r#"
[columns]
start = "epoch_s"
srcaddr = "ip"
dstaddr = "ip"
dstport = "int"
action = "text"
"#;

fn check_files(files: &[(&str, &str)]) -> Vec<String> {
    let found = lint_embedded(files, "1.1.0");
    found.errors.iter().map(ToString::to_string).collect()
}

fn check_with(root: &str, event: &str) -> Vec<String> {
    check_files(&[("demo/source.toml", root), ("demo/flow.toml", event)])
}

fn check_event(from: &str, to: &str) -> Vec<String> {
    assert!(GOOD.contains(from), "{from}");
    let root = format!("format = \"csv\"\nevents = [\"flow\"]\n{COLUMNS}");
    check_with(&root, &GOOD.replace(from, to))
}

/// Checks the good event with `from` made `to`.
fn finds(from: &str, to: &str, expected: &str) {
    let found = check_event(from, to);
    assert!(
        found.iter().any(|message| message.contains(expected)),
        "{found:#?}"
    );
}

#[test]
fn a_good_event_has_nothing_wrong() {
    assert_eq!(check_event("", ""), Vec::<String>::new());
}

#[test]
fn what_ocsf_lacks_is_named_with_the_nearest_name() {
    finds(
        "\"network_activity\"",
        "\"netwrk_activity\"",
        "did you mean `network_activity`?",
    );
    finds(
        "src_endpoint.ip =",
        "src_endpoint.iq =",
        "has no attribute `iq` (did you mean `src_endpoint.ip`?)",
    );
    finds(
        "[\"cloud\"]",
        "[\"clod\"]",
        "has no profile `clod` (did you mean `cloud`?)",
    );
    finds(
        "severity_id = 1",
        "severity_id = 1\naction_id = 1",
        "belongs to the profile `security_control`",
    );
    finds("\"traffic\"", "\"Trafic\"", "did you mean `Traffic`?");
    finds(
        "REJECT = 5",
        "REJECT = 55",
        "55 is not a member of the enumeration (known: Unknown (0)",
    );
    finds(
        "severity_id = 1",
        "severity_id = \"Hihg\"",
        "`Hihg` is not a member of the enumeration (did you mean `High`?)",
    );
    finds(
        "severity_id = 1",
        "severity_id = 50",
        "50 is not a member of the enumeration",
    );
    finds(
        "severity_id = 1",
        "severity_id = 1\nmessage = 5",
        "expects text, found 5 (write it in quotes)",
    );
    finds(
        "severity_id = 1",
        "severity_id = 1\nsrc_endpoint.port = 70000",
        "expects a port",
    );
    finds(
        "severity_id = 1",
        "severity_id = 1\nclass_uid = 4002",
        "is derived and cannot be mapped",
    );
    finds(
        "time = \"start\"",
        "time = \"start\"\ntraffic = \"x\"",
        "is an object (`network_traffic`)",
    );
    finds(
        "time = \"start\"",
        "time = [\"start\"]",
        "is a single value, not a list",
    );
    finds(
        "time = \"start\"",
        "time = \"start\"\nunmapped = \"x\"",
        "is filled with what nothing maps",
    );
    finds(
        "time = \"start\"",
        "time = \"start\"\nresources = \"x\"",
        "has no attribute `resources`",
    );
}

#[test]
fn an_agreeing_constant_at_a_derived_attribute_is_harmless() {
    assert_eq!(
        check_event("severity_id = 1", "severity_id = 1\nclass_uid = 4001"),
        Vec::<String>::new()
    );
}

#[test]
fn what_is_missing_is_named_at_every_depth() {
    finds(
        "time = \"start\"",
        "",
        "required attribute `time` is missing",
    );
    finds(
        "cloud.provider = \"AWS\"",
        "",
        "required attribute `cloud` is missing (map or set `cloud.provider`; \
         the profile `cloud` requires it)",
    );
    finds(
        "metadata.product.vendor_name = \"AWS\"",
        "",
        "`metadata.product.vendor_name` is missing",
    );
    finds(
        "src_endpoint.ip = \"srcaddr\"",
        "src_endpoint.port = \"p\"",
        "`network_endpoint` needs one of ip",
    );
}

#[test]
fn formats_and_their_options_are_known_ones() {
    let root = "format = \"cvs\"\nevents = [\"flow\"]\n";
    assert_eq!(
        check_with(root, GOOD),
        ["demo/source.toml:1:1: format: unknown format `cvs` \
             (known: csv, json_lines, parquet, s3_access, tokens, vpc_flow, w3c, zeek)"]
    );
    let root =
        format!("format = {{ name = \"csv\", delimitr = \";\" }}\nevents = [\"flow\"]\n{COLUMNS}");
    let found = check_with(&root, GOOD);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(
        found[0].contains(
            "format.delimitr: format `csv` has no such option (did you mean `delimiter`?)"
        )
    );
}

#[test]
fn attributes_are_checked_though_the_format_is_unknown() {
    let root = "format = \"cvs\"\nevents = [\"flow\"]\n";
    let found = check_with(root, &GOOD.replace("severity_id = 1", "severity_id = 50"));
    assert_eq!(found.len(), 2, "{found:#?}");
}

#[test]
fn output_names_fit_security_lake() {
    let check = |name: &str, expected: &str| {
        let root = format!(
            "format = \"csv\"\nevents = [\"flow\"]\n{COLUMNS}\
             [output.network_activity]\nname = \"{name}\"\n"
        );
        let found = check_with(&root, GOOD);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].contains(expected), "{found:#?}");
    };
    check("a-name-that-is-far-too-long", "has 27 characters");
    check("a_b", "use letters, digits and dashes");
    let root = format!("format = \"csv\"\nevents = [\"flow\"]\n{COLUMNS}[output.http_activity]\n");
    let found = check_with(&root, GOOD);
    assert!(found[0].contains("no event becomes class `http_activity`"));
}

#[test]
fn several_classes_need_conditions_and_no_names() {
    let root = format!("format = \"csv\"\nevents = [\"flow\", \"dns\"]\n{COLUMNS}");
    let files = [
        ("demo/source.toml", root.as_str()),
        ("demo/flow.toml", GOOD),
        (
            "demo/dns.toml",
            &GOOD.replace("network_activity", "dns_activity"),
        ),
    ];
    let text = check_files(&files).join("\n");
    assert!(!text.contains("name"), "{text}");
    assert!(text.contains("event `dns` is never reached"), "{text}");
}

#[test]
fn a_mistake_in_a_value_is_reported_once() {
    for (from, to) in [
        ("severity_id = 1", "severity_id = \"Grave\""),
        ("severity_id = 1", "severity_id = 50"),
        ("severity_id = 1", "severity_id = 1\nclass_uid = 4002"),
        ("severity_id = 1", "severity_id = 1\ntype_uid = 7"),
        ("severity_id = 1", "severity_id = 1\naction_id = 1"),
        ("src_endpoint.ip =", "src_endpoint.iq ="),
        ("time = \"start\"", ""),
        ("time = \"start\"", "time = [\"start\"]"),
        ("time = \"start\"", "time.x = \"start\""),
        (
            "time = \"start\"",
            "time = \"start\"\ntraffic = \"srcaddr\"",
        ),
        (
            "time = \"start\"",
            "time = \"start\"\nobservables = \"srcaddr\"",
        ),
        (
            "time = \"start\"",
            "time = \"start\"\nmessage = \"nothing\"",
        ),
        ("\"traffic\"", "\"Trafic\""),
        ("\"network_activity\"", "\"netwrk_activity\""),
        ("[\"cloud\"]", "[\"cloud\", \"clod\"]"),
    ] {
        let found = check_event(from, to);
        assert_eq!(found.len(), 1, "{to}: {found:#?}");
    }
}

/// Compiles a foreign source, in which what OCSF requires besides is a warning.
fn foreign(members: &[(&str, Node)]) -> Compilation {
    let columns = [("start", ColumnKind::Int64), ("action", ColumnKind::Text)];
    let source = source(&columns, vec![event("network_activity", members)]);
    compile(&source, ocsf::schema("1.1.0").expect("pinned"), false)
}

#[test]
fn a_foreign_source_needs_a_time_and_is_warned_of_other_gaps() {
    let found = foreign(&[("message", map("action"))]);
    let errors = found.program.expect_err("it has no time").0;
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(
        errors[0].message.contains("`time` is missing"),
        "{errors:?}"
    );
    let warnings = found.warnings.to_string();
    assert!(warnings.contains("`severity_id` is missing"), "{warnings}");
    assert!(!warnings.contains("`time`"), "{warnings}");
}

#[test]
fn a_foreign_source_is_warned_of_derived_attributes_but_cannot_name_another_class() {
    let found = foreign(&[("time", map("start")), ("class_name", map("action"))]);
    assert!(found.program.is_ok(), "{:?}", found.program);
    let warnings = found.warnings.to_string();
    assert!(
        warnings.contains("is derived and cannot be mapped"),
        "{warnings}"
    );
    let found = foreign(&[("time", map("start")), ("class_uid", set(4002))]);
    let errors = found.program.expect_err("it is another class").0;
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].remedy.contains("has 4001"), "{errors:?}");
}
