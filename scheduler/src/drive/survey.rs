//! The state that a load finds before it starts: the requested days, the input, and the
//! records of earlier loads. From these follows the remaining work. The survey only reads.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use plans::storage::parts;
use plans::storage::parts::PartStore;

use super::changes;
use super::changes::Changes;
use crate::decide::coverage::DayChange;
use crate::decide::remaining;
use crate::decide::remaining::{DecisionInput, Remaining};
use crate::input::inventory::Inventory;
use crate::input::listing::{self, InventoryError};
use crate::load::days::{Day, Moment, Month};
use crate::load::failure::{Failure, Kind};
use crate::load::outcome::Volume;
use crate::load::outcome::{Outcome, PeriodState};
use crate::load::range::{AskedPeriod, Unit, Window};
use crate::load::terms::{LoadRequest, Range};
use crate::load::{dataset, range};
use crate::publish::bounds::{Bounds, OutOfBounds};
use crate::publish::cleanup::Cleanup;
use crate::publish::commit;
use crate::publish::manifest::Manifest;
use crate::publish::stored;
use crate::publish::stored::ManifestError;
use crate::publish::target::Target;
use crate::publish::work::Work;
use crate::status::LoadRecord;
use crate::status::{DayCoverage, PeriodRecord, State, StatusStore};

const AT_ONCE: usize = 32;

/// A load's view of its input and status. `now` stays the same for the whole load.
#[derive(Debug)]
pub struct Survey<'a> {
    pub request: &'a LoadRequest,
    pub now: Moment,
    pub dataset: String,
    pub inputs: Vec<String>,
    pub status: Arc<dyn StatusStore>,
    pub work: Work,
    pub part_store: Arc<dyn PartStore>,
    pub window: Window,
    pub inventory: Inventory,
    pub asked: Vec<AskedPeriod>,
    pub records: Vec<PeriodRecord>,
    /// The load's id. Empty for a plan.
    pub load_id: String,
    /// True if earlier loads of the dataset read another input.
    pub another_input: bool,
    /// The day that owns rows without a readable time in undated objects that no earlier load
    /// has read.
    pub undated_day: Day,
    /// The same day, for undated objects that earlier loads have read, by their URIs.
    pub fallback_days: HashMap<String, Day>,
    /// How the input of covered days has changed.
    pub(super) changes: Changes,
}

/// The current manifest of a month.
#[derive(Clone, Debug)]
pub struct SurveyedManifest {
    pub month: Month,
    pub manifest: Manifest,
}

/// The days that a load covers.
#[derive(Clone, Debug)]
pub enum Selection {
    /// The days of the request's range as of this day. A load may wait, or be resumed, past
    /// midnight.
    Range(Day),
    /// The days that an earlier load failed to load.
    Days(BTreeSet<Day>),
}

/// The known state of a period: its record and its current manifest.
#[derive(Clone, Debug, Default)]
pub struct KnownPeriod {
    pub record: Option<PeriodRecord>,
    pub manifest: Option<(String, Manifest)>,
    /// Covered days with missing objects.
    pub missing: BTreeSet<Day>,
    /// How the input of its covered days has changed.
    pub changes: Changes,
}

impl KnownPeriod {
    /// Days whose parts were lost. They must be loaded again even if nobody asked for them.
    pub fn repair(&self) -> BTreeSet<Day> {
        let manifest = self.manifest.as_ref();
        manifest.map_or_else(BTreeSet::new, |(_, manifest)| manifest.repair.clone())
    }

    /// Returns the current manifest and its name.
    pub fn base(&self) -> Option<(&str, &Manifest)> {
        let manifest = self.manifest.as_ref();
        manifest.map(|(name, manifest)| (name.as_str(), manifest))
    }
}

