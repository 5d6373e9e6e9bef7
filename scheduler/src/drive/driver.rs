//! Drives a load to its end: surveys, leases periods, has them written and publishes
//! them. Start reading at [`Driver::run`].
//!
//! It holds no state of its own that matters: whatever it knows is in the status store
//! and the work area, so that another driver can go on where this one died.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use tokio::sync::watch;
use tracing::{error, info, warn};
use uuid::Uuid;

use super::attempt::Planner;
use super::period::PeriodRun;
use super::survey::{LoadTimes, Selection, Survey};
use super::watch::Activity;
use crate::decide::remaining::{Remaining, SkipReason};
use crate::load::dataset;
use crate::load::days::{Day, Moment, Month};
use crate::load::failure::{Failure, Kind};
use crate::load::notification::{Notification, Observer};
use crate::load::outcome::{Outcome, PeriodOutcome, PeriodState};
use crate::load::range::AskedPeriod;
use crate::load::recorded::{Origin, RecordedRequest};
use crate::load::request::LoadRequest;
use crate::publish::lease::{Clock, LeaseClient, WAIT_PAUSE};
use crate::publish::manifest::{Manifest, attempt_of};
use crate::publish::work::{WorkError, load_of};
use crate::publish::{owner, work};
use crate::status::{LoadRecord, PeriodRecord, State, StatusStore};
use crate::submit::Submit;

/// Runs loads. One is enough for a process.
#[derive(Clone)]
pub struct Driver {
    pub status: Arc<dyn StatusStore>,
    pub submit: Arc<dyn Submit>,
    pub planner: Arc<Planner>,
    pub clock: Clock,
    pub observer: Arc<dyn Observer>,
    /// Becomes true when what runs has to stop. What is committed is finished first.
    pub cancel: watch::Receiver<bool>,
    pub timing: Timing,
    /// Shared by all drivers of one engine.
    pub activity: Activity,
}

/// How long a driver waits for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    pub lease: Duration,
    /// Without a step of any split for this long, an attempt is given up. A split that takes
    /// long says every half minute that it gets on.
    pub progress_deadline: Duration,
    /// Between two looks for receipts.
    pub poll: Duration,
    /// Before the second attempt; doubles with each further one.
    pub backoff: Duration,
    /// How long a status store that is away is waited for in the midst of a load.
    pub patience: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            progress_deadline: Duration::from_secs(5 * 60),
            poll: Duration::from_millis(500),
            backoff: Duration::from_secs(1),
            patience: Duration::from_secs(120),
        }
    }
}

/// A load on its way.
#[derive(Debug)]
pub struct Load<'a> {
    pub driver: &'a Driver,
    pub id: String,
    pub survey: Survey<'a>,
    pub lease_client: LeaseClient,
}

impl Driver {
    /// Loads what remains of the days asked for.
    pub async fn run(&self, request: &LoadRequest) -> Outcome {
        self.load(request, &Selection::Range(self.now().day()))
            .await
    }

    /// Runs a load that was taken on earlier, maybe by a process that has died since, to its
    /// end. Its record stands in the status store; its end is the caller's to record.
    pub async fn take_up(
        &self,
        request: &LoadRequest,
        selection: &Selection,
        taken_on: &LoadRecord,
    ) -> Outcome {
        let mut outcome = Outcome::begun(
            &taken_on.load_id,
            &taken_on.dataset,
            &taken_on.source,
            taken_on.started_at,
        );
        let since = Some(taken_on.started_at);
        let driven = self.drive(request, selection, since, &mut outcome).await;
        self.ended(outcome, driven)
    }

    /// Loads the periods again that an earlier load did not get done.
    pub async fn retry(&self, request: &LoadRequest, earlier: &LoadRecord) -> Outcome {
        self.load(request, &Selection::again(earlier)).await
    }

    async fn load(&self, request: &LoadRequest, selection: &Selection) -> Outcome {
        let mut outcome = self.outcome_of(request);
        let driven = self.drive(request, selection, None, &mut outcome).await;
        self.concluded(outcome, driven).await
    }

    /// The outcome of a load that begins now, under an id of its own.
    pub(super) fn outcome_of(&self, request: &LoadRequest) -> Outcome {
        let id = Uuid::new_v4().simple().to_string();
        Outcome::begun(&id, &dataset::id(request), &request.source, self.now())
    }

