//! A split is the list of input objects that one scan partition reads. It is stored as an
//! object in the work area, so that a plan contains references to splits instead of paths.

use serde::{Deserialize, Serialize};

/// Input objects that are read together, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// Unique within its attempt, such as `0007`.
    pub id: String,
    /// The objects.
    pub objects: Vec<InputObject>,
}

/// One object of the input, with the facts from its path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputObject {
    /// URI of its store (`file:///` or `s3://bucket`).
    pub store: String,
    /// Path in that store.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// Entity tag, if the store has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Region in its path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Account in its path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Day in its path, in days since 1970-01-01.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day: Option<i32>,
    /// Days that its events may be away from its day, if this differs from the attempt's margin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<u32>,
    /// The day that owns its rows without a readable time, if its path names no day and this
    /// differs from the attempt's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback_day: Option<i32>,
    /// What columns about the object show, if they do not show this one: rows that are read
    /// again come from another object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
}

/// What columns about an object show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Path in its store.
    pub key: String,
    /// When it was last modified, in milliseconds since 1970.
    pub modified: i64,
}

/// A reference to a split, which plans contain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitRef {
    /// Id of the split.
    pub id: String,
    /// Path of the list in the work area's store.
    pub path: String,
    /// Size of the list object in bytes.
    pub size: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_lists_are_readable_and_absent_facts_are_not_written() {
        let text = r#"{"store":"s3://b","path":"a","size":1}"#;
        let object: InputObject = serde_json::from_str(text).unwrap();
        assert_eq!((object.path.as_str(), &object.about), ("a", &None));
        assert_eq!(serde_json::to_string(&object).unwrap(), text);
    }
}