impl<'a> Survey<'a> {
    /// Lists the input and reads the status.
    pub async fn make(
        request: &'a LoadRequest,
        selection: &Selection,
        status: Arc<dyn StatusStore>,
        load_id: &str,
        now: Moment,
    ) -> Result<Self, Failure> {
        let mut survey = Self::unlisted(request, status, load_id, now).await?;
        let manifests = changes::manifests(&survey.work, &survey.records).await?;
        for found in &manifests {
            let mut records = survey.records.iter_mut();
            if let Some(record) = records.find(|record| record.period == found.month) {
                commit::anticipate(record, &found.manifest);
            }
        }
        let revisit = revisited(request, selection, &survey.records);
        survey.window = window(request, selection, &revisit, survey.margin())?;
        survey.inventory = listing::list(&request.terms.inputs, survey.window).await?;
        let inventory = &survey.inventory;
        let mut days = asked_days(request, selection, &revisit, inventory)?;
        if let (Selection::Range(today), Range::Everything) = (selection, request.terms.range) {
            days.extend(survey.known_to_hold_rows(&manifests, *today));
        }
        let other = |found: &SurveyedManifest| found.manifest.inputs != survey.inputs;
        survey.another_input = manifests.iter().any(other);
        survey.undated_day = undated_day(&manifests, &survey.records, &days, now);
        let has_undated = survey.inventory.undated().next().is_some();
        survey.asked = range::cut(&days, unit(request, selection, has_undated));
        survey.fallback_days = survey.fallback_days(&manifests).await?;
        survey.changes = survey.all_changes(&manifests).await?;
        Ok(survey)
    }

    /// Makes a survey without listing the input. This is enough to work on published data.
    pub async fn unlisted(
        request: &'a LoadRequest,
        status: Arc<dyn StatusStore>,
        load_id: &str,
        now: Moment,
    ) -> Result<Self, Failure> {
        let dataset = dataset::id(request);
        let records = status.periods(&dataset).await?;
        Ok(Self {
            request,
            now,
            inputs: dataset::inputs(request),
            part_store: part_store(request)?,
            window: Window {
                from: Some(now.day()),
                to: now.day(),
            },
            inventory: Inventory::default(),
            asked: Vec::new(),
            load_id: load_id.to_owned(),
            another_input: false,
            undated_day: now.day(),
            fallback_days: HashMap::new(),
            changes: Changes::default(),
            work: Work::open(&request.terms.work)?,
            dataset,
            status,
            records,
        })
    }

    /// Days before today that own rows which earlier loads have read for other days, and that
    /// no load has accounted for. Also days whose rows a dead load has committed and not
    /// published.
    fn known_to_hold_rows(&self, manifests: &[SurveyedManifest], today: Day) -> BTreeSet<Day> {
        let contributions = manifests
            .iter()
            .flat_map(|found| &found.manifest.contributions);
        let read = contributions.flat_map(|contribution| &contribution.other_days);
        let mut days: BTreeSet<Day> = read.copied().collect();
        days.retain(|day| self.coverage(*day).is_none());
        for found in manifests {
            let record = self.record(found.month);
            if record.is_some_and(|record| record.state == State::Publishing) {
                days.extend(found.manifest.coverage.keys());
            }
        }
        for record in &self.records {
            let owed = record
                .covered_days
                .iter()
                .filter(|(_, covered)| covered.owed.is_some());
            days.extend(owed.map(|(day, _)| *day));
        }
        days.retain(|day| *day < today);
        days
    }

    async fn all_changes(&self, manifests: &[SurveyedManifest]) -> Result<Changes, Failure> {
        let mut changes = Changes::default();
        for SurveyedManifest { month, manifest } in manifests {
            let Some(record) = self.record(*month) else {
                continue;
            };
            let days = self.asked_of(*month);
            let found = self.changes(record, manifest, &self.inventory, &days);
            changes.extend(found.await?);
        }
        Ok(changes)
    }

    /// The coverage of a day, as the survey read it.
    pub fn coverage(&self, day: Day) -> Option<&DayCoverage> {
        self.record(day.month())?.covered_days.get(&day)
    }

    /// Returns the remaining work of each requested period. The day that owns unreadable rows
    /// of undated objects becomes one that this load loads.
    pub async fn remaining(&mut self) -> Result<Vec<Remaining>, Failure> {
        let mut missing = BTreeSet::new();
        for record in &self.records {
            let asked: BTreeSet<Day> = self.asked_of(record.period);
            missing.extend(self.missing(record, &asked).await?);
        }
        let changes = &self.changes.of_day;
        let remaining = self.decide(
            &self.asked,
            &self.records,
            &missing,
            changes,
            &self.inventory,
        )?;
        let has_lists = |record: &PeriodRecord| {
            let mut covered = record.covered_days.values();
            covered.all(|coverage| coverage.margin.is_some())
        };
        let mut loaded = remaining.iter().flat_map(|remaining| remaining.load.keys());
        if let Some(first) = loaded.next().filter(|_| self.records.iter().all(has_lists)) {
            self.undated_day = *first;
        }
        Ok(remaining)
    }

