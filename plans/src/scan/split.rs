//! A split: the list of input objects that one scan partition reads. It is kept
//! as an object in the work area, so that a plan names splits and not paths.

use serde::{Deserialize, Serialize};

/// Input objects that are read together, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// Unique within its attempt, such as `0007`.
    pub id: String,
    pub objects: Vec<InputObject>,
}

/// One object of the input, with what its path tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputObject {
    /// The URI of the store it stands in (`file:///` or `s3://bucket`).
    pub store: String,
    /// Its path in that store.
    pub path: String,
    pub size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The day its path tells, in days since 1970-01-01.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day: Option<i32>,
}

/// What a plan says of a split: the object that holds its list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitRef {
    pub id: String,
    /// Path of the list in the work area's store.
    pub path: String,
    /// Size of the list object in bytes.
    pub size: u64,
}
