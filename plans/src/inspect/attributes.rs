//! The attributes that a route maps, as they are written in its configuration.

use crate::spec::{Constant, Node, Object, Value};

/// The values of an object with their dotted paths. Enums and lists are one value.
pub(super) fn leaves(object: &Object) -> Vec<(String, &Node)> {
    let mut found = Vec::new();
    collect(object, "", &mut found);
    found
}

fn collect<'a>(object: &'a Object, parent: &str, found: &mut Vec<(String, &'a Node)>) {
    for (name, node) in object {
        let path = joined(parent, name);
        match &node.value {
            Value::Object(members) => collect(members, &path, found),
            _ => found.push((path, node)),
        }
    }
}

/// `parent.name`, or the name at the root.
pub(super) fn joined(parent: &str, name: &str) -> String {
    match parent {
        "" => name.to_owned(),
        _ => format!("{parent}.{name}"),
    }
}

/// The value that fills an attribute, or that of the list that it is in. A derived attribute
/// has none.
pub(super) fn node_at<'a>(object: &'a Object, path: &[&str]) -> Option<&'a Node> {
    let (first, rest) = path.split_first()?;
    let node = object.get(*first)?;
    if rest.is_empty() {
        return Some(node);
    }
    match &node.value {
        Value::Object(members) => node_at(members, rest),
        Value::Each(each) => node_at(&each.item, rest).or(Some(node)),
        Value::List(items) => {
            let within = items.iter().find_map(|item| match &item.value {
                Value::Object(members) => node_at(members, rest),
                _ => None,
            });
            within.or(Some(node))
        }
        _ => Some(node),
    }
}

/// The value as it is written, on one line.
pub(super) fn written(value: &Value) -> String {
    let text = match value {
        Value::Constant(constant) => constant_text(constant),
        Value::Sql(sql) => sql.text.clone(),
        Value::Enum(table) => format!("match {}", table.on.text),
        Value::Each(each) => format!("each {}", each.list.text),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(|item| written(&item.value)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(members) => {
            let names: Vec<&str> = members.keys().map(String::as_str).collect();
            format!("{{ {} }}", names.join(", "))
        }
    };
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn constant_text(constant: &Constant) -> String {
    match constant {
        Constant::Text(text) => format!("{text:?}"),
        Constant::Integer(number) => number.to_string(),
        Constant::Double(number) => number.to_string(),
        Constant::Boolean(value) => value.to_string(),
        Constant::List(items) => {
            let items: Vec<String> = items.iter().map(constant_text).collect();
            format!("[{}]", items.join(", "))
        }
    }
}
