//! The parts of a schema: classes, objects, attributes and enumerations.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};

/// Attributes by name.
pub type Attributes = BTreeMap<String, Attribute>;

/// A class of events.
#[derive(Clone, Debug)]
pub struct Class {
    /// Name, such as `network_activity`.
    pub name: String,
    /// Id, such as 4001.
    pub uid: u32,
    /// Name for display, such as `Network Activity`.
    pub caption: String,
    /// Id of the category.
    pub category_uid: u32,
    /// Name of the category for display.
    pub category_name: String,
    /// The profiles that an event of this class may declare.
    pub profiles: BTreeSet<String>,
    /// Requirements on several attributes.
    pub constraints: Vec<Constraint>,
    /// Attributes by name.
    pub attributes: Attributes,
}

/// A structured type of attributes.
#[derive(Clone, Debug)]
pub struct Object {
    /// Name, such as `network_endpoint`.
    pub name: String,
    /// Name for display.
    pub caption: String,
    /// The profiles of its attributes.
    pub profiles: BTreeSet<String>,
    /// Requirements on several attributes.
    pub constraints: Vec<Constraint>,
    /// Observable type id, if its values are observables.
    pub observable: Option<u32>,
    /// Attributes by name.
    pub attributes: Attributes,
}

/// A requirement on several attributes of a class or object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constraint {
    /// How many of the attributes must be present.
    pub kind: ConstraintKind,
    /// Names of the attributes.
    pub attributes: Vec<String>,
}

/// The number of attributes that must be present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConstraintKind {
    AtLeastOne,
    JustOne,
}

/// One attribute of a class or an object.
#[derive(Clone, Debug)]
pub struct Attribute {
    /// Name without its parents.
    pub name: String,
    /// OCSF's name of the type without `_t`, or the name of the object.
    pub type_name: String,
    /// Type of one value.
    pub ty: Type,
    /// Whether the attribute is a list.
    pub is_array: bool,
    /// If there are `profiles`, it applies only when one of them is declared.
    pub requirement: Requirement,
    /// The allowed values.
    pub enumeration: Option<Arc<Enumeration>>,
    /// The attribute with the text of an id: `activity_name` for `activity_id`.
    pub sibling: Option<String>,
    /// The profiles that add this attribute. Without any it always exists.
    pub profiles: Vec<String>,
    /// The observable type id of its values.
    pub observable: Option<u32>,
}

/// Whether an attribute must be present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    Required,
    Recommended,
    Optional,
}

/// The type of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    Boolean,
    Integer,
    Long,
    Float,
    /// Epoch milliseconds.
    Timestamp,
    /// RFC 3339 time. It exists only with the `datetime` profile.
    Datetime,
    /// Any JSON: the scalar `json` and the object `object`.
    Json,
    /// Text. `type_name` names its kind.
    Text,
    /// The object with this name.
    Object(String),
}

/// The members of an enumeration, sorted by id. A few enumerations have texts as ids.
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

    /// Returns the Arrow type of its values. Objects have none, because their members depend
    /// on the mapping.
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
    /// Returns the Arrow type of one value. Objects have none.
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

    /// Returns ids (as text) and captions, in the order of ids.
    pub fn members(&self) -> impl Iterator<Item = (&str, &str)> {
        self.members
            .iter()
            .map(|(id, caption)| (id.as_str(), caption.as_str()))
    }

    /// Returns every caption, in the order of ids.
    pub fn captions(&self) -> impl Iterator<Item = &str> {
        self.members().map(|(_, caption)| caption)
    }

    /// Finds a member by caption or id, in any case. Returns its id and caption.
    pub fn find(&self, text: &str) -> Option<(&str, &str)> {
        let text = text.trim();
        self.members().find(|(id, caption)| {
            caption.eq_ignore_ascii_case(text) || id.eq_ignore_ascii_case(text)
        })
    }

    /// Finds a member by caption or id, in any case. Returns its numeric id.
    pub fn id(&self, text: &str) -> Option<i64> {
        self.find(text)?.0.parse().ok()
    }

    /// Returns the caption of an id.
    pub fn caption(&self, id: i64) -> Option<&str> {
        let id = id.to_string();
        self.members()
            .find(|(known, _)| *known == id)
            .map(|(_, caption)| caption)
    }
}

/// Whether two names mean the same profile. The declared name may omit the extension.
pub(crate) fn same_profile(full: &str, declared: &str) -> bool {
    full == declared
        || full
            .split_once('/')
            .is_some_and(|(_, name)| name == declared)
}

impl Class {
    /// Returns the profile of this class with the name `declared`.
    pub fn profile(&self, declared: &str) -> Option<&str> {
        self.profiles
            .iter()
            .map(String::as_str)
            .find(|own| same_profile(own, declared))
    }
}
