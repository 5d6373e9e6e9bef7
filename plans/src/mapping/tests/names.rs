//! Names in expressions: columns under other names, named expressions and keys in brackets.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::programs::*;
use crate::mapping::output_name;
use crate::spec::*;

fn columns() -> Vec<(&'static str, ColumnKind)> {
    vec![
        ("start", ColumnKind::Epoch(TimeUnit::Second)),
        ("request", ColumnKind::Json),
        ("left", ColumnKind::Text),
        ("action", ColumnKind::Text),
    ]
}

/// A source with one event that maps a text to `message`, after `change`.
fn with_message(text: &str, change: impl FnOnce(&mut Source)) -> Source {
    let members = [("time", map("start")), ("message", map(text))];
    let mut source = source(&columns(), vec![event("network_activity", &members)]);
    change(&mut source);
    source
}

fn message(source: &Source) -> Json {
    let program = compiled(source).unwrap_or_else(|wrong| panic!("{wrong}"));
    let request = json!({"headers": {"host": "h", "a b": "c"}, "list": [{"x": 1}]});
    let row = json!({"start": "2024-01-15", "request": request, "left": "ab", "action": "x"});
    run(&program, &[row])[0]["message"].clone()
}

fn named(name: &str, text: &str) -> (String, Sql) {
    (name.to_owned(), sql(text))
}

#[test]
fn a_let_is_put_in_wherever_it_is_named() {
    let lets = |source: &mut Source| {
        source.lets = vec![
            named("upper", "upper(action)"),
            named("hdr", "request.headers"),
            named("end", "upper || '!'"),
        ];
        source.events[0].lets = vec![named("own", "end || left")];
        source.events[0].when = Some(sql("end = 'X!'"));
    };
    let check = |text: &str, expected: &str| {
        assert_eq!(message(&with_message(text, lets)), expected, "{text}");
    };
    check("end", "X!");
    check("own", "X!ab");
    check("upper(upper)", "X");
    check("hdr.host", "h");
    check("hdr['a b']", "c");
}

#[test]
fn a_path_below_a_let_counts_as_the_column_that_it_reads() {
    let source = with_message("hdr.host", |source| {
        source.lets = vec![named("hdr", "request.headers")];
    });
    let program = compiled(&source).expect("compiles");
    let row = json!({"start": "2024-01-15", "request": {"headers": {"host": "h"}}});
    let found = &run(&program, &[row])[0];
    assert_eq!(found["message"], "h");
    assert!(found.get("unmapped").is_none(), "{found}");
}

#[test]
fn a_mistake_in_a_let_is_reported_there_and_nowhere_else() {
    let source = with_message("broken || hdr.x", |source| {
        source.lets = vec![named("broken", "upper(actoin)"), named("hdr", "broken")];
        source.lets[0].1.at = at(7);
    });
    let found = compiled(&source).expect_err("a column is unknown").0;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].at.line, found[0].at.column), (7, 16));
}

#[test]
fn a_let_cannot_have_the_name_of_a_column() {
    let source = with_message("action", |source| {
        source.lets = vec![named("action", "upper(left)")];
    });
    let found = compiled(&source).expect_err("the name is taken").0;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].message.contains("`action` is a column"),
        "{found:?}"
    );
}

#[test]
fn a_let_is_usable_for_each_element_of_a_list() {
    let mut source = with_message("action", |source| {
        source.lets = vec![named("shout", "upper(action)")];
    });
    let each = Value::Each(Each {
        list: sql("request.list"),
        when: None,
        item: object(&[("name", map("item.x || shout"))]),
    });
    source.events[0].class = "api_activity".to_owned();
    insert(&mut source.events[0].attributes, "resources", node(each));
    let program = compiled(&source).expect("compiles");
    let row = json!({"start": "2024-01-15", "action": "x", "request": {"list": [{"x": 1}]}});
    let found = &run(&program, &[row])[0];
    assert_eq!(found["resources"], json!([{"name": "1X"}]));
}

