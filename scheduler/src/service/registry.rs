//! The loads that this process runs: their state, their watchers, and how to stop them.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{broadcast, watch};

use super::proto::watch_response::Event;
use super::proto::{Listed, LoadInfo, PeriodEnded, PeriodStarted, Progress, Standing};
use super::{metrics, notifications};
use crate::load::notification::{Notification, Observer};
use crate::load::outcome::LoadState;

/// Events that a slow watcher may be behind before it gets a new snapshot.
const BEHIND: usize = 256;
/// Warnings that are kept for those who come late.
const WARNINGS: usize = 100;

/// Every load of this process that has not ended.
#[derive(Debug, Default)]
pub struct Registry(Mutex<HashMap<String, Arc<Live>>>);

/// A load of this process.
#[derive(Debug)]
pub struct Live {
    snapshot: Mutex<Snapshot>,
    events: broadcast::Sender<Event>,
    cancel: watch::Sender<bool>,
    cancelled: AtomicBool,
    /// Held while its record is read and written, so that no change is lost.
    pub record: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Snapshot {
    info: LoadInfo,
    listed: Option<Listed>,
    started: BTreeMap<String, PeriodStarted>,
    progress: BTreeMap<String, Progress>,
    ended: BTreeMap<String, PeriodEnded>,
    warnings: Vec<String>,
    is_over: bool,
}

impl Registry {
    /// A place for the load; none if it has one already.
    pub fn take(&self, info: LoadInfo) -> Option<Arc<Live>> {
        let mut loads = lock(&self.0);
        if loads.contains_key(&info.load_id) {
            return None;
        }
        let id = info.load_id.clone();
        let snapshot = Snapshot {
            info,
            ..Snapshot::default()
        };
        let live = Arc::new(Live {
            snapshot: Mutex::new(snapshot),
            events: broadcast::channel(BEHIND).0,
            cancel: watch::channel(false).0,
            cancelled: AtomicBool::new(false),
            record: tokio::sync::Mutex::default(),
        });
        loads.insert(id, live.clone());
        Some(live)
    }

    /// The load of this id, if this process runs it.
    pub fn find(&self, load_id: &str) -> Option<Arc<Live>> {
        lock(&self.0).get(load_id).cloned()
    }

    /// Forgets the load.
    pub fn remove(&self, load_id: &str) {
        lock(&self.0).remove(load_id);
    }

    /// Stops every load.
    pub fn stop_all(&self) {
        lock(&self.0).values().for_each(|live| live.stop());
    }

    /// The number of loads in each state.
    pub fn states(&self) -> BTreeMap<String, usize> {
        let mut states = BTreeMap::new();
        for live in lock(&self.0).values() {
            *states
                .entry(live.snapshot().info.state.clone())
                .or_default() += 1;
        }
        states
    }

    /// The number of loads.
    pub fn len(&self) -> usize {
        lock(&self.0).len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Live {
    /// A snapshot of the load, and every event after it.
    pub fn watch(&self) -> (Standing, broadcast::Receiver<Event>) {
        // Events are sent under the same lock: none is missed and none is sent twice.
        let snapshot = self.snapshot();
        (snapshot.standing(), self.events.subscribe())
    }

    /// Stops it here; its record may leave it to the next scheduler.
    pub fn stop(&self) {
        self.cancel.send_replace(true);
    }

    /// Stops it for good, as its user wants.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
        self.stop();
    }

    /// Whether a user cancelled the load.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Becomes true when the load has to stop.
    pub fn cancelled(&self) -> watch::Receiver<bool> {
        self.cancel.subscribe()
    }

    /// Changes the state that watchers see.
    pub fn set_state(&self, state: LoadState) {
        self.snapshot().info.state = state.as_str().to_owned();
    }

    /// Sends the end of the load. No event follows it.
    pub fn end(&self, info: LoadInfo) {
        let mut snapshot = self.snapshot();
        snapshot.info = info.clone();
        snapshot.is_over = true;
        // Nobody may be watching.
        let _ = self.events.send(Event::Ended(info));
    }

    /// How it ended, once it has.
    pub fn ended(&self) -> Option<LoadInfo> {
        let snapshot = self.snapshot();
        snapshot.is_over.then(|| snapshot.info.clone())
    }

    fn snapshot(&self) -> MutexGuard<'_, Snapshot> {
        lock(&self.snapshot)
    }
}

impl Observer for Live {
    fn observe(&self, notification: &Notification) {
        metrics::count(notification);
        let event = notifications::event(notification);
        let mut snapshot = self.snapshot();
        snapshot.note(notification, &event);
        // Nobody may be watching.
        let _ = self.events.send(event);
    }
}

impl Snapshot {
    fn note(&mut self, notification: &Notification, event: &Event) {
        match event {
            Event::Listed(listed) => self.listed = Some(*listed),
            Event::PeriodStarted(started) => {
                self.progress.remove(&started.period);
                self.started.insert(started.period.clone(), started.clone());
            }
            Event::Progress(progress) => {
                self.progress
                    .insert(progress.period.clone(), progress.clone());
            }
            Event::PeriodEnded(ended) => {
                if let Notification::PeriodEnded(outcome) = notification {
                    self.started.remove(&outcome.period);
                    self.progress.remove(&outcome.period);
                    self.ended.insert(outcome.period.clone(), ended.clone());
                }
            }
            Event::Warning(text) if self.warnings.len() < WARNINGS => {
                self.warnings.push(text.clone());
            }
            Event::Warning(_) | Event::Retrying(_) | Event::Standing(_) | Event::Ended(_) => {}
        }
    }

    fn standing(&self) -> Standing {
        Standing {
            load: Some(self.info.clone()),
            listed: self.listed,
            started: self.started.values().cloned().collect(),
            progress: self.progress.values().cloned().collect(),
            ended: self.ended.values().cloned().collect(),
            warnings: self.warnings.clone(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::outcome::{PeriodOutcome, PeriodState, Volume};

    fn live() -> (Registry, Arc<Live>) {
        let registry = Registry::default();
        let info = LoadInfo {
            load_id: "l".to_owned(),
            state: "running".to_owned(),
            ..LoadInfo::default()
        };
        let live = registry.take(info.clone()).expect("it is new");
        assert!(registry.take(info).is_none(), "it has a place");
        (registry, live)
    }

    fn started(period: &str) -> Notification {
        Notification::PeriodStarted {
            period: period.to_owned(),
            attempt: 1,
            days: 1,
            splits: 1,
            input: Volume::default(),
        }
    }

    #[test]
    fn a_late_watcher_gets_a_snapshot() {
        let (registry, live) = live();
        live.observe(&started("2024-01"));
        live.observe(&started("2024-02"));
        let done = PeriodOutcome::new("2024-01", Vec::new(), PeriodState::Done, "");
        live.observe(&Notification::PeriodEnded(Box::new(done)));
        let (standing, mut events) = live.watch();
        assert_eq!((standing.started.len(), standing.ended.len()), (1, 1));
        assert!(events.try_recv().is_err(), "nothing is sent twice");
        live.end(LoadInfo::default());
        assert!(matches!(events.try_recv(), Ok(Event::Ended(_))));
        assert!(live.ended().is_some());
        assert_eq!(registry.len(), 1);
    }
}
