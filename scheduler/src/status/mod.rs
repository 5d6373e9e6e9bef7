//! The run-status table: which days of which dataset are done, and who works on
//! the others. Every change is a conditional write.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use plans::receipt::Ledger;
use serde::{Deserialize, Serialize};

use crate::load::days::{Day, Moment, Month};
use crate::load::outcome::LoadState;
use crate::load::recorded::RecordedRequest;

#[cfg(test)]
mod contract;
pub mod dynamodb;
mod error;
pub mod memory;
pub mod sqlite;
pub mod state;

pub use error::StatusError;

/// The version of the items that this code writes and reads.
pub const SCHEMA_VERSION: u32 = 1;

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
    /// Every day that any load asked for; what is not covered of them is left to do.
    #[serde(default)]
    pub asked_days: BTreeSet<Day>,
    pub covered_days: BTreeMap<Day, DayCoverage>,
    pub load_id: String,
    /// Grows with every lease: the fence.
    pub attempt: u64,
    pub lease_owner: Option<String>,
    pub lease_until: Option<Moment>,
    /// Grows with every write.
    pub revision: u64,
    /// The manifest in force (Done), or being made visible (Publishing).
    pub manifest: Option<String>,
    /// The SHA-256 of that manifest. Another content under its name is refused. Records of older
    /// programs have none.
    #[serde(default)]
    pub manifest_digest: Option<String>,
    /// The work area that holds the manifest.
    #[serde(default)]
    pub work: Option<String>,
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
    /// The load that covered the day. Empty in records of older versions.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub load_id: String,
    /// The margin that the day was loaded with. Records of older versions lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<u32>,
    /// Rows of the day in objects that were not read for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owed: Option<Owed>,
    /// New objects hold rows of the day while objects that gave it rows are gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewritten: Option<Rewritten>,
    /// Damaged objects gave the day fewer rows than they should have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<Broken>,
}

/// Rows of a covered day in objects that were not read for it. The next load of the day reads
/// them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owed {
    pub objects: u64,
    pub rows: u64,
}

/// What is known of a day whose input was rewritten: nobody can know whether the new objects
/// hold the rows of those that are gone. The published rows are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rewritten {
    /// Objects that gave rows to the day and no longer exist.
    pub gone_objects: u64,
    /// Published rows that came from them.
    pub gone_rows: u64,
    /// New objects with rows of the day, which are not published.
    pub new_objects: u64,
    pub new_rows: u64,
    /// The digest of the input that this was found in.
    pub input_digest: String,
}

/// Damaged objects of a day. What could be read of them is published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    pub objects: u64,
}

impl DayCoverage {
    /// The coverage of a day that nothing is missing of.
    pub fn new(config_digest: &str, input_digest: &str, closed: bool, loaded_at: Moment) -> Self {
        Self {
            config_digest: config_digest.to_owned(),
            input_digest: input_digest.to_owned(),
            closed,
            loaded_at,
            load_id: String::new(),
            margin: None,
            owed: None,
            rewritten: None,
            broken: None,
        }
    }

    /// Whether no row of the day is known to be missing.
    pub fn is_whole(&self) -> bool {
        self.owed.is_none() && self.rewritten.is_none() && self.broken.is_none()
    }

    /// Whether the day needs no other load: nothing is missing, and no more input is expected.
    pub fn is_complete(&self) -> bool {
        self.closed && self.is_whole()
    }
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

/// Who may work on a period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseState {
    Free,
    Held {
        owner: String,
        until: Moment,
    },
    /// Its owner did not renew it in time. Another may take over.
    Expired {
        owner: String,
    },
}

impl PeriodRecord {
    /// The item of a period that nobody has worked on.
    pub fn new(dataset: &str, period: Month, source_log_type: &str) -> Self {
        Self {
            dataset: dataset.to_owned(),
            period,
            source_log_type: source_log_type.to_owned(),
            load_completed: false,
            state: State::Pending,
            asked_days: BTreeSet::new(),
            covered_days: BTreeMap::new(),
            load_id: String::new(),
            attempt: 0,
            lease_owner: None,
            lease_until: None,
            revision: 0,
            manifest: None,
            manifest_digest: None,
            work: None,
            nonce: None,
            ledger: Ledger::default(),
            objects: 0,
            bytes: 0,
            started_at: None,
            ended_at: None,
            error: None,
            schema_version: SCHEMA_VERSION,
        }
    }

    /// What a write that replaces this item expects to find.
    pub fn expected(&self) -> Expected {
        Expected::Is {
            attempt: self.attempt,
            lease_owner: self.lease_owner.clone(),
            revision: self.revision,
        }
    }

