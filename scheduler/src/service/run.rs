//! Runs the loads that were taken on, also those that a scheduler before this one had not
//! finished. A load's record says all that is needed for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use super::registry::{Live, Registry};
use super::source::SentSource;
use super::{metrics, notifications};
use crate::drive::context::Driver;
use crate::drive::survey::Selection;
use crate::load::days::Moment;
use crate::load::failure::{Failure, Kind};
use crate::load::notification::Observer;
use crate::load::outcome::{LoadState, Outcome};
use crate::load::request::{LoadRequest, Shape};
use crate::load::saved::SavedRequest;
use crate::publish::lease::Clock;
use crate::status::{LoadRecord, StatusError, StatusStore};

/// Loads that run at once; the others wait in their order.
const RUNNING: usize = 8;
/// How long loads have to give back what they hold when the scheduler stops.
const LEAVING: Duration = Duration::from_secs(20);
/// Before the status store is asked again.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// The state of a load that waits for its turn.
pub const QUEUED: &str = "queued";
/// The state of a load that its user wants to end, until it has.
pub const CANCELLING: &str = "cancelling";

/// Makes the driver of one load.
pub type Drivers = dyn Fn(Arc<dyn Observer>, watch::Receiver<bool>) -> Driver + Send + Sync;

/// What a cluster's load has in its record beside the request. Loads of a process of their
/// own have none of it, and are left to their process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    pub source: SentSource,
    pub retry_of: Option<String>,
}

/// A request as a load's record keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    #[serde(flatten)]
    pub request: SavedRequest,
    pub submitted: Submitted,
}

/// How driving a load came to an end.
enum Driven {
    Here(Outcome),
    /// Another scheduler, which runs it too, has recorded its end.
    Elsewhere(LoadRecord),
}

/// Runs loads side by side.
pub struct Runner {
    pub registry: Registry,
    pub status: Arc<dyn StatusStore>,
    drivers: Box<Drivers>,
    pub clock: Clock,
    rooms: Semaphore,
    tasks: tokio::sync::Mutex<JoinSet<()>>,
    leaving: AtomicBool,
}

impl Runner {
    pub fn new(status: Arc<dyn StatusStore>, drivers: Box<Drivers>, clock: Clock) -> Self {
        Self {
            registry: Registry::default(),
            status,
            drivers,
            clock,
            rooms: Semaphore::new(RUNNING),
            tasks: tokio::sync::Mutex::default(),
            leaving: AtomicBool::new(false),
        }
    }

    /// Takes up every load of a cluster that has not ended, oldest first.
    pub async fn resume(self: &Arc<Self>) -> Result<(), StatusError> {
        let mut loads = persist(|| self.status.loads(usize::MAX)).await?;
        loads.reverse();
        for record in loads {
            if is_unfinished(&record) && is_of_cluster(&record) {
                info!(load.id = %record.load_id, "load {} is taken up again", record.load_id);
                self.start(record, true).await;
            }
        }
        Ok(())
    }

    /// Runs the load in the background, unless it runs already or all are let go.
    pub async fn start(self: &Arc<Self>, record: LoadRecord, again: bool) {
        let mut tasks = self.tasks.lock().await;
        if self.is_leaving() {
            return;
        }
        let Some(live) = self.registry.take(notifications::info(&record)) else {
            return;
        };
        if record.state == CANCELLING {
            live.cancel();
        }
        let runner = self.clone();
        // Those that ended need not be kept.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move { runner.run(record, live, again).await });
    }

    /// Lets go of all loads: their records stay as they are, for the next scheduler, and
    /// their leases are given back. What is committed is published first.
    pub async fn drain(&self) {
        self.leaving.store(true, Ordering::Relaxed);
        let mut tasks = self.tasks.lock().await;
        // Under the lock: no load is begun after this.
        self.registry.stop_all();
        let ended = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(LEAVING, ended).await.is_err() {
            warn!("loads still run after {LEAVING:?}: their leases have to run out");
        }
        tasks.shutdown().await;
    }

    fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    async fn run(&self, record: LoadRecord, live: Arc<Live>, again: bool) {
        let mut cancelled = live.cancelled();
        let room = tokio::select! {
            biased;
            _ = cancelled.wait_for(|cancelled| *cancelled) => None,
            room = self.rooms.acquire() => room.ok(),
        };
        let driven = match room {
            None => Err(Failure::cancelled()),
            Some(_) => self.drive(&record, &live, again).await,
        };
        drop(room);
        if self.is_leaving() && !live.is_cancelled() {
            return;
        }
        let ended = match driven {
            Ok(Driven::Elsewhere(ended)) => ended,
            Ok(Driven::Here(outcome)) => self.keep(record, &live, &outcome).await,
            Err(failure) => {
                let outcome = self.failed(&record, failure);
                self.keep(record, &live, &outcome).await
            }
        };
        metrics::count_end(&ended.state);
        live.end(notifications::info(&ended));
        self.registry.remove(&ended.load_id);
    }

