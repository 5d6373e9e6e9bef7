//! Classes, objects and attributes as tables.

use std::fmt::Write;

use plans::ocsf::{
    Attribute, Attributes, Constraint, ConstraintKind, Enumeration, Hit, Requirement,
};

use super::{Meaning, Reference};
use crate::table::{Table, plural};

/// Enumerations with more members are cut in tables of many attributes.
const FEW: usize = 12;
/// The members of those that are cut.
const SHOWN: usize = 6;

pub(super) fn classes(reference: &Reference) -> String {
    let mut table = Table::new(&[">uid", "class", "caption", "category", "mapped by"]);
    let mut classes: Vec<_> = reference.schema.classes().collect();
    classes.sort_by_key(|class| class.uid);
    for class in classes {
        table.row([
            class.uid.to_string(),
            class.name.clone(),
            class.caption.clone(),
            class.category_name.clone(),
            reference.coverage.of_class(&class.name).join(", "),
        ]);
    }
    table.render()
}

pub(super) fn meaning(reference: &Reference, name: &str, meaning: &Meaning<'_>) -> String {
    let mut text = String::new();
    if let Some((attribute, path)) = &meaning.path {
        text.push_str(&of_path(attribute, path));
    }
    if let Some(class) = meaning.class {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "class {} ({}): {}",
            class.name, class.uid, class.caption
        );
        let profiles = Vec::from_iter(class.profiles.iter().map(String::as_str));
        let _ = writeln!(text, "profiles: {}", profiles.join(", "));
        let by = reference.coverage.of_class(&class.name);
        line(&mut text, "mapped by", &by.join(", "));
        constraints(&mut text, &class.constraints);
        text.push_str(&attributes(reference, &class.name, &class.attributes));
    }
    if let Some(object) = meaning.object {
        separate(&mut text);
        let _ = writeln!(text, "object {}: {}", object.name, object.caption);
        constraints(&mut text, &object.constraints);
        text.push_str(&attributes(reference, &object.name, &object.attributes));
    }
    if !meaning.uses.is_empty() {
        separate(&mut text);
        text.push_str(&uses(reference, name, meaning));
    }
    text
}

fn separate(text: &mut String) {
    if !text.is_empty() {
        text.push('\n');
    }
}

fn line(text: &mut String, title: &str, value: &str) {
    if !value.is_empty() {
        let _ = writeln!(text, "{title}: {value}");
    }
}

fn of_path(attribute: &Attribute, path: &str) -> String {
    let mut text = format!(
        "attribute {path}: {}, {}\n",
        requirement(attribute),
        type_of(attribute)
    );
    line(&mut text, "profile", &attribute.profiles.join(", "));
    if let Some(members) = &attribute.enumeration {
        text.push_str(&all_members(members));
    }
    text
}

fn constraints(text: &mut String, constraints: &[Constraint]) {
    for constraint in constraints {
        let kind = match constraint.kind {
            ConstraintKind::AtLeastOne => "at least one of",
            ConstraintKind::JustOne => "exactly one of",
        };
        line(text, kind, &constraint.attributes.join(", "));
    }
}

/// The attributes of a class or object; required ones first.
fn attributes(reference: &Reference, owner: &str, attributes: &Attributes) -> String {
    let mut table = Table::new(&[
        "attribute",
        "requirement",
        "type",
        "profile",
        "mapped by",
        "values",
    ]);
    let mut sorted: Vec<&Attribute> = attributes.values().collect();
    sorted.sort_by_key(|attribute| rank(attribute.requirement));
    for attribute in sorted {
        let members = attribute.enumeration.as_deref();
        table.row([
            attribute.name.clone(),
            requirement(attribute).to_owned(),
            type_of(attribute),
            attribute.profiles.join(", "),
            reference
                .coverage
                .of_attribute(owner, &attribute.name)
                .join(", "),
            members.map_or_else(String::new, some_members),
        ]);
    }
    format!("\n{}", table.render())
}

/// Every class and object with the attribute, and the members of its enumerations.
fn uses(reference: &Reference, name: &str, meaning: &Meaning<'_>) -> String {
    let mut table = Table::new(&["in", "name", "requirement", "type", "profile", "mapped by"]);
    let mut enumerations: Vec<(&Enumeration, Vec<&str>)> = Vec::new();
    for used in &meaning.uses {
        table.row([
            if used.is_class { "class" } else { "object" }.to_owned(),
            used.owner.to_owned(),
            requirement(used.attribute).to_owned(),
            type_of(used.attribute),
            used.attribute.profiles.join(", "),
            reference
                .coverage
                .of_attribute(used.owner, &used.attribute.name)
                .join(", "),
        ]);
        let Some(members) = used.attribute.enumeration.as_deref() else {
            continue;
        };
        match enumerations.iter_mut().find(|(known, _)| *known == members) {
            Some((_, owners)) => owners.push(used.owner),
            None => enumerations.push((members, vec![used.owner])),
        }
    }
    let mut text = format!("attribute {name}:\n\n{}", table.render());
    for (members, owners) in enumerations {
        let _ = write!(
            text,
            "\nvalues in {}:\n{}",
            owners.join(", "),
            all_members(members)
        );
    }
    text
}

