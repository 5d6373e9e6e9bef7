//! Days with new objects, while objects that gave them rows are gone. Reads only the new objects.
//! If they hold rows of such a day, nobody can know whether these are the rows of the objects
//! that are gone. The published day is kept and marked as rewritten, unless `--on-vanished add`
//! publishes the new rows beside it.

use std::collections::{BTreeMap, BTreeSet};

use plans::scan::split::InputObject;

use super::attempt::{Attempt, Written as AttemptWritten};
use super::frame::PeriodRun;
use super::owed;
use super::period::Decision;
use crate::decide::coverage::{DayChange, ReadObject};
use crate::input::identity;
use crate::input::inventory::Reach;
use crate::load::days::Day;
use crate::load::failure::Failure;
use crate::load::outcome::{PeriodOutcome, PeriodState};
use crate::load::terms::OnVanished;
use crate::publish::commit::Publisher;
use crate::publish::lease::Lease;
use crate::publish::lists::ListedObject;
use crate::publish::manifest::{Manifest, Written};
use crate::status::{DayCoverage, Rewritten};

/// The verdict on each checked day.
#[derive(Debug, Default)]
struct Verdicts {
    /// The new objects gave it no row.
    kept: BTreeSet<Day>,
    /// The rows of the new objects are published beside the others.
    added: BTreeSet<Day>,
    rewritten: BTreeMap<Day, Rewritten>,
}

impl PeriodRun<'_> {
    /// Reads the new objects of days to check, and publishes the verdict.
    pub(super) async fn check_days(
        &self,
        lease: &Lease,
        publisher: &Publisher,
        decision: &Decision,
        days: BTreeSet<Day>,
    ) -> Result<(PeriodOutcome, Manifest), Failure> {
        let record = self.running(lease).await?;
        let inventory = self.inventory(decision);
        let reach = Reach::same(self.load.survey.margin());
        let objects = inventory.to_read(&days, &reach);
        let objects = new_objects(decision, &days, objects);
        let attempt = Attempt::new(self.load, self.asked, inventory, days, &record);
        let written = attempt.write_objects(objects);
        let mut written = self.until_stopped(lease, written).await?;
        self.check_quarantine(&written.collected)?;
        let verdicts = self.verdicts(decision, &attempt.days, &written);
        let unpublished = &attempt.days - &verdicts.added;
        written.collected.give_up(&unpublished);
        let others = owed::debts(&attempt.days, &written.objects);
        let other_days = owed::days(&others);
        self.settle(lease, others).await?;
        let listed = &verdicts.kept | &verdicts.added;
        let list = match listed.is_empty() {
            true => None,
            false => {
                let objects = described(decision, &listed, &written.objects);
                Some(self.put_list(&attempt, objects).await?)
            }
        };
        let manifest = Written {
            asked: self.asked.days.clone(),
            noted: self.noted(decision, &attempt, &written, &verdicts),
            listed,
            list,
            other_days,
            ..self.written(&attempt.name, &written.collected)
        };
        let manifest = Manifest::of(manifest, decision.known.base());
        let window = self.publish(publisher, lease, &manifest).await?;
        let mut done = self.done(&verdicts.added, &written.collected, window);
        done.reason = verdicts.reason();
        if verdicts.added.is_empty() {
            done.state = PeriodState::Skipped;
            done.days = attempt.days.iter().copied().collect();
        }
        Ok((done, manifest))
    }

    fn verdicts(
        &self,
        decision: &Decision,
        days: &BTreeSet<Day>,
        written: &AttemptWritten,
    ) -> Verdicts {
        let adds = self.load.request().terms.on_vanished == OnVanished::Add;
        let mut verdicts = Verdicts::default();
        for day in days {
            let Some(change) = decision.known.changes.of_day.get(day) else {
                continue;
            };
            match change.given(*day, &written.objects) {
                (_, 0) if change.superseded_rows == 0 => {
                    verdicts.kept.insert(*day);
                }
                // The rows of a version that was replaced are published among the others, so
                // nothing can be added to them.
                _ if adds && change.superseded_rows == 0 => {
                    verdicts.added.insert(*day);
                }
                given => {
                    let rewritten = self.rewritten(decision, *day, change, given);
                    verdicts.rewritten.insert(*day, rewritten);
                }
            }
        }
        verdicts
    }

    fn rewritten(
        &self,
        decision: &Decision,
        day: Day,
        change: &DayChange,
        (new_objects, new_rows): (u64, u64),
    ) -> Rewritten {
        let covered = decision.known.record.as_ref();
        let covered = covered.and_then(|record| record.covered_days.get(&day));
        let inventory = self.inventory(decision);
        let digest = covered.map(|covered| self.digest(inventory, day, covered));
        let gone = change.gone.keys().take(3).cloned().collect::<Vec<_>>();
        self.load.warn(format!(
            "{day} was rewritten: {new_rows} rows of {new_objects} new objects are not published, \
             because {} objects that gave it {} rows are gone: {}",
            change.gone.len(),
            change.gone_rows(),
            gone.join(", ")
        ));
        Rewritten {
            gone_objects: change.gone.len() as u64,
            gone_rows: change.gone_rows(),
            new_objects,
            new_rows,
            input_digest: digest.unwrap_or_default(),
        }
    }

    /// The coverage of the checked days.
    fn noted(
        &self,
        decision: &Decision,
        attempt: &Attempt,
        written: &AttemptWritten,
        verdicts: &Verdicts,
    ) -> BTreeMap<Day, DayCoverage> {
        let now = self.coverage(attempt, written);
        let mut noted = self.unchanged(decision, now);
        let record = decision.known.record.as_ref();
        for (day, coverage) in &mut noted {
            let before = record.and_then(|record| record.covered_days.get(day));
            // The objects that are not read again may be the damaged ones.
            let broken = before.and_then(|before| before.broken);
            coverage.broken = coverage.broken.or(broken);
            if let (Some(before), Some(rewritten)) = (before, verdicts.rewritten.get(day)) {
                *coverage = DayCoverage {
                    rewritten: Some(rewritten.clone()),
                    ..before.clone()
                };
            }
        }
        noted
    }
}

