//! The run-status table: which days of which dataset are done, and who works on
//! the others. Every change is a conditional write.

use std::collections::BTreeMap;

use async_trait::async_trait;
use plans::receipt::Ledger;
use serde::{Deserialize, Serialize};

use crate::load::days::{Day, Moment, Month};

/// A period's item. One for each month of a dataset; day tasks share their month's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeriodRecord {
    /// Digest or name of source + target + shape + `--as`.
    pub dataset: String,
    pub period: Month,
    pub source_log_type: String,
    /// The days asked for are done and closed.
    pub load_completed: bool,
    pub state: State,
    pub covered_days: BTreeMap<Day, DayCoverage>,
    pub load_id: String,
    /// Grows with every claim: the fence.
    pub attempt: u64,
    pub lease_owner: Option<String>,
    pub lease_until: Option<Moment>,
    /// Grows with every write.
    pub revision: u64,
    /// The manifest in force (Done), or being made visible (Publishing).
    pub manifest: Option<String>,
    /// Names the commit, so that its owner knows it after a lost answer.
    pub nonce: Option<String>,
    pub ledger: Ledger,
    pub objects: u64,
    pub bytes: u64,
    pub started_at: Option<Moment>,
    pub ended_at: Option<Moment>,
    pub error: Option<String>,
    pub schema_version: u32,
}

/// How a day was covered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayCoverage {
    pub config_digest: String,
    /// Of the objects of the day and its margin.
    pub input_digest: String,
    /// The day had ended, and the lateness after it, when its input was listed.
    pub closed: bool,
    pub loaded_at: Moment,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Pending,
    Running,
    Publishing,
    Done,
    Failed,
    Repairing,
}

/// A load's item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadRecord {
    pub load_id: String,
    pub dataset: String,
    pub source: String,
    /// `running`, `done`, `failed`, `cancelled` or `refused`.
    pub state: String,
    /// What was asked for, to run it again (`retry`).
    pub request: serde_json::Value,
    /// The outcome as `run --format json` prints it.
    pub outcome: Option<serde_json::Value>,
    pub started_at: Moment,
    pub ended_at: Option<Moment>,
}

/// What a write replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// No item stands there.
    Absent,
    /// The item has this attempt, lease owner and revision.
    Is {
        attempt: u64,
        lease_owner: Option<String>,
        revision: u64,
    },
}

#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    #[error("the item was changed by another")]
    Conflict { current: Option<Box<PeriodRecord>> },
    #[error("the status store at {uri} cannot be reached")]
    Unreachable {
        uri: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the status store at {uri} holds what this version cannot read: {what}")]
    Unreadable { uri: String, what: String },
}

/// The port. Adapters obey `contract`.
#[async_trait]
pub trait StatusStore: Send + Sync + std::fmt::Debug {
    async fn get(&self, dataset: &str, period: Month) -> Result<Option<PeriodRecord>, StatusError>;
    /// In the order of their periods.
    async fn periods(&self, dataset: &str) -> Result<Vec<PeriodRecord>, StatusError>;
    async fn datasets(&self) -> Result<Vec<String>, StatusError>;
    /// Writes `record` if what stands there is as expected, else `Conflict`.
    async fn put(&self, record: &PeriodRecord, expected: &Expected) -> Result<(), StatusError>;
    async fn put_load(&self, load: &LoadRecord) -> Result<(), StatusError>;
    async fn load(&self, load_id: &str) -> Result<Option<LoadRecord>, StatusError>;
    /// Newest first.
    async fn loads(&self, limit: usize) -> Result<Vec<LoadRecord>, StatusError>;
}
