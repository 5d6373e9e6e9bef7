//! Decides which of the requested days to load and which to skip, each with a reason. Pure:
//! the listing, the status and the current time are arguments.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::coverage::DayChange;
use crate::input::digest::{DayInput, InputDigest};
use crate::load::days::{Day, Moment};
use crate::load::range::AskedPeriod;
use crate::load::terms::{OnStale, OnVanished};
use crate::status::{DayCoverage, PeriodRecord};

/// All inputs of the decision.
#[derive(Clone, Copy, Debug)]
pub struct DecisionInput<'a> {
    pub asked: &'a [AskedPeriod],
    /// The listed input of each requested day.
    pub inputs: &'a BTreeMap<Day, DayInput>,
    /// How the input of covered days has changed. A changed day without an entry was loaded by
    /// an older version, which kept no list of its objects.
    pub changes: &'a BTreeMap<Day, DayChange>,
    /// The dataset's records.
    pub records: &'a [PeriodRecord],
    pub config_digest: &'a str,
    pub margin: u32,
    /// Covered days with missing published objects.
    pub missing_parts: &'a BTreeSet<Day>,
    pub full_load: bool,
    /// The load itself. Days that it has covered already, possibly in another process, are not
    /// loaded again.
    pub load_id: &'a str,
    pub on_stale: OnStale,
    pub on_vanished: OnVanished,
    pub accept_broken: bool,
    /// The delay after which a day is closed, see `LoadRequest::closing_delay`.
    pub lateness: Duration,
    pub now: Moment,
    /// True if the request reads another input than earlier loads of the dataset.
    pub another_input: bool,
}

/// The remaining work of one period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remaining {
    pub period: crate::load::range::Period,
    pub load: BTreeMap<Day, LoadReason>,
    /// Days with new objects, while objects that gave them rows are gone. Only the new objects
    /// are read, to know whether they hold rows of these days.
    pub check: BTreeSet<Day>,
    pub skip: BTreeMap<Day, SkipReason>,
    /// Skipped days that were loaded with another configuration or margin, to be reported.
    pub stale: BTreeSet<Day>,
    /// Skipped days that are over and only need to be marked as closed.
    pub close: BTreeSet<Day>,
    /// Skipped days that were marked as owed or rewritten, and no longer are.
    pub unmark: BTreeSet<Day>,
    /// Skipped days whose damaged objects the request accepts.
    pub accept: BTreeSet<Day>,
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
    /// The day was closed when it was loaded, but new objects arrived later.
    LateFiles,
    /// The day was open when it was loaded, and its input changed before it closed.
    InputChanged,
    /// The day is still open, and its input changed.
    OpenDay,
    StaleConfiguration,
    /// Objects that gave the day rows are gone, and `--on-vanished replace` gives them up.
    VanishedInput,
}

/// Why a day is not loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    Covered,
    /// The day has nothing new but is still open. A later load checks it again.
    CoveredOpen,
    /// The day was loaded with another configuration.
    Stale,
    /// Some of the day's input objects no longer exist. Its published rows are kept.
    InputGone,
    /// New objects hold rows of the day, and objects that gave it rows are gone.
    Rewritten,
    /// Damaged objects gave the day fewer rows than they should have.
    Broken,
    /// Published objects are missing, and so are some of the input objects they came from.
    BothGone,
    /// The day is in the future and has no input.
    NotBegun,
}

/// Why no decision can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemainingError {
    #[error(
        "the dataset was loaded from another input: name it with --as, or replace it with --full-load"
    )]
    AnotherInput,
}

impl Remaining {
    /// Whether marks of skipped days are to be removed.
    pub fn changes_marks(&self) -> bool {
        !self.unmark.is_empty() || !self.accept.is_empty()
    }

    /// Whether nothing is to be loaded, checked or changed.
    pub fn is_nothing(&self) -> bool {
        let nothing_to_read = self.load.is_empty() && self.check.is_empty();
        nothing_to_read && self.close.is_empty() && !self.changes_marks()
    }
}

/// Decides the remaining work of each requested period, in the same order.
pub fn decide(input: &DecisionInput) -> Result<Vec<Remaining>, RemainingError> {
    let anything_covered = input
        .records
        .iter()
        .any(|record| !record.covered_days.is_empty());
    if input.another_input && anything_covered && !input.full_load {
        return Err(RemainingError::AnotherInput);
    }
    let asked = input.asked.iter();
    let mut remaining: Vec<Remaining> = asked.map(|asked| input.period(asked)).collect();
    let done = input.closed_afterwards(&remaining);
    for remaining in &mut remaining {
        remaining.completes = input.completes(remaining, &done);
    }
    Ok(remaining)
}

