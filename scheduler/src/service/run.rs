//! Runs the loads that were accepted, also those that an earlier scheduler did not finish. The
//! record of a load holds all that is needed to run it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use super::policy::Policy;
use super::registry::{Live, Registry};
use super::{metrics, notifications};
use crate::drive::context::Driver;
use crate::drive::survey::Selection;
use crate::load::days::Moment;
use crate::load::failure::{Failure, Kind};
use crate::load::notification::Observer;
use crate::load::outcome::{LoadState, Outcome};
use crate::load::recorded::Origin;
use crate::load::terms::{LoadRequest, Shape};
use crate::publish::lease::Clock;
use crate::status::{LoadRecord, StatusError, StatusStore};

/// Loads that run at once; the others wait in their order.
const RUNNING: usize = 8;
/// How long loads have to give back what they hold when the scheduler stops.
const LEAVING: Duration = Duration::from_secs(20);
/// Before the status store is asked again.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Makes the driver of one load.
pub type Drivers = dyn Fn(Arc<dyn Observer>, watch::Receiver<bool>) -> Driver + Send + Sync;

/// How driving a load came to an end.
enum Driven {
    Here(Box<Outcome>),
    /// Another scheduler, which runs it too, has recorded its end.
    ByAnother(Box<LoadRecord>),
}

/// Runs loads side by side.
pub struct Runner {
    pub registry: Registry,
    pub status: Arc<dyn StatusStore>,
    drivers: Box<Drivers>,
    pub clock: Clock,
    pub policy: Policy,
    rooms: Semaphore,
    tasks: tokio::sync::Mutex<JoinSet<()>>,
    leaving: AtomicBool,
}

impl Runner {
    pub fn new(
        status: Arc<dyn StatusStore>,
        drivers: Box<Drivers>,
        clock: Clock,
        policy: Policy,
    ) -> Self {
        Self {
            registry: Registry::default(),
            status,
            drivers,
            clock,
            policy,
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
            if !record.state.is_final() && record.request.is_of_cluster() {
                info!(load.id = %record.load_id, "load {} is taken up again", record.load_id);
                self.start(record, true).await;
            }
        }
        Ok(())
    }

    /// Runs the load in the background, unless it runs already or loads are being drained.
    pub async fn start(self: &Arc<Self>, record: LoadRecord, again: bool) {
        let mut tasks = self.tasks.lock().await;
        if self.is_leaving() {
            return;
        }
        let Some(live) = self.registry.take(notifications::info(&record)) else {
            return;
        };
        if record.state == LoadState::Cancelling {
            live.cancel();
        }
        let runner = self.clone();
        // Those that ended need not be kept.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move { runner.run(record, live, again).await });
    }

    /// Drains all loads: their records stay as they are, for the next scheduler, and
    /// their leases are given back. What is committed is published first.
    pub async fn drain(&self) {
        self.leaving.store(true, Ordering::Relaxed);
        let mut tasks = self.tasks.lock().await;
        // Under the lock: no load is started after this.
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
            Ok(Driven::ByAnother(ended)) => *ended,
            Ok(Driven::Here(outcome)) => self.keep(record, &live, &outcome).await,
            Err(failure) => {
                let outcome = self.failed(&record, failure);
                self.keep(record, &live, &outcome).await
            }
        };
        metrics::count_end(ended.state.as_str());
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
            started = persist(|| Box::pin(self.begin(record, live))) => started?,
        }
        let (mut request, selection) = self.prepare(record).await?;
        let driver = (self.drivers)(live.clone(), cancelled.clone());
        if again {
            // The scheduler that died may hold leases, and nobody can know that they are free.
            let wait = &mut request.terms.wait;
            *wait = (*wait).max(driver.timing.lease * 2);
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
            if again && is_held_by_another(&outcome) {
                pause = timing.lease;
                if let Some(ended) = self.ended_by_another(id).await? {
                    return Ok(Driven::ByAnother(Box::new(ended)));
                }
                warn!(load.id = %id, "another scheduler or load works on load {id}");
            } else if !is_passing(&outcome, since.elapsed() < timing.patience) {
                return Ok(Driven::Here(Box::new(outcome)));
            }
            warn!(load.id = %id, "load {id} is started again in {pause:?}");
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
            state: LoadState::Running,
            ..record.clone()
        };
        if running != *record {
            self.status.put_load(&running).await?;
        }
        live.set_state(running.state);
        Ok(())
    }

    /// Has a load of the registry stop for good; false if it has ended. That is recorded first:
    /// a scheduler that takes the load up would run it to its end.
    pub async fn cancel(&self, live: &Live, load_id: &str) -> Result<bool, StatusError> {
        let _alone = live.record.lock().await;
        let recorded = self.record_cancel(load_id).await;
        if !matches!(recorded, Ok(false)) {
            live.set_state(LoadState::Cancelling);
            live.cancel();
        }
        recorded
    }

    async fn record_cancel(&self, load_id: &str) -> Result<bool, StatusError> {
        let record = self.status.load(load_id).await?;
        let Some(record) = record.filter(|record| !record.state.is_final()) else {
            return Ok(false);
        };
        let cancelling = LoadRecord {
            state: LoadState::Cancelling,
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
    async fn ended_by_another(&self, load_id: &str) -> Result<Option<LoadRecord>, StatusError> {
        let record = persist(|| self.status.load(load_id)).await?;
        Ok(record.filter(|record| record.state.is_final()))
    }

    async fn prepare(&self, record: &LoadRecord) -> Result<(LoadRequest, Selection), Failure> {
        let terms = record.request.terms.clone();
        let terms = terms.map_err(|why| unreadable(&record.load_id, &why))?;
        let Origin::Cluster { source, retry_of } = &record.request.origin else {
            return Err(unreadable(&record.load_id, &"it has no source"));
        };
        let compiled = source.compile(terms.shape == Shape::Raw)?;
        let request = LoadRequest {
            source: compiled.into(),
            terms,
        };
        // Again: it may have changed, and so may links, since the load was accepted.
        self.policy.check(&request)?;
        let selection = match retry_of {
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
        let mut outcome = Outcome::started(id, &record.dataset, &record.source, started);
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
        state: outcome.state,
        ended_at: Some(outcome.ended_at),
        outcome: serde_json::to_value(outcome).ok(),
        ..record
    }
}

/// Whether all that failed is in another's hands. That is no end of a load that was taken up:
/// the other may be another scheduler with the same load.
fn is_held_by_another(outcome: &Outcome) -> bool {
    let of_periods = outcome.periods.iter();
    let of_periods = of_periods.filter_map(|period| period.error.as_ref());
    let mut failures = of_periods.chain(&outcome.error).peekable();
    failures.peek().is_some() && failures.all(Failure::is_held_by_another)
}

/// Whether the load as a whole failed and may succeed when it is started again.
fn is_passing(outcome: &Outcome, has_patience: bool) -> bool {
    // Nothing is known of it without the status store, so that is waited for.
    outcome
        .error
        .as_ref()
        .is_some_and(|failure| failure.is_cut_off() || failure.retryable && has_patience)
}

fn unreadable(load_id: &str, why: &impl std::fmt::Display) -> Failure {
    let message = format!("the request of load {load_id} cannot be read: {why}");
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
