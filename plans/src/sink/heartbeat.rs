//! The heartbeat of a task: a task that takes long reports its progress, so that a driver can
//! distinguish it from a lost one.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use serde::{Deserialize, Serialize};
use tracing::debug;

use crate::storage::Located;

/// Before the first heartbeat. Many tasks end before it.
pub(super) const FIRST: Duration = Duration::from_secs(5);
/// Between two heartbeats.
pub(super) const EVERY: Duration = Duration::from_secs(30);

/// How far a task is that has no receipt yet. It is written again also if nothing was done: a
/// task that lives and does nothing hangs, and one that is silent may be lost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    pub split: String,
    /// Rows that were read.
    pub rows: u64,
    /// Grows whenever rows are read or mapped.
    #[serde(default)]
    pub steps: u64,
}

/// What a task has done, as others may see it while it goes on.
#[derive(Debug, Default)]
pub(super) struct Advance {
    read: AtomicU64,
    mapped: AtomicU64,
}

impl Advance {
    pub(super) fn read(&self, rows: usize) {
        self.read.fetch_add(rows as u64, Ordering::Relaxed);
    }

    pub(super) fn mapped(&self, rows: usize) {
        self.mapped.fetch_add(rows as u64, Ordering::Relaxed);
    }

    fn heartbeat(&self, split: &str) -> Heartbeat {
        let rows = self.read.load(Ordering::Relaxed);
        Heartbeat {
            split: split.to_owned(),
            rows,
            steps: rows + self.mapped.load(Ordering::Relaxed),
        }
    }
}

/// The heartbeat of one run of a split.
pub(super) struct HeartbeatWriter<'a> {
    pub work: &'a Located,
    /// Where it is written.
    pub path: Path,
    pub split: &'a str,
    pub advance: &'a Advance,
}

impl HeartbeatWriter<'_> {
    /// Writes a heartbeat after `first` and then after each interval. Never ends.
    pub(super) async fn write_every(&self, first: Duration, every: Duration) -> Infallible {
        let mut pause = first;
        loop {
            tokio::time::sleep(pause).await;
            pause = every;
            let heartbeat = self.advance.heartbeat(self.split);
            let bytes = serde_json::to_vec(&heartbeat).unwrap_or_default();
            let payload = PutPayload::from(bytes);
            if let Err(error) = self.work.store.put(&self.path, payload).await {
                // The next one may be written.
                debug!(%error, "a heartbeat was not written");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage;

    #[tokio::test]
    async fn a_run_writes_heartbeats_with_a_counter_that_shows_its_progress() {
        let folder = tempfile::tempdir().expect("a folder");
        let work = storage::open(folder.path().to_str().expect("text")).expect("a store");
        let advance = Advance::default();
        let file = folder.path().join("r1.heartbeat");
        let writer = HeartbeatWriter {
            work: &work,
            path: work.path.clone().join("r1.heartbeat"),
            split: "s",
            advance: &advance,
        };
        let beating = writer.write_every(Duration::ZERO, Duration::from_millis(1));
        tokio::pin!(beating);
        let wait = Duration::from_millis(50);
        let read = || {
            let heartbeat = std::fs::read(&file).ok()?;
            serde_json::from_slice::<Heartbeat>(&heartbeat).ok()
        };
        while read().is_none_or(|heartbeat| heartbeat.steps != 0) {
            assert!(tokio::time::timeout(wait, &mut beating).await.is_err());
        }
        advance.read(7);
        advance.mapped(3);
        let expected = Heartbeat {
            split: "s".to_owned(),
            rows: 7,
            steps: 10,
        };
        while read().is_none_or(|heartbeat| heartbeat != expected) {
            assert!(tokio::time::timeout(wait, &mut beating).await.is_err());
        }
    }

    #[test]
    fn a_heartbeat_of_the_version_before_has_no_steps() {
        let heartbeat: Heartbeat = serde_json::from_str(r#"{"split":"s","rows":7}"#).expect("JSON");
        assert_eq!((heartbeat.rows, heartbeat.steps), (7, 0));
    }
}
