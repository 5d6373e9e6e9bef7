//! Follows an attempt through the files that its tasks write to the work area: receipts of
//! finished splits and heartbeats of running ones. It does not depend on status messages from
//! the engine, so a lost message does no harm.
//!
//! Progress is judged split by split. One that was started must advance, whatever others do. One
//! that was not may have to wait for the splits of other attempts.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use plans::lake::{AttemptFiles, is_heartbeat};
use plans::receipt::Receipt;
use plans::sink::Heartbeat;
use tracing::warn;

use super::activity::{Activity, Notices};
use super::context::Timing;
use crate::load::failure::Failure;
use crate::load::notification::{Notification, Observer, Progress};
use crate::publish::work::{Work, WorkError};
use crate::submit::SubmitError;

/// How long the engine may take to report success after every split has its receipt.
const ENGINE_GRACE: Duration = Duration::from_secs(5);
/// A silent run's executor may be lost. The engine then runs the split again, perhaps after
/// those of other attempts, so it gets this many times the deadline.
const SILENT_DEADLINES: u32 = 2;

/// An engine may be busy, so the warning that no task starts comes later than that of no
/// executor.
const NOTICES_OF_TASKS: u32 = 6;

/// Follows one attempt.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    work: &'a Work,
    attempt: &'a str,
    progress: Progress,
    /// Rows read by finished splits.
    rows: u64,
    receipts: HashSet<String>,
    done: HashSet<String>,
    /// The runs of splits, by the names of their heartbeats.
    runs: BTreeMap<String, Run>,
}

/// A run of a split, as its heartbeats show it. Times are of this machine.
#[derive(Debug)]
struct Run {
    written: DateTime<Utc>,
    heartbeat: Heartbeat,
    /// When the last heartbeat was seen.
    heard: Instant,
    /// When the last heartbeat was seen that showed progress.
    advanced: Instant,
}

/// When any run of a split was last heard of.
#[derive(Clone, Copy, Debug)]
struct Started {
    heard: Instant,
    advanced: Instant,
}

impl<'a> Watch<'a> {
    /// Creates a watch for `attempt`. `progress` holds the totals.
    pub(super) fn new(work: &'a Work, attempt: &'a str, progress: Progress) -> Self {
        Self {
            work,
            attempt,
            progress,
            rows: 0,
            receipts: HashSet::new(),
            done: HashSet::new(),
            runs: BTreeMap::new(),
        }
    }

    /// Reports progress until all splits are done. Fails when a started split hangs, or when
    /// nothing on the engine made progress before the deadline.
    pub(super) async fn follow(
        mut self,
        timing: Timing,
        activity: &Activity,
        observer: &dyn Observer,
    ) -> Result<(), Failure> {
        let mut last = Instant::now();
        let mut idle = Notices::new(timing.notice * NOTICES_OF_TASKS, Instant::now());
        loop {
            tokio::time::sleep(timing.poll).await;
            match self.look().await {
                Ok(true) => {
                    last = Instant::now();
                    activity.note();
                    observer.observe(&Notification::Progress(self.progress.clone()));
                }
                Ok(false) => {}
                Err(error) => warn!(%error, "cannot read receipts, will try again"),
            }
            if self.progress.splits_done == self.progress.splits && last.elapsed() >= ENGINE_GRACE {
                warn!(attempt = %self.attempt, "every split is done, but the engine has not reported the end");
                return Ok(());
            }
            let deadline = timing.progress_deadline;
            if let Some(split) = self.hung(deadline) {
                let message = format!(
                    "split {split} made no progress for {} s",
                    deadline.as_secs()
                );
                return Err(self.stalled(&message));
            }
            if last.elapsed().min(activity.elapsed()) >= deadline {
                let message = format!("no split made progress for {} s", deadline.as_secs());
                return Err(self.stalled(&message));
            }
            let is_idle = self.runs.is_empty() && self.receipts.is_empty();
            if let Some(since) = idle.due(is_idle, Instant::now()) {
                self.report_idle(since, observer);
            }
        }
    }

    /// Finds a started split that hangs.
    fn hung(&self, deadline: Duration) -> Option<&str> {
        let mut started: BTreeMap<&str, Started> = BTreeMap::new();
        for run in self.runs.values() {
            let Run {
                heard, advanced, ..
            } = *run;
            let split = started.entry(&run.heartbeat.split);
            let split = split.or_insert(Started { heard, advanced });
            split.heard = split.heard.max(heard);
            split.advanced = split.advanced.max(advanced);
        }
        let hangs = |split: &Started| {
            let patience = match split.heard.elapsed() < deadline {
                true => deadline,
                false => deadline * SILENT_DEADLINES,
            };
            split.advanced.elapsed() >= patience
        };
        let mut started = started.into_iter();
        let hung = started.find(|(name, split)| !self.done.contains(*name) && hangs(split));
        hung.map(|(name, _)| name)
    }

