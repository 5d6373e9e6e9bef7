//! Drives a load to its end: makes the survey, leases periods, runs their attempts and
//! publishes the results. Start reading at [`Driver::run`].
//!
//! A driver keeps no state that must survive. Everything it needs is in the status store and
//! the work area, so another driver can continue after a crash.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use tracing::{error, warn};
use uuid::Uuid;

use super::activity::Notices;
use super::context::{Driver, Load, log};
use super::frame::PeriodRun;
use super::period::Prepared;
use super::survey::{Selection, Survey, refuse_empty};
use crate::decide::incomplete::{NOT_LOADED, incomplete};
use crate::decide::remaining::Remaining;
use crate::decide::warnings::warnings;
use crate::load::dataset;
use crate::load::days::{Day, Month};
use crate::load::failure::{Failure, Kind};
use crate::load::notification::Notification;
use crate::load::outcome::{DayNote, Incomplete, Outcome, PeriodOutcome, PeriodState};
use crate::load::range::{AskedPeriod, MAX_DAYS};
use crate::load::recorded::{Origin, RecordedRequest};
use crate::load::terms::{LoadRequest, Range};
use crate::publish::lease::{LeaseClient, WAIT_PAUSE};
use crate::publish::{target, work};
use crate::status::LoadRecord;

/// Rounds of one load. Each loads the days that the one before found to hold further rows.
const MOST_ROUNDS: u32 = 4;
/// Interval at which the driver looks whether the engine has executors.
const LOOK_FOR_EXECUTORS: Duration = Duration::from_secs(1);

impl Driver {
    /// Loads the days of the request that are not loaded yet.
    pub async fn run(&self, request: &LoadRequest) -> Outcome {
        self.load(request, &Selection::Range(self.now().day()))
            .await
    }

    /// Resumes a load that was accepted earlier, possibly by a process that has died since.
    /// Its record is already in the status store. The caller records the outcome.
    pub async fn resume(
        &self,
        request: &LoadRequest,
        selection: &Selection,
        record: &LoadRecord,
    ) -> Outcome {
        let mut outcome = Outcome::started(
            &record.load_id,
            &record.dataset,
            &record.source,
            record.started_at,
        );
        let driven = self.drive(request, selection, &mut outcome).await;
        self.ended(outcome, driven)
    }

    /// Loads the periods again that failed in an earlier load.
    pub async fn retry(&self, request: &LoadRequest, earlier: &LoadRecord) -> Outcome {
        self.load(request, &Selection::again(earlier)).await
    }

    async fn load(&self, request: &LoadRequest, selection: &Selection) -> Outcome {
        let mut outcome = self.outcome_of(request);
        let driven = self.drive(request, selection, &mut outcome).await;
        self.concluded(outcome, driven).await
    }

    /// Starts the outcome of a new load, with a new id.
    pub(super) fn outcome_of(&self, request: &LoadRequest) -> Outcome {
        let id = Uuid::new_v4().simple().to_string();
        Outcome::started(&id, &dataset::id(request), &request.source.name, self.now())
    }

    /// Completes the outcome of a load that has ended and stores it in the load's record.
    pub(super) async fn concluded(&self, outcome: Outcome, driven: Result<(), Failure>) -> Outcome {
        let outcome = self.ended(outcome, driven);
        self.keep(&outcome).await;
        outcome
    }

    fn ended(&self, mut outcome: Outcome, driven: Result<(), Failure>) -> Outcome {
        if let Err(failure) = driven {
            let id = &outcome.load_id;
            error!(load.id = %id, "load {id} failed: {failure}");
            outcome.error = Some(failure);
        }
        outcome.finished(self.now())
    }

