//! The specification of one attempt. It is part of the plan, so that executors need
//! neither the request nor the status table.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::scan::split::SplitRef;
use crate::storage::Access;

/// Names the output of an attempt and the rows that it owns. All its tasks share one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptSpec {
    /// The attempt whose folder in the work area holds the splits and their receipts.
    pub attempt: String,
    /// The periods that parts are written for. Mostly one, whose attempt is `attempt`; several
    /// where objects that may hold rows of any day are read once for all of them.
    pub periods: Vec<PeriodSpec>,
    /// Name of the source.
    pub source: String,
    /// URI of the work area. Receipts go to `{work}/attempts/{attempt}/receipts/`.
    pub work: String,
    /// The splits to read, one for each task.
    pub splits: Vec<SplitRef>,
    /// Folder URI of each class name (`raw` for the raw shape). It ends where the
    /// partition folders (`region=`) start.
    pub targets: BTreeMap<String, String>,
    /// Folder URI for quarantined rows.
    pub quarantine: String,
    /// Credentials for writing the targets and the quarantine.
    #[serde(default)]
    pub access: Access,
    /// Id of the load that makes the attempt.
    pub load_id: String,
    /// Maximum distance in days between an event and the day of its object.
    pub margin: u32,
    /// The day that owns rows without a readable time in objects without a date.
    pub undated_day: i32,
    /// Region of every row, instead of the one that the row or its object names.
    pub region: Option<String>,
    /// Account of a row if neither the row nor its object names one.
    pub account: Option<String>,
    /// Bytes of parsed rows that a sink partition may hold before it spills.
    pub memory_bytes: u64,
}

/// The attempt at one period that parts are written for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeriodSpec {
    /// Unique for every attempt of every period of every load.
    pub attempt: String,
    /// First eight hex digits of the attempt's digest, for part names.
    pub digest8: String,
    /// `2024-01` or `2024-01-15`, for part names.
    pub period: String,
    /// Days (since 1970-01-01) that the attempt owns: the requested days of its period.
    pub days: Vec<i32>,
}

impl AttemptSpec {
    /// The period that owns a day.
    pub fn period_of(&self, day: i32) -> Option<&PeriodSpec> {
        self.periods
            .iter()
            .find(|period| period.days.contains(&day))
    }

    /// The periods that parts are written for, as people read them.
    pub fn shown_periods(&self) -> String {
        match self.periods.as_slice() {
            [] => String::new(),
            [only] => only.period.clone(),
            [first, .., last] => format!("{} to {}", first.period, last.period),
        }
    }
}
