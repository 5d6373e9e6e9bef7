//! What became of a load: the object that `--format json` prints, and the exit code
//! that follows from it.

use std::collections::BTreeMap;
use std::time::Duration;

use plans::receipt::{Ledger, Part, PartKind};
use serde::{Deserialize, Serialize};

use super::days::{Day, Moment};
use super::failure::{Failure, Kind};
use crate::publish::manifest::Manifest;

pub const SCHEMA_VERSION: u32 = 1;

/// A load's outcome, also of one that was refused before it started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub schema_version: u32,
    pub exit_code: u8,
    pub load_id: String,
    pub dataset: String,
    pub source: String,
    pub state: LoadState,
    pub started_at: Moment,
    pub ended_at: Moment,
    pub periods: Vec<PeriodOutcome>,
    pub rows: Ledger,
    pub input: Volume,
    pub output: Volume,
    pub warnings: Vec<String>,
    pub error: Option<Failure>,
}

/// How far a load is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadState {
    /// A scheduler accepted it, and it waits for its turn.
    Queued,
    Running,
    /// Its user cancelled it on a cluster, and it has not stopped yet.
    Cancelling,
    Done,
    Failed,
    Cancelled,
    Refused,
}

/// What became of one period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeriodOutcome {
    /// `2024-01` or `2024-01-15`.
    pub period: String,
    /// The days that were loaded, or that were asked for where none was.
    pub days: Vec<Day>,
    pub state: PeriodState,
    /// Why these days were loaded, or why none had to be.
    pub reason: String,
    pub attempts: u64,
    pub rows: Ledger,
    /// Filtered and quarantined rows by reason.
    pub reasons: BTreeMap<String, u64>,
    pub classes: Vec<ClassOutcome>,
    pub input: Volume,
    pub output: Volume,
    /// Where the rows set aside are, if there are any.
    pub quarantine: Option<String>,
    pub seconds: f64,
    /// From the commit to the end of publishing: how long a reader may have seen a part.
    pub publish_seconds: f64,
    pub error: Option<Failure>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeriodState {
    Done,
    Skipped,
    Failed,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassOutcome {
    pub class_uid: u32,
    pub rows: u64,
    pub objects: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    pub objects: u64,
    pub bytes: u64,
}

impl std::ops::AddAssign for Volume {
    fn add_assign(&mut self, other: Self) {
        self.objects += other.objects;
        self.bytes += other.bytes;
    }
}

impl Outcome {
    /// The outcome of a load that starts now.
    pub fn begun(load_id: &str, dataset: &str, source: &str, now: Moment) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            exit_code: 0,
            load_id: load_id.to_owned(),
            dataset: dataset.to_owned(),
            source: source.to_owned(),
            state: LoadState::Running,
            started_at: now,
            ended_at: now,
            periods: Vec::new(),
            rows: Ledger::default(),
            input: Volume::default(),
            output: Volume::default(),
            warnings: Vec::new(),
            error: None,
        }
    }

    /// Closes it: sums, state and exit code follow from the periods and the error.
    pub fn finished(mut self, now: Moment) -> Self {
        self.ended_at = now;
        self.periods.sort_by(|a, b| a.period.cmp(&b.period));
        for period in &self.periods {
            self.rows += period.rows;
            self.input += period.input;
            self.output += period.output;
        }
        let exit = self.exit();
        self.exit_code = exit.code();
        self.state = exit.state();
        self
    }

    /// How the process that ran the load should end.
    pub fn exit(&self) -> Exit {
        if let Some(error) = &self.error {
            return Exit::of(error.kind);
        }
        let failures = self
            .periods
            .iter()
            .filter_map(|period| period.error.as_ref());
        let kinds: Vec<Kind> = failures.map(|failure| failure.kind).collect();
        let all = |kind| kinds.iter().all(|other| *other == kind);
        match kinds.first() {
            None => Exit::Done,
            Some(_) if kinds.contains(&Kind::Cancelled) => Exit::Cancelled,
            Some(kind) if all(*kind) => Exit::of(*kind),
            Some(_) => Exit::SomeFailed,
        }
    }
}

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Done,
    Bug,
    Usage,
    SomeFailed,
    Unreachable,
    Refused,
    Cancelled,
}

