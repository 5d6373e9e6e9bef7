//! The receipt that a sink partition writes after its last part. It proves that a split
//! was read to its end, and lists the parts and row counts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::storage::parts::PartHandle;

/// The result of one split by one Ballista task attempt. The driver accepts one per split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// Version of this format.
    pub schema_version: u32,
    /// Id of the attempt, as in the plan.
    pub attempt: String,
    /// Id of the split.
    pub split: String,
    /// Ballista's id of the task attempt. It changes when Ballista retries the task.
    pub task_attempt: String,
    /// Row counts of the split.
    pub ledger: Ledger,
    /// Filtered and quarantined rows by reason.
    pub reasons: BTreeMap<String, u64>,
    /// The parts that were written and are not published yet.
    pub parts: Vec<Part>,
    /// Number of objects that were read.
    pub input_objects: u64,
    /// Bytes of these objects as stored.
    pub input_bytes: u64,
    /// Bytes of these objects after decompression.
    pub raw_bytes: u64,
    /// Bytes that were spilled to local disk.
    pub scratch_bytes: u64,
}

/// One unpublished output object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Whether the part holds events or quarantined rows.
    pub kind: PartKind,
    /// Completes or discards the upload.
    pub handle: PartHandle,
    /// Number of rows.
    pub rows: u64,
    /// Earliest event time in epoch milliseconds.
    pub min_time: i64,
    /// Latest event time in epoch milliseconds, inclusive.
    pub max_time: i64,
    /// 0 for quarantined rows and for the raw shape.
    pub class_uid: u32,
    /// Region of all its rows.
    pub region: String,
    /// Account of all its rows.
    pub account: String,
    /// Day (since 1970-01-01) of all its rows.
    pub day: i32,
}

/// The content of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartKind {
    Events,
    Quarantine,
}

/// Row counts of a split or a period.
///
/// `read + duplicated = written + quarantined + filtered + other_period`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Rows that were read.
    pub read: u64,
    /// Rows that were written as events.
    pub written: u64,
    /// Rows that were written to the quarantine.
    pub quarantined: u64,
    /// Rows that a filter of the source dropped.
    pub filtered: u64,
    /// Events that `also` routes added.
    pub duplicated: u64,
    /// Rows that a day of another period owns. Older manifests name the field `elsewhere`.
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
