//! Accounts for rows that were read, but belong to days that the attempt does not load.
//!
//! Such a row is either known to its day, because the day was loaded from the same object; or
//! its day is owed the row and marked so; or its day was never loaded, which is only counted.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tracing::info;

use super::changes;
use super::context::Load;
use super::frame::PeriodRun;
use super::survey;
use crate::decide::coverage::ReadObject;
use crate::input::identity::Identity;
use crate::load::days::{Day, Month};
use crate::load::failure::Failure;
use crate::publish::commit;
use crate::publish::lease::{Lease, LeaseClient};
use crate::publish::lists::ListedObject;
use crate::status::{Owed, PeriodRecord, State};

/// Rows of a day in an object that was read for other days.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Debt {
    day: Day,
    uri: String,
    identity: Identity,
    rows: u64,
}

/// The rows that an attempt has read of days that it does not load.
pub(super) fn debts(days: &BTreeSet<Day>, objects: &[ReadObject]) -> Vec<Debt> {
    let mut debts = Vec::new();
    for object in objects {
        let others = object.given.days.iter();
        for (day, rows) in others.filter(|(day, _)| !days.contains(&Day(*day))) {
            debts.push(Debt {
                day: Day(*day),
                uri: object.uri.clone(),
                identity: Identity::of(&object.object),
                rows: *rows,
            });
        }
    }
    debts
}

/// The days of `debts`.
pub(super) fn days(debts: &[Debt]) -> BTreeSet<Day> {
    debts.iter().map(|debt| debt.day).collect()
}

impl PeriodRun<'_> {
    /// Marks the days that are owed rows, before the rows' objects count as read. Days that
    /// this load works on itself are looked at when it ends.
    pub(super) async fn settle(&self, lease: &Lease, debts: Vec<Debt>) -> Result<(), Failure> {
        let own = self.asked.period.month();
        let of_load = |month| {
            let asked = self.load.survey.asked.iter();
            asked
                .map(|asked| asked.period.month())
                .any(|of| of == month)
        };
        for (month, debts) in by_month(debts) {
            let is_later = |debt: &Debt| match month == own {
                true => self.load.scheduled.contains(&debt.day),
                false => of_load(month),
            };
            let (later, now): (Vec<Debt>, Vec<Debt>) = debts.into_iter().partition(is_later);
            self.load.notes().deferred.extend(later);
            if month == own {
                let record = lease.record().await;
                let owed = self.load.owed(&record, now).await?;
                if !owed.is_empty() {
                    lease.change(|record| mark(record, &owed)).await?;
                }
            } else {
                self.load.settle_month(month, now).await?;
            }
        }
        Ok(())
    }
}

