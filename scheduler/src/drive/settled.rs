//! Periods without remaining work: this load has published them already, or they are skipped.

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
    /// Returns the outcome of a period without remaining work. If this load published it
    /// before the load was resumed, or before an answer was lost, that is the outcome;
    /// otherwise the period is skipped.
    pub(super) async fn settled(
        &self,
        asked: &AskedPeriod,
        remaining: &Remaining,
        record: Option<&PeriodRecord>,
    ) -> Result<PeriodOutcome, WorkError> {
        let is_ours =
            |name: &String| attempt_of_manifest(name).is_some_and(|of| load_of(of) == self.id);
        let mut next = record.and_then(|record| record.manifest.clone());
        // Each day of a daily load has its own manifest in the month.
        while let Some(name) = next.take().filter(is_ours) {
            let manifest: Manifest = match self.survey.work.get(&name).await {
                Ok(manifest) => manifest,
                // The sweep removed it because it is no longer current, so its outcome is
                // unknown.
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

    /// Returns true if there is nothing to load, to close or to finish.
    pub(super) fn is_settled(&self, asked: &AskedPeriod, remaining: &Remaining) -> bool {
        let record = self.survey.record(asked.period.month());
        let committed = |state| matches!(state, State::Publishing | State::Repairing);
        let unfinished = record.is_some_and(|record| committed(record.state));
        // The month may have ended after its days were closed. It is then complete without a
        // load.
        let (delay, now) = (self.request().terms.closing_delay(), self.survey.now);
        let completes = record.is_some_and(|record| {
            record.state == State::Done && !record.load_completed && record.is_complete(delay, now)
        });
        remaining.is_nothing() && !unfinished && !completes
    }
}

/// The outcome of a skipped period.
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

/// The outcome of a period that this load published before its process died.
fn published(period: &str, manifest: &Manifest) -> PeriodOutcome {
    let days = manifest.coverage.keys().copied().collect();
    let mut outcome = PeriodOutcome::new(period, days, PeriodState::Done, "published earlier");
    outcome.input = manifest.input;
    outcome.rows = manifest.ledger;
    outcome.reasons.clone_from(&manifest.reasons);
    outcome.left_out.clone_from(&manifest.left_out);
    let events = manifest.published();
    let events = events.filter(|object| object.kind == PartKind::Events);
    outcome.count_objects(events.map(|object| (object.class_uid, object.rows, object.bytes)));
    outcome
}
