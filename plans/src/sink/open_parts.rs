//! The parts that a task has opened, so that a task that fails leaves none behind.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use tracing::warn;

use crate::storage::parts::{
    PartError, PartHandle, PartStorage, UnpublishedPart, UnpublishedWriter,
};

/// Part storage that remembers which parts were opened.
pub(super) struct OpenParts {
    sink: PartStorage,
    parts: Mutex<Vec<PartHandle>>,
}

impl OpenParts {
    pub(super) fn new(sink: PartStorage) -> Self {
        Self {
            sink,
            parts: Mutex::default(),
        }
    }

    /// Throws every part away. Only before a receipt may name them.
    pub(super) async fn abort(&self) {
        let parts = std::mem::take(&mut *self.parts.lock().unwrap_or_else(PoisonError::into_inner));
        for part in parts {
            if let Err(error) = self.sink.part_store.abort(&part).await {
                warn!("a part is left to `lakebolt sweep`: {error}");
            }
        }
    }
}

impl std::fmt::Debug for OpenParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenParts").finish_non_exhaustive()
    }
}

#[async_trait]
impl UnpublishedWriter for OpenParts {
    async fn create(
        &self,
        uri: &str,
        staging: &str,
    ) -> Result<Box<dyn UnpublishedPart>, PartError> {
        let part = self.sink.writer.create(uri, staging).await?;
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.push(part.handle());
        Ok(part)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::storage::{Access, parts};

    #[tokio::test]
    async fn a_failed_task_leaves_no_part_finished_or_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let work = folder.path().to_str().expect("text");
        let sink = parts::open(work, work, &Access::default()).expect("a sink");
        let opened = OpenParts::new(sink);
        let part = opened.create("/lake/a", "t/a").await.expect("a part");
        part.finish().await.expect("finished");
        let _open = opened.create("/lake/b", "t/b").await.expect("a part");
        let staged = || {
            fs::read_dir(folder.path().join("staging/t"))
                .expect("a folder")
                .count()
        };
        assert_eq!(staged(), 2);
        opened.abort().await;
        assert_eq!(staged(), 0);
    }
}
