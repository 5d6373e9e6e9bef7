//! What is left to do of what is asked for: which days to load and why, which to skip
//! and why. Pure: listing and status come in as values, and so does now.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::days::{Day, Moment};
use super::range::AskedPeriod;
use super::request::OnStale;
use crate::status::{DayCoverage, PeriodRecord};

/// Everything that decides.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub asked: &'a [AskedPeriod],
    /// What the listing found for each day asked for.
    pub inputs: &'a BTreeMap<Day, DayInput>,
    /// The dataset's items.
    pub records: &'a [PeriodRecord],
    pub config_digest: &'a str,
    /// Covered days of which published objects are missing.
    pub missing_parts: &'a BTreeSet<Day>,
    pub full_load: bool,
    pub on_stale: OnStale,
    /// `LoadRequest::closing_delay`.
    pub lateness: Duration,
    pub now: Moment,
    /// The request reads another input than the dataset was loaded from.
    pub another_input: bool,
}

/// The listing of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayInput {
    /// Of the day, its margin, and the undated objects.
    pub digest: InputDigest,
    /// Objects of the day itself.
    pub objects: u64,
}

/// A digest of listed objects with their number. Written `12:ab34…`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct InputDigest {
    pub objects: u64,
    pub hash: String,
}

/// What is left to do of one period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remaining {
    pub period: super::range::Period,
    pub load: BTreeMap<Day, LoadReason>,
    pub skip: BTreeMap<Day, SkipReason>,
    /// Skipped, though another configuration loaded them: to be reported.
    pub stale: BTreeSet<Day>,
    /// Skipped, and closed by now: their coverage only has to be marked as closed.
    pub close: BTreeSet<Day>,
    /// Whether the month will be complete once these days are loaded and closed.
    pub completes: bool,
}

/// Why a day is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadReason {
    FullLoad,
    NeverLoaded,
    PartsMissing,
    /// The day was closed when it was loaded, and objects came all the same.
    LateFiles,
    /// The day was open when it was loaded, and its input changed before it closed.
    InputChanged,
    /// The day is still open, and its input changed.
    OpenDay,
    StaleConfiguration,
}

/// Why a day is not loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    Covered,
    /// Nothing new, but the day is still open: a later load looks again.
    CoveredOpen,
    /// Loaded by another configuration.
    Stale,
    /// Fewer objects than were loaded are left of its input; published rows are kept.
    InputGone,
    /// The day is in the future and has no input.
    NotBegun,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemainingError {
    #[error(
        "the dataset was loaded from another input: name it with --as, or replace it with --full-load"
    )]
    AnotherInput,
}

/// What is left to do of each asked period, in their order.
pub fn decide(question: &Question) -> Result<Vec<Remaining>, RemainingError> {
    let anything_covered = question
        .records
        .iter()
        .any(|record| !record.covered_days.is_empty());
    if question.another_input && anything_covered && !question.full_load {
        return Err(RemainingError::AnotherInput);
    }
    let asked = question.asked.iter();
    let mut remaining: Vec<Remaining> = asked.map(|asked| question.period(asked)).collect();
    let done = question.closed_afterwards(&remaining);
    for remaining in &mut remaining {
        remaining.completes = question.completes(remaining, &done);
    }
    Ok(remaining)
}

/// The days before `before` that earlier loads left incomplete: asked for and not covered, or
/// covered before they were closed.
pub fn revisit(records: &[PeriodRecord], before: Day) -> BTreeSet<Day> {
    let mut days = BTreeSet::new();
    for record in records {
        let covered = &record.covered_days;
        let open = |day: &&Day| covered.get(day).is_none_or(|covered| !covered.closed);
        days.extend(record.asked_days.iter().chain(covered.keys()).filter(open));
    }
    days.retain(|day| *day < before);
    days
}

enum Verdict {
    Load(LoadReason),
    Skip(SkipReason),
}