    /// The outcome of a load that is over, as its record keeps it.
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
        since: Option<Moment>,
        outcome: &mut Outcome,
    ) -> Result<(), Failure> {
        if matches!(selection, Selection::Days(days) if days.is_empty()) {
            return Ok(());
        }
        let when = LoadTimes {
            now: self.now(),
            since,
        };
        let survey = Survey::make(request, selection, self.status.clone(), when).await?;
        let remaining = survey.remaining().await?;
        refuse_empty(&survey)?;
        outcome.warnings = warnings(&remaining);
        outcome.warnings.extend(prepare(request, &survey).await?);
        self.begin(request, outcome).await?;
        let load = Load {
            driver: self,
            lease_client: LeaseClient {
                wait: Duration::ZERO,
                ..self.lease_client(request, &outcome.load_id)
            },
            id: outcome.load_id.clone(),
            survey,
        };
        load.tell_listed(&outcome.warnings);
        outcome.periods = load.periods(&remaining).await;
        Ok(())
    }

    pub(super) fn lease_client(&self, request: &LoadRequest, load_id: &str) -> LeaseClient {
        LeaseClient {
            status: self.status.clone(),
            clock: self.clock,
            owner: owner::here(),
            load_id: load_id.to_owned(),
            duration: self.timing.lease,
            wait: request.wait,
        }
    }

    /// Records the load before anything is touched.
    pub(super) async fn begin(
        &self,
        request: &LoadRequest,
        outcome: &Outcome,
    ) -> Result<(), Failure> {
        // A load that was taken on has its record already, which may say by now that it is
        // to stop: it is changed only by who took it on.
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

    /// Adds the outcome to the load's record, if it got as far as having one.
    pub(super) async fn keep(&self, outcome: &Outcome) {
        let Ok(Some(mut record)) = self.status.load(&outcome.load_id).await else {
            return;
        };
        record.state = outcome.state;
        record.ended_at = Some(outcome.ended_at);
        record.outcome = serde_json::to_value(outcome).ok();
        if let Err(error) = self.status.put_load(&record).await {
            error!(load.id = %outcome.load_id, "the outcome could not be recorded: {error}");
        }
    }

    pub(super) fn now(&self) -> Moment {
        Moment((self.clock)())
    }

    /// Resolves when the load has to stop.
    pub(super) async fn cancelled(&self) {
        let mut cancel = self.cancel.clone();
        if cancel.wait_for(|cancelled| *cancelled).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    pub(super) fn is_cancelled(&self) -> bool {
        *self.cancel.borrow()
    }
}

impl Load<'_> {
    pub fn request(&self) -> &LoadRequest {
        self.survey.request
    }

    pub fn tell(&self, notification: &Notification) {
        self.driver.observer.observe(notification);
    }

    /// Works on months side by side; day tasks of one month follow each other, since
    /// they share its record.
    async fn periods(&self, remaining: &[Remaining]) -> Vec<PeriodOutcome> {
        let mut months: BTreeMap<Month, Vec<(&AskedPeriod, &Remaining)>> = BTreeMap::new();
        for pair in self.survey.asked.iter().zip(remaining) {
            months.entry(pair.0.period.month()).or_default().push(pair);
        }
        let months: Vec<_> = months
            .into_values()
            .map(|tasks| self.month(tasks))
            .collect();
        let parallel = match self.request().parallel {
            // As many as the engine takes: it admits them one by one.
            0 => months.len().max(1),
            parallel => parallel,
        };
        let outcomes: Vec<Vec<PeriodOutcome>> = stream::iter(months)
            .buffer_unordered(parallel)
            .collect()
            .await;
        outcomes.into_iter().flatten().collect()
    }

    async fn month(&self, tasks: Vec<(&AskedPeriod, &Remaining)>) -> Vec<PeriodOutcome> {
        let mut outcomes = Vec::new();
        for (asked, remaining) in tasks {
            let outcome = self.period(asked, remaining).await;
            log(&self.id, &outcome);
            self.tell(&Notification::PeriodEnded(Box::new(outcome.clone())));
            outcomes.push(outcome);
        }
        outcomes
    }

    async fn period(&self, asked: &AskedPeriod, remaining: &Remaining) -> PeriodOutcome {
        if self.is_settled(asked, remaining) {
            let record = self.survey.record(asked.period.month());
            match self.settled(asked, remaining, record).await {
                Ok(outcome) => return outcome,
                Err(error) => warn!(%error, "what the load published earlier could not be read"),
            }
        }
        let since = Instant::now();
        loop {
            let Some(outcome) = self.admitted(asked).await else {
                return not_begun(asked);
            };
            let left = self.request().wait.saturating_sub(since.elapsed());
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

    /// Works on a period once the engine has room for it, and gives the room back: none is
    /// taken while another's lease is waited for. None when the load was cancelled first.
    async fn admitted(&self, asked: &AskedPeriod) -> Option<PeriodOutcome> {
        let _admitted = tokio::select! {
            biased;
            () = self.driver.cancelled() => return None,
            admitted = self.driver.submit.admit() => admitted,
        };
        Some(Box::pin(PeriodRun { load: self, asked }.run()).await)
    }

    /// The outcome of a period of which nothing remains to do: as this load published it
    /// before it was taken up again or its answer was lost, or else skipped.
    pub(super) async fn settled(
        &self,
        asked: &AskedPeriod,
        remaining: &Remaining,
        record: Option<&PeriodRecord>,
    ) -> Result<PeriodOutcome, WorkError> {
        let is_ours = |name: &String| attempt_of(name).is_some_and(|of| load_of(of) == self.id);
        let mut next = record.and_then(|record| record.manifest.clone());
        // Each day task of a month has a manifest of its own.
        while let Some(name) = next.take().filter(is_ours) {
            let manifest: Manifest = match self.survey.work.get(&name).await {
                Ok(manifest) => manifest,
                // Swept, as no longer in force: what it published is not known any more.
                Err(error) if error.is_not_found() => break,
                Err(error) => return Err(error),
            };
            let mut covered = manifest.coverage.keys().peekable();
            if covered.peek().is_some() && covered.all(|day| asked.days.contains(day)) {
                let period = asked.period.to_string();
                return Ok(PeriodOutcome::published(&period, &manifest));
            }
            next = manifest.previous;
        }
        Ok(skipped(asked, remaining))
    }

    /// Whether there is nothing to load, to mark or to finish.
    fn is_settled(&self, asked: &AskedPeriod, remaining: &Remaining) -> bool {
        let record = self.survey.record(asked.period.month());
        let committed = |state| matches!(state, State::Publishing | State::Repairing);
        let unfinished = record.is_some_and(|record| committed(record.state));
        // A month that was not over when its days were closed is complete once it is.
        let (delay, now) = (self.request().closing_delay(), self.survey.now);
        let completes = record.is_some_and(|record| {
            record.state == State::Done && !record.load_completed && record.is_complete(delay, now)
        });
        remaining.load.is_empty() && remaining.close.is_empty() && !unfinished && !completes
    }

    fn tell_listed(&self, warnings: &[String]) {
        let counts = self.survey.inventory.counts();
        self.tell(&Notification::Listed {
            input: crate::load::outcome::Volume {
                objects: counts.objects,
                bytes: counts.bytes,
            },
            periods: self.survey.asked.len(),
        });
        for warning in warnings {
            self.tell(&Notification::Warning(warning.clone()));
        }
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("status", &self.status)
            .field("submit", &self.submit)
            .field("timing", &self.timing)
            .finish_non_exhaustive()
    }
}

fn not_begun(asked: &AskedPeriod) -> PeriodOutcome {
    let days = asked.days.iter().copied().collect();
    let name = asked.period.to_string();
    PeriodOutcome::new(&name, days, PeriodState::Failed, "not begun").failed(Failure::cancelled())
}

/// The outcome of a period of which nothing remains to do.
fn skipped(asked: &AskedPeriod, remaining: &Remaining) -> PeriodOutcome {
    let days = asked.days.iter().copied().collect();
    let reasons: BTreeSet<String> = remaining.skip.values().map(ToString::to_string).collect();
    let reason = Vec::from_iter(reasons).join(", ");
    PeriodOutcome::new(
        &asked.period.to_string(),
        days,
        PeriodState::Skipped,
        &reason,
    )
}

/// What the user should know though nothing failed.
pub(super) fn warnings(remaining: &[Remaining]) -> Vec<String> {
    let mut warnings = Vec::new();
    for remaining in remaining {
        let (period, stale) = (remaining.period, remaining.stale.len());
        if stale > 0 {
            warnings.push(format!(
                "{period} is stale: {stale} days were loaded with another configuration \
                 (reload them with --on-stale reload or --full-load)"
            ));
        }
        let skipped = remaining.skip.iter();
        let lost = skipped.filter(|(_, reason)| **reason == SkipReason::BothGone);
        let lost: Vec<String> = lost.map(|(day, _)| day.to_string()).collect();
        if !lost.is_empty() {
            warnings.push(format!(
                "{period}: published objects of {} are missing, and input that they were made \
                 of has gone: bring either back, or load what is left with --full-load",
                lost.join(", ")
            ));
        }
    }
    warnings
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

pub(super) fn refuse_empty(survey: &Survey) -> Result<(), Failure> {
    let request = survey.request;
    if !survey.inventory.is_empty() || request.allow_empty {
        return Ok(());
    }
    let inputs = request.inputs.join(", ");
    let message = format!("no input object was found in {inputs} for the days asked for");
    let remedy = "check --input and the range; --allow-empty takes this for an answer";
    Err(Failure::new(Kind::Dependency, "no_input", message, remedy))
}

/// Makes the folders, and refuses a target that could not be published to. Tells what the
/// user should know about the targets.
async fn prepare(request: &LoadRequest, survey: &Survey<'_>) -> Result<Vec<String>, Failure> {
    survey.work.prepare().await?;
    let mut warnings = BTreeSet::new();
    for folder in dataset::folders(request) {
        let name = work::probe_name();
        warnings.extend(survey.part_store.probe(&folder, &name).await?);
    }
    Ok(warnings.into_iter().collect())
}

pub(super) fn log(load: &str, outcome: &PeriodOutcome) {
    let (period, rows) = (&outcome.period, outcome.rows.written);
    match (&outcome.error, outcome.state) {
        (Some(failure), _) => {
            error!(load.id = %load, %period, "period {period} of load {load} failed: {failure}");
        }
        (None, PeriodState::Skipped) => {
            info!(load.id = %load, %period, "period {period} of load {load} skipped: {}", outcome.reason);
        }
        (None, _) => {
            info!(load.id = %load, %period, rows, "period {period} of load {load} published");
        }
    }
}
