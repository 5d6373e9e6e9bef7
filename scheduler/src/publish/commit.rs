//! Turns unpublished parts into a published period: write the manifest, commit it, make the
//! parts visible, mark the period done. This process or another one may repeat every step.
//!
//! Nothing is undone before a conditional write has taken the attempt from its owner.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use plans::crash_point;
use plans::lake::attempt_name;
use plans::storage::parts::{PartError, PartHandle, PartStore};
use tracing::{info, warn};

use super::bounds::{Bounds, OutOfBounds};
use super::cleanup::Cleanup;
use super::lease::{Clock, Lease, LeaseError};
use super::manifest::Manifest;
use super::stored;
use super::stored::ManifestError;
use super::work::{Work, WorkError};
use crate::load::days::{Day, Moment};
use crate::load::failure::{Failure, Kind};
use crate::status::state::Transition;
use crate::status::{PeriodRecord, State};

const AT_ONCE: usize = 32;

/// Why a period could not be published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error(transparent)]
    Lease(#[from] LeaseError),
    #[error(transparent)]
    Work(#[from] WorkError),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(transparent)]
    OutOfBounds(#[from] OutOfBounds),
    #[error(transparent)]
    Part(#[from] PartError),
    #[error("parts of {period} were lost while it was published, it must be loaded again")]
    PartsLost {
        period: String,
        #[source]
        source: PartError,
    },
    #[error("{period} is being published, but its record names no manifest")]
    NoManifest { period: String },
}

impl PublishError {
    /// Returns true if the same call may succeed later with the same input.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Lease(error) => error.retryable(),
            Self::Work(error) => error.retryable(),
            Self::Manifest(error) => error.retryable(),
            Self::Part(error) => error.retryable(),
            Self::PartsLost { .. } => true,
            Self::OutOfBounds(_) | Self::NoManifest { .. } => false,
        }
    }
}

/// The stores that publishing needs in addition to a lease.
#[derive(Clone, Debug)]
pub struct Publisher {
    pub cleanup: Cleanup,
    pub work: Work,
    pub part_store: Arc<dyn PartStore>,
    pub clock: Clock,
}

impl Publisher {
    /// Commits a manifest and makes it visible. Returns how long readers may have seen only
    /// some of its parts.
    pub async fn publish(
        &self,
        lease: &Lease,
        manifest: &Manifest,
    ) -> Result<Duration, PublishError> {
        // Before the commit: what is committed has to be finished.
        self.check(manifest)?;
        let stored = stored::write(&self.work, manifest).await?;
        crash_point::reach("before-commit");
        let committed = Instant::now();
        lease
            .step(Transition::Written, |record| {
                stored.name_in(record);
                record.nonce = Some(manifest.nonce.clone());
            })
            .await?;
        crash_point::reach("after-commit");
        self.make_visible(lease, manifest).await?;
        Ok(committed.elapsed())
    }

    /// Makes a manifest visible that was committed earlier, possibly by an owner that died.
    pub async fn finish(&self, lease: &Lease) -> Result<(), PublishError> {
        let record = lease.record().await;
        let period = record.period.to_string();
        let found = stored::read(&self.work, &record).await?;
        let (_, manifest) = found.ok_or(PublishError::NoManifest { period })?;
        info!(period = %record.period, "publishing attempt {}, which was committed earlier", manifest.attempt);
        self.make_visible(lease, &manifest).await
    }

    /// Refuses a manifest that names objects outside this load's places.
    fn check(&self, manifest: &Manifest) -> Result<(), PublishError> {
        let bounds = Bounds::new(&self.cleanup.folders, &self.work);
        Ok(bounds
            .map_err(OutOfBounds::from)?
            .check_manifest(manifest)?)
    }

    async fn make_visible(&self, lease: &Lease, manifest: &Manifest) -> Result<(), PublishError> {
        self.check(manifest)?;
        if let Err(error) = self.complete(manifest).await {
            return Err(self.completion_failed(lease, manifest, error).await?);
        }
        // After a takeover, a stalled owner of the failed attempt could still complete one of
        // these.
        self.discard(&manifest.losers).await;
        crash_point::reach("before-deletion");
        let part_store = &self.part_store;
        each(&manifest.removed, |uri| async move {
            part_store.delete(uri).await
        })
        .await?;
        // Steps that follow publishing (catalogue, notifications, indexes) belong here. They
        // may only use the manifest and must be idempotent, because a takeover repeats
        // everything before Done.
        crash_point::reach("before-done");
        lease
            .step(Transition::Published, |record| settle(record, manifest))
            .await?;
        self.clean_up(manifest).await;
        Ok(())
    }

    async fn complete(&self, manifest: &Manifest) -> Result<(), PartError> {
        let (done, part_store) = (&AtomicUsize::new(0), &self.part_store);
        each(&manifest.added, |part: &PartHandle| async move {
            part_store.complete(part).await?;
            if done.fetch_add(1, Ordering::Relaxed) == 0 {
                crash_point::reach("between-completions");
            }
            Ok(())
        })
        .await
    }

    /// If parts were lost, moves the period to Repairing, or back to the previous manifest
    /// when no day was loaded. After any other error the period stays in Publishing for the
    /// next try or owner.
    async fn completion_failed(
        &self,
        lease: &Lease,
        manifest: &Manifest,
        error: PartError,
    ) -> Result<PublishError, PublishError> {
        if !matches!(error, PartError::PartLost { .. }) {
            return Ok(error.into());
        }
        let lost = PublishError::PartsLost {
            period: manifest.period.to_string(),
            source: error,
        };
        let record = lease.record().await;
        let attempt = attempt_name(&record.load_id, record.period, record.attempt);
        let attempt = format!("{attempt}-repair");
        let now = Moment((self.clock)());
        if let (true, Some(previous)) = (manifest.coverage.is_empty(), &manifest.previous) {
            let previous: Manifest = self.work.get(previous).await?;
            let undone = manifest.undone(previous, attempt, now);
            let stored = stored::write(&self.work, &undone).await?;
            lease.change(|record| stored.name_in(record)).await?;
            Box::pin(self.make_visible(lease, &undone)).await?;
            return Ok(lost);
        }
        let broken = manifest.broken(&manifest.name(), attempt, now);
        let stored = stored::write(&self.work, &broken).await?;
        lease
            .step(Transition::PartsLost, |record| {
                stored.name_in(record);
                record.load_completed = false;
                record
                    .covered_days
                    .retain(|day, _| !broken.repair.contains(day));
            })
            .await?;
        Ok(lost)
    }

    async fn discard(&self, parts: &[PartHandle]) {
        for part in parts {
            if let Err(error) = self.part_store.abort(part).await {
                warn!(%error, "cannot abort the upload of an unneeded part");
            }
        }
    }

    /// Removes the published attempt's work files. On failure they are left for `sweep`.
    async fn clean_up(&self, manifest: &Manifest) {
        if let Err(error) = self.cleanup.remove(&manifest.attempt).await {
            warn!(%error, "cannot remove an attempt's work files");
        }
    }
}

/// Updates the period's record from its published manifest.
pub(crate) fn settle(record: &mut PeriodRecord, manifest: &Manifest) {
    record.covered_days.extend(manifest.coverage.clone());
    record.covered_days.extend(manifest.noted.clone());
    record.asked_days.extend(&manifest.asked);
    close(record, &manifest.closes);
    let delay = Duration::from_secs(manifest.closing_delay);
    record.load_completed = record.is_complete(delay, manifest.created_at);
    record.ledger = manifest.total_ledger();
    (record.objects, record.bytes) = manifest.totals();
    record.error = None;
}

/// Counts a committed manifest as published. A process that died may have left its period in
/// Publishing. The next one publishes the manifest.
pub(crate) fn anticipate(record: &mut PeriodRecord, manifest: &Manifest) {
    if record.state == State::Publishing {
        settle(record, manifest);
    }
}

/// Marks covered days as closed.
pub fn close(record: &mut PeriodRecord, days: &BTreeSet<Day>) {
    for day in days {
        if let Some(coverage) = record.covered_days.get_mut(day) {
            coverage.closed = true;
        }
    }
}

/// Runs `act` on every item with bounded concurrency. Stops at the first error.
async fn each<'a, T: 'a, F>(
    items: impl IntoIterator<Item = &'a T>,
    act: impl Fn(&'a T) -> F,
) -> Result<(), PartError>
where
    F: Future<Output = Result<(), PartError>>,
{
    let acts: Vec<F> = items.into_iter().map(act).collect();
    stream::iter(acts)
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

impl From<PartError> for Failure {
    fn from(error: PartError) -> Self {
        let retryable = error.retryable();
        let (kind, code) = match &error {
            PartError::Io { .. } | PartError::Unwritable { .. } => {
                (Kind::Refused, "target_not_writable")
            }
            PartError::Store { .. } => (Kind::Dependency, "target_unreachable"),
            PartError::OtherFilesystem { .. } => (Kind::Usage, "work_area_apart"),
            PartError::PartLost { .. } => (Kind::Work, "parts_lost"),
            PartError::NoStorage { .. } | PartError::BadUri { .. } => (Kind::Usage, "bad_target"),
        };
        let remedy = match &error {
            PartError::Store { failure, .. } => failure.cause.remedy(),
            PartError::Unwritable { .. } => {
                Some("check the target's permissions, and that it is mounted")
            }
            PartError::OtherFilesystem { .. } => Some("put --work on the filesystem of the target"),
            _ => None,
        };
        let remedy = remedy.unwrap_or("check that --output can be written and has free space");
        Self::of(kind, code, &error, remedy).retryable(retryable)
    }
}

impl From<PublishError> for Failure {
    fn from(error: PublishError) -> Self {
        let retryable = error.retryable();
        match error {
            PublishError::Lease(error) => error.into(),
            PublishError::Work(error) => error.into(),
            PublishError::Manifest(error) => error.into(),
            PublishError::OutOfBounds(error) => error.into(),
            PublishError::Part(error) => error.into(),
            PublishError::PartsLost { .. } => Self::of(
                Kind::Work,
                "parts_lost",
                &error,
                "run the load again: it loads the days again and replaces their objects",
            )
            .retryable(retryable),
            PublishError::NoManifest { .. } => Self::of(
                Kind::Bug,
                "manifest_missing",
                &error,
                "load the period again with --full-load",
            ),
        }
    }
}