    fn report_idle(&self, since: Duration, observer: &dyn Observer) {
        let warning = format!(
            "{}: no task has started for {} s; the executors are busy or cannot be reached",
            self.progress.period,
            since.as_secs()
        );
        warn!(attempt = %self.attempt, "{warning}");
        observer.observe(&Notification::Warning(warning));
    }

    /// Returns whether a split made progress or was done since the last look.
    async fn look(&mut self) -> Result<bool, WorkError> {
        let mut news = false;
        let folder = AttemptFiles(self.attempt).receipts();
        for (name, meta) in self.work.list(&folder).await? {
            news |= match is_heartbeat(&name) {
                true => self.heard(name, meta.last_modified).await?,
                false => self.received(name).await?,
            };
        }
        let running = self.runs.values().map(|run| &run.heartbeat);
        let partly = running.filter(|heartbeat| !self.done.contains(&heartbeat.split));
        self.progress.rows = self.rows + partly.map(|heartbeat| heartbeat.rows).sum::<u64>();
        Ok(news)
    }

    async fn received(&mut self, name: String) -> Result<bool, WorkError> {
        if self.receipts.contains(&name) {
            return Ok(false);
        }
        let receipt: Receipt = self.work.get(&name).await?;
        self.receipts.insert(name);
        let is_first = self.done.insert(receipt.split);
        if is_first {
            self.progress.splits_done += 1;
            self.progress.bytes_done += receipt.input_bytes;
            self.rows += receipt.ledger.read;
        }
        Ok(is_first)
    }

    async fn heard(&mut self, name: String, written: DateTime<Utc>) -> Result<bool, WorkError> {
        let before = self.runs.get(&name);
        if before.is_some_and(|run| run.written == written) {
            return Ok(false);
        }
        let heartbeat: Heartbeat = self.work.get(&name).await?;
        let now = Instant::now();
        let advanced = match before {
            Some(run) if run.heartbeat == heartbeat => run.advanced,
            _ => now,
        };
        let is_news = advanced == now && !self.done.contains(&heartbeat.split);
        let run = Run {
            written,
            heartbeat,
            heard: now,
            advanced,
        };
        self.runs.insert(name, run);
        Ok(is_news)
    }

