//! Digests of listed input. They show whether a day's objects have changed since it was
//! loaded.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The listed input of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayInput {
    /// The digest of the day's objects, those of its margin, and the undated ones.
    pub digest: InputDigest,
    /// The number of the day's own objects.
    pub objects: u64,
}

/// A digest of listed objects and their number, written `12:ab34…`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct InputDigest {
    pub objects: u64,
    pub hash: String,
}

impl fmt::Display for InputDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.objects, self.hash)
    }
}

/// A text that is not a digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a digest of objects")]
pub struct NotADigest(String);

impl FromStr for InputDigest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        let (objects, hash) = text.split_once(':').ok_or(NotADigest(text.to_owned()))?;
        Ok(Self {
            objects: objects.parse().map_err(|_| NotADigest(text.to_owned()))?,
            hash: hash.to_owned(),
        })
    }
}

impl From<InputDigest> for String {
    fn from(digest: InputDigest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<String> for InputDigest {
    type Error = NotADigest;

    fn try_from(text: String) -> Result<Self, NotADigest> {
        text.parse()
    }
}