    async fn drive(
        &self,
        request: &LoadRequest,
        selection: &Selection,
        outcome: &mut Outcome,
    ) -> Result<(), Failure> {
        if matches!(selection, Selection::Days(days) if days.is_empty()) {
            return Ok(());
        }
        target::check_places(request)?;
        let mut asked = self.round(request, selection, outcome).await?;
        let is_open = matches!(selection, Selection::Range(_))
            && matches!(request.terms.range, Range::Everything);
        let mut before = BTreeSet::new();
        for _ in 0..MOST_ROUNDS {
            let more = Self::left(&asked, is_open, outcome)?;
            // Days that a round could not complete would not be completed by another one.
            if more.is_empty() || more == before || self.is_cancelled() {
                break;
            }
            asked.extend(&more);
            before.clone_from(&more);
            let selection = Selection::Days(more);
            self.round(request, &selection, outcome).await?;
        }
        let mut owed = outcome.incomplete.owed.iter();
        outcome.incomplete.owes_asked = owed.any(|note| asked.contains(&note.day));
        Ok(())
    }

    /// The days that a round of this load found to hold rows which it has not loaded. A load
    /// without a range asks for every day before today that holds rows, also where no path
    /// names it.
    fn left(
        asked: &BTreeSet<Day>,
        is_open: bool,
        outcome: &Outcome,
    ) -> Result<BTreeSet<Day>, Failure> {
        let today = outcome.started_at.day();
        let is_left = |day: &Day| asked.contains(day) || is_open && *day < today;
        let owed = outcome.incomplete.owed.iter();
        let notes = outcome.not_loaded.iter().chain(owed);
        let days: BTreeSet<Day> = notes.map(|note| note.day).filter(is_left).collect();
        if days.len() > MAX_DAYS as usize {
            let message = format!("the input holds rows of {} days", days.len());
            let remedy = format!("give a range with --from and --to, of at most {MAX_DAYS} days");
            return Err(Failure::new(Kind::Usage, "bad_range", message, &remedy));
        }
        Ok(days)
    }

    /// Surveys the selected days and loads what remains of them. Returns the days asked for.
    async fn round(
        &self,
        request: &LoadRequest,
        selection: &Selection,
        outcome: &mut Outcome,
    ) -> Result<BTreeSet<Day>, Failure> {
        let (status, id) = (self.status.clone(), &outcome.load_id);
        let mut survey = Survey::make(request, selection, status, id, self.now()).await?;
        let remaining = survey.remaining().await?;
        refuse_empty(&survey)?;
        let mut found = warnings(&remaining);
        found.extend(survey.vanished(&remaining));
        found.extend(survey.inventory.counts().warning());
        found.extend(prepare(request, &survey).await?);
        found.extend(survey.target().occupy(&days_to_load(&remaining)).await?);
        self.begin(request, outcome).await?;
        let lease_client = LeaseClient {
            wait: Duration::ZERO,
            ..self.lease_client(request, &outcome.load_id)
        };
        let scheduled = Survey::scheduled(&remaining);
        let load = Load::new(self, lease_client, survey, scheduled);
        load.report_listed(&found);
        outcome.warnings.extend(found);
        for period in load.periods(&remaining).await {
            outcome.add(period);
        }
        load.settle_deferred().await?;
        let asked = load.survey.asked.iter().flat_map(|asked| &asked.days);
        let asked: BTreeSet<Day> = asked.copied().collect();
        self.note(&load, &asked, outcome).await?;
        Ok(asked)
    }