    fn stalled(&self, what: &str) -> Failure {
        let Progress {
            splits_done,
            splits,
            ..
        } = self.progress;
        let mut failure = Failure::from(SubmitError::Failed {
            message: format!("{what} after {splits_done} of {splits} splits"),
            retryable: true,
        });
        failure.code = "no_progress".to_owned();
        failure
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use plans::receipt::Ledger;

    use super::*;

    #[derive(Debug, Default)]
    struct Recorder(Mutex<Vec<Progress>>, Mutex<Vec<String>>);

    impl Observer for Recorder {
        fn observe(&self, notification: &Notification) {
            match notification {
                Notification::Progress(progress) => self.0.lock().unwrap().push(progress.clone()),
                Notification::Warning(warning) => self.1.lock().unwrap().push(warning.clone()),
                _ => {}
            }
        }
    }

    struct Place {
        _folder: tempfile::TempDir,
        work: Work,
    }

    impl Place {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let work = Work::open(folder.path().to_str().unwrap()).unwrap();
            Self {
                _folder: folder,
                work,
            }
        }

        async fn heartbeat(&self, split: &str, rows: u64) {
            let name = AttemptFiles("a").heartbeat(&format!("{split}-1"));
            let heartbeat = Heartbeat {
                split: split.to_owned(),
                rows,
                steps: rows,
            };
            self.work.put(&name, &heartbeat).await.unwrap();
        }

        async fn receipt(&self, split: &str, run: &str, read: u64) {
            let receipt = Receipt {
                schema_version: 1,
                attempt: "a".to_owned(),
                split: split.to_owned(),
                task_attempt: "t".to_owned(),
                ledger: Ledger {
                    read,
                    ..Ledger::default()
                },
                reasons: BTreeMap::new(),
                left_out: BTreeMap::new(),
                quarantined_lines: 0,
                parts: Vec::new(),
                input_objects: 1,
                input_bytes: 10,
                raw_bytes: 0,
                scratch_bytes: 0,
                objects: Vec::new(),
                periods: BTreeMap::new(),
            };
            let name = AttemptFiles("a").receipt(&format!("{split}-{run}"));
            self.work.put(&name, &receipt).await.unwrap();
        }

        fn watch(&self) -> Watch<'_> {
            let progress = Progress {
                splits: 2,
                bytes: 20,
                ..Progress::default()
            };
            Watch::new(&self.work, "a", progress)
        }
    }

    fn timing(deadline_ms: u64) -> Timing {
        Timing {
            poll: Duration::from_millis(1),
            progress_deadline: Duration::from_millis(deadline_ms),
            ..Timing::default()
        }
    }

    #[tokio::test]
    async fn rows_of_running_splits_are_counted_once() {
        let place = Place::new();
        let mut watch = place.watch();
        place.heartbeat("s1", 30).await;
        assert!(watch.look().await.unwrap());
        assert!(!watch.look().await.unwrap(), "nothing is new");
        assert_eq!((watch.progress.rows, watch.progress.splits_done), (30, 0));
        place.receipt("s1", "1", 50).await;
        place.receipt("s1", "2", 50).await;
        assert!(watch.look().await.unwrap());
        let progress = &watch.progress;
        assert_eq!((progress.rows, progress.splits_done), (50, 1));
        assert_eq!(progress.bytes_done, 10);
    }

    #[tokio::test]
    async fn an_attempt_ends_when_all_splits_are_done_even_if_the_engine_is_silent() {
        let place = Place::new();
        place.receipt("s1", "1", 50).await;
        place.receipt("s2", "1", 7).await;
        let recorder = Recorder::default();
        let activity = Activity::default();
        let followed = place
            .watch()
            .follow(timing(60_000), &activity, &recorder)
            .await;
        followed.unwrap();
        let seen = recorder.0.into_inner().unwrap();
        assert_eq!((seen.len(), seen[0].rows), (1, 57));
    }

    /// Notes progress of other attempts on the engine until `watching` ends.
    async fn on_a_busy_engine<T>(activity: &Activity, watching: impl Future<Output = T>) -> T {
        let others = async {
            loop {
                activity.note();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            watched = watching => watched,
            () = others => unreachable!("it never ends"),
        }
    }

    #[tokio::test]
    async fn an_attempt_without_progress_fails_and_one_that_has_not_started_waits_for_others() {
        let place = Place::new();
        place.receipt("s1", "1", 50).await;
        let (activity, recorder) = (Activity::default(), Recorder::default());
        let other = async {
            for _ in 0..10 {
                activity.note();
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let (since, watch) = (Instant::now(), place.watch());
        let (followed, ()) = tokio::join!(watch.follow(timing(50), &activity, &recorder), other);
        assert!(
            since.elapsed() >= Duration::from_millis(140),
            "another attempt made progress"
        );
        let failure = followed.unwrap_err();
        assert_eq!(failure.code, "no_progress");
        assert!(failure.retryable && failure.message.contains("after 1 of 2"));
    }

    #[tokio::test]
    async fn a_split_that_hangs_in_a_live_executor_is_given_up_on_a_busy_engine() {
        let place = Place::new();
        let (activity, recorder) = (Activity::default(), Recorder::default());
        // The executor lives: heartbeats go on, but the counter of one does not grow.
        let beating = async {
            for beat in 0_u64.. {
                place.heartbeat("s1", beat.min(4)).await;
                place.heartbeat("s2", beat).await;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let watching = place.watch().follow(timing(2000), &activity, &recorder);
        let failure = tokio::select! {
            followed = on_a_busy_engine(&activity, watching) => followed.unwrap_err(),
            () = beating => unreachable!("it never ends"),
        };
        assert!(failure.message.contains("split s1"), "{failure}");
        assert!(failure.retryable && failure.code == "no_progress");
    }

    #[tokio::test]
    async fn a_silent_split_gets_more_time_since_its_executor_may_be_lost() {
        let place = Place::new();
        place.heartbeat("s1", 5).await;
        let (activity, recorder) = (Activity::default(), Recorder::default());
        let since = Instant::now();
        let watching = place.watch().follow(timing(100), &activity, &recorder);
        let failure = on_a_busy_engine(&activity, watching).await.unwrap_err();
        assert!(failure.message.contains("split s1"), "{failure}");
        assert!(since.elapsed() >= Duration::from_millis(200));
    }

    #[tokio::test]
    async fn a_warning_is_repeated_when_no_task_starts() {
        let place = Place::new();
        let (activity, recorder) = (Activity::default(), Recorder::default());
        let timing = Timing {
            notice: Duration::from_millis(1),
            ..timing(60_000)
        };
        let watching = place.watch().follow(timing, &activity, &recorder);
        let reported = async {
            while recorder.1.lock().unwrap().len() < 3 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            _ = watching => panic!("it still waits"),
            () = reported => {}
        }
        let warnings = recorder.1.lock().unwrap();
        assert!(warnings[0].contains("no task has started"), "{warnings:?}");
    }
}
