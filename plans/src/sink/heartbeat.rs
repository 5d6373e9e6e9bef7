//! A task that takes long says that it gets on, so that a driver can tell it from one that
//! was lost.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use serde::{Deserialize, Serialize};
use tracing::debug;

use crate::storage::Located;

/// Between two heartbeats. Most tasks end before their first.
pub(super) const EVERY: Duration = Duration::from_secs(30);

/// How far a task is that has no receipt yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    pub split: String,
    /// Rows that were read.
    pub rows: u64,
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

    fn steps(&self) -> (u64, u64) {
        let read = self.read.load(Ordering::Relaxed);
        (read, self.mapped.load(Ordering::Relaxed))
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
    /// Writes a heartbeat whenever the run got on in the time between two. Never ends.
    pub(super) async fn write_every(&self, every: Duration) -> Infallible {
        let mut told = self.advance.steps();
        loop {
            tokio::time::sleep(every).await;
            let steps = self.advance.steps();
            if steps == told {
                continue;
            }
            let heartbeat = Heartbeat {
                split: self.split.to_owned(),
                rows: steps.0,
            };
            let bytes = serde_json::to_vec(&heartbeat).unwrap_or_default();
            match self
                .work
                .store
                .put(&self.path, PutPayload::from(bytes))
                .await
            {
                Ok(_) => told = steps,
                // The next one may be written.
                Err(error) => debug!(%error, "a heartbeat was not written"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage;

    #[tokio::test]
    async fn a_run_that_gets_on_says_so_and_one_that_does_not_is_silent() {
        let folder = tempfile::tempdir().expect("a folder");
        let work = storage::open(folder.path().to_str().expect("text")).expect("a store");
        let advance = Advance::default();
        let told = folder.path().join("r1.heartbeat");
        let writer = HeartbeatWriter {
            work: &work,
            path: work.path.clone().join("r1.heartbeat"),
            split: "s",
            advance: &advance,
        };
        let beating = writer.write_every(Duration::from_millis(1));
        tokio::pin!(beating);
        let wait = Duration::from_millis(50);
        assert!(tokio::time::timeout(wait, &mut beating).await.is_err());
        assert!(!told.exists(), "nothing was done");
        advance.read(7);
        advance.mapped(3);
        while !told.exists() {
            assert!(tokio::time::timeout(wait, &mut beating).await.is_err());
        }
        let heartbeat = std::fs::read(&told).expect("told");
        let heartbeat: Heartbeat = serde_json::from_slice(&heartbeat).expect("JSON");
        assert_eq!((heartbeat.split.as_str(), heartbeat.rows), ("s", 7));
    }
}
