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
    /// Optional objects that events lack since OCSF would refuse them, by dotted attribute.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out: BTreeMap<String, u64>,
    /// Physical lines of the quarantined rows.
    #[serde(default)]
    pub quarantined_lines: u64,
    /// The same by the attempt of each period, if the split was read for several periods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub periods: BTreeMap<String, PeriodRows>,
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
    /// What each object of the split gave, in the order of the split.
    #[serde(default)]
    pub objects: Vec<ObjectRows>,
}

/// The row counts of one period.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeriodRows {
    pub ledger: Ledger,
    /// Filtered and quarantined rows by reason.
    pub reasons: BTreeMap<String, u64>,
    /// Optional objects that events lack since OCSF would refuse them, by dotted attribute.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out: BTreeMap<String, u64>,
    /// Physical lines of the quarantined rows.
    #[serde(default)]
    pub quarantined_lines: u64,
}

/// The rows of one input object, by the day that owns them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRows {
    /// Days (since 1970-01-01) with the number of their rows. Counts every row that the day
    /// accounts for, whether it was written, quarantined or filtered, and also rows of days that
    /// the attempt does not load.
    pub days: Vec<(i32, u64)>,
    /// The day of the rows that were rejected because the object is damaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damaged: Option<i32>,
}

impl ObjectRows {
    /// Counts one row of `day`.
    pub fn count(&mut self, day: i32) {
        // Rows of one day follow each other.
        match self.days.last_mut() {
            Some((last, rows)) if *last == day => *rows += 1,
            _ => self.count_another(day),
        }
    }

    fn count_another(&mut self, day: i32) {
        match self.days.iter().position(|(known, _)| *known == day) {
            Some(index) => {
                self.days[index].1 += 1;
                let last = self.days.len() - 1;
                self.days.swap(index, last);
            }
            None => self.days.push((day, 1)),
        }
    }

    /// The number of rows that `day` owns.
    pub fn rows_of(&self, day: i32) -> u64 {
        let found = self.days.iter().find(|(known, _)| *known == day);
        found.map_or(0, |(_, rows)| *rows)
    }
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

impl std::ops::AddAssign<&PeriodRows> for PeriodRows {
    fn add_assign(&mut self, other: &PeriodRows) {
        self.ledger += other.ledger;
        self.quarantined_lines += other.quarantined_lines;
        add_counts(&mut self.reasons, &other.reasons);
        add_counts(&mut self.left_out, &other.left_out);
    }
}

/// Adds counts by name.
pub fn add_counts(counts: &mut BTreeMap<String, u64>, others: &BTreeMap<String, u64>) {
    for (name, count) in others {
        *counts.entry(name.clone()).or_default() += count;
    }
}