impl Verdicts {
    fn reason(&self) -> String {
        let parts = [
            (
                self.added.len(),
                "new rows added beside those of vanished objects",
            ),
            (self.rewritten.len(), "covered, but its input was rewritten"),
            (self.kept.len(), "new objects without rows of the day"),
        ];
        let parts = parts.iter().filter(|(days, _)| *days > 0);
        let parts = parts.map(|(days, what)| format!("{what}: {days}"));
        parts.collect::<Vec<_>>().join(", ")
    }
}

/// The new objects and versions of the days to check.
fn new_objects(
    decision: &Decision,
    days: &BTreeSet<Day>,
    objects: impl Iterator<Item = InputObject>,
) -> Vec<InputObject> {
    let changes = &decision.known.changes;
    let of_days = days.iter().filter_map(|day| changes.of_day.get(day));
    let new: BTreeSet<&String> = of_days.flat_map(|change| &change.new).collect();
    objects
        .filter(|object| new.contains(&identity::uri(object)))
        .collect()
}

/// The list of the objects that the days were made of: those of their lists that still count,
/// and the new ones.
fn described(decision: &Decision, days: &BTreeSet<Day>, read: &[ReadObject]) -> Vec<ListedObject> {
    let changes = &decision.known.changes;
    let mut objects: BTreeMap<(String, u64), ListedObject> = BTreeMap::new();
    for day in days {
        let Some(compared) = changes.comparison(*day) else {
            continue;
        };
        for kept in compared.kept(*day) {
            let key = (kept.uri.clone(), kept.identity.version);
            let known = objects.entry(key).or_insert_with(|| ListedObject {
                // Each of the days has its own list, which knows the object's rows of that day.
                rows: others(kept, days),
                ..kept.clone()
            });
            let rows = kept.rows_of(*day);
            if rows > 0 {
                known.rows.push((*day, rows));
            }
        }
    }
    for object in read.iter().map(ReadObject::listed) {
        objects.insert((object.uri.clone(), object.identity.version), object);
    }
    objects.into_values().collect()
}

fn others(object: &ListedObject, days: &BTreeSet<Day>) -> Vec<(Day, u64)> {
    let rows = object.rows.iter();
    rows.filter(|(day, _)| !days.contains(day))
        .copied()
        .collect()
}