/// Returns the days before `before` that earlier loads left incomplete: requested but not
/// covered, covered before they were closed, or covered with rows missing.
pub fn revisit(records: &[PeriodRecord], before: Day) -> BTreeSet<Day> {
    let mut days = BTreeSet::new();
    for record in records {
        let covered = &record.covered_days;
        let open = |day: &&Day| {
            covered
                .get(day)
                .is_none_or(|covered| !covered.is_complete())
        };
        days.extend(record.asked_days.iter().chain(covered.keys()).filter(open));
    }
    days.retain(|day| *day < before);
    days
}

enum Verdict {
    Load(LoadReason),
    Check,
    Skip(SkipReason),
}

impl DecisionInput<'_> {
    fn period(&self, asked: &AskedPeriod) -> Remaining {
        let mut remaining = Remaining {
            period: asked.period,
            load: BTreeMap::new(),
            check: BTreeSet::new(),
            skip: BTreeMap::new(),
            stale: BTreeSet::new(),
            close: BTreeSet::new(),
            unmark: BTreeSet::new(),
            accept: BTreeSet::new(),
            completes: false,
        };
        for day in &asked.days {
            match self.day(*day) {
                Verdict::Load(reason) => {
                    remaining.load.insert(*day, reason);
                }
                Verdict::Check => {
                    remaining.check.insert(*day);
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
        if self.is_stale(coverage) {
            remaining.stale.insert(day);
        }
        if !coverage.closed && self.is_closed(day) {
            remaining.close.insert(day);
        }
        let is_marked = coverage.owed.is_some() || coverage.rewritten.is_some();
        if is_marked && !matches!(reason, SkipReason::Rewritten | SkipReason::BothGone) {
            remaining.unmark.insert(day);
        }
        if coverage.broken.is_some() && self.accept_broken {
            remaining.accept.insert(day);
        }
    }

    fn day(&self, day: Day) -> Verdict {
        use LoadReason::*;
        use Verdict::*;
        let Some(coverage) = self.coverage(day) else {
            return self.uncovered(day);
        };
        if self.full_load && !self.is_ours(coverage) {
            return Load(FullLoad);
        }
        let missing = self.missing_parts.contains(&day);
        let replaces = self.on_vanished == OnVanished::Replace;
        match self.input(day, coverage) {
            // The published rest of the day is better than loading the rest of its input.
            Input::Gone | Input::Rewritten if missing && !replaces => Skip(SkipReason::BothGone),
            Input::Gone if !missing => Skip(SkipReason::InputGone),
            Input::Rewritten if replaces => Load(VanishedInput),
            _ if missing => Load(PartsMissing),
            Input::Rewritten if self.is_known(day, coverage) => Skip(SkipReason::Rewritten),
            Input::Rewritten => Check,
            Input::Same | Input::Gone => self.unchanged(day, coverage),
            Input::Changed if coverage.closed => Load(LateFiles),
            Input::Changed if self.is_closed(day) => Load(InputChanged),
            Input::Changed => Load(OpenDay),
        }
    }

    /// Whether an earlier load has read the same new objects of a rewritten day, and nothing is
    /// to be done about them.
    fn is_known(&self, day: Day, coverage: &DayCoverage) -> bool {
        let found = self.inputs.get(&day).map(|input| input.digest.to_string());
        let known = coverage.rewritten.as_ref().map(|known| &known.input_digest);
        self.on_vanished == OnVanished::Report && known.is_some() && known == found.as_ref()
    }

    fn is_stale(&self, coverage: &DayCoverage) -> bool {
        // A smaller margin changes nothing: the day has taken rows by the greater one.
        let wider = coverage.margin.is_some_and(|margin| margin < self.margin);
        coverage.config_digest != self.config_digest || wider
    }

    /// Returns true if this load itself has covered the day, before it was resumed or before an
    /// answer was lost.
    fn is_ours(&self, coverage: &DayCoverage) -> bool {
        coverage.load_id == self.load_id
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
        let is_broken = coverage.broken.is_some() && !self.accept_broken;
        match (self.is_stale(coverage), self.on_stale) {
            (true, OnStale::Reload) => Verdict::Load(LoadReason::StaleConfiguration),
            _ if is_broken => Verdict::Skip(SkipReason::Broken),
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

    /// Compares the day's input with its state at the last load. Logs expire earlier than the
    /// events made from them, so a day that lost input is not loaded again: that would delete
    /// published rows.
    fn input(&self, day: Day, coverage: &DayCoverage) -> Input {
        let Some(found) = self.inputs.get(&day).map(|input| &input.digest) else {
            return Input::Gone;
        };
        if let Some(change) = self.changes.get(&day) {
            return match (change.has_new(), change.gone.is_empty()) {
                (false, true) => Input::Same,
                (false, false) => Input::Gone,
                (true, true) => Input::Changed,
                (true, false) => Input::Rewritten,
            };
        }
        let loaded = coverage.input_digest.parse::<InputDigest>();
        match loaded {
            Ok(loaded) if loaded == *found => Input::Same,
            Ok(loaded) if found.objects < loaded.objects => Input::Gone,
            _ => Input::Changed,
        }
    }

    /// The days that will be covered and closed if all remaining work succeeds.
    fn closed_afterwards(&self, remaining: &[Remaining]) -> BTreeSet<Day> {
        let mut done = BTreeSet::new();
        for record in self.records {
            let complete = |(_, day): &(&Day, &DayCoverage)| day.is_complete();
            let complete = record.covered_days.iter().filter(complete);
            done.extend(complete.map(|(day, _)| *day));
        }
        for remaining in remaining {
            done.extend(&remaining.close | &(&remaining.unmark | &remaining.accept));
            done.extend(remaining.load.keys());
            done.retain(|day| self.will_be_complete(*day, remaining));
        }
        done
    }

    /// Whether a day of `remaining` is complete after its work; other days are.
    fn will_be_complete(&self, day: Day, remaining: &Remaining) -> bool {
        if remaining.load.contains_key(&day) {
            return self.is_closed(day);
        }
        let skipped = remaining.skip.get(&day);
        let incomplete = [SkipReason::Rewritten, SkipReason::Broken];
        !remaining.check.contains(&day) && !skipped.is_some_and(|why| incomplete.contains(why))
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

/// A day's input compared with its state at the last load.
enum Input {
    Same,
    /// There are new objects or versions, and none that gave the day rows is gone.
    Changed,
    /// Objects that gave the day rows are gone, and there are no new ones.
    Gone,
    /// Both.
    Rewritten,
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
            Self::StaleConfiguration => "loaded with another configuration or margin",
            Self::VanishedInput => "input was rewritten, and is replaced as requested",
        })
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Covered => "covered",
            Self::CoveredOpen => "nothing new yet",
            Self::Stale => "covered, with another configuration or margin",
            Self::Rewritten => "covered, but its input was rewritten",
            Self::Broken => "covered, but some of its input objects are damaged",
            Self::InputGone => "covered, but some input objects no longer exist",
            Self::BothGone => {
                "published objects are missing, and so is the input to load them again"
            }
            Self::NotBegun => "in the future, without input",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::days::Month;
    use crate::load::range::{Unit, cut};
    use crate::status::{Broken, Rewritten};

    const CONFIG: &str = "config";
    const DAY: Duration = Duration::from_secs(86_400);

    fn day(text: &str) -> Day {
        text.parse().expect("a day")
    }

    fn moment(text: &str) -> Moment {
        text.parse().expect("a moment")
    }

    fn digest(text: &str) -> InputDigest {
        text.parse().expect("a digest")
    }

    /// Input for the days `from` to `to` with two days of lateness, decided at noon of
    /// `today`.
    struct Case {
        days: BTreeSet<Day>,
        unit: Unit,
        inputs: BTreeMap<Day, DayInput>,
        records: Vec<PeriodRecord>,
        missing: BTreeSet<Day>,
        changes: BTreeMap<Day, DayChange>,
        full_load: bool,
        on_stale: OnStale,
        on_vanished: OnVanished,
        accept_broken: bool,
        now: Moment,
        another_input: bool,
    }

    impl Case {
        /// Every day has two input objects and is not loaded.
        fn new(from: &str, to: &str, today: &str) -> Self {
            let days: BTreeSet<Day> = day(from).to(day(to)).collect();
            let input = DayInput {
                digest: digest("2:now"),
                objects: 1,
            };
            Self {
                inputs: days.iter().map(|day| (*day, input.clone())).collect(),
                days,
                unit: Unit::Month,
                records: Vec::new(),
                missing: BTreeSet::new(),
                changes: BTreeMap::new(),
                full_load: false,
                on_stale: OnStale::Report,
                on_vanished: OnVanished::Report,
                accept_broken: false,
                now: moment(&format!("{today}T12:00:00Z")),
                another_input: false,
            }
        }

        fn record(&mut self, month: Month) -> &mut PeriodRecord {
            let found = self
                .records
                .iter()
                .position(|record| record.period == month);
            let index = found.unwrap_or_else(|| {
                self.records.push(PeriodRecord::new("d", month, "vpc_flow"));
                self.records.len() - 1
            });
            &mut self.records[index]
        }

        fn asked_before(mut self, from: &str, to: &str) -> Self {
            for day in day(from).to(day(to)) {
                self.record(day.month()).asked_days.insert(day);
            }
            self
        }

        fn covered(self, from: &str, to: &str, input: &str, closed: bool) -> Self {
            self.covered_by(CONFIG, from, to, input, closed)
        }

        fn covered_by(
            mut self,
            config: &str,
            from: &str,
            to: &str,
            input: &str,
            closed: bool,
        ) -> Self {
            let loaded_at = moment("2024-01-01T00:00:00Z");
            let coverage = DayCoverage {
                load_id: "before".to_owned(),
                margin: Some(1),
                ..DayCoverage::new(config, input, closed, loaded_at)
            };
            for day in day(from).to(day(to)) {
                let record = self.record(day.month());
                record.asked_days.insert(day);
                record.covered_days.insert(day, coverage.clone());
            }
            self
        }

        fn decide(&self) -> Result<Vec<Remaining>, RemainingError> {
            decide(&DecisionInput {
                asked: &cut(&self.days, self.unit),
                inputs: &self.inputs,
                records: &self.records,
                config_digest: CONFIG,
                missing_parts: &self.missing,
                changes: &self.changes,
                margin: 1,
                full_load: self.full_load,
                load_id: "now",
                on_stale: self.on_stale,
                on_vanished: self.on_vanished,
                accept_broken: self.accept_broken,
                lateness: 2 * DAY,
                now: self.now,
                another_input: self.another_input,
            })
        }

        /// Compares one line per run of days with the same verdict.
        fn check(&self, expected: &[&str]) {
            let remaining = self.decide().expect("an answer");
            let shown: Vec<String> = remaining.iter().flat_map(show).collect();
            assert_eq!(shown, expected);
        }
    }

    fn show(remaining: &Remaining) -> Vec<String> {
        let loads = remaining
            .load
            .iter()
            .map(|(day, why)| (*day, format!("load: {why}")));
        let skips = remaining.skip.iter().map(|(day, why)| {
            let stale = if remaining.stale.contains(day) {
                ", stale"
            } else {
                ""
            };
            let close = if remaining.close.contains(day) {
                ", close"
            } else {
                ""
            };
            (*day, format!("skip: {why}{stale}{close}"))
        });
        let checks = remaining.check.iter();
        let checks = checks.map(|day| (*day, "check".to_owned()));
        let verdicts: BTreeMap<Day, String> = loads.chain(skips).chain(checks).collect();
        let mut runs: Vec<(Day, Day, String)> = Vec::new();
        for (day, verdict) in verdicts {
            match runs.last_mut() {
                Some((_, last, same)) if *same == verdict => *last = day,
                _ => runs.push((day, day, verdict)),
            }
        }
        let completes = if remaining.completes { " complete" } else { "" };
        let heading = format!("{}{completes}", remaining.period);
        let runs = runs.into_iter();
        let runs = runs.map(|(first, last, verdict)| {
            format!(
                "{:02}..{:02} {verdict}",
                first.0 - first.month().first_day().0 + 1,
                last.0 - last.month().first_day().0 + 1
            )
        });
        std::iter::once(heading).chain(runs).collect()
    }

    #[test]
    fn days_that_no_load_covered_are_loaded() {
        Case::new("2024-01-22", "2024-02-21", "2024-06-01").check(&[
            "2024-01 complete",
            "22..31 load: never loaded",
            "2024-02 complete",
            "01..21 load: never loaded",
        ]);
    }

    #[test]
    fn covered_days_are_skipped_when_the_range_grows() {
        Case::new("2024-01-20", "2024-01-25", "2024-06-01")
            .covered("2024-01-22", "2024-01-23", "2:now", true)
            .check(&[
                "2024-01 complete",
                "20..21 load: never loaded",
                "22..23 skip: covered",
                "24..25 load: never loaded",
            ]);
    }

    #[test]
    fn the_open_month_stays_incomplete() {
        Case::new("2024-05-01", "2024-05-10", "2024-05-10")
            .check(&["2024-05", "01..10 load: never loaded"]);
        // All requested days are closed, but the month is not over.
        Case::new("2024-05-01", "2024-05-03", "2024-05-10")
            .check(&["2024-05", "01..03 load: never loaded"]);
        // The last day's lateness ends with 2 June.
        Case::new("2024-05-30", "2024-05-31", "2024-06-02")
            .check(&["2024-05", "30..31 load: never loaded"]);
        Case::new("2024-05-30", "2024-05-31", "2024-06-03")
            .check(&["2024-05 complete", "30..31 load: never loaded"]);
    }

    #[test]
    fn an_open_day_with_nothing_new_is_skipped_and_not_complete() {
        Case::new("2024-05-08", "2024-05-10", "2024-05-10")
            .covered("2024-05-08", "2024-05-10", "2:now", false)
            .check(&["2024-05", "08..10 skip: nothing new yet"]);
    }

    #[test]
    fn an_open_day_that_closed_without_new_input_is_only_marked() {
        Case::new("2024-05-30", "2024-05-31", "2024-06-10")
            .covered("2024-05-30", "2024-05-30", "2:now", true)
            .covered("2024-05-31", "2024-05-31", "2:now", false)
            .check(&[
                "2024-05 complete",
                "30..30 skip: covered",
                "31..31 skip: covered, close",
            ]);
    }

    #[test]
    fn changed_input_loads_its_days_again() {
        Case::new("2024-05-06", "2024-05-10", "2024-05-10")
            .covered("2024-05-06", "2024-05-06", "1:then", true)
            .covered("2024-05-07", "2024-05-07", "2:then", false)
            .covered("2024-05-08", "2024-05-08", "2:now", true)
            .covered("2024-05-09", "2024-05-10", "1:then", false)
            .check(&[
                "2024-05",
                "06..06 load: late files",
                "07..07 load: new or changed objects",
                "08..08 skip: nothing new yet",
                "09..10 load: new or changed objects of an open day",
            ]);
    }

    #[test]
    fn an_unreadable_digest_counts_as_a_change() {
        Case::new("2024-01-01", "2024-01-01", "2024-06-01")
            .covered("2024-01-01", "2024-01-01", "unreadable", true)
            .check(&["2024-01 complete", "01..01 load: late files"]);
    }

    #[test]
    fn expired_input_deletes_no_published_rows() {
        let mut case = Case::new("2024-01-01", "2024-01-02", "2024-06-01").covered(
            "2024-01-01",
            "2024-01-02",
            "3:then",
            true,
        );
        case.inputs.remove(&day("2024-01-02"));
        let gone = "01..02 skip: covered, but some input objects no longer exist";
        case.check(&["2024-01 complete", gone]);
        case.full_load = true;
        case.check(&["2024-01 complete", "01..02 load: full load"]);
    }

    #[test]
    fn a_full_load_loads_covered_and_uncovered_days() {
        let mut case = Case::new("2024-01-01", "2024-01-03", "2024-06-01").covered(
            "2024-01-01",
            "2024-01-02",
            "2:now",
            true,
        );
        case.full_load = true;
        case.check(&["2024-01 complete", "01..03 load: full load"]);
    }

    #[test]
    fn another_configuration_is_reported_or_reloaded() {
        let case = |on_stale| Case {
            on_stale,
            ..Case::new("2024-01-01", "2024-01-03", "2024-06-01")
                .covered("2024-01-01", "2024-01-01", "2:now", true)
                .covered_by("old", "2024-01-02", "2024-01-02", "2:now", true)
                .covered_by("old", "2024-01-03", "2024-01-03", "2:then", true)
        };
        case(OnStale::Report).check(&[
            "2024-01 complete",
            "01..01 skip: covered",
            "02..02 skip: covered, with another configuration or margin, stale",
            "03..03 load: late files",
        ]);
        case(OnStale::Reload).check(&[
            "2024-01 complete",
            "01..01 skip: covered",
            "02..02 load: loaded with another configuration or margin",
            "03..03 load: late files",
        ]);
    }

    #[test]
    fn a_day_with_missing_published_objects_is_loaded() {
        let mut case = Case::new("2024-01-01", "2024-01-02", "2024-06-01").covered(
            "2024-01-01",
            "2024-01-02",
            "2:now",
            true,
        );
        case.missing.insert(day("2024-01-02"));
        case.check(&[
            "2024-01 complete",
            "01..01 skip: covered",
            "02..02 load: published objects are missing",
        ]);
    }

    /// A closed day, its change, its marks and the flags; what is done.
    #[test]
    fn what_is_done_depends_on_what_is_new_and_what_is_gone() {
        let new = || DayChange {
            new: BTreeSet::from(["new".to_owned()]),
            ..DayChange::default()
        };
        let gone = || DayChange {
            gone: BTreeMap::from([("gone".to_owned(), 3)]),
            ..DayChange::default()
        };
        let both = || DayChange {
            gone: gone().gone,
            ..new()
        };
        use OnVanished::{Add, Replace, Report};
        for (change, rewritten, on_vanished, expected) in [
            (DayChange::default(), false, Report, "skip: covered"),
            (DayChange::default(), true, Report, "skip: covered"),
            (new(), false, Report, "load: late files"),
            (new(), true, Report, "load: late files"),
            (
                gone(),
                false,
                Report,
                "skip: covered, but some input objects no longer exist",
            ),
            (both(), false, Report, "check"),
            (
                both(),
                true,
                Report,
                "skip: covered, but its input was rewritten",
            ),
            (both(), true, Add, "check"),
            (
                both(),
                true,
                Replace,
                "load: input was rewritten, and is replaced as requested",
            ),
        ] {
            let mut case = Case::new("2024-01-01", "2024-01-01", "2024-06-01").covered(
                "2024-01-01",
                "2024-01-01",
                "2:then",
                true,
            );
            let of_day = case.record(day("2024-01-01").month());
            let coverage = of_day.covered_days.get_mut(&day("2024-01-01"));
            coverage.expect("it is covered").rewritten = rewritten.then(|| Rewritten {
                gone_objects: 1,
                gone_rows: 1,
                new_objects: 1,
                new_rows: 1,
                input_digest: "2:now".to_owned(),
            });
            case.changes.insert(day("2024-01-01"), change.clone());
            case.on_vanished = on_vanished;
            let remaining = case.decide().expect("an answer").remove(0);
            let shown = show(&remaining);
            assert_eq!(shown[1], format!("01..01 {expected}"), "{change:?}");
            let complete = !expected.contains("rewritten") && expected != "check";
            assert_eq!(remaining.completes, complete || on_vanished == Replace);
            let unmarks = rewritten && expected == "skip: covered";
            assert_eq!(!remaining.unmark.is_empty(), unmarks, "{change:?}");
        }
    }

    #[test]
    fn a_broken_day_is_not_complete_until_it_is_accepted() {
        let mut case = Case::new("2024-01-01", "2024-01-01", "2024-06-01").covered(
            "2024-01-01",
            "2024-01-01",
            "2:now",
            true,
        );
        let of_day = case.record(day("2024-01-01").month());
        let coverage = of_day.covered_days.get_mut(&day("2024-01-01"));
        coverage.expect("it is covered").broken = Some(Broken { objects: 1 });
        let broken = "01..01 skip: covered, but some of its input objects are damaged";
        case.check(&["2024-01", broken]);
        case.accept_broken = true;
        case.check(&["2024-01 complete", "01..01 skip: covered"]);
        let remaining = case.decide().expect("an answer").remove(0);
        assert_eq!(remaining.accept.len(), 1);
    }

    #[test]
    fn a_full_load_does_not_load_again_what_it_has_loaded_itself() {
        let mut case = Case::new("2024-01-01", "2024-01-02", "2024-06-01").covered(
            "2024-01-01",
            "2024-01-02",
            "2:now",
            true,
        );
        case.full_load = true;
        let of_day = case.record(day("2024-01-01").month());
        let coverage = of_day.covered_days.get_mut(&day("2024-01-01"));
        coverage.expect("it is covered").load_id = "now".to_owned();
        case.check(&[
            "2024-01 complete",
            "01..01 skip: covered",
            "02..02 load: full load",
        ]);
    }

    #[test]
    fn a_day_of_a_smaller_margin_is_stale() {
        let mut case = Case::new("2024-01-01", "2024-01-01", "2024-06-01").covered(
            "2024-01-01",
            "2024-01-01",
            "2:now",
            true,
        );
        let of_day = case.record(day("2024-01-01").month());
        let coverage = of_day.covered_days.get_mut(&day("2024-01-01"));
        coverage.expect("it is covered").margin = Some(0);
        let stale = "01..01 skip: covered, with another configuration or margin, stale";
        case.check(&["2024-01 complete", stale]);
    }

    #[test]
    fn a_damaged_day_with_expired_input_is_kept() {
        let mut case = Case::new("2024-01-01", "2024-01-02", "2024-06-01").covered(
            "2024-01-01",
            "2024-01-02",
            "3:then",
            true,
        );
        case.inputs.remove(&day("2024-01-02"));
        case.missing = BTreeSet::from([day("2024-01-01"), day("2024-01-02")]);
        let gone = "published objects are missing, and so is the input to load them again";
        case.check(&["2024-01 complete", &format!("01..02 skip: {gone}")]);
    }

    #[test]
    fn a_day_in_the_future_is_loaded_only_if_it_has_input() {
        let mut case = Case::new("2024-05-10", "2024-05-12", "2024-05-10");
        case.inputs.remove(&day("2024-05-10"));
        case.inputs.remove(&day("2024-05-12"));
        case.check(&[
            "2024-05",
            "10..11 load: never loaded",
            "12..12 skip: in the future, without input",
        ]);
    }

    #[test]
    fn a_month_is_complete_only_with_every_day_ever_requested() {
        let case = || Case::new("2024-01-01", "2024-01-02", "2024-06-01");
        case()
            .asked_before("2024-01-01", "2024-01-05")
            .check(&["2024-01", "01..02 load: never loaded"]);
        case()
            .covered("2024-01-03", "2024-01-05", "2:now", true)
            .check(&["2024-01 complete", "01..02 load: never loaded"]);
        case()
            .covered("2024-01-03", "2024-01-05", "2:now", false)
            .check(&["2024-01", "01..02 load: never loaded"]);
    }

    #[test]
    fn daily_periods_complete_their_month_together() {
        let daily = |case: Case| Case {
            unit: Unit::Day,
            ..case
        };
        daily(Case::new("2024-01-30", "2024-01-31", "2024-06-01")).check(&[
            "2024-01-30 complete",
            "30..30 load: never loaded",
            "2024-01-31 complete",
            "31..31 load: never loaded",
        ]);
        let open = Case::new("2024-01-30", "2024-01-31", "2024-02-01");
        daily(open.covered("2024-01-30", "2024-01-30", "2:now", false)).check(&[
            "2024-01-30",
            "30..30 skip: nothing new yet",
            "2024-01-31",
            "31..31 load: never loaded",
        ]);
    }

    #[test]
    fn another_input_is_refused_once_something_is_covered() {
        let mut case = Case::new("2024-01-01", "2024-01-01", "2024-06-01");
        case.another_input = true;
        assert!(case.decide().is_ok());
        let mut case = case.covered("2024-03-01", "2024-03-01", "2:now", true);
        assert_eq!(case.decide(), Err(RemainingError::AnotherInput));
        case.full_load = true;
        assert!(case.decide().is_ok());
    }

    #[test]
    fn a_daily_load_revisits_incomplete_days() {
        let case = Case::new("2024-06-01", "2024-06-01", "2024-06-02")
            .asked_before("2024-04-29", "2024-05-02")
            .covered("2024-04-30", "2024-05-01", "2:now", true)
            .covered("2024-05-30", "2024-06-01", "2:now", false);
        let days: Vec<String> = revisit(&case.records, day("2024-06-01"))
            .iter()
            .map(Day::to_string)
            .collect();
        assert_eq!(
            days,
            ["2024-04-29", "2024-05-02", "2024-05-30", "2024-05-31"]
        );
    }

    #[test]
    fn digests_survive_a_round_trip() {
        assert_eq!(digest("12:ab").to_string(), "12:ab");
        assert!("ab".parse::<InputDigest>().is_err());
        assert!("-1:ab".parse::<InputDigest>().is_err());
    }
}