impl Exit {
    fn of(kind: Kind) -> Self {
        match kind {
            Kind::Bug => Self::Bug,
            Kind::Usage => Self::Usage,
            Kind::Work => Self::SomeFailed,
            Kind::Dependency => Self::Unreachable,
            Kind::Refused => Self::Refused,
            Kind::Cancelled => Self::Cancelled,
        }
    }

    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Bug => 1,
            Self::Usage => 2,
            Self::SomeFailed => 3,
            Self::Unreachable => 4,
            Self::Refused => 5,
            Self::Cancelled => 7,
        }
    }

    fn state(self) -> LoadState {
        match self {
            Self::Done => LoadState::Done,
            Self::Bug | Self::SomeFailed | Self::Unreachable => LoadState::Failed,
            Self::Usage | Self::Refused => LoadState::Refused,
            Self::Cancelled => LoadState::Cancelled,
        }
    }
}

impl LoadState {
    /// The word that the load's record stores.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Cancelling => "cancelling",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Refused => "refused",
        }
    }

    /// Whether the load has ended.
    pub fn is_final(self) -> bool {
        match self {
            Self::Queued | Self::Running | Self::Cancelling => false,
            Self::Done | Self::Failed | Self::Cancelled | Self::Refused => true,
        }
    }
}

impl PeriodOutcome {
    /// A period of which nothing is known yet.
    pub fn new(period: &str, days: Vec<Day>, state: PeriodState, reason: &str) -> Self {
        Self {
            period: period.to_owned(),
            days,
            state,
            reason: reason.to_owned(),
            attempts: 0,
            rows: Ledger::default(),
            reasons: BTreeMap::new(),
            classes: Vec::new(),
            input: Volume::default(),
            output: Volume::default(),
            quarantine: None,
            seconds: 0.0,
            publish_seconds: 0.0,
            error: None,
        }
    }

    pub fn failed(mut self, failure: Failure) -> Self {
        self.state = PeriodState::Failed;
        self.error = Some(failure);
        self
    }

    /// A period that this load published before its process died.
    pub fn published(period: &str, manifest: &Manifest) -> Self {
        let days = manifest.coverage.keys().copied().collect();
        let mut outcome = Self::new(period, days, PeriodState::Done, "published earlier");
        outcome.input = manifest.input;
        outcome.rows = manifest.ledger;
        outcome.reasons.clone_from(&manifest.reasons);
        let events = manifest.published();
        let events = events.filter(|object| object.kind == PartKind::Events);
        outcome.count_objects(events.map(|object| (object.class_uid, object.rows, object.bytes)));
        outcome
    }

    /// Adds up the published parts by class.
    pub fn count(&mut self, parts: &[Part], window: Duration) {
        let events = parts.iter().filter(|part| part.kind == PartKind::Events);
        self.count_objects(events.map(|part| (part.class_uid, part.rows, part.handle.size)));
        self.publish_seconds = window.as_secs_f64();
    }

    /// Adds up objects of events by class: class, rows and bytes of each.
    fn count_objects(&mut self, objects: impl Iterator<Item = (u32, u64, u64)>) {
        let mut classes: BTreeMap<u32, ClassOutcome> = BTreeMap::new();
        for (class_uid, rows, bytes) in objects {
            let class = classes.entry(class_uid).or_default();
            class.class_uid = class_uid;
            class.rows += rows;
            class.objects += 1;
            self.output.objects += 1;
            self.output.bytes += bytes;
        }
        self.classes = classes.into_values().collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(kinds: &[Kind]) -> u8 {
        let now = "2024-01-01T00:00:00Z".parse().unwrap();
        let mut outcome = Outcome::begun("l", "d", "s", now);
        for kind in kinds {
            let period = PeriodOutcome::new("2024-01", Vec::new(), PeriodState::Done, "");
            let failure = Failure::new(*kind, "code", "message", "remedy");
            outcome.periods.push(period.failed(failure));
        }
        outcome.finished(now).exit_code
    }

    #[test]
    fn a_state_is_stored_as_its_word() {
        use LoadState::{Cancelled, Cancelling, Done, Failed, Queued, Refused, Running};
        for state in [
            Queued, Running, Cancelling, Done, Failed, Cancelled, Refused,
        ] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }

    #[test]
    fn the_exit_code_tells_what_may_help() {
        assert_eq!(exit(&[]), 0);
        assert_eq!(exit(&[Kind::Work, Kind::Refused]), 3);
        assert_eq!(exit(&[Kind::Refused, Kind::Refused]), 5);
        assert_eq!(exit(&[Kind::Dependency]), 4);
        assert_eq!(exit(&[Kind::Work, Kind::Cancelled]), 7);
    }
}
