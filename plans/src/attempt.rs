//! What an attempt asks of the sink. It travels in the plan, so that executors need neither
//! the request nor the status table.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::scan::split::SplitRef;
use crate::storage::Access;

/// What an attempt writes and which rows it owns. Every task of the attempt gets the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptSpec {
    /// Unique for every attempt of every period of every load; names are made from it.
    pub attempt: String,
    /// First eight hex digits of the attempt's digest, for part names.
    pub digest8: String,
    pub source: String,
    /// `2024-01` or `2024-01-15`, for part names.
    pub period: String,
    /// URI of the work area. Receipts go to `{work}/attempts/{attempt}/receipts/`.
    pub work: String,
    pub splits: Vec<SplitRef>,
    /// Folder URI for each class name (`raw` for the raw shape): the part of the
    /// path before `region=`.
    pub targets: BTreeMap<String, String>,
    /// Folder URI for quarantined rows.
    pub quarantine: String,
    /// In whose name they are written.
    #[serde(default)]
    pub access: Access,
    pub load_id: String,
    /// Days (since 1970-01-01) that the attempt owns: its period clipped to those asked for.
    pub days: Vec<i32>,
    /// Days an event may be away from the day of its object.
    pub margin: u32,
    /// The day that owns rows of undated objects whose time cannot be read.
    pub undated_day: i32,
    /// Overrides and fallbacks for a row's region and account.
    pub region: Option<String>,
    pub account: Option<String>,
    /// Bytes of parsed rows that a sink partition may hold before it spills.
    pub memory_bytes: u64,
}
