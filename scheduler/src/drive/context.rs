//! What the steps of a load share: the driver with its ports and timing, and the load that
//! is being driven. The steps import this file; it imports none of them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use datafusion::physical_plan::ExecutionPlan;
use plans::attempt::AttemptSpec;
use plans::mapping::Program;
use plans::spec::Format;
use tokio::sync::watch;
use tracing::{error, info};

use super::activity::Activity;
use super::survey::Survey;
use crate::load::days::Moment;
use crate::load::notification::{Notification, Observer};
use crate::load::outcome::{PeriodOutcome, PeriodState};
use crate::load::terms::LoadRequest;
use crate::publish::lease::{Clock, LeaseClient};
use crate::publish::owner;
use crate::status::StatusStore;
use crate::submit::Submit;

/// Why no plan could be made.
pub type PlanError = Box<dyn std::error::Error + Send + Sync>;

/// Makes a task's plan; `plans::pipeline::attempt_plan` outside tests.
pub type Planner = dyn Fn(&Program, &Format, &AttemptSpec) -> Result<Arc<dyn ExecutionPlan>, PlanError>
    + Send
    + Sync;

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
