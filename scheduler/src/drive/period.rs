//! Runs one period of a load: takes its lease, makes as many attempts as needed, and releases
//! the lease.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use plans::lake::list_name;

use super::attempt::{Attempt, Undated, Written as AttemptWritten};
use super::frame::PeriodRun;
use super::owed;
use super::survey::KnownPeriod;
use crate::decide::coverage::ReadObject;
use crate::decide::remaining::{LoadReason, Remaining};
use crate::input::inventory::Inventory;
use crate::input::listing;
use crate::load::days::Day;
use crate::load::failure::{Failure, Kind};
use crate::load::notification::Notification;
use crate::load::outcome::{PeriodOutcome, PeriodState};
use crate::publish::commit::{Publisher, close};
use crate::publish::lease::{Lease, LeaseError};
use crate::publish::lists;
use crate::publish::lists::ListedObject;
use crate::publish::manifest::{Manifest, Written};
use crate::publish::receipts::Collected;
use crate::status::{Broken, DayCoverage, PeriodRecord, State};

/// The quarantine limit applies from this number of rejected lines on.
const LEAST_QUARANTINED: u64 = 20;

/// The days to load and the state they were derived from, decided under the lease.
pub(super) struct Decision {
    pub(super) known: KnownPeriod,
    pub(super) inventory: Option<Inventory>,
    pub(super) remaining: Remaining,
    /// The remaining days, and the days that need repair.
    pub(super) days: BTreeSet<Day>,
}

/// A period whose lease is held before it runs, because objects were read for several periods.
pub(super) struct Prepared {
    pub(super) lease: Lease,
    /// Whether the input must be listed again.
    pub(super) lists_again: bool,
    /// What the period loads, and what its objects without a date gave. `None` if it reads them
    /// itself.
    pub(super) read: Option<(Decision, Undated)>,
}

