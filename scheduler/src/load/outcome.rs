//! The outcome of a load: the object that `--format json` prints, and its exit code.

use std::collections::BTreeMap;
use std::time::Duration;

use plans::receipt::{Ledger, Part, PartKind, add_counts};
use serde::{Deserialize, Serialize};

use super::days::{Day, Moment};
use super::exit::ExitCode;
use super::failure::{Failure, Kind};

/// The version of the object that `--format json` prints.
pub const SCHEMA_VERSION: u32 = 1;

/// The outcome of a load, including one that was refused before it started.
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
    /// Days that miss rows.
    #[serde(flatten)]
    pub incomplete: Incomplete,
    /// Rows that were read, of days that were never loaded and not asked for.
    #[serde(default)]
    pub not_loaded: Vec<DayNote>,
    pub error: Option<Failure>,
}

/// Days that miss rows, with the reason and the remedy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incomplete {
    /// Covered days with rows in objects that were not read for them.
    #[serde(default)]
    pub owed: Vec<DayNote>,
    /// Covered days with rows in new objects, while objects that gave them rows are gone.
    #[serde(default)]
    pub rewritten: Vec<DayNote>,
    /// Covered days with damaged input objects.
    #[serde(default)]
    pub broken: Vec<DayNote>,
    /// URIs of the first objects that are not read because their names cannot be addressed.
    #[serde(default)]
    pub unaddressable: Vec<String>,
    /// Whether days that were asked for are owed rows.
    #[serde(skip)]
    pub owes_asked: bool,
}

/// A day that misses rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayNote {
    pub day: Day,
    /// The objects that hold the rows, or are damaged.
    pub objects: u64,
    /// The rows of these objects, where they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Objects that gave rows to the day and are gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone_objects: Option<u64>,
    /// The published rows that came from them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone_rows: Option<u64>,
    pub remedy: String,
}

impl DayNote {
    /// A note about `rows` of a day in `objects`.
    pub fn new(day: Day, objects: u64, rows: Option<u64>, remedy: &str) -> Self {
        Self {
            day,
            objects,
            rows,
            gone_objects: None,
            gone_rows: None,
            remedy: remedy.to_owned(),
        }
    }
}

impl Incomplete {
    /// Whether days that were asked for miss rows, so that the load must not look successful.
    pub fn is_failure(&self) -> bool {
        self.owes_asked || !self.rewritten.is_empty() || !self.broken.is_empty()
    }
}

/// The state of a load, as its record and its outcome report it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// The outcome of one period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeriodOutcome {
    /// `2024-01` or `2024-01-15`.
    pub period: String,
    /// The days that were loaded; if none was, the days asked for.
    pub days: Vec<Day>,
    pub state: PeriodState,
    /// Why these days were loaded, or why none was.
    pub reason: String,
    pub attempts: u64,
    pub rows: Ledger,
    /// Filtered and quarantined rows by reason.
    pub reasons: BTreeMap<String, u64>,
    /// Optional objects that events lack since OCSF would refuse them, by dotted attribute.
    #[serde(default)]
    pub left_out: BTreeMap<String, u64>,
    pub classes: Vec<ClassOutcome>,
    pub input: Volume,
    pub output: Volume,
    /// Where quarantined rows are, if there are any.
    pub quarantine: Option<String>,
    pub seconds: f64,
    /// From the commit to the end of publishing: how long a reader may have seen a part.
    pub publish_seconds: f64,
    pub error: Option<Failure>,
}

/// The state of a period when its load ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeriodState {
    Done,
    Skipped,
    Failed,
}

/// The rows and objects that were written of one class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassOutcome {
    pub class_uid: u32,
    pub rows: u64,
    pub objects: u64,
}