#[test]
fn an_expression_of_a_group_reads_other_columns() {
    let renamed = |text: &str, names: &[(&str, &str)]| {
        let source = with_message(text, |source| {
            let Value::Sql(sql) = &mut source.events[0]
                .attributes
                .get_mut("message")
                .expect("it is mapped")
                .value
            else {
                panic!("it is an expression");
            };
            let names = names
                .iter()
                .map(|(name, column)| ((*name).to_owned(), (*column).to_owned()));
            sql.renamed = BTreeMap::from_iter(names);
        });
        message(&source)
    };
    assert_eq!(renamed("upper(Image)", &[("Image", "action")]), "X");
    assert_eq!(renamed("Image", &[("Image", "request.headers.host")]), "h");
    assert_eq!(renamed("Image.host", &[("Image", "request.headers")]), "h");
    assert_eq!(
        renamed("Image", &[("Image", "left"), ("left", "action")]),
        "ab"
    );
}

#[test]
fn keys_in_brackets_are_keys() {
    let check = |text: &str, expected: &str| {
        assert_eq!(message(&with_message(text, |_| {})), expected, "{text}");
    };
    check("request['headers']['a b']", "c");
    check("request['headers'].host", "h");
    check("request.list[0].x", "1");
    check("left(action, 1) || left", "xab");
    check("CASE WHEN action == 'x' THEN 'same' END", "same");
    check("array_to_string(ARRAY['a', 'b'], '-')", "a-b");
}

/// A source with a login and a flow, whose base has `members`.
fn with_base(members: &[(&str, &str)]) -> Source {
    let mut login = event("authentication", &[("time", map("start"))]);
    let mut flow = event("network_activity", &[("time", map("start"))]);
    login.when = Some(sql("action = 'login'"));
    for event in [&mut login, &mut flow] {
        event.base_profiles = vec!["host".to_owned(), "security_control".to_owned()];
        for (path, text) in members {
            let mut node = map(text);
            node.at.key = format!("base.map.{path}");
            node.at.line = 3;
            if let Value::Sql(sql) = &mut node.value {
                sql.at = node.at.clone();
            }
            insert(&mut event.attributes, path, node);
        }
    }
    source(&columns(), vec![login, flow])
}

#[test]
fn a_class_takes_what_it_has_of_the_base() {
    let members = [
        ("auth_protocol", "left"),
        ("app_name", "left"),
        ("message", "left"),
    ];
    let program = compiled(&with_base(&members)).expect("compiles");
    let row = |action: &str| json!({"start": "2024-01-15", "left": "l", "action": action});
    let found = run(&program, &[row("login"), row("other")]);
    assert_eq!(found[0]["auth_protocol"], "l");
    assert!(found[1].get("auth_protocol").is_none());
    assert_eq!(found[1]["message"], "l");
}

#[test]
fn what_no_class_has_of_the_base_is_reported_once() {
    let mut source = with_base(&[("nothing", "left")]);
    for event in &mut source.events {
        event.base_profiles.push("clowd".to_owned());
    }
    let found = compiled(&source).expect_err("two mistakes").to_string();
    assert_eq!(found.matches("`nothing`").count(), 1, "{found}");
    assert_eq!(found.matches("profile `clowd`").count(), 1, "{found}");
}

#[test]
fn a_mistake_in_the_base_names_the_events_that_have_it() {
    let found = compiled(&with_base(&[("message", "lft")]))
        .expect_err("a column is unknown")
        .0;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].message.starts_with("there is no column `lft`"),
        "{found:?}"
    );
    let mut source = with_base(&[("message", "lft")]);
    source.events[0].attributes.remove("message");
    let found = compiled(&source).expect_err("a column is unknown").0;
    assert!(
        found[0]
            .message
            .starts_with("in event `network_activity`: "),
        "{found:?}"
    );
}

#[test]
fn outputs_have_names_that_security_lake_takes() {
    let mut source = with_base(&[]);
    let name = |source: &Source, class: &str| output_name(source, class);
    source.name = "cloudtrail".to_owned();
    assert_eq!(name(&source, "api_activity"), "cloudtrail-api-activ");
    assert_eq!(name(&source, "authentication"), "cloudtrail-authentic");
    source.name = "dns_log".to_owned();
    assert_eq!(name(&source, "dns_activity"), "dns-log-dns-activity");
    source.name = "a_source_with_a_long_name".to_owned();
    assert_eq!(name(&source, "api_activity"), "a-source-wi-api-acti");
    source.events.pop();
    source.name = "dns_log".to_owned();
    assert_eq!(name(&source, "authentication"), "dns_log");
}
