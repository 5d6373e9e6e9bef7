//! What a load finds before it starts: the days asked for, the input, what earlier
//! loads left, and so what remains to do. Reads only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use plans::storage::parts;
use plans::storage::parts::PartStore;

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
use crate::publish::cleanup::Cleanup;
use crate::publish::commit;
use crate::publish::manifest::Manifest;
use crate::publish::work::Work;
use crate::status::LoadRecord;
use crate::status::{PeriodRecord, State, StatusStore};

const AT_ONCE: usize = 32;

/// One load's view of the world. "Now" is the same for the whole load.
#[derive(Debug)]
pub struct Survey<'a> {
    pub request: &'a LoadRequest,
    pub now: Moment,
    /// When the load was taken on, where it is taken up again.
    pub since: Option<Moment>,
    pub dataset: String,
    pub inputs: Vec<String>,
    pub status: Arc<dyn StatusStore>,
    pub work: Work,
    pub part_store: Arc<dyn PartStore>,
    pub window: Window,
    pub inventory: Inventory,
    pub asked: Vec<AskedPeriod>,
    pub records: Vec<PeriodRecord>,
    /// The dataset was loaded from another input so far.
    pub another_input: bool,
    /// Owns rows of undated objects whose time cannot be read, whatever load reads them.
    pub undated_day: Day,
}

/// The times of a load.
#[derive(Clone, Copy, Debug)]
pub struct LoadTimes {
    pub now: Moment,
    /// When it was taken on, where it is taken up again.
    pub since: Option<Moment>,
}

/// Which days a load is about.
#[derive(Clone, Debug)]
pub enum Selection {
    /// Those of the request's range, as it was meant on this day: a load may wait, or be
    /// taken up again, past midnight.
    Range(Day),
    /// Those that an earlier load did not get done.
    Days(BTreeSet<Day>),
}

/// What is known of a period: its record and the manifest in force.
#[derive(Clone, Debug, Default)]
pub struct KnownPeriod {
    pub record: Option<PeriodRecord>,
    pub manifest: Option<(String, Manifest)>,
    /// Covered days whose objects are not all there.
    pub missing: BTreeSet<Day>,
}