    /// Adds what the load found out about days that miss rows.
    async fn note(
        &self,
        load: &Load<'_>,
        asked: &BTreeSet<Day>,
        outcome: &mut Outcome,
    ) -> Result<(), Failure> {
        let notes = std::mem::take(&mut *load.notes());
        outcome.warnings.extend(notes.warnings);
        let dataset = &load.survey.dataset;
        let read = || async { Ok(self.status.periods(dataset).await?) };
        let records = self.patiently(read).await?;
        let ever: BTreeSet<Day> = outcome
            .periods
            .iter()
            .flat_map(|period| &period.days)
            .copied()
            .collect();
        outcome.incomplete = Incomplete {
            unaddressable: load.survey.inventory.counts().unaddressable.clone(),
            ..incomplete(&records, Some(&(&ever | asked)))
        };
        let covered = |day: &Day| {
            let mut of_month = records.iter().filter(|record| record.period == day.month());
            of_month.any(|record| record.covered_days.contains_key(day))
        };
        let mut not_loaded = std::mem::take(&mut outcome.not_loaded);
        for (day, objects) in notes.not_loaded {
            let rows = objects.values().sum();
            not_loaded.push(DayNote::new(
                day,
                objects.len() as u64,
                Some(rows),
                NOT_LOADED,
            ));
        }
        not_loaded.retain(|note| !asked.contains(&note.day) && !covered(&note.day));
        not_loaded.sort_by_key(|note| note.day);
        not_loaded.dedup_by_key(|note| note.day);
        outcome.not_loaded = not_loaded;
        Ok(())
    }

    /// Records the load before it runs any period.
    pub(super) async fn begin(
        &self,
        request: &LoadRequest,
        outcome: &Outcome,
    ) -> Result<(), Failure> {
        // An accepted load already has a record, which may say that the load was cancelled
        // since. Only the service that accepted the load changes it.
        if self.status.load(&outcome.load_id).await?.is_some() {
            return Ok(());
        }
        let record = LoadRecord {
            load_id: outcome.load_id.clone(),
            dataset: outcome.dataset.clone(),
            source: outcome.source.clone(),
            state: outcome.state,
            request: RecordedRequest::new(request, Origin::Process),
            outcome: None,
            started_at: outcome.started_at,
            ended_at: None,
        };
        Ok(self.status.put_load(&record).await?)
    }

    /// Adds the outcome to the load's record. Does nothing if the load never had one.
    pub(super) async fn keep(&self, outcome: &Outcome) {
        let Ok(Some(mut record)) = self.status.load(&outcome.load_id).await else {
            return;
        };
        record.state = outcome.state;
        record.ended_at = Some(outcome.ended_at);
        record.outcome = serde_json::to_value(outcome).ok();
        if let Err(error) = self.status.put_load(&record).await {
            error!(load.id = %outcome.load_id, "cannot record the outcome: {error}");
        }
    }
}

