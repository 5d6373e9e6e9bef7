//! A period's lease: who may work on it, until when, and in which attempt.
//!
//! Every change goes through [`Lease::change`], a write that is conditional on the last value
//! the lease wrote. No write is forced, and the local clock never decides whether the lease is
//! still held: the store does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tracing::{debug, warn};

use super::owner;
use crate::load::days::{Moment, Month};
use crate::load::failure::{self, Failure, Kind};
use crate::status::state::{IllegalTransition, Transition};
use crate::status::{Expected, LeaseState, PeriodRecord, State, StatusError, StatusStore};

/// The source of the current time. Tests pass their own.
pub type Clock = fn() -> DateTime<Utc>;

const WRITE_TRIES: u32 = 5;
const WRITE_PAUSE: Duration = Duration::from_millis(200);
/// Pause between two attempts to take a lease that another load holds.
pub const WAIT_PAUSE: Duration = Duration::from_millis(250);

/// Why a lease could not be taken, kept or changed.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    #[error("{period} is being worked on by {owner} until {until}")]
    Held {
        period: Month,
        owner: String,
        until: String,
    },
    #[error("the lease on {period} was taken by another load")]
    Lost { period: Month },
    /// The write may have been stored or not, so nothing may be undone.
    #[error("the status store did not answer, the result of the last write is unknown")]
    Unanswered(#[source] StatusError),
    #[error(transparent)]
    Status(#[from] StatusError),
    #[error(transparent)]
    Illegal(#[from] IllegalTransition),
}

impl LeaseError {
    /// Returns true if the same call may succeed later with the same input.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Lost { .. } => true,
            Self::Held { .. } | Self::Unanswered(_) | Self::Illegal(_) => false,
            Self::Status(error) => matches!(error, StatusError::Unreachable { .. }),
        }
    }
}

/// Takes leases for one load of one process.
#[derive(Clone, Debug)]
pub struct LeaseClient {
    pub status: Arc<dyn StatusStore>,
    pub clock: Clock,
    /// Unique for each load in each process.
    pub owner: String,
    pub load_id: String,
    pub duration: Duration,
    /// How long to wait for a lease that another load holds.
    pub wait: Duration,
}

/// A held lease, renewed until it is released, dropped or lost.
#[derive(Debug)]
pub struct Lease {
    held: Arc<Held>,
    heartbeat: JoinHandle<()>,
    /// The record before the lease was taken. It names the previous attempt.
    found: Option<PeriodRecord>,
}

#[derive(Debug)]
struct Held {
    lease_client: LeaseClient,
    record: Mutex<PeriodRecord>,
    lost: watch::Sender<bool>,
}

impl LeaseClient {
    /// Takes the lease on `blank`'s period, and waits for the current owner's if necessary.
    /// The requested days of `blank` are recorded in any case. Afterwards the record is
    /// Running, or Publishing if a committed attempt must be finished.
    pub async fn acquire(&self, blank: &PeriodRecord) -> Result<Lease, LeaseError> {
        let asked = Instant::now();
        loop {
            let found = self.status.get(&blank.dataset, blank.period).await?;
            let refusal = match self.take(found, blank).await? {
                Ok(lease) => return Ok(lease),
                Err(refusal) => refusal,
            };
            let left = self.wait.saturating_sub(asked.elapsed());
            if left.is_zero() {
                return Err(refusal);
            }
            tokio::time::sleep(left.min(WAIT_PAUSE)).await;
        }
    }

    /// Returns the lease, or the reason to wait for it.
    async fn take(
        &self,
        found: Option<PeriodRecord>,
        blank: &PeriodRecord,
    ) -> Result<Result<Lease, LeaseError>, LeaseError> {
        if let Some(refusal) = found.as_ref().and_then(|record| self.refusal(record)) {
            return Ok(Err(refusal));
        }
        let taken = self.taken(found.as_ref().unwrap_or(blank), blank)?;
        let expected = found
            .as_ref()
            .map_or(Expected::Absent, PeriodRecord::expected);
        match self.status.put(&taken, &expected).await {
            Ok(()) => Ok(Ok(Lease::start(self.clone(), taken, found))),
            Err(StatusError::Conflict { current }) => match current {
                Some(current) if same_write(&current, &taken) => {
                    Ok(Ok(Lease::start(self.clone(), taken, found)))
                }
                _ => Ok(Err(self.held_by(blank.period, current.as_deref()))),
            },
            Err(error) => Err(error.into()),
        }
    }

