//! Follows an attempt through the files that its tasks write to the work area: receipts of
//! finished splits and heartbeats of slow ones. It does not depend on status messages from the
//! engine, so a lost message does no harm.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use plans::lake::{AttemptFiles, is_heartbeat};
use plans::receipt::Receipt;
use plans::sink::Heartbeat;
use tracing::warn;

use super::activity::Activity;
use super::context::Timing;
use crate::load::failure::Failure;
use crate::load::notification::{Notification, Observer, Progress};
use crate::publish::work::{Work, WorkError};
use crate::submit::SubmitError;

/// How long the engine may take to report success after every split has its receipt.
const ENGINE_GRACE: Duration = Duration::from_secs(5);

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
    heartbeats: BTreeMap<String, (DateTime<Utc>, Heartbeat)>,
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
            heartbeats: BTreeMap::new(),
        }
    }

    /// Reports progress until all splits are done. Fails when neither this attempt nor any
    /// other on the engine made progress before the deadline: splits may have to wait for
    /// those of other attempts.
    pub(super) async fn follow(
        mut self,
        timing: Timing,
        activity: &Activity,
        observer: &dyn Observer,
    ) -> Result<(), Failure> {
        let mut last = Instant::now();
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
            if last.elapsed().min(activity.elapsed()) >= timing.progress_deadline {
                return Err(self.stalled(timing.progress_deadline));
            }
        }
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
        let waiting = self.heartbeats.values().map(|(_, heartbeat)| heartbeat);
        let partly = waiting.filter(|heartbeat| !self.done.contains(&heartbeat.split));
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

    async fn heard(&mut self, name: String, at: DateTime<Utc>) -> Result<bool, WorkError> {
        if self
            .heartbeats
            .get(&name)
            .is_some_and(|(before, _)| *before == at)
        {
            return Ok(false);
        }
        let heartbeat: Heartbeat = self.work.get(&name).await?;
        let before = self.heartbeats.insert(name, (at, heartbeat.clone()));
        Ok(before.is_none_or(|(_, before)| before != heartbeat)
            && !self.done.contains(&heartbeat.split))
    }

    fn stalled(&self, deadline: Duration) -> Failure {
        let Progress {
            splits_done,
            splits,
            ..
        } = self.progress;
        let seconds = deadline.as_secs();
        let message =
            format!("no split made progress for {seconds} s after {splits_done} of {splits}");
        let mut failure = Failure::from(SubmitError::Failed {
            message,
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
    struct Recorder(Mutex<Vec<Progress>>);

    impl Observer for Recorder {
        fn observe(&self, notification: &Notification) {
            if let Notification::Progress(progress) = notification {
                self.0.lock().unwrap().push(progress.clone());
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
            let split = split.to_owned();
            self.work
                .put(&name, &Heartbeat { split, rows })
                .await
                .unwrap();
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
                parts: Vec::new(),
                input_objects: 1,
                input_bytes: 10,
                raw_bytes: 0,
                scratch_bytes: 0,
                objects: Vec::new(),
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

    #[tokio::test]
    async fn an_attempt_without_progress_fails() {
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
}
