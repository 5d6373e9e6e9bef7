//! What a sink partition leaves behind when all its parts are written: the proof
//! that a split was read to its end, and what it became.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::storage::parts::PartHandle;

/// One task attempt's account of one split. The driver takes exactly one per split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    pub schema_version: u32,
    /// The attempt of the load's task, as the plan names it.
    pub attempt: String,
    pub split: String,
    /// The engine's own id of the task attempt; differs between repeats.
    pub task_attempt: String,
    pub ledger: Ledger,
    /// Filtered rows by the filter's reason, quarantined rows by theirs.
    pub reasons: BTreeMap<String, u64>,
    pub parts: Vec<Part>,
    pub input_objects: u64,
    pub input_bytes: u64,
    /// Uncompressed bytes that were read.
    pub raw_bytes: u64,
    pub scratch_bytes: u64,
}

/// One unpublished output object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    pub kind: PartKind,
    pub handle: PartHandle,
    pub rows: u64,
    /// Event times in epoch milliseconds, both inclusive.
    pub min_time: i64,
    pub max_time: i64,
    /// 0 for quarantined rows and for the raw shape.
    pub class_uid: u32,
    pub region: String,
    pub account: String,
    /// The day (since 1970-01-01) whose coverage this part belongs to.
    pub day: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartKind {
    Events,
    Quarantine,
}

/// Row counts of a task. `read + duplicated = written + quarantined + filtered + other_period`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    pub read: u64,
    pub written: u64,
    pub quarantined: u64,
    pub filtered: u64,
    pub duplicated: u64,
    /// Rows that a day of another period owns. Older manifests call them `elsewhere`.
    #[serde(alias = "elsewhere")]
    pub other_period: u64,
}

impl Ledger {
    /// Whether every row is accounted for.
    pub fn adds_up(&self) -> bool {
        self.read + self.duplicated
            == self.written + self.quarantined + self.filtered + self.other_period
    }
}

impl std::ops::AddAssign for Ledger {
    fn add_assign(&mut self, other: Self) {
        self.read += other.read;
        self.written += other.written;
        self.quarantined += other.quarantined;
        self.filtered += other.filtered;
        self.duplicated += other.duplicated;
        self.other_period += other.other_period;
    }
}
