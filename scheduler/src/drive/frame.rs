//! The frame of every change to a published period: lease → attempt → manifest → commit →
//! release. Loads (`period`) and replay use it; compaction will too.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use plans::crash_point;
use plans::lake::attempt_name;
use tracing::warn;
use uuid::Uuid;

use super::context::Load;
use crate::load::failure::{Failure, Kind};
use crate::load::outcome::{PeriodOutcome, PeriodState};
use crate::load::range::AskedPeriod;
use crate::publish::commit::{PublishError, Publisher};
use crate::publish::lease::{Lease, LeaseError};
use crate::publish::manifest::{Manifest, Written};
use crate::publish::receipts::Collected;
use crate::status::state::Transition;
use crate::status::{PeriodRecord, State};

/// One period of a load, run under its lease.
#[derive(Debug)]
pub struct PeriodRun<'a> {
    pub load: &'a Load<'a>,
    pub asked: &'a AskedPeriod,
}

impl Load<'_> {
    /// Our lease fences the previous attempt. Its owner can no longer clean up, so we do.
    pub(super) async fn remove_left_behind(&self, lease: &Lease) {
        let left = |record: &&PeriodRecord| matches!(record.state, State::Running | State::Failed);
        if let Some(record) = lease.found().filter(left) {
            self.remove_attempt(record).await;
        }
    }

    async fn remove_attempt(&self, record: &PeriodRecord) {
        let name = attempt_name(&record.load_id, record.period, record.attempt);
        if let Err(error) = self.survey.cleanup().remove(&name).await {
            warn!(%error, "cannot remove an attempt's work files");
        }
    }
}

impl PeriodRun<'_> {
    /// Takes the lease and removes the files of the previous attempt.
    pub(super) async fn acquired(&self) -> Result<Lease, Failure> {
        let blank = self.load.survey.blank(self.asked);
        let lease = tokio::select! {
            lease = self.load.lease_client.acquire(&blank) => lease?,
            () = self.load.driver.cancelled() => return Err(Failure::cancelled()),
        };
        crash_point::reach("after-lease");
        self.load.remove_left_behind(&lease).await;
        Ok(lease)
    }

    pub(super) async fn remove_attempt(&self, record: &PeriodRecord) {
        self.load.remove_attempt(record).await;
    }

    /// Ends a failed attempt, and removes what it has written.
    pub(super) async fn fence(&self, lease: &Lease, failure: &Failure) -> Result<(), LeaseError> {
        let record = lease.record().await;
        if record.state == State::Running {
            lease.next_attempt(&failure.message).await?;
            self.remove_attempt(&record).await;
        }
        Ok(())
    }

    /// Runs `step` until the load is cancelled or the lease is lost. Only for steps before the
    /// commit.
    pub(super) async fn until_stopped<T>(
        &self,
        lease: &Lease,
        step: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            ended = step => ended,
            () = lease.lost() => Err(LeaseError::Lost { period: self.asked.period.month() }.into()),
            () = self.load.driver.cancelled() => Err(Failure::cancelled()),
        }
    }

    /// Fills in the manifest's fields for an attempt, except the requested, covered and closed
    /// days.
    pub(super) fn written(&self, attempt: &str, collected: &Collected) -> Written {
        let (survey, request) = (&self.load.survey, self.load.request());
        Written {
            dataset: survey.dataset.clone(),
            period: self.asked.period.month(),
            load_id: self.load.id.clone(),
            attempt: attempt.to_owned(),
            nonce: Uuid::new_v4().simple().to_string(),
            now: self.load.driver.now(),
            target: request.terms.output.clone(),
            inputs: survey.inputs.clone(),
            undated_day: survey.undated_day,
            asked: BTreeSet::new(),
            closes: BTreeSet::new(),
            closing_delay: request.terms.closing_delay().as_secs(),
            coverage: BTreeMap::new(),
            noted: BTreeMap::new(),
            listed: BTreeSet::new(),
            list: None,
            other_days: BTreeSet::new(),
            parts: collected.parts.clone(),
            losers: collected.losers.clone(),
            input: collected.input,
            ledger: collected.ledger,
            reasons: collected.reasons.clone(),
            left_out: collected.left_out.clone(),
        }
    }

    /// Publishes, and retries after storage errors. A committed manifest must be finished, so
    /// the attempt is not given up after one failure.
    pub(super) async fn publish(
        &self,
        publisher: &Publisher,
        lease: &Lease,
        manifest: &Manifest,
    ) -> Result<Duration, Failure> {
        let committed = Instant::now();
        let mut ended = publisher.publish(lease, manifest).await;
        for tries in 1..self.load.request().terms.max_attempts {
            let failed = matches!(&ended, Err(PublishError::Part(error)) if error.retryable());
            if !failed || !lease.record().await.state.is_committed() {
                break;
            }
            tokio::time::sleep(self.load.driver.timing.backoff * tries).await;
            ended = publisher.finish(lease).await.map(|()| committed.elapsed());
        }
        Ok(ended?)
    }

    /// Releases the lease and stores the state that the period ends in.
    pub(super) async fn release(
        &self,
        lease: Lease,
        ended: Result<PeriodOutcome, Failure>,
    ) -> PeriodOutcome {
        let record = lease.record().await;
        let released = match &ended {
            Ok(_) => self.release_well(lease).await,
            Err(_) if lease.is_lost() => Ok(()),
            Err(failure) => self.release_failed(lease, &record, failure).await,
        };
        if let Err(error) = released {
            warn!(%error, "cannot release the lease, it will expire");
        }
        ended.unwrap_or_else(|failure| self.failed(failure))
    }

    async fn release_well(&self, lease: Lease) -> Result<(), LeaseError> {
        lease
            .release(|record| {
                if record.state == State::Running {
                    record.state = rest(record);
                }
                record.error = None;
            })
            .await
    }

    async fn release_failed(
        &self,
        lease: Lease,
        record: &PeriodRecord,
        failure: &Failure,
    ) -> Result<(), LeaseError> {
        let retryable = failure.kind == Kind::Cancelled;
        let after = record.state.after(Transition::Broke { retryable });
        let error = format!("{}: {}", failure.code, failure.message);
        lease
            .release(|record| {
                // A committed period keeps its state: the next owner of the lease finishes it.
                record.state = after.unwrap_or(record.state);
                record.error = Some(error);
            })
            .await?;
        if record.state == State::Running {
            self.remove_attempt(record).await;
        }
        Ok(())
    }

    pub(super) fn failed(&self, failure: Failure) -> PeriodOutcome {
        let days = self.asked.days.iter().copied().collect();
        let period = self.asked.period.to_string();
        PeriodOutcome::new(&period, days, PeriodState::Failed, &failure.code.clone())
            .failed(failure)
    }
}

/// The state of a period that had no remaining work.
fn rest(record: &PeriodRecord) -> State {
    match record.manifest {
        Some(_) => State::Done,
        None => State::Pending,
    }
}