impl KnownPeriod {
    /// Days whose parts were lost, which have to be loaded again whatever is asked for.
    pub fn repair(&self) -> BTreeSet<Day> {
        let manifest = self.manifest.as_ref();
        manifest.map_or_else(BTreeSet::new, |(_, manifest)| manifest.repair.clone())
    }

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
        LoadTimes { now, since }: LoadTimes,
    ) -> Result<Self, Failure> {
        let work = Work::open(&request.terms.work)?;
        let part_store = part_store(request)?;
        let dataset = dataset::id(request);
        let records = status.periods(&dataset).await?;
        let revisit = revisited(request, selection, &records);
        let window = window(request, selection, &revisit)?;
        let inventory = listing::list(&request.terms.inputs, window).await?;
        let days = asked_days(request, selection, &revisit, &inventory)?;
        let inputs = dataset::inputs(request);
        let latest = latest(&work, &records).await?;
        let other = |latest: &Manifest| latest.inputs != inputs;
        Ok(Self {
            another_input: latest.as_ref().is_some_and(other),
            undated_day: undated_day(latest.as_ref(), &records, &days, now),
            asked: range::cut(&days, unit(request, selection)),
            inputs,
            request,
            now,
            since,
            dataset,
            status,
            work,
            part_store,
            window,
            inventory,
            records,
        })
    }

    /// What is known without listing the input: enough to work on what is published.
    pub async fn unlisted(
        request: &'a LoadRequest,
        status: Arc<dyn StatusStore>,
        now: Moment,
    ) -> Result<Self, Failure> {
        let dataset = dataset::id(request);
        let records = status.periods(&dataset).await?;
        let work = Work::open(&request.terms.work)?;
        let latest = latest(&work, &records).await?;
        Ok(Self {
            request,
            now,
            since: None,
            inputs: dataset::inputs(request),
            part_store: part_store(request)?,
            window: Window {
                from: Some(now.day()),
                to: now.day(),
            },
            inventory: Inventory::default(),
            asked: Vec::new(),
            another_input: false,
            undated_day: undated_day(latest.as_ref(), &records, &BTreeSet::new(), now),
            work,
            dataset,
            status,
            records,
        })
    }

    /// What is left to do of each period asked for.
    pub async fn remaining(&self) -> Result<Vec<Remaining>, Failure> {
        let mut missing = BTreeSet::new();
        for record in &self.records {
            let asked: BTreeSet<Day> = self.asked_of(record.period);
            missing.extend(self.missing(record, &asked).await?);
        }
        self.decide(&self.asked, &self.records, &missing, &self.inventory)
    }

    /// What is left to do of one period, as its record says it now.
    pub fn decide_again(
        &self,
        asked: &AskedPeriod,
        known: &KnownPeriod,
        inventory: &Inventory,
    ) -> Result<Remaining, Failure> {
        let records: Vec<PeriodRecord> = known.record.iter().cloned().collect();
        let asked = std::slice::from_ref(asked);
        let remaining = self.decide(asked, &records, &known.missing, inventory)?;
        let first = remaining.into_iter().next();
        first.ok_or_else(|| {
            let message = "a period asked for has no decision";
            Failure::new(Kind::Bug, "no_decision", message, "please report it")
        })
    }

    /// Reads what is known of a period, and whether its objects are all there.
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
        })
    }

    /// A record for a period that nobody has worked on, with the days that are asked for.
    pub fn blank(&self, asked: &AskedPeriod) -> PeriodRecord {
        let period = asked.period.month();
        let mut blank = PeriodRecord::new(&self.dataset, period, &self.request.source.name);
        blank.asked_days.clone_from(&asked.days);
        blank
    }

    pub fn record(&self, month: Month) -> Option<&PeriodRecord> {
        self.records.iter().find(|record| record.period == month)
    }

    /// Objects and bytes that a task of `days` reads.
    pub fn volume<'d>(&self, days: impl IntoIterator<Item = &'d Day>) -> Volume {
        let mut volume = Volume::default();
        for object in self.inventory.to_read(days, self.request.terms.margin) {
            volume.objects += 1;
            volume.bytes += object.size;
        }
        volume
    }

    /// What has to be listed to load `days` besides those asked for.
    pub fn window_with(&self, days: &BTreeSet<Day>) -> Window {
        let margin = i32::try_from(self.request.terms.margin).unwrap_or(i32::MAX);
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
        inventory: &Inventory,
    ) -> Result<Vec<Remaining>, Failure> {
        let days = asked.iter().flat_map(|asked| &asked.days);
        let inputs: BTreeMap<_, _> = inventory.inputs(days, self.request.terms.margin);
        let input = DecisionInput {
            asked,
            inputs: &inputs,
            records,
            config_digest: &self.request.source.program.digest,
            missing_parts: missing,
            full_load: self.request.terms.full_load,
            since: self.since,
            on_stale: self.request.terms.on_stale,
            lateness: self.request.terms.closing_delay(),
            now: self.now,
            another_input: self.another_input,
        };
        remaining::decide(&input).map_err(|error| {
            let remedy = "use --as NAME for another dataset, or --full-load to replace this one";
            Failure::of(Kind::Usage, "another_input", &error, remedy)
        })
    }

    /// Covered days among `days` of which objects are gone or have another size.
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

    pub fn publisher(&self, clock: crate::publish::lease::Clock) -> commit::Publisher {
        commit::Publisher {
            cleanup: self.cleanup(),
            work: self.work.clone(),
            part_store: self.part_store.clone(),
            clock,
        }
    }

    pub fn cleanup(&self) -> Cleanup {
        Cleanup {
            work: self.work.clone(),
            part_store: self.part_store.clone(),
            folders: dataset::folders(self.request),
        }
    }
}