    /// A copy to change and write over this item: the next revision.
    pub fn revised(&self) -> Self {
        Self {
            revision: self.revision + 1,
            ..self.clone()
        }
    }

    /// Whether the period is free, held or abandoned at `now`. An owner without an end holds it
    /// no longer than one with an end that has come.
    pub fn lease(&self, now: Moment) -> LeaseState {
        let Some(owner) = self.lease_owner.clone() else {
            return LeaseState::Free;
        };
        match self.lease_until {
            Some(until) if until > now => LeaseState::Held { owner, until },
            _ => LeaseState::Expired { owner },
        }
    }

    /// The value of `load_completed`: the month is over, and every day asked for is covered and
    /// complete.
    pub fn is_complete(&self, lateness: Duration, now: Moment) -> bool {
        let complete = |day| {
            let covered = self.covered_days.get(day);
            covered.is_some_and(DayCoverage::is_complete)
        };
        !self.asked_days.is_empty()
            && self.period.last_day().is_closed(lateness, now)
            && self.asked_days.iter().all(complete)
    }
}

/// A load's item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadRecord {
    pub load_id: String,
    pub dataset: String,
    pub source: String,
    pub state: LoadState,
    /// Everything that is needed to run the load again, or to continue it.
    pub request: RecordedRequest,
    /// The outcome as `run --format json` prints it.
    pub outcome: Option<serde_json::Value>,
    pub started_at: Moment,
    pub ended_at: Option<Moment>,
}

/// What a write replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// There is no item.
    Absent,
    /// The item has this attempt, lease owner and revision.
    Is {
        attempt: u64,
        lease_owner: Option<String>,
        revision: u64,
    },
}

impl Expected {
    /// Whether `record` may replace `current`; for adapters, inside their transaction.
    pub(crate) fn check(
        &self,
        record: &PeriodRecord,
        current: Option<PeriodRecord>,
    ) -> Result<(), StatusError> {
        let stored = current
            .as_ref()
            .map_or(Self::Absent, PeriodRecord::expected);
        let grows = self.precedes(record);
        debug_assert!(
            grows,
            "a write has to be a later revision than what it replaces"
        );
        if *self == stored && grows {
            return Ok(());
        }
        Err(StatusError::Conflict {
            current: current.map(Box::new),
        })
    }

    /// Whether `record` is a later revision than what it replaces.
    pub(crate) fn precedes(&self, record: &PeriodRecord) -> bool {
        match self {
            Self::Absent => true,
            Self::Is { revision, .. } => record.revision > *revision,
        }
    }
}

/// A new id of a store.
fn new_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// A table or file that `prepare` made or found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Prepared {
    pub name: String,
    /// False if it existed already.
    pub made: bool,
}

type Open = fn(&str) -> Result<Arc<dyn StatusStore>, StatusError>;

/// Every kind of status store, by the scheme of its URI, in alphabetical order.
static STORES: &[(&str, Open)] = &[
    ("dynamodb", |prefix| {
        Ok(Arc::new(dynamodb::DynamoDb::new(prefix)?))
    }),
    ("memory", |_| Ok(Arc::new(memory::Memory::default()))),
    ("sqlite", |path| Ok(Arc::new(sqlite::Sqlite::new(path)))),
];

/// Opens the status store at `sqlite:PATH` or `dynamodb:TABLE_PREFIX`, or a `memory:` one that
/// ends with the process.
/// Touches nothing yet: what cannot be reached says so at its first use.
pub fn open(uri: &str) -> Result<Arc<dyn StatusStore>, StatusError> {
    let (scheme, rest) = uri.split_once(':').unwrap_or(("", uri));
    match STORES.iter().find(|(known, _)| *known == scheme) {
        Some((_, open)) => open(rest),
        None => Err(StatusError::NoStore {
            uri: uri.to_owned(),
            known: known_stores(),
        }),
    }
}

fn known_stores() -> String {
    let schemes: Vec<_> = STORES.iter().map(|(scheme, _)| *scheme).collect();
    schemes.join(", ")
}

