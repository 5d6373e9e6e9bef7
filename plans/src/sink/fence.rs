//! A task of an attempt that is over stops by itself: no message reaches an executor
//! that was cut off, or whose scheduler has died.

use std::time::Duration;

use datafusion::common::DataFusionError;
use object_store::ObjectStoreExt;

use crate::lake::{AttemptFiles, path_below};
use crate::storage::{Cause, Located, StoreFailure};

/// How soon after its end an attempt's tasks notice it.
const LOOK: Duration = Duration::from_secs(2);

/// Resolves when the attempt is over, with the error that its tasks end by.
pub(super) async fn over(work: &Located, attempt: &str) -> DataFusionError {
    loop {
        tokio::time::sleep(LOOK).await;
        if is_over(work, attempt).await {
            return gone(attempt);
        }
    }
}

/// Whether nobody works on the attempt any more.
pub(super) async fn is_over(work: &Located, attempt: &str) -> bool {
    let owner = path_below(&work.path, &AttemptFiles(attempt).owner());
    let found = work.store.head(&owner).await.map_err(StoreFailure::from);
    // A store that cannot be reached just now says nothing about the attempt.
    found.is_err_and(|failure| failure.cause == Cause::NotFound)
}

/// What the tasks of an attempt end by that is over.
pub(super) fn gone(attempt: &str) -> DataFusionError {
    DataFusionError::Execution(format!("attempt {attempt} is over"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage;

    #[tokio::test]
    async fn an_attempt_is_over_once_its_owner_is_gone_and_not_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let work = storage::open(folder.path().to_str().expect("text")).expect("a store");
        let owner = path_below(&work.path, &AttemptFiles("a").owner());
        let put = work.store.put(&owner, "{}".into()).await;
        put.expect("writable");
        let over = over(&work, "a");
        tokio::pin!(over);
        let still = tokio::time::timeout(LOOK + LOOK / 2, &mut over).await;
        assert!(still.is_err(), "its owner stands");
        work.store.delete(&owner).await.expect("gone");
        assert!(over.await.to_string().contains("attempt a is over"));
    }
}