impl PeriodRun<'_> {
    /// Runs the period to its end. Continues after an interruption of the status store.
    pub(super) async fn run(&self, prepared: Option<Prepared>) -> PeriodOutcome {
        let started = Instant::now();
        let prepared = match prepared {
            Some(prepared) => Ok(prepared),
            None => self.acquired().await.map(Prepared::of),
        };
        let mut outcome = match prepared {
            Ok(prepared) => self.under(prepared).await,
            Err(failure) => self.failed(failure),
        };
        let cut_off = Instant::now();
        let patience = self.load.driver.timing.patience;
        while is_cut_off(&outcome) && cut_off.elapsed() < patience {
            match self.acquired_again(&outcome).await {
                Ok(Some(lease)) => outcome = self.under(Prepared::of(lease)).await,
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
    async fn under(&self, prepared: Prepared) -> PeriodOutcome {
        let Prepared {
            lease,
            mut lists_again,
            mut read,
        } = prepared;
        let most = self.load.request().terms.max_attempts.max(1);
        let mut tries = 1;
        let ended = loop {
            let attempt = self.attempt(&lease, lists_again, read.take());
            let failure = match Box::pin(attempt).await {
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
        self.fence(lease, failure).await?;
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            () = self.load.driver.cancelled() => Err(Failure::cancelled()),
        }
    }

    /// Makes one attempt, from a new listing if the input changed since the survey. `read` is
    /// what was decided and read before, for several periods.
    async fn attempt(
        &self,
        lease: &Lease,
        lists_again: bool,
        read: Option<(Decision, Undated)>,
    ) -> Result<PeriodOutcome, Failure> {
        let publisher = self.load.survey.publisher(self.load.driver.clock);
        let (mut decision, undated) = match read {
            Some(_) if self.load.driver.is_cancelled() => return Err(Failure::cancelled()),
            Some((decision, undated)) => (decision, Some(undated)),
            None => (self.decided(lease, &publisher, lists_again).await?, None),
        };
        let loads = !decision.days.is_empty();
        if !loads || decision.remaining.changes_marks() {
            self.close(lease, &decision.remaining).await?;
        }
        let mut outcome = None;
        if loads {
            let load = self.load_days(lease, &publisher, &decision, undated);
            let (done, manifest) = load.await?;
            decision.known.manifest = Some((manifest.name(), manifest));
            outcome = Some(done);
        }
        for days in decision
            .known
            .changes
            .read_together(&decision.remaining.check)
        {
            let check = self.check_days(lease, &publisher, &decision, days);
            let (checked, manifest) = check.await?;
            decision.known.manifest = Some((manifest.name(), manifest));
            match &mut outcome {
                Some(outcome) => outcome.merge(checked),
                None => outcome = Some(checked),
            }
        }
        if let Some(outcome) = outcome {
            return Ok(outcome);
        }
        let (remaining, record) = (&decision.remaining, lease.record().await);
        let settled = self.load.settled(self.asked, remaining, Some(&record));
        Ok(settled.await?)
    }

    /// Finishes what an earlier attempt has committed, and decides what to load.
    pub(super) async fn decided(
        &self,
        lease: &Lease,
        publisher: &Publisher,
        lists_again: bool,
    ) -> Result<Decision, Failure> {
        if lease.record().await.state.is_committed() {
            publisher.finish(lease).await?;
        }
        let decide = self.decide(lease, lists_again);
        self.until_stopped(lease, decide).await
    }

    /// Reads all objects of the days to load and publishes the days again. `undated` is what
    /// the objects without a date gave, if they have been read already.
    async fn load_days(
        &self,
        lease: &Lease,
        publisher: &Publisher,
        decision: &Decision,
        undated: Option<Undated>,
    ) -> Result<(PeriodOutcome, Manifest), Failure> {
        let record = self.running(lease).await?;
        let inventory = self.inventory(decision);
        let days = decision.days.clone();
        let mut attempt = Attempt::new(self.load, self.asked, inventory, days, &record);
        attempt.reach = self.load.survey.reach(&decision.renewed(), Some(&record));
        let mut written = self.until_stopped(lease, attempt.write(undated)).await?;
        self.check_quarantine(&written.collected)?;
        self.warn_of_shorter_versions(decision, &written);
        let kept = kept(decision, &written);
        written.collected.give_up(&kept);
        let others = owed::debts(&attempt.days, &written.objects);
        let other_days = owed::days(&others);
        self.settle(lease, others).await?;
        let listed = written.objects.iter().map(ReadObject::listed).collect();
        let list = self.put_list(&attempt, listed).await?;
        let (noted, coverage) = self
            .coverage(&attempt, &written)
            .into_iter()
            .partition(|(day, _)| kept.contains(day));
        let manifest = Written {
            asked: self.asked.days.clone(),
            closes: decision.remaining.close.clone(),
            coverage,
            noted: self.unchanged(decision, noted),
            listed: attempt.days.clone(),
            list: Some(list),
            other_days,
            ..self.written(&attempt.name, &written.collected)
        };
        let manifest = Manifest::of(manifest, decision.known.base());
        let window = self.publish(publisher, lease, &manifest).await?;
        let reason = why(&decision.remaining, &decision.days);
        let mut done = self.done(&(&decision.days - &kept), &written.collected, window);
        done.reason = reason;
        Ok((done, manifest))
    }

    /// Makes sure that the period is Running under a new attempt.
    pub(super) async fn running(&self, lease: &Lease) -> Result<PeriodRecord, Failure> {
        if lease.record().await.state != State::Running {
            lease.next_attempt("").await?;
        }
        Ok(lease.record().await)
    }

    /// The listing that the decision was made from.
    pub(super) fn inventory<'d>(&'d self, decision: &'d Decision) -> &'d Inventory {
        let again = decision.inventory.as_ref();
        again.unwrap_or(&self.load.survey.inventory)
    }

    /// Stores the list of the objects that describe the attempt's days.
    pub(super) async fn put_list(
        &self,
        attempt: &Attempt<'_>,
        objects: Vec<ListedObject>,
    ) -> Result<String, Failure> {
        let survey = &self.load.survey;
        let name = list_name(&survey.dataset, self.asked.period.month(), &attempt.name);
        let encoded = tokio::task::spawn_blocking(move || lists::encode(&objects));
        let encoded = encoded.await.map_err(|error| unwritable(&error))?;
        let bytes = encoded.map_err(|error| unwritable(&error))?;
        survey.work.put_bytes_durable(&name, bytes).await?;
        Ok(name)
    }

    /// The coverage of days that are kept: as it was, but of the present input.
    pub(super) fn unchanged(
        &self,
        decision: &Decision,
        days: BTreeMap<Day, DayCoverage>,
    ) -> BTreeMap<Day, DayCoverage> {
        let record = decision.known.record.as_ref();
        let before = |day: &Day| record.and_then(|record| record.covered_days.get(day));
        let unchanged = |(day, now): (Day, DayCoverage)| {
            let coverage = match before(&day) {
                Some(before) => DayCoverage {
                    input_digest: self.digest(self.inventory(decision), day, before),
                    closed: now.closed,
                    owed: None,
                    rewritten: None,
                    broken: now.broken,
                    ..before.clone()
                },
                None => now,
            };
            (day, coverage)
        };
        days.into_iter().map(unchanged).collect()
    }

    /// The digest of a covered day's input, as the day was loaded.
    pub(super) fn digest(&self, inventory: &Inventory, day: Day, covered: &DayCoverage) -> String {
        let margin = self.load.survey.margin_of(Some(covered));
        inventory.digest(day, margin).to_string()
    }

    /// Warns of new versions that give fewer rows than the versions that they replace.
    fn warn_of_shorter_versions(&self, decision: &Decision, written: &AttemptWritten) {
        let days = &decision.days;
        let changes = &decision.known.changes;
        let given = |uri: &str| {
            let found = written.objects.iter().find(|object| object.uri == uri);
            let days = found.into_iter().flat_map(|object| &object.given.days);
            days.map(|(_, rows)| rows).sum::<u64>()
        };
        let comparisons: Vec<_> = days
            .iter()
            .filter_map(|day| changes.comparison(*day))
            .collect();
        for (old, index) in comparisons.iter().flat_map(|compared| &compared.superseded) {
            let before: u64 = old.rows.iter().map(|(_, rows)| rows).sum();
            let now = given(&changes.standing[*index].uri);
            if now < before {
                self.load.warn(format!(
                    "{}: its new version gives {now} rows, and the one before gave {before}",
                    old.uri
                ));
            }
        }
    }

    /// Repeats the decision under the lease, because another load may have changed the period.
    async fn decide(&self, lease: &Lease, lists_again: bool) -> Result<Decision, Failure> {
        let survey = &self.load.survey;
        let mut known = survey.known(lease.record().await, &self.asked.days).await?;
        let repair = known.repair();
        let inventory = self.listed_again(lease, &repair, lists_again).await?;
        let listing = inventory.as_ref().unwrap_or(&survey.inventory);
        survey
            .compare(&mut known, &self.asked.days, listing)
            .await?;
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

    pub(super) fn check_quarantine(&self, collected: &Collected) -> Result<(), Failure> {
        let ledger = collected.ledger;
        let own = ledger.read.saturating_sub(ledger.other_period);
        // A rejected record may have many lines, such as the rest of an object after a quote.
        let rejected = collected.quarantined_lines.max(ledger.quarantined);
        let lines = (own - ledger.quarantined.min(own) + rejected).max(1);
        #[expect(clippy::cast_precision_loss, reason = "a percentage for people")]
        let share = 100.0 * rejected as f64 / lines as f64;
        let most = self.load.request().terms.max_quarantine;
        if share <= most || rejected < LEAST_QUARANTINED {
            return Ok(());
        }
        let message = format!(
            "{share:.1} % of {lines} lines would be quarantined, more than {most} % ({})",
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

    /// The coverage of the attempt's days.
    pub(super) fn coverage(
        &self,
        attempt: &Attempt,
        written: &AttemptWritten,
    ) -> BTreeMap<Day, DayCoverage> {
        let (survey, terms) = (&self.load.survey, &self.load.request().terms);
        let loaded_at = self.load.driver.now();
        let mut damaged: BTreeMap<Day, u64> = BTreeMap::new();
        let of_objects = written.objects.iter().map(|object| object.given.damaged);
        for day in of_objects.flatten().filter(|_| !terms.accept_broken) {
            *damaged.entry(Day(day)).or_default() += 1;
        }
        let cover = |day: &Day| {
            let margin = attempt.reach.of(Some(*day));
            let digest = attempt.inventory.digest(*day, margin).to_string();
            let closed = day.is_closed(terms.closing_delay(), survey.now);
            let config = &self.load.request().source.program.digest;
            let coverage = DayCoverage {
                load_id: self.load.id.clone(),
                margin: Some(margin),
                broken: damaged.get(day).map(|objects| Broken { objects: *objects }),
                ..DayCoverage::new(config, &digest, closed, loaded_at)
            };
            (*day, coverage)
        };
        attempt.days.iter().map(cover).collect()
    }

    pub(super) fn done(
        &self,
        days: &BTreeSet<Day>,
        collected: &Collected,
        window: Duration,
    ) -> PeriodOutcome {
        let mut outcome = PeriodOutcome::new(
            &self.asked.period.to_string(),
            days.iter().copied().collect(),
            PeriodState::Done,
            "",
        );
        outcome.rows = collected.ledger;
        outcome.reasons.clone_from(&collected.reasons);
        outcome.left_out.clone_from(&collected.left_out);
        outcome.input = collected.input;
        outcome.count(&collected.parts, window);
        let quarantined = collected.ledger.quarantined > 0;
        outcome.quarantine = quarantined.then(|| self.load.request().terms.quarantine.clone());
        outcome
    }

    /// Marks covered days as closed when they are over and had no new input, and removes marks
    /// that no longer apply.
    async fn close(&self, lease: &Lease, remaining: &Remaining) -> Result<(), LeaseError> {
        let (now, delay) = (
            self.load.survey.now,
            self.load.request().terms.closing_delay(),
        );
        lease
            .change(|record| {
                close(record, &remaining.close);
                for (day, coverage) in &mut record.covered_days {
                    if remaining.unmark.contains(day) {
                        (coverage.owed, coverage.rewritten) = (None, None);
                    }
                    if remaining.accept.contains(day) {
                        coverage.broken = None;
                    }
                }
                record.load_completed = record.is_complete(delay, now);
            })
            .await
    }
}

impl Prepared {
    /// A period that reads everything itself.
    fn of(lease: Lease) -> Self {
        Self {
            lease,
            lists_again: false,
            read: None,
        }
    }
}

impl Decision {
    /// Covered days that are loaded with the present configuration and margin on request.
    fn renewed(&self) -> BTreeSet<Day> {
        use LoadReason::{FullLoad, StaleConfiguration};
        let loaded = self.remaining.load.iter();
        let renewed = loaded.filter(|(_, why)| matches!(why, FullLoad | StaleConfiguration));
        renewed.map(|(day, _)| *day).collect()
    }
}

/// Covered days that new objects gave no row, although they were read for them.
fn kept(decision: &Decision, written: &AttemptWritten) -> BTreeSet<Day> {
    let for_new_objects = |day: &&Day| {
        let reason = decision.remaining.load.get(day);
        reason.is_some_and(|reason| {
            use LoadReason::{InputChanged, LateFiles, OpenDay};
            matches!(reason, LateFiles | InputChanged | OpenDay)
        })
    };
    let gives_nothing = |day: &&Day| {
        let change = decision.known.changes.of_day.get(day);
        change.is_some_and(|change| {
            change.superseded_rows == 0 && change.given(**day, &written.objects).1 == 0
        })
    };
    let days = decision.days.iter();
    days.filter(for_new_objects)
        .filter(gives_nothing)
        .copied()
        .collect()
}

fn unwritable(error: &dyn std::error::Error) -> Failure {
    let remedy = "nothing was published: please report it";
    let message = format!("the list of the objects that were read cannot be written: {error}");
    Failure::new(Kind::Bug, "list_unwritable", message, remedy)
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
