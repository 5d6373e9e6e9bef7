//! Reads objects without a date once for all periods of a load.
//!
//! Such an object may hold rows of any day, so every period needs it. One plan reads these
//! objects and writes parts for each period, under the leases of all of them. Each period then
//! reads its other objects and publishes, as it would alone.
//!
//! A period reads the objects by itself if another load holds its lease, if its input was
//! listed again, or if the common reading failed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use plans::lake::common_name;
use tracing::warn;

use super::attempt::{Attempt, Undated};
use super::context::Load;
use super::frame::PeriodRun;
use super::period::{Decision, Prepared};
use crate::decide::remaining::Remaining;
use crate::load::days::Month;
use crate::load::failure::Failure;
use crate::load::notification::Notification;
use crate::load::range::AskedPeriod;
use crate::publish::lease::Lease;
use crate::status::PeriodRecord;

/// Leases that are taken at once.
const AT_ONCE: usize = 8;

/// A period whose lease this load has taken.
struct Member<'a> {
    run: PeriodRun<'a>,
    lease: Lease,
    /// What the period loads, and in which attempt. `None` if it reads its objects by itself.
    started: Option<(Decision, PeriodRecord)>,
}

impl<'a> Load<'a> {
    /// Takes the leases of the periods that load days, and reads the objects without a date
    /// for all of them. Returns the periods whose leases it has taken. Does nothing if no more
    /// than one period would read these objects.
    pub(super) async fn read_undated(
        &'a self,
        periods: &[(&'a AskedPeriod, &Remaining)],
    ) -> BTreeMap<Month, Prepared> {
        let months: BTreeSet<Month> = periods.iter().map(|(of, _)| of.period.month()).collect();
        let readers = periods.iter();
        let readers = readers.filter(|(_, remaining)| !remaining.load.is_empty());
        let readers: Vec<&AskedPeriod> = readers.map(|(asked, _)| *asked).collect();
        let has_undated = self.survey.inventory.undated().next().is_some();
        // Periods of one month share a lease.
        if !has_undated || readers.len() < 2 || months.len() < periods.len() {
            return BTreeMap::new();
        }
        let _admitted = tokio::select! {
            biased;
            () = self.driver.cancelled() => return BTreeMap::new(),
            admitted = self.driver.submit.admit() => admitted,
        };
        let members: Vec<_> = readers.into_iter().map(|of| self.member(of)).collect();
        let members: Vec<Option<Member>> = stream::iter(members).buffered(AT_ONCE).collect().await;
        let members: Vec<Member> = members.into_iter().flatten().collect();
        match Box::pin(self.read_for(&members)).await {
            Ok(read) => prepared(members, read),
            Err(failure) => given_up(members, &failure).await,
        }
    }

    /// Takes the lease of a period and decides what it loads. Returns `None` without a lease:
    /// the period then tries to take it by itself.
    async fn member(&'a self, asked: &'a AskedPeriod) -> Option<Member<'a>> {
        let run = PeriodRun { load: self, asked };
        let lease = run.acquired().await.ok()?;
        let publisher = self.survey.publisher(self.driver.clock);
        let started = match run.decided(&lease, &publisher, false).await {
            Ok(decision) if decision.days.is_empty() || decision.inventory.is_some() => None,
            Ok(decision) => match run.running(&lease).await {
                Ok(record) => Some((decision, record)),
                Err(_) => None,
            },
            Err(_) => None,
        };
        Some(Member {
            run,
            lease,
            started,
        })
    }

    /// Reads the objects without a date for all members that have started, in the name of the
    /// first. Returns what they gave to each month.
    async fn read_for(&self, members: &[Member<'_>]) -> Result<BTreeMap<Month, Undated>, Failure> {
        let inventory = &self.survey.inventory;
        let attempts: Vec<Attempt> = members.iter().filter_map(Member::attempt).collect();
        let mut read = BTreeMap::new();
        let first = members.iter().find_map(Member::attempt);
        let Some(mut common) = first.filter(|_| attempts.len() > 1) else {
            return Ok(read);
        };
        common.name = common_name(&common.name);
        common.periods = attempts.iter().map(Attempt::as_period).collect();
        common.days = attempts.iter().flat_map(|of| &of.days).copied().collect();
        let mut written = tokio::select! {
            written = common.write_objects(inventory.undated().collect()) => written?,
            () = self.driver.cancelled() => return Err(Failure::cancelled()),
        };
        let objects = Arc::new(std::mem::take(&mut written.objects));
        for attempt in attempts {
            let of_period = Undated {
                collected: written
                    .collected
                    .take_period(&attempt.name, &attempt.days)?,
                objects: objects.clone(),
            };
            read.insert(attempt.asked.period.month(), of_period);
        }
        Ok(read)
    }
}

impl Member<'_> {
    /// The attempt that the period has started.
    fn attempt(&self) -> Option<Attempt<'_>> {
        let (decision, record) = self.started.as_ref()?;
        let (load, days) = (self.run.load, decision.days.clone());
        let inventory = &load.survey.inventory;
        Some(Attempt::new(load, self.run.asked, inventory, days, record))
    }
}

/// The members with what was read for them.
fn prepared(
    members: Vec<Member<'_>>,
    mut read: BTreeMap<Month, Undated>,
) -> BTreeMap<Month, Prepared> {
    let prepared = members.into_iter().map(|member| {
        let month = member.run.asked.period.month();
        let decision = member.started.map(|(decision, _)| decision);
        let prepared = Prepared {
            lease: member.lease,
            lists_again: false,
            read: decision.zip(read.remove(&month)),
        };
        (month, prepared)
    });
    prepared.collect()
}

/// Removes what the failed reading has written. The members read by themselves.
async fn given_up(members: Vec<Member<'_>>, failure: &Failure) -> BTreeMap<Month, Prepared> {
    let mut prepared = BTreeMap::new();
    for Member {
        run,
        lease,
        started,
    } in members
    {
        let fenced = match started {
            Some(_) => run.fence(&lease, failure).await,
            None => Ok(()),
        };
        if let Err(error) = fenced {
            // The period finds out the same when it goes on.
            warn!(%error, "cannot end an attempt");
        }
        if !run.load.driver.is_cancelled() {
            run.load.report(&Notification::Retrying {
                period: run.asked.period.to_string(),
                why: failure.message.clone(),
                pause: Duration::ZERO,
            });
        }
        let own = Prepared {
            lease,
            lists_again: failure.needs_listing(),
            read: None,
        };
        prepared.insert(run.asked.period.month(), own);
    }
    prepared
}