    /// The days that `remaining` loads, and those whose new objects it reads.
    pub fn scheduled(remaining: &[Remaining]) -> BTreeSet<Day> {
        let days = remaining.iter();
        let days = days.flat_map(|remaining| remaining.load.keys().chain(&remaining.check));
        days.copied().collect()
    }

    /// Returns the remaining work of one period according to its latest record.
    pub fn decide_again(
        &self,
        asked: &AskedPeriod,
        known: &KnownPeriod,
        inventory: &Inventory,
    ) -> Result<Remaining, Failure> {
        let records: Vec<PeriodRecord> = known.record.iter().cloned().collect();
        let asked = std::slice::from_ref(asked);
        let changes = &known.changes.of_day;
        let remaining = self.decide(asked, &records, &known.missing, changes, inventory)?;
        let first = remaining.into_iter().next();
        first.ok_or_else(|| {
            let message = "a requested period has no decision";
            Failure::new(Kind::Bug, "no_decision", message, "please report it")
        })
    }

    /// Reads the manifest of a period and checks that its objects exist.
    pub async fn known(
        &self,
        record: PeriodRecord,
        days: &BTreeSet<Day>,
    ) -> Result<KnownPeriod, Failure> {
        let missing = self.missing(&record, days).await?;
        let manifest = manifest(&self.work, &record).await?;
        Ok(KnownPeriod {
            manifest,
            missing,
            record: Some(record),
            changes: Changes::default(),
        })
    }

    /// Compares the input of the period's covered days with a listing.
    pub async fn compare(
        &self,
        known: &mut KnownPeriod,
        days: &BTreeSet<Day>,
        inventory: &Inventory,
    ) -> Result<(), Failure> {
        if let (Some(record), Some((_, manifest))) = (&known.record, &known.manifest) {
            known.changes = self.changes(record, manifest, inventory, days).await?;
        }
        Ok(())
    }

    /// Creates the record of a period that no load has worked on yet.
    pub fn blank(&self, asked: &AskedPeriod) -> PeriodRecord {
        let period = asked.period.month();
        let mut blank = PeriodRecord::new(&self.dataset, period, &self.request.source.name);
        blank.asked_days.clone_from(&asked.days);
        blank
    }

    /// Returns the period's record as the survey read it.
    pub fn record(&self, month: Month) -> Option<&PeriodRecord> {
        self.records.iter().find(|record| record.period == month)
    }