    /// Drives the load to its end; a panic is its failure and nobody else's.
    async fn drive(
        &self,
        record: &LoadRecord,
        live: &Arc<Live>,
        again: bool,
    ) -> Result<Driven, Failure> {
        let mut cancelled = live.cancelled();
        tokio::select! {
            biased;
            _ = cancelled.wait_for(|cancelled| *cancelled) => return Err(Failure::cancelled()),
            begun = persist(|| Box::pin(self.begin(record, live))) => begun?,
        }
        let (mut request, selection) = self.prepare(record).await?;
        let driver = (self.drivers)(live.clone(), cancelled.clone());
        if again {
            // The scheduler that died may hold leases that nobody can tell to be free.
            request.wait = request.wait.max(driver.timing.lease * 2);
        }
        let (since, timing) = (Instant::now(), driver.timing);
        loop {
            let (driver, request, selection, record) = (
                driver.clone(),
                request.clone(),
                selection.clone(),
                record.clone(),
            );
            let mut task = JoinSet::new();
            task.spawn(async move { driver.resume(&request, &selection, &record).await });
            let outcome = match task.join_next().await {
                Some(Ok(outcome)) => outcome,
                Some(Err(error)) => {
                    let remedy = "please report it with the scheduler's log";
                    return Err(Failure::of(Kind::Bug, "panic", &error, remedy));
                }
                None => return Err(Failure::cancelled()),
            };
            let id = &outcome.load_id;
            let mut pause = LONGEST_PAUSE;
            if again && is_elsewhere(&outcome) {
                pause = timing.lease;
                if let Some(ended) = self.ended_elsewhere(id).await? {
                    return Ok(Driven::Elsewhere(ended));
                }
                warn!(load.id = %id, "another scheduler or load works on load {id}");
            } else if !is_passing(&outcome, since.elapsed() < timing.patience) {
                return Ok(Driven::Here(outcome));
            }
            warn!(load.id = %id, "load {id} is begun again in {pause:?}");
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = cancelled.wait_for(|cancelled| *cancelled) => return Err(Failure::cancelled()),
            }
        }
    }

    /// Says in the load's record that it runs, unless that says by now that it is to stop.
    async fn begin(&self, record: &LoadRecord, live: &Live) -> Result<(), StatusError> {
        let _alone = live.record.lock().await;
        if live.is_cancelled() {
            return Ok(());
        }
        let running = LoadRecord {
            state: LoadState::Running.as_str().to_owned(),
            ..record.clone()
        };
        if running != *record {
            self.status.put_load(&running).await?;
        }
        live.set_state(&running.state);
        Ok(())
    }

    /// Has a load of the registry stop for good; false if it has ended. That is recorded first:
    /// a scheduler that takes the load up would run it to its end.
    pub async fn cancel(&self, live: &Live, load_id: &str) -> Result<bool, StatusError> {
        let _alone = live.record.lock().await;
        let recorded = self.record_cancel(load_id).await;
        if !matches!(recorded, Ok(false)) {
            live.set_state(CANCELLING);
            live.cancel();
        }
        recorded
    }

    async fn record_cancel(&self, load_id: &str) -> Result<bool, StatusError> {
        let record = self.status.load(load_id).await?;
        let Some(record) = record.filter(is_unfinished) else {
            return Ok(false);
        };
        let cancelling = LoadRecord {
            state: CANCELLING.to_owned(),
            ..record
        };
        self.status.put_load(&cancelling).await?;
        Ok(true)
    }

    /// Ends a load that is only recorded.
    pub async fn cancel_queued(&self, record: LoadRecord) -> Result<(), StatusError> {
        let outcome = self.failed(&record, Failure::cancelled());
        self.status.put_load(&ended(record, &outcome)).await?;
        metrics::count_end(outcome.state.as_str());
        Ok(())
    }

    /// The load's record, if it says that the load has ended.
    async fn ended_elsewhere(&self, load_id: &str) -> Result<Option<LoadRecord>, StatusError> {
        let record = persist(|| self.status.load(load_id)).await?;
        Ok(record.filter(|record| !is_unfinished(record)))
    }

    async fn prepare(&self, record: &LoadRecord) -> Result<(LoadRequest, Selection), Failure> {
        let recorded: Recorded = serde_json::from_value(record.request.clone())
            .map_err(|error| unreadable(&record.load_id, &error))?;
        let raw = recorded.request.shape == Shape::Raw;
        let compiled = recorded.submitted.source.compile(raw)?;
        let request = recorded
            .request
            .with(compiled.program, compiled.source.format);
        let selection = match &recorded.submitted.retry_of {
            None => Selection::Range(record.started_at.day()),
            Some(id) => match persist(|| self.status.load(id)).await? {
                Some(earlier) => Selection::again(&earlier),
                None => {
                    let message = format!("load {id}, which is to be tried again, is not known");
                    return Err(Failure::new(Kind::Usage, "no_load", message, "run it anew"));
                }
            },
        };
        Ok((request, selection))
    }

    /// The outcome of a load that was not driven to its end.
    fn failed(&self, record: &LoadRecord, failure: Failure) -> Outcome {
        warn!(load.id = %record.load_id, "load {} failed: {failure}", record.load_id);
        let (id, started) = (&record.load_id, record.started_at);
        let mut outcome = Outcome::begun(id, &record.dataset, &record.source, started);
        outcome.error = Some(failure);
        outcome.finished(Moment((self.clock)()))
    }

    /// Records the end, however long the status store takes to be reached: else the load
    /// would be taken up again.
    async fn keep(&self, record: LoadRecord, live: &Live, outcome: &Outcome) -> LoadRecord {
        let record = ended(record, outcome);
        let id = &record.load_id;
        if let Err(why) = persist(|| Box::pin(self.put(&record, live))).await {
            error!(load.id = %id, "the outcome of load {id} cannot be recorded: {why}");
            // Without it, it is small enough for every store.
            let brief = LoadRecord {
                outcome: None,
                ..record.clone()
            };
            if let Err(why) = persist(|| Box::pin(self.put(&brief, live))).await {
                error!(load.id = %id, "the end of load {id} cannot be recorded: {why}");
            }
        }
        record
    }

    async fn put(&self, record: &LoadRecord, live: &Live) -> Result<(), StatusError> {
        let _alone = live.record.lock().await;
        self.status.put_load(record).await
    }
}

