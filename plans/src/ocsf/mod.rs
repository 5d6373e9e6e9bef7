//! The OCSF schema: classes, objects, attributes and enumerations. Each pinned version has a
//! compact table, which `plans/ocsf/extract.py` writes. The tables are embedded, and nothing
//! is read from a network.

mod browse;
mod read;
mod types;

use std::collections::BTreeMap;
use std::sync::LazyLock;

pub use browse::{Hit, Use};
pub use types::{
    Attribute, Attributes, Class, Constraint, ConstraintKind, Enumeration, Object, Requirement,
    Type,
};

use crate::diagnostics::nearest;

/// The version that Security Lake's validator and native sources use.
pub const DEFAULT_VERSION: &str = "1.1.0";

/// The root attribute of every class for values without another attribute.
pub const UNMAPPED: &str = "unmapped";

type Pinned = (&'static str, LazyLock<Schema>);

static VERSIONS: [Pinned; 2] = [
    (
        "1.1.0",
        LazyLock::new(|| read::schema(include_str!("../../ocsf/1.1.0.tsv"))),
    ),
    (
        "1.3.0",
        LazyLock::new(|| read::schema(include_str!("../../ocsf/1.3.0.tsv"))),
    ),
];

/// The error for a version that is not pinned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown OCSF version {asked} (known: {known})")]
pub struct UnknownVersion {
    /// The version that was given.
    pub asked: String,
    /// The pinned versions, separated by commas.
    pub known: String,
}

/// Returns the pinned versions, oldest first.
pub fn versions() -> impl Iterator<Item = &'static str> {
    VERSIONS.iter().map(|(version, _)| *version)
}

/// Returns the schema of an OCSF version. A leading `v` is allowed.
pub fn schema(version: &str) -> Result<&'static Schema, UnknownVersion> {
    let wanted = version.strip_prefix('v').unwrap_or(version);
    let found = VERSIONS.iter().find(|(known, _)| *known == wanted);
    found
        .map(|(_, schema)| LazyLock::force(schema))
        .ok_or_else(|| UnknownVersion {
            asked: version.to_owned(),
            known: versions().collect::<Vec<_>>().join(", "),
        })
}

/// The schema of one version.
#[derive(Debug)]
pub struct Schema {
    version: String,
    classes: BTreeMap<String, Class>,
    objects: BTreeMap<String, Object>,
}

/// The error for a dotted path without an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownPath {
    /// The path up to and including the unknown segment.
    pub path: String,
    /// The known path with the most similar spelling.
    pub nearest: Option<String>,
    /// Whether the path continues after a scalar attribute, which is in `nearest`.
    pub inside_scalar: bool,
}

impl Schema {
    /// Returns the version without a `v`, as in `metadata.version`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns the class with this name, such as `network_activity`.
    pub fn class(&self, name: &str) -> Option<&Class> {
        self.classes.get(name)
    }

    /// Returns the class with this uid, such as 4001.
    pub fn class_by_uid(&self, uid: u32) -> Option<&Class> {
        self.classes.values().find(|class| class.uid == uid)
    }

    /// Returns every class, sorted by name.
    pub fn classes(&self) -> impl Iterator<Item = &Class> {
        self.classes.values()
    }

    /// Returns the object with this name, such as `network_endpoint`.
    pub fn object(&self, name: &str) -> Option<&Object> {
        self.objects.get(name)
    }

    /// Returns the name of the class with the most similar spelling.
    pub fn nearest_class(&self, name: &str) -> Option<&str> {
        nearest(name, self.classes.keys().map(String::as_str))
    }

    /// Returns the object type of an attribute. Scalars and JSON have none.
    pub fn object_of(&self, attribute: &Attribute) -> Option<&Object> {
        match &attribute.ty {
            Type::Object(name) => self.object(name),
            _ => None,
        }
    }

    /// Returns the attribute at a dotted path of a class, such as `src_endpoint.ip`.
    pub fn attribute<'a>(
        &'a self,
        class: &'a Class,
        path: &str,
    ) -> Result<&'a Attribute, UnknownPath> {
        let mut level = Some(&class.attributes);
        let mut found = None;
        let mut walked = String::new();
        for segment in path.split('.') {
            let attributes = level.ok_or_else(|| into_scalar(&walked, segment))?;
            let attribute = attributes
                .get(segment)
                .ok_or_else(|| unknown(&walked, segment, attributes))?;
            walked = join(&walked, segment);
            level = self.object_of(attribute).map(|object| &object.attributes);
            found = Some(attribute);
        }
        found.ok_or_else(|| unknown("", path, &class.attributes))
    }

    /// Returns the caption of an observable's type id, such as `IP Address` for 2.
    pub fn observable_caption(&self, type_id: u32) -> Option<&str> {
        let type_ids = self.object("observable")?.attributes.get("type_id")?;
        type_ids.enumeration.as_ref()?.caption(i64::from(type_id))
    }
}

fn unknown(walked: &str, segment: &str, attributes: &Attributes) -> UnknownPath {
    let nearest = nearest(segment, attributes.keys().map(String::as_str));
    UnknownPath {
        path: join(walked, segment),
        nearest: nearest.map(|name| join(walked, name)),
        inside_scalar: false,
    }
}