impl Load<'_> {
    /// Loads months concurrently. Days of the same month run one after another because they
    /// share its record.
    async fn periods(&self, remaining: &[Remaining]) -> Vec<PeriodOutcome> {
        tokio::select! {
            outcomes = self.all_periods(remaining) => outcomes,
            never = self.report_missing_executors() => match never {},
        }
    }

    async fn all_periods(&self, remaining: &[Remaining]) -> Vec<PeriodOutcome> {
        let periods: Vec<_> = self.survey.asked.iter().zip(remaining).collect();
        let mut prepared = self.read_undated(&periods).await;
        let mut months: BTreeMap<Month, Vec<(&AskedPeriod, &Remaining)>> = BTreeMap::new();
        for pair in periods {
            months.entry(pair.0.period.month()).or_default().push(pair);
        }
        let months: Vec<_> = months
            .into_iter()
            .map(|(month, periods)| self.month(periods, prepared.remove(&month)))
            .collect();
        let parallel = match self.request().terms.parallel {
            // All of them: the engine admits periods one by one.
            0 => months.len().max(1),
            parallel => parallel,
        };
        let outcomes = stream::iter(months).buffer_unordered(parallel);
        let outcomes: Vec<Vec<PeriodOutcome>> = outcomes.collect().await;
        outcomes.into_iter().flatten().collect()
    }

    /// Warns while the engine has no executor. Never ends.
    async fn report_missing_executors(&self) -> Infallible {
        let mut notices = Notices::new(self.driver.timing.notice, Instant::now());
        loop {
            tokio::time::sleep(LOOK_FOR_EXECUTORS).await;
            let is_missing = !self.driver.submit.has_executors().await;
            if let Some(since) = notices.due(is_missing, Instant::now()) {
                let seconds = since.as_secs();
                let warning = format!(
                    "the cluster has had no executor for {seconds} s; the load waits for one"
                );
                warn!(load.id = %self.id, "{warning}");
                self.report(&Notification::Warning(warning));
            }
        }
    }

    async fn month(
        &self,
        periods: Vec<(&AskedPeriod, &Remaining)>,
        mut prepared: Option<Prepared>,
    ) -> Vec<PeriodOutcome> {
        let mut outcomes = Vec::new();
        for (asked, remaining) in periods {
            let outcome = self.period(asked, remaining, prepared.take()).await;
            log(&self.id, &outcome);
            self.report(&Notification::PeriodEnded(Box::new(outcome.clone())));
            outcomes.push(outcome);
        }
        outcomes
    }

    async fn period(
        &self,
        asked: &AskedPeriod,
        remaining: &Remaining,
        mut prepared: Option<Prepared>,
    ) -> PeriodOutcome {
        if prepared.is_none() && self.is_settled(asked, remaining) {
            let record = self.survey.record(asked.period.month());
            match self.settled(asked, remaining, record).await {
                Ok(outcome) => return outcome,
                Err(error) => {
                    warn!(%error, "cannot read the outcome that the load published earlier")
                }
            }
        }
        let since = Instant::now();
        loop {
            let Some(outcome) = self.admitted(asked, prepared.take()).await else {
                return not_started(asked);
            };
            let left = self.request().terms.wait.saturating_sub(since.elapsed());
            let is_held = outcome.error.as_ref().is_some_and(Failure::is_held);
            if !is_held || left.is_zero() {
                return outcome;
            }
            tokio::select! {
                () = tokio::time::sleep(left.min(WAIT_PAUSE)) => {}
                () = self.driver.cancelled() => return outcome,
            }
        }
    }

    /// Waits for a free slot of the engine and runs the period in it. The slot is released
    /// while the load waits for another load's lease. Returns `None` if the load was cancelled
    /// before a slot was free.
    async fn admitted(
        &self,
        asked: &AskedPeriod,
        prepared: Option<Prepared>,
    ) -> Option<PeriodOutcome> {
        let _admitted = tokio::select! {
            biased;
            () = self.driver.cancelled() => match prepared {
                // Its lease has to be released.
                Some(_) => None,
                None => return None,
            },
            admitted = self.driver.submit.admit() => Some(admitted),
        };
        Some(Box::pin(PeriodRun { load: self, asked }.run(prepared)).await)
    }

    fn report_listed(&self, warnings: &[String]) {
        let counts = self.survey.inventory.counts();
        self.report(&Notification::Listed {
            input: crate::load::outcome::Volume {
                objects: counts.objects,
                bytes: counts.bytes,
            },
            periods: self.survey.asked.len(),
        });
        for warning in warnings {
            self.report(&Notification::Warning(warning.clone()));
        }
    }
}

/// The days that any period is about to load.
fn days_to_load(remaining: &[Remaining]) -> BTreeSet<Day> {
    let load = remaining.iter().flat_map(|remaining| remaining.load.keys());
    load.copied().collect()
}

fn not_started(asked: &AskedPeriod) -> PeriodOutcome {
    let days = asked.days.iter().copied().collect();
    let name = asked.period.to_string();
    PeriodOutcome::new(&name, days, PeriodState::Failed, "not started").failed(Failure::cancelled())
}

/// Creates the work area and checks that every target can be published to. Returns warnings
/// about the targets.
async fn prepare(request: &LoadRequest, survey: &Survey<'_>) -> Result<Vec<String>, Failure> {
    survey.work.prepare().await?;
    let mut warnings = BTreeSet::new();
    for folder in dataset::folders(request) {
        let name = work::probe_name();
        warnings.extend(survey.part_store.probe(&folder, &name).await?);
    }
    Ok(warnings.into_iter().collect())
}
