//! The state that all steps of a load share: the driver with its ports and timing, and the
//! load being driven. The steps import this file; it imports none of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use datafusion::physical_plan::ExecutionPlan;
use plans::attempt::AttemptSpec;
use plans::mapping::Program;
use plans::scan::split::InputObject;
use plans::spec::Format;
use tokio::sync::watch;
use tracing::{error, info, warn};

use super::activity::Activity;
use super::owed::Debt;
use super::survey::Survey;
use crate::load::days::{Day, Moment};
use crate::load::failure::Failure;
use crate::load::notification::{Notification, Observer};
use crate::load::outcome::{PeriodOutcome, PeriodState};
use crate::load::terms::LoadRequest;
use crate::publish::lease::{Clock, LeaseClient};
use crate::publish::owner;
use crate::status::StatusStore;
use crate::submit::Submit;

/// Why no plan could be made.
pub type PlanError = Box<dyn std::error::Error + Send + Sync>;

/// Builds the plan of one attempt. Production code passes `plans::pipeline::attempt_plan`.
pub type Planner = dyn Fn(&Program, &Format, &AttemptSpec) -> Result<Arc<dyn ExecutionPlan>, PlanError>
    + Send
    + Sync;

/// Refuses objects that a load must not read.
pub type InputCheck = dyn Fn(&[InputObject]) -> Result<(), Failure> + Send + Sync;

/// Runs loads. A process needs only one.
#[derive(Clone)]
pub struct Driver {
    pub status: Arc<dyn StatusStore>,
    pub submit: Arc<dyn Submit>,
    pub planner: Arc<Planner>,
    pub clock: Clock,
    pub observer: Arc<dyn Observer>,
    /// Becomes true when loads must stop. Committed periods are finished first.
    pub cancel: watch::Receiver<bool>,
    pub timing: Timing,
    /// Shared by all drivers that use the same engine.
    pub activity: Activity,
    /// What loads may read, where not everything is allowed.
    pub input_check: Option<Arc<InputCheck>>,
}

/// Timeouts and polling intervals of a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    pub lease: Duration,
    /// An attempt fails when a split that was started makes no progress for this long. A split
    /// that runs writes a heartbeat every half minute.
    pub progress_deadline: Duration,
    /// How long nothing happens before a warning.
    pub notice: Duration,
    /// Interval at which the driver looks for receipts.
    pub poll: Duration,
    /// Pause before the second attempt. It doubles with every further attempt.
    pub backoff: Duration,
    /// How long a running load waits for a status store that is unavailable.
    pub patience: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            progress_deadline: Duration::from_secs(5 * 60),
            notice: Duration::from_secs(10),
            poll: Duration::from_millis(500),
            backoff: Duration::from_secs(1),
            patience: Duration::from_secs(120),
        }
    }
}

/// A load that is running.
#[derive(Debug)]
pub struct Load<'a> {
    pub driver: &'a Driver,
    pub id: String,
    pub survey: Survey<'a>,
    pub lease_client: LeaseClient,
    /// The days that this load works on.
    pub scheduled: BTreeSet<Day>,
    notes: Mutex<Notes>,
}

/// What the periods of a load find out, besides their outcomes.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// Rows of days that no load has covered, by day and object.
    pub not_loaded: BTreeMap<Day, HashMap<String, u64>>,
    /// Rows whose days are looked at when the load ends. Each is noted once, although several
    /// periods may read the same object.
    pub deferred: BTreeSet<Debt>,
    pub warnings: BTreeSet<String>,
}

impl Driver {
    pub(super) fn lease_client(&self, request: &LoadRequest, load_id: &str) -> LeaseClient {
        LeaseClient {
            status: self.status.clone(),
            clock: self.clock,
            owner: owner::here(),
            load_id: load_id.to_owned(),
            duration: self.timing.lease,
            wait: request.terms.wait,
        }
    }

    /// Repeats a step after the periods for as long as a status store may be unavailable: what
    /// is published already is not reported as failed.
    pub(super) async fn patiently<T, F>(&self, step: impl Fn() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let since = Instant::now();
        loop {
            match step().await {
                Err(failure) if failure.retryable && since.elapsed() < self.timing.patience => {
                    warn!("{failure}");
                }
                ended => return ended,
            }
            tokio::time::sleep(self.timing.backoff).await;
        }
    }

    pub(super) fn now(&self) -> Moment {
        Moment((self.clock)())
    }

    /// Resolves when the load must stop.
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

impl<'a> Load<'a> {
    /// A load that works on the `scheduled` days.
    pub(super) fn new(
        driver: &'a Driver,
        lease_client: LeaseClient,
        survey: Survey<'a>,
        scheduled: BTreeSet<Day>,
    ) -> Self {
        Self {
            driver,
            id: survey.load_id.clone(),
            survey,
            lease_client,
            scheduled,
            notes: Mutex::default(),
        }
    }

    /// The notes of all periods. Never held across an await.
    pub(super) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a warning to the outcome, and reports it.
    pub(super) fn warn(&self, warning: String) {
        self.report(&Notification::Warning(warning.clone()));
        self.notes().warnings.insert(warning);
    }

    /// Returns the request that started the load.
    pub fn request(&self) -> &LoadRequest {
        self.survey.request
    }

    /// Passes a notification to the driver's observer.
    pub fn report(&self, notification: &Notification) {
        self.driver.observer.observe(notification);
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

/// Logs how a period ended.
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
