//! Removes the work files and unpublished parts of a failed attempt. This is only safe after a
//! conditional write has taken the attempt from its owner.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use plans::lake::{attempt_digest, digest8};
use plans::storage::parts::{PartStore, Pending};
use tracing::debug;

use super::commit::PublishError;
use super::work::Work;

/// The places that hold an attempt's files and parts.
#[derive(Clone, Debug)]
pub struct Cleanup {
    pub work: Work,
    pub part_store: Arc<dyn PartStore>,
    /// Folders that parts are written to: the targets and the quarantine.
    pub folders: BTreeSet<String>,
}

impl Cleanup {
    /// Removes all files and parts of `attempt`. A task that is still running may add more;
    /// `sweep` removes those.
    pub async fn remove(&self, attempt: &str) -> Result<(), PublishError> {
        // The work files go first: tasks stop and abort their uploads when these are missing.
        self.work.remove_attempt(attempt).await?;
        let digest = digest8(attempt);
        for pending in self.pending().await? {
            if attempt_digest(&pending.handle.uri) == Some(&digest) {
                debug!("aborting the upload of {}", pending.handle.uri);
                self.part_store.abort(&pending.handle).await?;
            }
        }
        Ok(())
    }

    /// Lists unpublished parts in the targets' stores. Folders may be nested, so each part is
    /// listed once.
    pub async fn pending(&self) -> Result<Vec<Pending>, PublishError> {
        let mut found = BTreeMap::new();
        for folder in &self.folders {
            for pending in self.part_store.pending(folder).await? {
                let key = format!("{:?}", pending.handle);
                found.insert(key, pending);
            }
        }
        Ok(found.into_values().collect())
    }
}