impl Selection {
    /// What an earlier load did not get done.
    pub fn again(earlier: &LoadRecord) -> Self {
        let outcome = earlier.outcome.clone();
        let outcome = outcome.and_then(|json| serde_json::from_value::<Outcome>(json).ok());
        // A load that died, or failed as a whole, did nothing that could be told apart.
        let told = outcome.filter(|outcome| outcome.error.is_none());
        let range = Self::Range(earlier.started_at.day());
        told.map_or(range, |outcome| Self::Days(undone(&outcome)))
    }
}

/// The days of a load's periods that failed.
fn undone(outcome: &Outcome) -> BTreeSet<Day> {
    let failed = outcome.periods.iter();
    let failed = failed.filter(|period| period.state == PeriodState::Failed);
    failed
        .flat_map(|period| period.days.iter().copied())
        .collect()
}

/// Refuses a load whose input holds no object.
pub(super) fn refuse_empty(survey: &Survey) -> Result<(), Failure> {
    let request = survey.request;
    if !survey.inventory.is_empty() || request.terms.allow_empty {
        return Ok(());
    }
    let inputs = request.terms.inputs.join(", ");
    let message = format!("no input object was found in {inputs} for the days asked for");
    let remedy = "check --input and the range; --allow-empty takes this for an answer";
    Err(Failure::new(Kind::Dependency, "no_input", message, remedy))
}

/// The manifest that a record names.
pub(super) async fn manifest(
    work: &Work,
    record: &PeriodRecord,
) -> Result<Option<(String, Manifest)>, Failure> {
    let Some(name) = &record.manifest else {
        return Ok(None);
    };
    let manifest = work.get(name).await.map_err(|error| {
        let remedy = "the work area holds the state of what is published: use the --work of the \
                      load before, or another --as";
        Failure::of(Kind::Dependency, "manifest_unreadable", &error, remedy)
    })?;
    Ok(Some((name.clone(), manifest)))
}

/// What the latest load that published something left.
async fn latest(work: &Work, records: &[PeriodRecord]) -> Result<Option<Manifest>, Failure> {
    let published = records.iter().filter(|record| record.manifest.is_some());
    let Some(latest) = published.max_by_key(|record| record.started_at) else {
        return Ok(None);
    };
    let manifest = manifest(work, latest).await?;
    Ok(manifest.map(|(_, manifest)| manifest))
}

fn unit(request: &LoadRequest, selection: &Selection) -> Unit {
    match selection {
        Selection::Range(_) => request.terms.range.unit(),
        // What failed as a day task is loaded again as one: its month may have been split.
        Selection::Days(_) if matches!(request.terms.range, Range::Daily(_)) => Unit::Day,
        Selection::Days(_) => Unit::Month,
    }
}

/// Days that earlier loads left incomplete; only a daily load looks after them.
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
    let window = range::window(range, today, request.terms.margin, revisit);
    window.map_err(|error| bad_range(&error))
}

fn no_days() -> Failure {
    let message = "a load of no days was surveyed";
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
    let remedy = "give a range with --from and --to, --days or --daily";
    Failure::of(Kind::Usage, "bad_range", error, remedy)
}

/// The same day for every load of a dataset, so that such rows are set aside once.
fn undated_day(
    latest: Option<&Manifest>,
    records: &[PeriodRecord],
    asked: &BTreeSet<Day>,
    now: Moment,
) -> Day {
    let told = latest.and_then(|manifest| manifest.undated_day);
    let mut covered = records.iter().flat_map(|record| record.covered_days.keys());
    let first = told.as_ref().or_else(|| covered.by_ref().min());
    first.or(asked.first()).copied().unwrap_or(now.day())
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
        let remedy = remedy.unwrap_or("check --input, and that it can be listed");
        let mut failure = Self::of(kind, code, &error, remedy);
        failure.retryable = retryable;
        failure
    }
}
