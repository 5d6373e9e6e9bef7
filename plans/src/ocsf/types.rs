//! What a version says: classes, objects, attributes, enumerations.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};

/// Attributes by name.
pub type Attributes = BTreeMap<String, Attribute>;

/// A class of events.
#[derive(Clone, Debug)]
pub struct Class {
    pub name: String,
    pub uid: u32,
    pub caption: String,
    pub category_uid: u32,
    pub category_name: String,
    /// The profiles that an event of this class may declare.
    pub profiles: BTreeSet<String>,
    pub constraints: Vec<Constraint>,
    pub attributes: Attributes,
}

/// A structure that attributes are made of.
#[derive(Clone, Debug)]
pub struct Object {
    pub name: String,
    pub caption: String,
    pub profiles: BTreeSet<String>,
    pub constraints: Vec<Constraint>,
    pub observable: Option<u32>,
    pub attributes: Attributes,
}

/// A demand on several attributes of a class or object together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constraint {
    pub kind: ConstraintKind,
    pub attributes: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConstraintKind {
    AtLeastOne,
    JustOne,
}

/// One attribute of a class or an object.
#[derive(Clone, Debug)]
pub struct Attribute {
    pub name: String,
    /// OCSF's own name of the type without `_t`, or the object's name.
    pub type_name: String,
    pub ty: Type,
    pub is_array: bool,
    /// Counts only when one of `profiles` is declared, if there are any.
    pub requirement: Requirement,
    pub enumeration: Option<Arc<Enumeration>>,
    /// The text twin of an id: `activity_name` for `activity_id`.
    pub sibling: Option<String>,
    /// The profiles that bring this attribute; empty when it is always there.
    pub profiles: Vec<String>,
    /// The observable type id of its values.
    pub observable: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    Required,
    Recommended,
    Optional,
}

/// What an attribute's values are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    Boolean,
    Integer,
    Long,
    Float,
    /// Epoch milliseconds.
    Timestamp,
    /// RFC 3339 time; only with the `datetime` profile.
    Datetime,
    /// Any JSON: the scalar `json` and the object `object`.
    Json,
    /// Text of some kind: `type_name` tells which.
    Text,
    /// A structure: the object of this name.
    Object(String),
}

/// The members of an enumeration, by id. A few have text for ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enumeration {
    members: Vec<(String, String)>,
}

impl Attribute {
    /// Whether an event that declares `profiles` has this attribute.
    pub fn is_in<'a>(&self, profiles: impl IntoIterator<Item = &'a str>) -> bool {
        self.profiles.is_empty()
            || profiles
                .into_iter()
                .any(|declared| self.profiles.iter().any(|own| same_profile(own, declared)))
    }

    /// The Arrow type of its values; `None` for structures, whose members depend
    /// on what is mapped.
    pub fn arrow(&self) -> Option<DataType> {
        let value = self.ty.arrow()?;
        if self.is_array {
            Some(DataType::List(Arc::new(Field::new_list_field(value, true))))
        } else {
            Some(value)
        }
    }
}

impl Type {
    /// The Arrow type of one value; `None` for structures.
    pub fn arrow(&self) -> Option<DataType> {
        match self {
            Self::Boolean => Some(DataType::Boolean),
            Self::Integer => Some(DataType::Int32),
            Self::Long | Self::Timestamp => Some(DataType::Int64),
            Self::Float => Some(DataType::Float64),
            Self::Datetime => Some(DataType::Timestamp(
                TimeUnit::Millisecond,
                Some("UTC".into()),
            )),
            Self::Json => Some(DataType::Utf8),
            Self::Text => Some(DataType::Utf8View),
            Self::Object(_) => None,
        }
    }
}

impl Enumeration {
    pub(super) fn new(members: Vec<(String, String)>) -> Self {
        Self { members }
    }

    /// Ids (as text) and captions, in the order of ids.
    pub fn members(&self) -> impl Iterator<Item = (&str, &str)> {
        self.members
            .iter()
            .map(|(id, caption)| (id.as_str(), caption.as_str()))
    }

    /// Every caption, in the order of ids.
    pub fn captions(&self) -> impl Iterator<Item = &str> {
        self.members().map(|(_, caption)| caption)
    }

    /// The id and caption that `text`, a caption or an id, names in any case.
    pub fn find(&self, text: &str) -> Option<(&str, &str)> {
        let text = text.trim();
        self.members().find(|(id, caption)| {
            caption.eq_ignore_ascii_case(text) || id.eq_ignore_ascii_case(text)
        })
    }

    /// The number of the member that `text`, a caption or an id, names in any case.
    pub fn id(&self, text: &str) -> Option<i64> {
        self.find(text)?.0.parse().ok()
    }

    /// The caption of a number.
    pub fn caption(&self, id: i64) -> Option<&str> {
        let id = id.to_string();
        self.members()
            .find(|(known, _)| *known == id)
            .map(|(_, caption)| caption)
    }
}

/// Whether two spellings name one profile: that of an extension may leave the
/// extension out.
pub(crate) fn same_profile(full: &str, declared: &str) -> bool {
    full == declared
        || full
            .split_once('/')
            .is_some_and(|(_, name)| name == declared)
}

impl Class {
    /// The profile of this class that `declared` names.
    pub fn profile(&self, declared: &str) -> Option<&str> {
        self.profiles
            .iter()
            .map(String::as_str)
            .find(|own| same_profile(own, declared))
    }
}