/// A number of objects and their bytes.
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
    pub fn started(load_id: &str, dataset: &str, source: &str, now: Moment) -> Self {
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
            incomplete: Incomplete::default(),
            not_loaded: Vec::new(),
            error: None,
        }
    }

    /// Completes the outcome: the sums, the state and the exit code follow from the periods and
    /// the error.
    pub fn finished(mut self, now: Moment) -> Self {
        self.ended_at = now;
        self.periods.sort_by(|a, b| a.period.cmp(&b.period));
        for period in &self.periods {
            self.rows += period.rows;
            self.input += period.input;
            self.output += period.output;
        }
        let exit = self.exit();
        self.exit_code = exit.number();
        self.state = LoadState::after(exit);
        self
    }

    /// Adds the outcome of a period. Another pass over the same period is added to the first.
    pub fn add(&mut self, period: PeriodOutcome) {
        let known = self.periods.iter_mut();
        let mut known = known.filter(|known| known.period == period.period);
        match known.next() {
            Some(known) => known.merge(period),
            None => self.periods.push(period),
        }
    }

    /// How the process that ran the load should end.
    pub fn exit(&self) -> ExitCode {
        if let Some(error) = &self.error {
            return error.kind.exit_code();
        }
        let failures = self
            .periods
            .iter()
            .filter_map(|period| period.error.as_ref());
        let kinds: Vec<Kind> = failures.map(|failure| failure.kind).collect();
        let all = |kind| kinds.iter().all(|other| *other == kind);
        match kinds.first() {
            None if self.incomplete.is_failure() => ExitCode::PeriodsFailed,
            None => ExitCode::Done,
            Some(_) if kinds.contains(&Kind::Cancelled) => ExitCode::Cancelled,
            Some(kind) if all(*kind) => kind.exit_code(),
            Some(_) => ExitCode::PeriodsFailed,
        }
    }
}

impl LoadState {
    /// The state of a load whose process ends with `exit`.
    fn after(exit: ExitCode) -> Self {
        match exit {
            ExitCode::Done => Self::Done,
            ExitCode::Bug
            | ExitCode::PeriodsFailed
            | ExitCode::Unavailable
            | ExitCode::VerifyFailed => Self::Failed,
            ExitCode::Usage | ExitCode::Refused => Self::Refused,
            ExitCode::Cancelled | ExitCode::Interrupted => Self::Cancelled,
        }
    }

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
    /// The outcome of a period without rows, objects or an error.
    pub fn new(period: &str, days: Vec<Day>, state: PeriodState, reason: &str) -> Self {
        Self {
            period: period.to_owned(),
            days,
            state,
            reason: reason.to_owned(),
            attempts: 0,
            rows: Ledger::default(),
            reasons: BTreeMap::new(),
            left_out: BTreeMap::new(),
            classes: Vec::new(),
            input: Volume::default(),
            output: Volume::default(),
            quarantine: None,
            seconds: 0.0,
            publish_seconds: 0.0,
            error: None,
        }
    }

    /// Adds what another pass over the same period did.
    pub fn merge(&mut self, other: Self) {
        let days: std::collections::BTreeSet<Day> =
            self.days.iter().chain(&other.days).copied().collect();
        self.days = days.into_iter().collect();
        if self.state == PeriodState::Skipped || other.state == PeriodState::Failed {
            self.state = other.state;
        }
        if !self.reason.contains(&other.reason) {
            self.reason = format!("{}, {}", self.reason, other.reason);
        }
        self.attempts += other.attempts;
        self.rows += other.rows;
        add_counts(&mut self.reasons, &other.reasons);
        add_counts(&mut self.left_out, &other.left_out);
        for class in other.classes {
            self.add_class(class);
        }
        self.input += other.input;
        self.output += other.output;
        self.quarantine = self.quarantine.take().or(other.quarantine);
        self.seconds += other.seconds;
        self.publish_seconds += other.publish_seconds;
        self.error = self.error.take().or(other.error);
    }

    fn add_class(&mut self, class: ClassOutcome) {
        let known = self.classes.iter_mut();
        let mut known = known.filter(|known| known.class_uid == class.class_uid);
        match known.next() {
            Some(known) => {
                known.rows += class.rows;
                known.objects += class.objects;
            }
            None => self.classes.push(class),
        }
    }

    /// The same outcome, failed.
    pub fn failed(mut self, failure: Failure) -> Self {
        self.state = PeriodState::Failed;
        self.error = Some(failure);
        self
    }

    /// Adds up the published parts by class.
    pub fn count(&mut self, parts: &[Part], window: Duration) {
        let events = parts.iter().filter(|part| part.kind == PartKind::Events);
        self.count_objects(events.map(|part| (part.class_uid, part.rows, part.handle.size)));
        self.publish_seconds = window.as_secs_f64();
    }

    /// Adds up objects of events by class: class, rows and bytes of each.
    pub(crate) fn count_objects(&mut self, objects: impl Iterator<Item = (u32, u64, u64)>) {
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
        let mut outcome = Outcome::started("l", "d", "s", now);
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
    fn the_exit_code_follows_from_the_failures() {
        assert_eq!(exit(&[]), 0);
        assert_eq!(exit(&[Kind::Work, Kind::Refused]), 3);
        assert_eq!(exit(&[Kind::Refused, Kind::Refused]), 5);
        assert_eq!(exit(&[Kind::Dependency]), 4);
        assert_eq!(exit(&[Kind::Work, Kind::Cancelled]), 7);
    }
}