impl Question<'_> {
    fn period(&self, asked: &AskedPeriod) -> Remaining {
        let mut remaining = Remaining {
            period: asked.period,
            load: BTreeMap::new(),
            skip: BTreeMap::new(),
            stale: BTreeSet::new(),
            close: BTreeSet::new(),
            completes: false,
        };
        for day in &asked.days {
            match self.day(*day) {
                Verdict::Load(reason) => {
                    remaining.load.insert(*day, reason);
                }
                Verdict::Skip(reason) => self.skip(*day, reason, &mut remaining),
            }
        }
        remaining
    }

    fn skip(&self, day: Day, reason: SkipReason, remaining: &mut Remaining) {
        remaining.skip.insert(day, reason);
        let Some(coverage) = self.coverage(day) else {
            return;
        };
        if coverage.config_digest != self.config_digest {
            remaining.stale.insert(day);
        }
        if !coverage.closed && self.is_closed(day) {
            remaining.close.insert(day);
        }
    }

    fn day(&self, day: Day) -> Verdict {
        use {LoadReason::*, Verdict::*};
        let Some(coverage) = self.coverage(day) else {
            return self.uncovered(day);
        };
        if self.full_load {
            return Load(FullLoad);
        }
        if self.missing_parts.contains(&day) {
            return Load(PartsMissing);
        }
        match self.input(day, coverage) {
            Input::Same => self.unchanged(day, coverage),
            Input::Gone => Skip(SkipReason::InputGone),
            Input::Changed if coverage.closed => Load(LateFiles),
            Input::Changed if self.is_closed(day) => Load(InputChanged),
            Input::Changed => Load(OpenDay),
        }
    }

    fn uncovered(&self, day: Day) -> Verdict {
        let empty = self.inputs.get(&day).is_none_or(|input| input.objects == 0);
        if empty && day.start() > self.now {
            return Verdict::Skip(SkipReason::NotBegun);
        }
        Verdict::Load(match self.full_load {
            true => LoadReason::FullLoad,
            false => LoadReason::NeverLoaded,
        })
    }

    fn unchanged(&self, day: Day, coverage: &DayCoverage) -> Verdict {
        let stale = coverage.config_digest != self.config_digest;
        match (stale, self.on_stale) {
            (true, OnStale::Reload) => Verdict::Load(LoadReason::StaleConfiguration),
            (true, OnStale::Report) => Verdict::Skip(SkipReason::Stale),
            (false, _) if self.is_closed(day) => Verdict::Skip(SkipReason::Covered),
            (false, _) => Verdict::Skip(SkipReason::CoveredOpen),
        }
    }

    fn coverage(&self, day: Day) -> Option<&DayCoverage> {
        self.record(day)?.covered_days.get(&day)
    }

    fn record(&self, day: Day) -> Option<&PeriodRecord> {
        let month = day.month();
        self.records.iter().find(|record| record.period == month)
    }

    fn is_closed(&self, day: Day) -> bool {
        day.is_closed(self.lateness, self.now)
    }

    /// Logs expire before what was made of them: a day whose input dwindled is not loaded again,
    /// as that would take published rows away.
    fn input(&self, day: Day, coverage: &DayCoverage) -> Input {
        let Some(found) = self.inputs.get(&day).map(|input| &input.digest) else {
            return Input::Gone;
        };
        let loaded = coverage.input_digest.parse::<InputDigest>();
        match loaded {
            Ok(loaded) if loaded == *found => Input::Same,
            Ok(loaded) if found.objects < loaded.objects => Input::Gone,
            _ => Input::Changed,
        }
    }

    /// The days that will be covered and closed when all that is left to do succeeds.
    fn closed_afterwards(&self, remaining: &[Remaining]) -> BTreeSet<Day> {
        let mut done = BTreeSet::new();
        for record in self.records {
            let closed = record.covered_days.iter().filter(|(_, day)| day.closed);
            done.extend(closed.map(|(day, _)| *day));
        }
        for remaining in remaining {
            done.extend(&remaining.close);
            let loaded = remaining.load.keys();
            done.extend(loaded.filter(|day| self.is_closed(**day)));
        }
        done
    }

    fn completes(&self, remaining: &Remaining, done: &BTreeSet<Day>) -> bool {
        let month = remaining.period.month();
        let here = |asked: &&AskedPeriod| asked.period.month() == month;
        let mut now_asked = self.asked.iter().filter(here).flat_map(|asked| &asked.days);
        let record = self.records.iter().find(|record| record.period == month);
        let mut ever_asked = record.into_iter().flat_map(|record| &record.asked_days);
        self.is_closed(month.last_day())
            && now_asked.all(|day| done.contains(day))
            && ever_asked.all(|day| done.contains(day))
    }
}

/// A day's input, compared with what was loaded.
enum Input {
    Same,
    Changed,
    Gone,
}

impl fmt::Display for LoadReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FullLoad => "full load",
            Self::NeverLoaded => "never loaded",
            Self::PartsMissing => "published objects are missing",
            Self::LateFiles => "late files",
            Self::InputChanged => "new or changed objects",
            Self::OpenDay => "new or changed objects of an open day",
            Self::StaleConfiguration => "loaded with another configuration",
        })
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Covered => "covered",
            Self::CoveredOpen => "nothing new yet",
            Self::Stale => "covered, with another configuration",
            Self::InputGone => "covered, and input objects have gone since",
            Self::NotBegun => "not begun",
        })
    }
}

impl fmt::Display for InputDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.objects, self.hash)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a digest of objects")]
pub struct NotADigest(String);

impl FromStr for InputDigest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        let (objects, hash) = text.split_once(':').ok_or(NotADigest(text.to_owned()))?;
        Ok(Self {
            objects: objects.parse().map_err(|_| NotADigest(text.to_owned()))?,
            hash: hash.to_owned(),
        })
    }
}

impl From<InputDigest> for String {
    fn from(digest: InputDigest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<String> for InputDigest {
    type Error = NotADigest;

    fn try_from(text: String) -> Result<Self, NotADigest> {
        text.parse()
    }
}