fn into_scalar(walked: &str, segment: &str) -> UnknownPath {
    UnknownPath {
        path: join(walked, segment),
        nearest: Some(walked.to_owned()),
        inside_scalar: true,
    }
}

fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() {
        name.to_owned()
    } else {
        format!("{parent}.{name}")
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType;

    use super::*;

    fn each_attribute(schema: &Schema) -> impl Iterator<Item = &Attribute> {
        let classes = schema.classes.values().map(|class| &class.attributes);
        let objects = schema.objects.values().map(|object| &object.attributes);
        classes.chain(objects).flat_map(|all| all.values())
    }

    #[test]
    fn every_pinned_version_is_readable() {
        for version in versions() {
            let schema = schema(version).expect("pinned");
            assert_eq!(schema.version(), version);
            assert!(schema.classes.len() >= 50, "{version}");
            assert!(each_attribute(schema).count() > 3000, "{version}");
        }
        assert_eq!(
            schema("2.0.0").expect_err("wrong").to_string(),
            "unknown OCSF version 2.0.0 (known: 1.1.0, 1.3.0)"
        );
    }

    #[test]
    fn no_attribute_is_called_match_or_each() {
        for version in versions() {
            let schema = schema(version).expect("pinned");
            let words = ["each", "match", "use", "when", "with"];
            assert!(each_attribute(schema).all(|a| !words.contains(&a.name.as_str())));
        }
    }

    #[test]
    fn every_object_that_an_attribute_names_exists() {
        for version in versions() {
            let schema = schema(version).expect("pinned");
            for attribute in each_attribute(schema) {
                if let Type::Object(name) = &attribute.ty {
                    assert!(schema.object(name).is_some(), "{version}: {name}");
                }
            }
        }
    }

    #[test]
    fn a_class_is_found_by_name_and_by_uid() {
        let schema = schema("v1.1.0").expect("pinned");
        let class = schema.class("network_activity").expect("known");
        assert_eq!((class.uid, class.category_uid), (4001, 4));
        assert_eq!(class.category_name, "Network Activity");
        assert!(class.profiles.contains("security_control"));
        assert_eq!(
            schema.class_by_uid(6003).map(|c| c.name.as_str()),
            Some("api_activity")
        );
        assert_eq!(
            schema.nearest_class("network_activty"),
            Some("network_activity")
        );
    }

    #[test]
    fn an_enum_member_is_found_by_caption_or_id_in_any_case() {
        let schema = schema("1.1.0").expect("pinned");
        let class = schema.class("network_activity").expect("known");
        let activity = class.attributes["activity_id"].enumeration.as_ref();
        let activity = activity.expect("an enum");
        assert_eq!(activity.id("refuse"), Some(5));
        assert_eq!(activity.id("5"), Some(5));
        assert_eq!(activity.id("REJECT"), None);
        assert_eq!(activity.caption(5), Some("Refuse"));
        let disposition = &class.attributes["disposition_id"];
        assert_eq!(disposition.profiles, ["security_control"]);
        assert!(
            disposition
                .enumeration
                .as_ref()
                .expect("an enum")
                .id("27")
                .is_some()
        );
    }

    #[test]
    fn a_dotted_path_finds_its_attribute_or_the_nearest_name() {
        let schema = schema("1.1.0").expect("pinned");
        let class = schema.class("network_activity").expect("known");
        let ip = schema.attribute(class, "src_endpoint.ip").expect("known");
        assert_eq!((ip.type_name.as_str(), ip.observable), ("ip", Some(2)));
        let wrong = schema
            .attribute(class, "src_endpoint.prt")
            .expect_err("wrong");
        assert_eq!(wrong.nearest.as_deref(), Some("src_endpoint.port"));
        let deep = schema.attribute(class, "time.x").expect_err("wrong");
        assert!(deep.inside_scalar);
        assert!(schema.attribute(class, "").is_err());
    }

    #[test]
    fn types_become_the_arrow_types_that_security_lake_uses() {
        let schema = schema("1.1.0").expect("pinned");
        let class = schema.class("network_activity").expect("known");
        let check = |path: &str, expected: Option<DataType>| {
            let attribute = schema.attribute(class, path).expect("known");
            assert_eq!(attribute.ty.arrow(), expected, "{path}");
        };
        check("time", Some(DataType::Int64));
        check("time_dt", Some(Type::Datetime.arrow().expect("a scalar")));
        check("src_endpoint.port", Some(DataType::Int32));
        check("src_endpoint.ip", Some(DataType::Utf8View));
        check("traffic.bytes", Some(DataType::Int64));
        check("unmapped", Some(DataType::Utf8));
        check("src_endpoint", None);
        let profiles = schema.attribute(class, "metadata.profiles").expect("known");
        let Some(DataType::List(field)) = profiles.arrow() else {
            panic!("metadata.profiles is a list");
        };
        assert_eq!(field.data_type(), &DataType::Utf8View);
    }

    #[test]
    fn observable_type_ids_have_captions() {
        let schema = schema("1.1.0").expect("pinned");
        assert_eq!(schema.observable_caption(2), Some("IP Address"));
    }
}
