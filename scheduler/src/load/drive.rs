//! Drives a load to its end: surveys, claims periods, has them written and publishes
//! them. Start reading at [`Driver::run`].
//!
//! It holds no state of its own that matters: whatever it knows is in the status store
//! and the work area, so that another driver can go on where this one died.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use tokio::sync::watch;
use tracing::{error, info};
use uuid::Uuid;

use super::attempt::Planner;
use super::claim::{Claimant, Clock};
use super::days::{Day, Moment, Month};
use super::failure::{Failure, Kind};
use super::outcome::{Outcome, PeriodOutcome, PeriodState};
use super::period::Task;
use super::progress::{Happening, Observer};
use super::range::AskedPeriod;
use super::remaining::Remaining;
use super::request::LoadRequest;
use super::saved::SavedRequest;
use super::survey::{Asking, Survey};
use super::{dataset, owner};
use crate::status::{LoadRecord, State, StatusStore};
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
}

/// How long a driver waits for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    pub lease: Duration,
    /// Without a new receipt for this long, an attempt is given up.
    pub progress_deadline: Duration,
    /// Between two looks for receipts.
    pub poll: Duration,
    /// Before the second attempt; doubles with each further one.
    pub backoff: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            progress_deadline: Duration::from_secs(15 * 60),
            poll: Duration::from_millis(500),
            backoff: Duration::from_secs(1),
        }
    }
}

/// A load on its way.
#[derive(Debug)]
pub struct Load<'a> {
    pub driver: &'a Driver,
    pub id: String,
    pub survey: Survey<'a>,
    pub claimant: Claimant,
}

impl Driver {
    /// Loads what remains of the days asked for.
    pub async fn run(&self, request: &LoadRequest) -> Outcome {
        self.load(request, &Asking::Range).await
    }

    /// Loads the periods again that an earlier load did not get done.
    pub async fn retry(&self, request: &LoadRequest, earlier: &LoadRecord) -> Outcome {
        let outcome = earlier.outcome.clone();
        let outcome = outcome.and_then(|json| serde_json::from_value::<Outcome>(json).ok());
        // A load that died, or failed as a whole, did nothing that could be told apart.
        let told = outcome.filter(|outcome| outcome.error.is_none());
        let asking = told.map_or(Asking::Range, |outcome| Asking::Days(undone(&outcome)));
        self.load(request, &asking).await
    }

    async fn load(&self, request: &LoadRequest, asking: &Asking) -> Outcome {
        let mut outcome = self.outcome_of(request);
        let driven = self.drive(request, asking, &mut outcome).await;
        self.concluded(outcome, driven).await
    }

    /// The outcome of a load that begins now, under an id of its own.
    pub(super) fn outcome_of(&self, request: &LoadRequest) -> Outcome {
        let id = Uuid::new_v4().simple().to_string();
        Outcome::begun(&id, &dataset::id(request), &request.source, self.now())
    }

    /// The outcome of a load that is over, as its record keeps it.
    pub(super) async fn concluded(
        &self,
        mut outcome: Outcome,
        driven: Result<(), Failure>,
    ) -> Outcome {
        if let Err(failure) = driven {
            let id = &outcome.load_id;
            error!(load.id = %id, "load {id} failed: {failure}");
            outcome.error = Some(failure);
        }
        let outcome = outcome.finished(self.now());
        self.keep(&outcome).await;
        outcome
    }

    async fn drive(
        &self,
        request: &LoadRequest,
        asking: &Asking,
        outcome: &mut Outcome,
    ) -> Result<(), Failure> {
        if matches!(asking, Asking::Days(days) if days.is_empty()) {
            return Ok(());
        }
        let started = outcome.started_at;
        let survey = Survey::make(request, asking, self.status.clone(), started).await?;
        let remaining = survey.remaining().await?;
        refuse_empty(&survey)?;
        prepare(request, &survey).await?;
        outcome.warnings = warnings(&remaining);
        self.begin(request, outcome).await?;
        let load = Load {
            driver: self,
            claimant: self.claimant(request, &outcome.load_id),
            id: outcome.load_id.clone(),
            survey,
        };
        load.tell_listed(&outcome.warnings);
        outcome.periods = load.periods(&remaining).await;
        Ok(())
    }

    pub(super) fn claimant(&self, request: &LoadRequest, load_id: &str) -> Claimant {
        Claimant {
            status: self.status.clone(),
            clock: self.clock,
            owner: owner::here(),
            load_id: load_id.to_owned(),
            lease: self.timing.lease,
            wait: request.wait,
        }
    }

    /// Records the load before anything is touched.
    pub(super) async fn begin(
        &self,
        request: &LoadRequest,
        outcome: &Outcome,
    ) -> Result<(), Failure> {
        let request = serde_json::to_value(SavedRequest::of(request)).map_err(|error| {
            Failure::of(Kind::Bug, "request_unsaved", &error, "please report it")
        })?;
        let record = LoadRecord {
            load_id: outcome.load_id.clone(),
            dataset: outcome.dataset.clone(),
            source: outcome.source.clone(),
            state: outcome.state.as_str().to_owned(),
            request,
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
        record.state = outcome.state.as_str().to_owned();
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

    pub fn tell(&self, happening: &Happening) {
        self.driver.observer.observe(happening);
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
        let parallel = self.request().parallel.max(1);
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
            self.tell(&Happening::PeriodEnded(Box::new(outcome.clone())));
            outcomes.push(outcome);
        }
        outcomes
    }

    async fn period(&self, asked: &AskedPeriod, remaining: &Remaining) -> PeriodOutcome {
        if self.is_settled(asked, remaining) {
            return skipped(asked, remaining);
        }
        if self.driver.is_cancelled() {
            let days = asked.days.iter().copied().collect();
            let name = asked.period.to_string();
            return PeriodOutcome::new(&name, days, PeriodState::Failed, "not begun")
                .failed(Failure::cancelled());
        }
        Box::pin(Task { load: self, asked }.run()).await
    }

    /// Whether there is nothing to load, to mark or to finish.
    fn is_settled(&self, asked: &AskedPeriod, remaining: &Remaining) -> bool {
        let record = self.survey.record(asked.period.month());
        let committed = |state| matches!(state, State::Publishing | State::Repairing);
        let unfinished = record.is_some_and(|record| committed(record.state));
        remaining.load.is_empty() && remaining.close.is_empty() && !unfinished
    }

    fn tell_listed(&self, warnings: &[String]) {
        let counts = self.survey.inventory.counts();
        self.tell(&Happening::Listed {
            input: super::outcome::Volume {
                objects: counts.objects,
                bytes: counts.bytes,
            },
            periods: self.survey.asked.len(),
        });
        for warning in warnings {
            self.tell(&Happening::Warning(warning.clone()));
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

/// The outcome of a period of which nothing remains to do.
pub(super) fn skipped(asked: &AskedPeriod, remaining: &Remaining) -> PeriodOutcome {
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
    let stale = remaining
        .iter()
        .filter(|remaining| !remaining.stale.is_empty());
    stale
        .map(|remaining| {
            let (period, days) = (remaining.period, remaining.stale.len());
            format!(
                "{period} is stale: {days} days were loaded with another configuration \
                 (reload them with --on-stale reload or --full-load)"
            )
        })
        .collect()
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

/// Makes the folders, and refuses a target that could not be published to.
async fn prepare(request: &LoadRequest, survey: &Survey<'_>) -> Result<(), Failure> {
    survey.work.prepare().await?;
    let targets = [&request.output, &request.quarantine];
    for target in targets {
        survey.work.reaches(target).await?;
    }
    Ok(())
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