    fn refusal(&self, record: &PeriodRecord) -> Option<LeaseError> {
        match record.lease(Moment((self.clock)())) {
            // We may own it already: the answer to an earlier write was lost. It is taken
            // again.
            LeaseState::Held { owner, .. } if owner != self.owner && !owner::is_gone(&owner) => {
                Some(self.held_by(record.period, Some(record)))
            }
            LeaseState::Held { .. } | LeaseState::Free | LeaseState::Expired { .. } => None,
        }
    }

    fn held_by(&self, period: Month, record: Option<&PeriodRecord>) -> LeaseError {
        let owner = record.and_then(|record| record.lease_owner.clone());
        let until = record.and_then(|record| record.lease_until);
        LeaseError::Held {
            period,
            owner: owner.unwrap_or_else(|| "another process".to_owned()),
            until: until.map_or_else(|| "it releases it".to_owned(), |until| until.to_string()),
        }
    }

    fn taken(
        &self,
        found: &PeriodRecord,
        blank: &PeriodRecord,
    ) -> Result<PeriodRecord, IllegalTransition> {
        let now = Moment((self.clock)());
        let state = match found.state.reopened() {
            State::Publishing => State::Publishing,
            state => state.after(Transition::Acquired)?,
        };
        let asked_days = &found.asked_days | &blank.asked_days;
        Ok(PeriodRecord {
            // A month is no longer complete when further days are requested.
            load_completed: found.load_completed && asked_days == found.asked_days,
            state,
            attempt: found.attempt + 1,
            revision: found.revision + 1,
            load_id: self.load_id.clone(),
            lease_owner: Some(self.owner.clone()),
            lease_until: Some(self.lease_end()),
            started_at: Some(now),
            ended_at: None,
            asked_days,
            ..found.clone()
        })
    }

    fn lease_end(&self) -> Moment {
        Moment((self.clock)() + self.duration)
    }
}

impl Lease {
    fn start(lease_client: LeaseClient, record: PeriodRecord, found: Option<PeriodRecord>) -> Self {
        let held = Arc::new(Held {
            lease_client,
            record: Mutex::new(record),
            lost: watch::Sender::new(false),
        });
        let heartbeat = tokio::spawn(renew_until_lost(held.clone()));
        Self {
            held,
            heartbeat,
            found,
        }
    }

    /// Returns the record as this lease last wrote it.
    pub async fn record(&self) -> PeriodRecord {
        self.held.record.lock().await.clone()
    }

    /// Returns the record before the lease was taken, if it existed.
    pub fn found(&self) -> Option<&PeriodRecord> {
        self.found.as_ref()
    }

    /// Resolves when another load has taken the lease, or when it could not be renewed in
    /// time.
    pub async fn lost(&self) {
        let mut lost = self.held.lost.subscribe();
        if lost.wait_for(|lost| *lost).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Returns true if the lease is known to be lost.
    pub fn is_lost(&self) -> bool {
        *self.held.lost.borrow()
    }

    /// Applies the transition `event` to the record, together with the changes in `edit`.
    pub async fn step(
        &self,
        event: Transition,
        edit: impl FnOnce(&mut PeriodRecord) + Send,
    ) -> Result<(), LeaseError> {
        let mut record = self.held.record.lock().await;
        let mut next = record.clone();
        next.state = next.state.after(event)?;
        edit(&mut next);
        self.held.write(&mut record, next).await
    }

    /// Applies `edit` to the record with a conditional write. The state only changes if `edit`
    /// sets it.
    pub async fn change(
        &self,
        edit: impl FnOnce(&mut PeriodRecord) + Send,
    ) -> Result<(), LeaseError> {
        let mut record = self.held.record.lock().await;
        let mut next = record.clone();
        edit(&mut next);
        self.held.write(&mut record, next).await
    }

    /// Starts another attempt under the same lease, which fences the previous one.
    pub async fn next_attempt(&self, why: &str) -> Result<(), LeaseError> {
        let mut record = self.held.record.lock().await;
        let mut next = record.clone();
        next.state = match next.state {
            State::Running => next.state.after(Transition::Broke { retryable: true })?,
            state => state.reopened(),
        };
        next.state = next.state.after(Transition::Acquired)?;
        next.attempt += 1;
        next.error = (!why.is_empty()).then(|| why.to_owned());
        self.held.write(&mut record, next).await
    }

    /// Applies `edit`, releases the lease and stops the heartbeat.
    pub async fn release(
        self,
        edit: impl FnOnce(&mut PeriodRecord) + Send,
    ) -> Result<(), LeaseError> {
        let ended = Moment((self.held.lease_client.clock)());
        self.change(|record| {
            record.lease_owner = None;
            record.lease_until = None;
            record.ended_at = Some(ended);
            edit(record);
        })
        .await
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.heartbeat.abort();
    }
}

impl Held {
    /// Replaces `record` by `next`. If the answer is lost, reads the record back to see
    /// whether it was stored.
    async fn write(
        &self,
        record: &mut PeriodRecord,
        mut next: PeriodRecord,
    ) -> Result<(), LeaseError> {
        next.revision = record.revision + 1;
        let mut tries = 1;
        loop {
            let failed = match self
                .lease_client
                .status
                .put(&next, &record.expected())
                .await
            {
                Ok(()) => {
                    *record = next;
                    return Ok(());
                }
                Err(StatusError::Conflict { .. }) => None,
                Err(error @ StatusError::Unreachable { .. }) => Some(error),
                Err(error) => return Err(error.into()),
            };
            match self.read_back(record, &next).await? {
                Written::Yes => {
                    *record = next;
                    return Ok(());
                }
                Written::Taken => return Err(self.lose(next.period)),
                Written::No => {}
            }
            if let Some(error) = failed
                && tries >= WRITE_TRIES
            {
                return Err(LeaseError::Unanswered(error));
            }
            tries += 1;
            tokio::time::sleep(WRITE_PAUSE * tries).await;
        }
    }

