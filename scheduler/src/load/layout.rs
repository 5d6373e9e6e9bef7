//! What an object's path tells: its day, account and region.

use serde::{Deserialize, Serialize};

/// Why an object of the input is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Skip {
    /// It has no bytes: a folder marker, or nothing to read.
    Empty,
    /// A file or folder that writers hide from readers (`.x`, `_SUCCESS`, `_temporary`).
    Hidden,
    /// What AWS writes beside the logs: digests, insights, and files that test a permission.
    NotALog,
}