impl Load<'_> {
    /// Marks the days that are owed rows, of months that this load has worked on.
    pub(super) async fn settle_deferred(&self) -> Result<(), Failure> {
        let deferred = std::mem::take(&mut self.notes().deferred);
        for (month, debts) in by_month(deferred) {
            let settle = || self.settle_month(month, debts.clone());
            self.driver.patiently(settle).await?;
        }
        Ok(())
    }

    /// Marks days of a month whose lease this load does not hold.
    async fn settle_month(&self, month: Month, debts: Vec<Debt>) -> Result<(), Failure> {
        let (status, dataset) = (&self.driver.status, &self.survey.dataset);
        let Some(mut record) = status.get(dataset, month).await? else {
            self.count_not_loaded(debts);
            return Ok(());
        };
        if let Some((_, manifest)) = survey::manifest(&self.survey.work, &record).await? {
            commit::anticipate(&mut record, &manifest);
        }
        let owed = self.owed(&record, debts.clone()).await?;
        if owed.is_empty() {
            return Ok(());
        }
        let client = LeaseClient {
            wait: self.driver.timing.lease * 2,
            ..self.lease_client.clone()
        };
        let blank = PeriodRecord::new(dataset, month, &record.source_log_type);
        let lease = client.acquire(&blank).await?;
        self.remove_left_behind(&lease).await;
        if lease.record().await.state.is_committed() {
            let publisher = self.survey.publisher(self.driver.clock);
            publisher.finish(&lease).await?;
        }
        // Another load may have read the objects meanwhile.
        let owed = self.owed(&lease.record().await, debts).await?;
        let was_failed = lease
            .found()
            .is_some_and(|found| found.state == State::Failed);
        let marked = lease.release(|record| {
            mark(record, &owed);
            record.state = match &record.manifest {
                _ if was_failed => State::Failed,
                Some(_) => State::Done,
                None => State::Pending,
            };
        });
        Ok(marked.await?)
    }

    /// The covered days whose lists lack the objects of `debts`. Counts the rows of days that
    /// are not covered.
    async fn owed(
        &self,
        record: &PeriodRecord,
        debts: Vec<Debt>,
    ) -> Result<BTreeMap<Day, Owed>, Failure> {
        let covered = |debt: &Debt| record.covered_days.contains_key(&debt.day);
        let (debts, not_loaded): (Vec<_>, Vec<_>) = debts.into_iter().partition(covered);
        self.count_not_loaded(not_loaded);
        let mut owed: BTreeMap<Day, Owed> = BTreeMap::new();
        if debts.is_empty() {
            return Ok(owed);
        }
        let Some((_, manifest)) = survey::manifest(&self.survey.work, record).await? else {
            return Ok(owed);
        };
        let mut of_list: BTreeMap<&String, Vec<Debt>> = BTreeMap::new();
        for debt in debts {
            // Older versions kept no list: nobody knows what such a day was made of.
            if let Some(list) = manifest.lists.get(&debt.day) {
                of_list.entry(list).or_default().push(debt);
            }
        }
        for (list, debts) in of_list {
            let read = changes::read(&self.survey.work, list).await?;
            let read = Read::of(&read);
            for debt in debts {
                if !read.holds(&debt) {
                    let owed = owed.entry(debt.day).or_default();
                    owed.objects += 1;
                    owed.rows += debt.rows;
                }
            }
        }
        Ok(owed)
    }

    fn count_not_loaded(&self, debts: Vec<Debt>) {
        let mut notes = self.notes();
        for debt in debts {
            let of_day = notes.not_loaded.entry(debt.day).or_default();
            of_day.insert(debt.uri, debt.rows);
        }
    }
}

/// The objects of a list, to look debts up in.
struct Read<'a> {
    by_name: HashMap<(&'a str, u64), &'a ListedObject>,
    by_content: HashMap<u64, &'a ListedObject>,
}

impl<'a> Read<'a> {
    fn of(list: &'a [ListedObject]) -> Self {
        let by_name = list.iter();
        let by_name =
            by_name.map(|object| ((object.uri.as_str(), object.identity.version), object));
        let by_content = list.iter().map(|object| (object.identity.content, object));
        Self {
            by_name: by_name.collect(),
            by_content: by_content.collect(),
        }
    }

    /// Whether the debt's object was read for the debt's day.
    fn holds(&self, debt: &Debt) -> bool {
        let named = self
            .by_name
            .get(&(debt.uri.as_str(), debt.identity.version));
        let found = named.or_else(|| self.by_content.get(&debt.identity.content));
        found.is_some_and(|object| object.reaches(debt.day))
    }
}

fn by_month(debts: impl IntoIterator<Item = Debt>) -> BTreeMap<Month, Vec<Debt>> {
    let mut months: BTreeMap<Month, Vec<Debt>> = BTreeMap::new();
    for debt in debts {
        months.entry(debt.day.month()).or_default().push(debt);
    }
    months
}

/// Marks days as owed. The month is then not complete.
fn mark(record: &mut PeriodRecord, owed: &BTreeMap<Day, Owed>) {
    for (day, owed) in owed {
        let Some(coverage) = record.covered_days.get_mut(day) else {
            continue;
        };
        info!(%day, rows = owed.rows, "{day} is owed rows of objects that were not read for it");
        let before = coverage.owed.unwrap_or_default();
        coverage.owed = Some(Owed {
            objects: before.objects.max(owed.objects),
            rows: before.rows.max(owed.rows),
        });
        record.load_completed = false;
    }
}