    async fn read_back(
        &self,
        before: &PeriodRecord,
        next: &PeriodRecord,
    ) -> Result<Written, LeaseError> {
        let read = self
            .lease_client
            .status
            .get(&next.dataset, next.period)
            .await;
        match read {
            Ok(Some(current)) if same_write(&current, next) => Ok(Written::Yes),
            Ok(Some(current)) if current.expected() == before.expected() => Ok(Written::No),
            Ok(_) => Ok(Written::Taken),
            Err(StatusError::Unreachable { .. }) => Ok(Written::No),
            Err(error) => Err(error.into()),
        }
    }

    fn lose(&self, period: Month) -> LeaseError {
        self.lost.send_replace(true);
        LeaseError::Lost { period }
    }

    async fn renew(&self) -> Result<(), LeaseError> {
        let mut record = self.record.lock().await;
        if record.lease_owner.as_ref() != Some(&self.lease_client.owner) {
            return Ok(());
        }
        let mut next = record.clone();
        next.lease_until = Some(self.lease_client.lease_end());
        self.write(&mut record, next).await
    }
}

/// The state of a write whose answer was lost, as read back from the store.
enum Written {
    Yes,
    No,
    Taken,
}

/// Renews the lease three times per lease duration until it is lost.
async fn renew_until_lost(held: Arc<Held>) {
    let mut renewed = Instant::now();
    loop {
        tokio::time::sleep(held.lease_client.duration / 3).await;
        match held.renew().await {
            Ok(()) => {
                debug!("lease renewed");
                renewed = Instant::now();
            }
            Err(error) => {
                warn!(%error, "cannot renew the lease");
                if held.lost.borrow().to_owned() || renewed.elapsed() >= held.lease_client.duration
                {
                    held.lost.send_replace(true);
                    return;
                }
            }
        }
    }
}

/// Returns whether `current` is the result of our write of `ours`. Owners are unique and every
/// write increments the revision, so no other owner's write can look the same. A released
/// record has no owner; attempt, load and nonce distinguish it.
fn same_write(current: &PeriodRecord, ours: &PeriodRecord) -> bool {
    current.expected() == ours.expected()
        && current.load_id == ours.load_id
        && current.nonce == ours.nonce
        && current.state == ours.state
}

impl From<LeaseError> for Failure {
    fn from(error: LeaseError) -> Self {
        let retryable = error.retryable();
        match error {
            LeaseError::Held { .. } => Self::of(
                Kind::Refused,
                failure::HELD,
                &error,
                "wait for the other load, or make this one wait with --wait",
            ),
            LeaseError::Lost { .. } => Self::of(
                Kind::Refused,
                failure::LOST,
                &error,
                "another load has taken over the period and will finish it: see `lakebolt status`",
            )
            .retryable(retryable),
            LeaseError::Unanswered(_) => Self::of(
                Kind::Dependency,
                failure::UNREACHABLE,
                &error,
                "run the load again when the status store is available: it continues from there",
            ),
            LeaseError::Status(error) => error.into(),
            LeaseError::Illegal(_) => Self::of(
                Kind::Bug,
                "illegal_step",
                &error,
                "this should not happen: please report it",
            ),
        }
    }
}
