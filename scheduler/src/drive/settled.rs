//! Periods of which nothing remains to do: already published by this load, or skipped.

use std::collections::BTreeSet;

use plans::lake::{attempt_of_manifest, load_of};
use plans::receipt::PartKind;

use super::context::Load;
use crate::decide::remaining::Remaining;
use crate::load::outcome::{PeriodOutcome, PeriodState};
use crate::load::range::AskedPeriod;
use crate::publish::manifest::Manifest;
use crate::publish::work::WorkError;
use crate::status::{PeriodRecord, State};

impl Load<'_> {
    /// The outcome of a period of which nothing remains to do: as this load published it
    /// before it was taken up again or its answer was lost, or else skipped.
    pub(super) async fn settled(
        &self,
        asked: &AskedPeriod,
        remaining: &Remaining,
        record: Option<&PeriodRecord>,
    ) -> Result<PeriodOutcome, WorkError> {
        let is_ours =
            |name: &String| attempt_of_manifest(name).is_some_and(|of| load_of(of) == self.id);
        let mut next = record.and_then(|record| record.manifest.clone());
        // Each day task of a month has a manifest of its own.
        while let Some(name) = next.take().filter(is_ours) {
            let manifest: Manifest = match self.survey.work.get(&name).await {
                Ok(manifest) => manifest,
                // Swept, as no longer in force: what it published is not known any more.
                Err(error) if error.is_not_found() => break,
                Err(error) => return Err(error),
            };
            let mut covered = manifest.coverage.keys().peekable();
            if covered.peek().is_some() && covered.all(|day| asked.days.contains(day)) {
                let period = asked.period.to_string();
                return Ok(published(&period, &manifest));
            }
            next = manifest.previous;
        }
        Ok(skipped(asked, remaining))
    }

    /// Whether there is nothing to load, to mark or to finish.
    pub(super) fn is_settled(&self, asked: &AskedPeriod, remaining: &Remaining) -> bool {
        let record = self.survey.record(asked.period.month());
        let committed = |state| matches!(state, State::Publishing | State::Repairing);
        let unfinished = record.is_some_and(|record| committed(record.state));
        // A month that was not over when its days were closed is complete once it is.
        let (delay, now) = (self.request().terms.closing_delay(), self.survey.now);
        let completes = record.is_some_and(|record| {
            record.state == State::Done && !record.load_completed && record.is_complete(delay, now)
        });
        remaining.load.is_empty() && remaining.close.is_empty() && !unfinished && !completes
    }
}

/// The outcome of a period of which nothing remains to do.
fn skipped(asked: &AskedPeriod, remaining: &Remaining) -> PeriodOutcome {
    let days = asked.days.iter().copied().collect();
    let reasons: BTreeSet<String> = remaining.skip.values().map(ToString::to_string).collect();
    let reason = Vec::from_iter(reasons).join(", ");
    PeriodOutcome::new(
        &asked.period.to_string(),
        days,
        PeriodState::Skipped,
        &reason,
    )
}

/// A period that this load published before its process died.
fn published(period: &str, manifest: &Manifest) -> PeriodOutcome {
    let days = manifest.coverage.keys().copied().collect();
    let mut outcome = PeriodOutcome::new(period, days, PeriodState::Done, "published earlier");
    outcome.input = manifest.input;
    outcome.rows = manifest.ledger;
    outcome.reasons.clone_from(&manifest.reasons);
    let events = manifest.published();
    let events = events.filter(|object| object.kind == PartKind::Events);
    outcome.count_objects(events.map(|object| (object.class_uid, object.rows, object.bytes)));
    outcome
}