pub(super) fn hits(word: &str, hits: &[Hit]) -> String {
    let mut table = Table::new(&["kind", "name", "caption", "in"]);
    for hit in hits {
        let row = match hit {
            Hit::Class { name, caption } => ["class", name, caption, ""].map(str::to_owned),
            Hit::Object { name, caption } => ["object", name, caption, ""].map(str::to_owned),
            Hit::Attribute { name } => ["attribute", name, "", ""].map(str::to_owned),
            Hit::Member {
                attribute,
                id,
                caption,
                owners,
            } => [
                "value".to_owned(),
                attribute.clone(),
                format!("{id} {caption}"),
                some_of(owners),
            ],
        };
        table.row(row);
    }
    let found = plural(hits.len() as u64, "place");
    match table.is_empty() {
        true => format!("nothing contains `{word}`\n"),
        false => format!("{}{found}\n", table.render()),
    }
}

fn some_of(names: &[String]) -> String {
    match names.len() {
        0..=3 => names.join(", "),
        all => format!("{}, … {all} in all", names[..3].join(", ")),
    }
}

fn some_members(members: &Enumeration) -> String {
    let all: Vec<String> = members
        .members()
        .map(|(id, caption)| format!("{id} {caption}"))
        .collect();
    match all.len() {
        0..=FEW => all.join(", "),
        count => format!("{}, … {count} in all", all[..SHOWN].join(", ")),
    }
}

fn all_members(members: &Enumeration) -> String {
    let mut text = String::new();
    for (id, caption) in members.members() {
        let _ = writeln!(text, "  {id:>4}  {caption}");
    }
    text
}

fn rank(requirement: Requirement) -> u8 {
    match requirement {
        Requirement::Required => 0,
        Requirement::Recommended => 1,
        Requirement::Optional => 2,
    }
}

pub(super) fn requirement(attribute: &Attribute) -> &'static str {
    match attribute.requirement {
        Requirement::Required => "required",
        Requirement::Recommended => "recommended",
        Requirement::Optional => "optional",
    }
}

/// OCSF's name of the type, or the name of the object; `[]` marks a list.
fn type_of(attribute: &Attribute) -> String {
    let list = if attribute.is_array { "[]" } else { "" };
    format!("{}{list}", attribute.type_name)
}

#[cfg(test)]
mod tests {
    use plans::inspect::coverage;
    use plans::ocsf::Schema;

    use super::super::schema;
    use super::*;

    fn shown(name: &str) -> String {
        let schema: &'static Schema = schema("1.1.0").expect("pinned");
        let reference = Reference {
            schema,
            coverage: coverage::of_shipped(schema).expect("shipped sources load"),
        };
        let found = super::super::meaning(schema, name);
        let found = found.unwrap_or_else(|failure| panic!("{failure}"));
        meaning(&reference, name, &found)
    }

    /// The line whose first word is `name`.
    fn line_of(text: &str, name: &str) -> String {
        let line = text
            .lines()
            .find(|line| line.split(' ').next() == Some(name));
        line.unwrap_or_default().to_owned()
    }

    #[test]
    fn a_class_shows_requirements_types_captions_and_who_maps_it() {
        let text = shown("network_activity");
        assert!(text.starts_with("class network_activity (4001): Network Activity\n"));
        assert!(text.contains("mapped by: vpc_flow"));
        let line = line_of(&text, "activity_id");
        assert!(
            line.contains("required") && line.contains("6 Traffic"),
            "{line}"
        );
        let line = line_of(&text, "src_endpoint");
        assert!(
            line.contains("network_endpoint") && line.contains("vpc_flow"),
            "{line}"
        );
    }

    #[test]
    fn an_attribute_shows_every_owner_and_all_members() {
        let text = shown("activity_id");
        assert!(text.contains("authentication") && text.contains("api_activity"));
        assert!(text.contains("   1  Logon\n"), "{text}");
    }

    #[test]
    fn constraints_are_shown() {
        assert!(shown("account").contains("at least one of: name, uid\n"));
    }
}
