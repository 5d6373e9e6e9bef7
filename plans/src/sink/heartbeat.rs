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

/// Between two pulses. Most tasks end before their first.
pub(super) const EVERY: Duration = Duration::from_secs(30);
/// What a pulse's name ends in, beside the receipts.
const EXTENSION: &str = "pulse";

/// How far a task is that has no receipt yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulse {
    pub shard: String,
    /// Rows that were read.
    pub rows: u64,
}

/// Whether an object among the receipts is a pulse.
pub fn is_pulse(name: &str) -> bool {
    name.rsplit_once('.')
        .is_some_and(|(_, extension)| extension == EXTENSION)
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

/// The pulse of one run of a shard.
pub(super) struct Heart<'a> {
    pub work: &'a Located,
    /// The folder of the attempt's receipts.
    pub folder: &'a Path,
    pub shard: &'a str,
    pub run: &'a str,
    pub advance: &'a Advance,
}

impl Heart<'_> {
    /// Writes a pulse whenever the run got on in the time between two. Never ends.
    pub(super) async fn beat(&self, every: Duration) -> Infallible {
        let path = self
            .folder
            .clone()
            .join(format!("{}.{EXTENSION}", self.run));
        let mut told = self.advance.steps();
        loop {
            tokio::time::sleep(every).await;
            let steps = self.advance.steps();
            if steps == told {
                continue;
            }
            let pulse = Pulse {
                shard: self.shard.to_owned(),
                rows: steps.0,
            };
            let bytes = serde_json::to_vec(&pulse).unwrap_or_default();
            match self.work.store.put(&path, PutPayload::from(bytes)).await {
                Ok(_) => told = steps,
                // The next one may be written.
                Err(error) => debug!(%error, "a pulse was not written"),
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
        let told = folder.path().join("r1.pulse");
        let heart = Heart {
            work: &work,
            folder: &work.path,
            shard: "s",
            run: "r1",
            advance: &advance,
        };
        let beating = heart.beat(Duration::from_millis(1));
        tokio::pin!(beating);
        let wait = Duration::from_millis(50);
        assert!(tokio::time::timeout(wait, &mut beating).await.is_err());
        assert!(!told.exists(), "nothing was done");
        advance.read(7);
        advance.mapped(3);
        while !told.exists() {
            assert!(tokio::time::timeout(wait, &mut beating).await.is_err());
        }
        let pulse = std::fs::read(&told).expect("told");
        let pulse: Pulse = serde_json::from_slice(&pulse).expect("JSON");
        assert_eq!((pulse.shard.as_str(), pulse.rows), ("s", 7));
    }

    #[test]
    fn a_pulse_is_no_receipt() {
        assert!(is_pulse("attempts/a/receipts/r1.pulse"));
        assert!(!is_pulse("attempts/a/receipts/r1.json"));
    }
}
