//! What an attempt leaves behind when it does not end well: its work files, and parts
//! that nobody published. Nobody may remove it before a conditional write has taken the
//! attempt from its owner.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use plans::lake::{attempt_digest, digest8};
use plans::storage::parts::{PartStore, Pending};
use tracing::debug;

use super::commit::PublishError;
use super::work::Work;

/// Where cleanup lies.
#[derive(Clone, Debug)]
pub struct Cleanup {
    pub work: Work,
    pub part_store: Arc<dyn PartStore>,
    /// Folders that parts go to: targets and quarantine.
    pub folders: BTreeSet<String>,
}

impl Cleanup {
    /// Removes all that `attempt` left. A zombie may still add to it; that is `sweep`'s.
    pub async fn remove(&self, attempt: &str) -> Result<(), PublishError> {
        // First what tells its tasks that it is over: they abort what they have begun.
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

    /// Unpublished parts in the targets' own stores, each once: folders may be nested.
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
