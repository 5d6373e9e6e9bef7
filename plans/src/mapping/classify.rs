//! What an event says about itself: its class, category, type, version, profiles
//! and observables. A mapping does not write these.

use arrow::datatypes::{DataType, Fields};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{cast, lit};

use super::captions::of_member;
use super::enumeration;
use super::fit::{text, text_list};
use super::layout;
use super::layout::{Content, Layout, Observable};
use super::tree::{Filled, Leaf, Member, Members, Tree, join, leaf};
use crate::functions::{Observed, Other};
use crate::ocsf::{Attributes, Class, Schema};

/// Activities that nothing maps are unknown, which is what 0 says.
const UNKNOWN: i32 = 0;

/// Adds the classification and `metadata.version` and `.profiles`.
pub(super) fn add(members: &mut Members, class: &Class, ocsf: &Schema, profiles: &[String]) {
    let number = |value: u32| Leaf::constant(ScalarValue::Int32(Some(value.cast_signed())));
    add_activity(members, class);
    set(members, class, "class_uid", number(class.uid));
    set(
        members,
        class,
        "class_name",
        Leaf::constant(text(&class.caption)),
    );
    set(members, class, "category_uid", number(class.category_uid));
    set(
        members,
        class,
        "category_name",
        Leaf::constant(text(&class.category_name)),
    );
    add_type(members, class);
    let metadata = members
        .entry("metadata".to_owned())
        .or_insert_with(|| Tree::Struct(Members::new()));
    if let Tree::Struct(metadata) = metadata {
        let version = Tree::Leaf(Leaf::constant(text(ocsf.version())));
        metadata.insert("version".to_owned(), version);
        if !profiles.is_empty() {
            metadata.insert("profiles".to_owned(), Tree::Leaf(profile_list(profiles)));
        }
    }
}

fn set(members: &mut Members, class: &Class, name: &str, leaf: Leaf) {
    if class.attributes.contains_key(name) {
        members.insert(name.to_owned(), Tree::Leaf(leaf));
    }
}

fn profile_list(profiles: &[String]) -> Leaf {
    let values: Vec<ScalarValue> = profiles.iter().map(text).collect();
    let mut leaf = Leaf::derived(
        text_list(&values, &DataType::Utf8View),
        super::fit::list_of(DataType::Utf8View),
    );
    leaf.filled = Filled::Constant;
    leaf
}

fn add_activity(members: &mut Members, class: &Class) {
    if members.contains_key("activity_id") {
        return;
    }
    let mut unknown = Leaf::constant(ScalarValue::Int32(Some(UNKNOWN)));
    unknown.member = Some(Member::Constant(UNKNOWN));
    set(members, class, "activity_id", unknown);
    if !members.contains_key("activity_name") {
        set(
            members,
            class,
            "activity_name",
            Leaf::constant(text("Unknown")),
        );
    }
}

/// `type_uid` and `type_name`, which follow from class and activity.
fn add_type(members: &mut Members, class: &Class) {
    let base = i64::from(class.uid) * 100;
    let known = class
        .attributes
        .get("activity_id")
        .and_then(enumeration::of);
    let Some(activity) = leaf(members, "activity_id") else {
        return;
    };
    let (Some(known), Some(member)) = (known, activity.member.clone()) else {
        return;
    };
    let uid = match &member {
        Member::Constant(id) => Leaf::constant(ScalarValue::Int64(Some(base + i64::from(*id)))),
        _ => {
            let id = cast(activity.expr.clone(), DataType::Int64);
            Leaf::derived(id + lit(base), DataType::Int64)
        }
    };
    let prefix = format!("{}: ", class.caption);
    let other = Other::Caption(format!("{prefix}Other"));
    let name = of_member(known, &member, &prefix, other);
    set(members, class, "type_uid", uid);
    set(members, class, "type_name", name);
}

/// The attributes whose values are observables, with the fields they have in the event.
pub(super) fn observables(
    event: &layout::Object,
    class: &Class,
    ocsf: &Schema,
    fields: &Fields,
) -> Vec<Observable> {
    let mut found = Vec::new();
    let mut walk = Walk {
        ocsf,
        found: &mut found,
    };
    walk.object(event, fields, &class.attributes, (&[], ""));
    found
}

/// Looks for observables in an event.
struct Walk<'a> {
    ocsf: &'a Schema,
    found: &'a mut Vec<Observable>,
}

impl Walk<'_> {
    fn object(
        &mut self,
        object: &layout::Object,
        fields: &Fields,
        attributes: &Attributes,
        (indices, path): (&[usize], &str),
    ) {
        for (index, (layout, field)) in object.members.iter().zip(fields).enumerate() {
            let Some(attribute) = attributes.get(field.name()) else {
                continue;
            };
            let own = [indices, &[index]].concat();
            let dotted = join(path, field.name());
            match (layout, field.data_type()) {
                (Layout::Struct(inner), DataType::Struct(fields)) => {
                    if let Some(object) = self.ocsf.object_of(attribute) {
                        self.object(inner, fields, &object.attributes, (&own, &dotted));
                    }
                }
                // An index of content is that of a value from a column.
                (Layout::Leaf(_), kind)
                    if object.content.contains(&Content::Value(index)) && !is_structured(kind) =>
                {
                    let observed = attribute.observable;
                    let observed = observed.and_then(|kind| self.observed(dotted, kind));
                    self.found.extend(observed.map(|observed| Observable {
                        path: own,
                        observed,
                    }));
                }
                _ => {}
            }
        }
    }

    fn observed(&self, name: String, kind: u32) -> Option<Observed> {
        Some(Observed {
            name,
            type_id: i32::try_from(kind).ok()?,
            kind: self.ocsf.observable_caption(kind)?.to_owned(),
        })
    }
}

fn is_structured(kind: &DataType) -> bool {
    match kind {
        DataType::List(item) => is_structured(item.data_type()),
        DataType::Struct(_) | DataType::Map(..) => true,
        _ => false,
    }
}
