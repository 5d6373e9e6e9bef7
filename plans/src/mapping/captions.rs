//! The text twins of ids: `activity_name` of `activity_id`, `severity` of `severity_id`.

use arrow::datatypes::DataType;

use super::enumeration::{call, captions, named, of, unless_null};
use super::fit;
use super::tree::{Leaf, Member, Members, Tree, leaf};
use crate::functions::{Other, Table};
use crate::ocsf::{Attribute, Attributes, Enumeration};

/// Adds the twin of every id that has none yet.
pub(super) fn add(members: &mut Members, attributes: &Attributes) {
    let mut found: Vec<(String, Leaf)> = Vec::new();
    for name in members.keys() {
        let Some(attribute) = attributes.get(name) else {
            continue;
        };
        let Some(sibling) = free_sibling(attribute, members, attributes) else {
            continue;
        };
        let id = leaf(members, name).and_then(|leaf| leaf.member.as_ref());
        if let (Some(known), Some(id)) = (of(attribute), id) {
            found.push((sibling, of_member(known, id, "", Other::Source)));
        }
    }
    for (name, leaf) in found {
        members.insert(name, Tree::Leaf(leaf));
    }
}

fn free_sibling(
    attribute: &Attribute,
    members: &Members,
    attributes: &Attributes,
) -> Option<String> {
    let sibling = attribute.sibling.as_ref()?;
    let is_free = !members.contains_key(sibling) && attributes.contains_key(sibling);
    is_free.then(|| sibling.clone())
}

/// The caption of an id, after `prefix`.
pub(super) fn of_member(known: &Enumeration, id: &Member, prefix: &str, other: Other) -> Leaf {
    let mut table = Table {
        to: Vec::new(),
        captions: captions(known, prefix),
        other,
    };
    let expr = match id {
        Member::Constant(id) => {
            let caption = known.caption(i64::from(*id)).unwrap_or("Other");
            return Leaf::constant(fit::text(format!("{prefix}{caption}")));
        }
        Member::Text { on, to } => {
            table.to = named(known, to);
            call("enum_caption", on.clone(), &table)
        }
        Member::TextOrNull(on) => {
            table.to = named(known, &[]);
            unless_null(on, call("enum_caption", on.clone(), &table))
        }
        Member::Id(id) => call("id_caption", id.clone(), &table),
    };
    Leaf::derived(expr, DataType::Utf8View)
}
