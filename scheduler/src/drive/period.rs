//! Runs one period of a load: takes its lease, makes as many attempts as needed, and releases
//! the lease.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::attempt::Attempt;
use super::frame::PeriodRun;
use super::survey::KnownPeriod;
use crate::decide::remaining::{LoadReason, Remaining};
use crate::input::inventory::Inventory;
use crate::input::listing;
use crate::load::days::Day;
use crate::load::failure::{Failure, Kind};
use crate::load::notification::Notification;
use crate::load::outcome::{PeriodOutcome, PeriodState};
use crate::publish::commit::close;
use crate::publish::lease::{Lease, LeaseError};
use crate::publish::manifest::{Manifest, Written};
use crate::publish::receipts::Collected;
use crate::status::{DayCoverage, State};

/// The days to load and the state they were derived from, decided under the lease.
struct Decision {
    known: KnownPeriod,
    inventory: Option<Inventory>,
    remaining: Remaining,
    /// The remaining days, and the days that need repair.
    days: BTreeSet<Day>,
}

impl PeriodRun<'_> {
    /// Runs the period to its end. Continues after an interruption of the status store.
    pub async fn run(&self) -> PeriodOutcome {
        let started = Instant::now();
        let mut outcome = match self.acquired().await {
            Ok(lease) => self.under(lease).await,
            Err(failure) => self.failed(failure),
        };
        let cut_off = Instant::now();
        let patience = self.load.driver.timing.patience;
        while is_cut_off(&outcome) && cut_off.elapsed() < patience {
            match self.acquired_again(&outcome).await {
                Ok(Some(lease)) => outcome = self.under(lease).await,
                Err(failure) if failure.is_cut_off() => {}
                Ok(None) | Err(_) => break,
            }
        }
        outcome.seconds = started.elapsed().as_secs_f64();
        outcome
    }

    /// Takes the lease again after a pause, so that a committed attempt can be finished.
    /// Returns `None` if another load has taken it meanwhile.
    async fn acquired_again(&self, outcome: &PeriodOutcome) -> Result<Option<Lease>, Failure> {
        let pause = self.load.driver.timing.backoff;
        let why = outcome.error.as_ref().map(|failure| &failure.message);
        self.load.report(&Notification::Retrying {
            period: self.asked.period.to_string(),
            why: why.cloned().unwrap_or_default(),
            pause,
        });
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.load.driver.cancelled() => return Err(Failure::cancelled()),
        }
        let (status, dataset) = (&self.load.driver.status, &self.load.survey.dataset);
        let record = status.get(dataset, self.asked.period.month()).await?;
        match record.is_some_and(|record| record.load_id != self.load.id) {
            true => Ok(None),
            false => self.acquired().await.map(Some),
        }
    }

    /// Repeats attempts until one succeeds, fails for good, or `max_attempts` is reached.
    async fn under(&self, lease: Lease) -> PeriodOutcome {
        let most = self.load.request().terms.max_attempts.max(1);
        let mut tries = 1;
        let mut lists_again = false;
        let ended = loop {
            let failure = match Box::pin(self.attempt(&lease, lists_again)).await {
                Ok(outcome) => break Ok(outcome),
                Err(failure) => failure,
            };
            lists_again |= failure.needs_listing();
            if !failure.retryable || tries >= most || lease.is_lost() {
                break Err(failure);
            }
            if let Err(stopped) = self.try_again(&lease, &failure, tries).await {
                break Err(stopped);
            }
            tries += 1;
        };
        let mut outcome = self.release(lease, ended).await;
        outcome.attempts = u64::from(tries);
        outcome
    }

    /// Fences the failed attempt and waits before the next one.
    async fn try_again(&self, lease: &Lease, failure: &Failure, tries: u32) -> Result<(), Failure> {
        let pause = self.load.driver.timing.backoff * 2u32.saturating_pow(tries - 1).min(64);
        self.load.report(&Notification::Retrying {
            period: self.asked.period.to_string(),
            why: failure.message.clone(),
            pause,
        });
        let record = lease.record().await;
        if record.state == State::Running {
            lease.next_attempt(&failure.message).await?;
            self.remove_attempt(&record).await;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            () = self.load.driver.cancelled() => Err(Failure::cancelled()),
        }
    }

    /// Makes one attempt, from a new listing if the input changed since the survey.
    async fn attempt(&self, lease: &Lease, lists_again: bool) -> Result<PeriodOutcome, Failure> {
        let publisher = self.load.survey.publisher(self.load.driver.clock);
        if lease.record().await.state.is_committed() {
            publisher.finish(lease).await?;
        }
        let decision = self.until_stopped(lease, self.decide(lease, lists_again));
        let decision = decision.await?;
        if decision.days.is_empty() {
            self.close(lease, &decision.remaining).await?;
            let (remaining, record) = (&decision.remaining, lease.record().await);
            let settled = self.load.settled(self.asked, remaining, Some(&record));
            return Ok(settled.await?);
        }
        if lease.record().await.state != State::Running {
            lease.next_attempt("").await?;
        }
        let record = lease.record().await;
        let inventory = decision.inventory.as_ref();
        let inventory = inventory.unwrap_or(&self.load.survey.inventory);
        let days = decision.days.clone();
        let attempt = Attempt::new(self.load, self.asked, inventory, days, &record);
        let collected = self.until_stopped(lease, attempt.write()).await?;
        self.check_quarantine(&collected)?;
        let manifest = self.manifest(&decision, &attempt, &collected);
        let window = self.publish(&publisher, lease, &manifest).await?;
        Ok(self.done(&decision, &collected, window))
    }

    /// Repeats the decision under the lease, because another load may have changed the period.
    async fn decide(&self, lease: &Lease, lists_again: bool) -> Result<Decision, Failure> {
        let survey = &self.load.survey;
        let known = survey.known(lease.record().await, &self.asked.days).await?;
        let repair = known.repair();
        let inventory = self.listed_again(lease, &repair, lists_again).await?;
        let listing = inventory.as_ref().unwrap_or(&survey.inventory);
        let remaining = survey.decide_again(self.asked, &known, listing)?;
        let loaded: BTreeSet<Day> = remaining.load.keys().copied().collect();
        Ok(Decision {
            days: &loaded | &known.repair(),
            known,
            inventory,
            remaining,
        })
    }

    /// Lists the input again. This is needed when the input has changed, when another load has
    /// changed the period after this load's survey, and when days outside the surveyed window
    /// need repair.
    async fn listed_again(
        &self,
        lease: &Lease,
        repair: &BTreeSet<Day>,
        has_changed: bool,
    ) -> Result<Option<Inventory>, Failure> {
        let survey = &self.load.survey;
        let surveyed = survey.record(self.asked.period.month());
        let surveyed = surveyed.map(|record| record.revision);
        let found = lease.found();
        let is_ours = found.is_some_and(|record| record.load_id == self.load.id);
        let is_known = is_ours || found.map(|record| record.revision) == surveyed;
        let window = survey.window_with(repair);
        if is_known && !has_changed && window == survey.window {
            return Ok(None);
        }
        let inputs = &self.load.request().terms.inputs;
        Ok(Some(listing::list(inputs, window).await?))
    }

    fn check_quarantine(&self, collected: &Collected) -> Result<(), Failure> {
        let ledger = collected.ledger;
        let own = ledger.read.saturating_sub(ledger.other_period).max(1);
        #[expect(clippy::cast_precision_loss, reason = "a percentage for people")]
        let share = 100.0 * ledger.quarantined as f64 / own as f64;
        let most = self.load.request().terms.max_quarantine;
        if share <= most {
            return Ok(());
        }
        let message = format!(
            "{share:.1} % of {own} rows would be quarantined, more than {most} % ({})",
            frequent(&collected.reasons)
        );
        let remedy = "nothing was published: fix the source (`lakebolt map` shows rejected rows), \
                      or allow more with --max-quarantine";
        Err(Failure::new(
            Kind::Work,
            "too_many_quarantined",
            message,
            remedy,
        ))
    }

    fn manifest(&self, decision: &Decision, attempt: &Attempt, collected: &Collected) -> Manifest {
        let written = Written {
            asked: self.asked.days.clone(),
            closes: decision.remaining.close.clone(),
            coverage: self.coverage(attempt),
            ..self.written(&attempt.name, collected)
        };
        Manifest::of(written, decision.known.base())
    }

    fn coverage(&self, attempt: &Attempt) -> BTreeMap<Day, DayCoverage> {
        let (survey, request) = (&self.load.survey, self.load.request());
        let loaded_at = self.load.driver.now();
        let cover = |day: &Day| {
            let digest = attempt.inventory.digest(*day, request.terms.margin);
            let coverage = DayCoverage {
                config_digest: request.source.program.digest.clone(),
                input_digest: digest.to_string(),
                closed: day.is_closed(request.terms.closing_delay(), survey.now),
                loaded_at,
            };
            (*day, coverage)
        };
        attempt.days.iter().map(cover).collect()
    }

    fn done(&self, decision: &Decision, collected: &Collected, window: Duration) -> PeriodOutcome {
        let days = decision.days.iter().copied().collect();
        let reason = why(&decision.remaining, &decision.days);
        let mut outcome = PeriodOutcome::new(
            &self.asked.period.to_string(),
            days,
            PeriodState::Done,
            &reason,
        );
        outcome.rows = collected.ledger;
        outcome.reasons.clone_from(&collected.reasons);
        outcome.input = collected.input;
        outcome.count(&collected.parts, window);
        let quarantined = collected.ledger.quarantined > 0;
        outcome.quarantine = quarantined.then(|| self.load.request().terms.quarantine.clone());
        outcome
    }

    /// Marks covered days as closed when they are over and had no new input.
    async fn close(&self, lease: &Lease, remaining: &Remaining) -> Result<(), LeaseError> {
        let (now, delay) = (
            self.load.survey.now,
            self.load.request().terms.closing_delay(),
        );
        lease
            .change(|record| {
                close(record, &remaining.close);
                record.load_completed = record.is_complete(delay, now);
            })
            .await
    }
}

fn is_cut_off(outcome: &PeriodOutcome) -> bool {
    outcome.error.as_ref().is_some_and(Failure::is_cut_off)
}

/// Summarizes why the days were loaded, the most frequent reason first.
fn why(remaining: &Remaining, days: &BTreeSet<Day>) -> String {
    let mut counts: BTreeMap<LoadReason, u64> = BTreeMap::new();
    for day in days {
        let reason = remaining.load.get(day);
        let reason = reason.copied().unwrap_or(LoadReason::PartsMissing);
        *counts.entry(reason).or_default() += 1;
    }
    let counts = counts
        .into_iter()
        .map(|(reason, days)| (reason.to_string(), days));
    frequent(&counts.collect())
}

/// Formats the three most frequent names with their counts.
fn frequent(counts: &BTreeMap<String, u64>) -> String {
    let mut counts: Vec<_> = counts.iter().collect();
    counts.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let shown = counts
        .iter()
        .take(3)
        .map(|(name, count)| format!("{name}: {count}"));
    shown.collect::<Vec<_>>().join(", ")
}