/// The port. Adapters obey `contract`.
#[async_trait]
pub trait StatusStore: Send + Sync + std::fmt::Debug {
    /// Makes the tables that are absent, and checks those that exist.
    async fn prepare(&self) -> Result<Vec<Prepared>, StatusError>;
    /// The random id of the store. It is made once, and no two stores have the same. A backup
    /// that is restored keeps it.
    async fn id(&self) -> Result<String, StatusError>;
    async fn get(&self, dataset: &str, period: Month) -> Result<Option<PeriodRecord>, StatusError>;
    /// In the order of their periods.
    async fn periods(&self, dataset: &str) -> Result<Vec<PeriodRecord>, StatusError>;
    async fn datasets(&self) -> Result<Vec<String>, StatusError>;
    /// Writes `record` if the stored item is as expected, else `Conflict`. The record's
    /// revision has to be greater than the one expected (`PeriodRecord::revised`).
    async fn put(&self, record: &PeriodRecord, expected: &Expected) -> Result<(), StatusError>;
    /// Writes over what was known of the load.
    async fn put_load(&self, load: &LoadRecord) -> Result<(), StatusError>;
    async fn load(&self, load_id: &str) -> Result<Option<LoadRecord>, StatusError>;
    /// Newest first.
    async fn loads(&self, limit: usize) -> Result<Vec<LoadRecord>, StatusError>;
    /// The ids of all loads.
    async fn load_ids(&self) -> Result<BTreeSet<String>, StatusError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> Moment {
        text.parse().expect("a moment")
    }

    fn january() -> PeriodRecord {
        PeriodRecord::new("d", "2024-01".parse().expect("a month"), "vpc_flow")
    }

    #[test]
    fn a_lease_is_free_held_or_expired() {
        let now = moment("2024-02-01T00:00:00Z");
        let mut record = january();
        assert_eq!(record.lease(now), LeaseState::Free);
        let owner = "me".to_owned();
        record.lease_owner = Some(owner.clone());
        let expired = LeaseState::Expired {
            owner: owner.clone(),
        };
        assert_eq!(record.lease(now), expired, "an owner without an end");
        for (until, lease) in [
            ("2024-01-31T23:59:59Z", expired.clone()),
            ("2024-02-01T00:00:00Z", expired),
            (
                "2024-02-01T00:00:01Z",
                LeaseState::Held {
                    owner,
                    until: moment("2024-02-01T00:00:01Z"),
                },
            ),
        ] {
            record.lease_until = Some(moment(until));
            assert_eq!(record.lease(now), lease, "{until}");
        }
    }

    #[test]
    fn a_month_is_complete_when_it_is_over_and_all_that_was_asked_for_is_closed() {
        let lateness = Duration::from_secs(48 * 60 * 60);
        let over = moment("2024-02-03T00:00:00Z");
        let coverage = |closed| DayCoverage::new("", "", closed, over);
        let mut record = january();
        assert!(!record.is_complete(lateness, over), "nothing was asked for");
        let day = |text: &str| text.parse::<Day>().expect("a day");
        record.asked_days.insert(day("2024-01-10"));
        assert!(!record.is_complete(lateness, over), "nothing is covered");
        record
            .covered_days
            .insert(day("2024-01-10"), coverage(false));
        assert!(!record.is_complete(lateness, over), "a day is open");
        record
            .covered_days
            .insert(day("2024-01-10"), coverage(true));
        assert!(record.is_complete(lateness, over));
        let owed = Some(Owed {
            objects: 1,
            rows: 1,
        });
        for incomplete in [
            DayCoverage {
                owed,
                ..coverage(true)
            },
            DayCoverage {
                broken: Some(Broken { objects: 1 }),
                ..coverage(true)
            },
        ] {
            let mut record = record.clone();
            record.covered_days.insert(day("2024-01-10"), incomplete);
            assert!(!record.is_complete(lateness, over), "rows are missing");
        }
        let open = moment("2024-02-02T23:59:59.999Z");
        assert!(!record.is_complete(lateness, open), "the month is open");
    }

    #[test]
    fn a_record_of_an_older_program_has_no_days_asked_for() {
        let mut item = serde_json::to_value(january()).expect("an item");
        item.as_object_mut()
            .expect("an object")
            .remove("asked_days");
        let read: PeriodRecord = serde_json::from_value(item).expect("a record");
        assert_eq!(read, january());
    }

    #[tokio::test]
    async fn a_store_is_opened_by_the_scheme_of_its_uri() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a b/state.db");
        let store = open(&format!("sqlite:{}", path.display())).expect("known");
        store.put(&january(), &Expected::Absent).await.expect("put");
        assert!(path.exists());
        let memory = open("memory:").expect("known");
        assert!(memory.datasets().await.expect("datasets").is_empty());
        open("dynamodb:prefix").expect("known");
        for uri in ["redis:x", "state.db", ""] {
            let error = open(uri).expect_err("unknown").to_string();
            assert!(
                error.ends_with("known are dynamodb, memory, sqlite"),
                "{error}"
            );
        }
    }
}