    /// Returns the number and size of the objects that loading `days` reads.
    pub fn volume<'d>(&self, days: impl IntoIterator<Item = &'d Day>) -> Volume {
        let mut volume = Volume::default();
        for object in self
            .inventory
            .to_read(days, &self.reach(&BTreeSet::new(), None))
        {
            volume.objects += 1;
            volume.bytes += object.size;
        }
        volume
    }

    /// Returns the window to list when `days` are loaded besides the requested ones.
    pub fn window_with(&self, days: &BTreeSet<Day>) -> Window {
        let margin = i32::try_from(self.margin()).unwrap_or(i32::MAX);
        let mut window = self.window;
        if let (Some(first), Some(last)) = (days.first(), days.last()) {
            let first = first.plus(margin.saturating_neg());
            window.from = window.from.map(|from| from.min(first));
            window.to = window.to.max(last.plus(margin));
        }
        window
    }

    fn decide(
        &self,
        asked: &[AskedPeriod],
        records: &[PeriodRecord],
        missing: &BTreeSet<Day>,
        changes: &BTreeMap<Day, DayChange>,
        inventory: &Inventory,
    ) -> Result<Vec<Remaining>, Failure> {
        let days = asked.iter().flat_map(|asked| &asked.days);
        let margin = |day: Day| {
            let record = records.iter().find(|record| record.period == day.month());
            self.margin_of(record.and_then(|record| record.covered_days.get(&day)))
        };
        let inputs: BTreeMap<_, _> = inventory.inputs(days, margin);
        let input = DecisionInput {
            asked,
            inputs: &inputs,
            changes,
            records,
            config_digest: &self.request.source.program.digest,
            margin: self.request.terms.margin,
            missing_parts: missing,
            full_load: self.request.terms.full_load,
            load_id: &self.load_id,
            on_stale: self.request.terms.on_stale,
            on_vanished: self.request.terms.on_vanished,
            accept_broken: self.request.terms.accept_broken,
            lateness: self.request.terms.closing_delay(),
            now: self.now,
            another_input: self.another_input,
        };
        remaining::decide(&input).map_err(|error| {
            let remedy = "use --as NAME for another dataset, or --full-load to replace this one";
            Failure::of(Kind::Usage, "another_input", &error, remedy)
        })
    }

    /// Returns the covered days among `days` with an object that is missing or has another
    /// size.
    async fn missing(
        &self,
        record: &PeriodRecord,
        days: &BTreeSet<Day>,
    ) -> Result<BTreeSet<Day>, Failure> {
        let settled = !matches!(record.state, State::Publishing);
        let covered = days.iter().any(|day| record.covered_days.contains_key(day));
        if !settled || !covered || self.request.terms.full_load {
            return Ok(BTreeSet::new());
        }
        let Some((_, manifest)) = manifest(&self.work, record).await? else {
            return Ok(BTreeSet::new());
        };
        let objects: Vec<_> = manifest
            .live()
            .filter(|object| days.contains(&object.day))
            .collect();
        let checks = objects.into_iter().map(|object| async move {
            let size = self.part_store.size(&object.uri).await?;
            Ok((size != Some(object.bytes)).then_some(object.day))
        });
        let checks: Vec<_> = checks.collect();
        let checked = stream::iter(checks).buffer_unordered(AT_ONCE);
        let missing: Result<Vec<Option<Day>>, parts::PartError> = checked.try_collect().await;
        Ok(missing?.into_iter().flatten().collect())
    }

    fn asked_of(&self, month: Month) -> BTreeSet<Day> {
        let asked = self.asked.iter().flat_map(|asked| &asked.days);
        asked.filter(|day| day.month() == month).copied().collect()
    }

    /// Returns the folders that the load's parts go to.
    pub fn target(&self) -> Target<'_> {
        Target {
            request: self.request,
            status: self.status.as_ref(),
            work: &self.work,
            part_store: self.part_store.as_ref(),
        }
    }

    /// Creates the publisher for this load's work area and target.
    pub fn publisher(&self, clock: crate::publish::lease::Clock) -> commit::Publisher {
        commit::Publisher {
            cleanup: self.cleanup(),
            work: self.work.clone(),
            part_store: self.part_store.clone(),
            clock,
        }
    }

    /// Returns the places that this load may publish in.
    pub fn bounds(&self) -> Result<Bounds, OutOfBounds> {
        Ok(Bounds::new(&dataset::folders(self.request), &self.work)?)
    }

    /// Creates the cleanup for this load's work area and target folders.
    pub fn cleanup(&self) -> Cleanup {
        Cleanup {
            work: self.work.clone(),
            part_store: self.part_store.clone(),
            folders: dataset::folders(self.request),
        }
    }
}

impl Selection {
    /// Selects the days that an earlier load failed to load.
    pub fn again(earlier: &LoadRecord) -> Self {
        let outcome = earlier.outcome.clone();
        let outcome = outcome.and_then(|json| serde_json::from_value::<Outcome>(json).ok());
        // A load that died or failed as a whole has no outcome per period.
        let partial = outcome.filter(|outcome| outcome.error.is_none());
        let range = Self::Range(earlier.started_at.day());
        partial.map_or(range, |outcome| Self::Days(undone(&outcome)))
    }
}

/// The days of the load's failed periods.
fn undone(outcome: &Outcome) -> BTreeSet<Day> {
    let failed = outcome.periods.iter();
    let failed = failed.filter(|period| period.state == PeriodState::Failed);
    failed
        .flat_map(|period| period.days.iter().copied())
        .collect()
}

/// Fails the load if its input contains no object, unless the request allows that.
pub(super) fn refuse_empty(survey: &Survey) -> Result<(), Failure> {
    let request = survey.request;
    if !survey.inventory.is_empty() || request.terms.allow_empty {
        return Ok(());
    }
    let inputs = request.terms.inputs.join(", ");
    let message = format!("no input object was found in {inputs} for the requested days");
    let remedy = "check --input and the range; --allow-empty accepts an empty input";
    Err(Failure::new(Kind::Dependency, "no_input", message, remedy))
}