/// The record of a load that ended so.
fn ended(record: LoadRecord, outcome: &Outcome) -> LoadRecord {
    LoadRecord {
        state: outcome.state.as_str().to_owned(),
        ended_at: Some(outcome.ended_at),
        outcome: serde_json::to_value(outcome).ok(),
        ..record
    }
}

/// Whether all that failed is in another's hands. That is no end of a load that was taken up:
/// the other may be another scheduler with the same load.
fn is_elsewhere(outcome: &Outcome) -> bool {
    let of_periods = outcome.periods.iter();
    let of_periods = of_periods.filter_map(|period| period.error.as_ref());
    let mut failures = of_periods.chain(&outcome.error).peekable();
    failures.peek().is_some() && failures.all(Failure::is_elsewhere)
}

/// Whether the load as a whole failed and may succeed when it is begun again.
fn is_passing(outcome: &Outcome, has_patience: bool) -> bool {
    // Nothing is known of it without the status store, so that is waited for.
    outcome
        .error
        .as_ref()
        .is_some_and(|failure| failure.is_cut_off() || failure.retryable && has_patience)
}

/// Whether nobody has brought the load to its end.
pub fn is_unfinished(record: &LoadRecord) -> bool {
    [QUEUED, CANCELLING, LoadState::Running.as_str()].contains(&record.state.as_str())
}

/// Whether a scheduler runs it, and not a process of its own.
pub fn is_of_cluster(record: &LoadRecord) -> bool {
    record.request.get("submitted").is_some()
}

fn unreadable(load_id: &str, error: &serde_json::Error) -> Failure {
    let message = format!("the request of load {load_id} cannot be read: {error}");
    Failure::new(Kind::Usage, "request_unreadable", message, "run it anew")
}

/// Calls until the status store answers.
async fn persist<'a, T>(
    call: impl Fn() -> BoxFuture<'a, Result<T, StatusError>>,
) -> Result<T, StatusError> {
    let mut pause = PAUSE;
    loop {
        match call().await {
            Err(error) if error.retryable() => {
                warn!("the status store is asked again in {pause:?}: {error}");
            }
            answer => return answer,
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