/// Reads the manifest that a record names.
pub(super) async fn manifest(
    work: &Work,
    record: &PeriodRecord,
) -> Result<Option<(String, Manifest)>, Failure> {
    stored::read(work, record).await.map_err(|error| {
        if matches!(error, ManifestError::Altered { .. }) {
            return error.into();
        }
        let remedy = "the work area holds the state of published data: use the --work of the \
                      previous load, or another --as";
        Failure::of(Kind::Dependency, "manifest_unreadable", &error, remedy)
    })
}

/// The length of the load's periods. Objects without a date are read for a month at least: for
/// each of its days alone they would be read again.
fn unit(request: &LoadRequest, selection: &Selection, has_undated: bool) -> Unit {
    match selection {
        _ if has_undated => Unit::Month,
        Selection::Range(_) => request.terms.range.unit(),
        // A failed day is retried as a day: its month may have been loaded day by day.
        Selection::Days(_) if matches!(request.terms.range, Range::Daily(_)) => Unit::Day,
        Selection::Days(_) => Unit::Month,
    }
}

/// Days that earlier loads left incomplete. Only a daily load revisits them.
fn revisited(
    request: &LoadRequest,
    selection: &Selection,
    records: &[PeriodRecord],
) -> BTreeSet<Day> {
    match (selection, request.terms.range) {
        (Selection::Range(today), Range::Daily(_)) => remaining::revisit(records, *today),
        _ => BTreeSet::new(),
    }
}

fn part_store(request: &LoadRequest) -> Result<Arc<dyn PartStore>, Failure> {
    let access = dataset::access(request);
    Ok(parts::open(&request.terms.output, &request.terms.work, &access)?.part_store)
}

fn window(
    request: &LoadRequest,
    selection: &Selection,
    revisit: &BTreeSet<Day>,
    margin: u32,
) -> Result<Window, Failure> {
    let (range, today) = match selection {
        Selection::Range(today) => (request.terms.range, *today),
        Selection::Days(days) => {
            let (from, to) = match (days.first(), days.last()) {
                (Some(from), Some(to)) => (*from, *to),
                _ => return Err(no_days()),
            };
            (Range::Between { from, to }, to)
        }
    };
    let window = range::window(range, today, margin, revisit);
    window.map_err(|error| bad_range(&error))
}

fn no_days() -> Failure {
    let message = "a load without days was surveyed";
    Failure::new(Kind::Bug, "no_days", message, "please report it")
}

fn asked_days(
    request: &LoadRequest,
    selection: &Selection,
    revisit: &BTreeSet<Day>,
    inventory: &Inventory,
) -> Result<BTreeSet<Day>, Failure> {
    let today = match selection {
        Selection::Range(today) => *today,
        Selection::Days(days) => return Ok(days.clone()),
    };
    let undated = inventory.undated().count() as u64;
    let days = range::resolve(request.terms.range, today, inventory.days(), undated);
    let days = days.map_err(|error| bad_range(&error))?;
    Ok(&days | revisit)
}

fn bad_range(error: &range::RangeError) -> Failure {
    let remedy = "set a range with --from and --to, --days or --daily";
    Failure::of(Kind::Usage, "bad_range", error, remedy)
}

/// The day that older versions gave unreadable rows of undated objects to, else the first day
/// of the dataset.
fn undated_day(
    manifests: &[SurveyedManifest],
    records: &[PeriodRecord],
    asked: &BTreeSet<Day>,
    now: Moment,
) -> Day {
    let mut recorded = manifests
        .iter()
        .filter_map(|found| found.manifest.undated_day);
    let mut covered = records.iter().flat_map(|record| record.covered_days.keys());
    let first = recorded.next().or_else(|| covered.by_ref().min().copied());
    first.or(asked.first().copied()).unwrap_or(now.day())
}

impl From<InventoryError> for Failure {
    fn from(error: InventoryError) -> Self {
        let retryable = error.retryable();
        let (kind, code) = match &error {
            InventoryError::Store { .. } => (Kind::Usage, "bad_input"),
            InventoryError::NotFound { .. } => (Kind::Dependency, "input_not_found"),
            InventoryError::Listing { .. } => (Kind::Dependency, "input_unreachable"),
        };
        let remedy = match &error {
            InventoryError::Listing { source, .. } => source.cause.remedy(),
            _ => None,
        };
        let remedy = remedy.unwrap_or("check --input, and that you may list it");
        let mut failure = Self::of(kind, code, &error, remedy);
        failure.retryable = retryable;
        failure
    }
}
