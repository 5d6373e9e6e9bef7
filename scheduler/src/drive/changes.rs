//! Finds out how the input of covered days has changed: reads the lists of the objects that
//! they were made of, and compares them with the listing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures::{StreamExt, TryStreamExt, stream};

use super::survey::{Survey, SurveyedManifest};
use crate::decide::coverage;
use crate::decide::coverage::{Comparison, DayChange, Standing};
use crate::decide::remaining::{Remaining, SkipReason};
use crate::input::identity::Identity;
use crate::input::inventory::{Inventory, Reach};
use crate::load::days::Day;
use crate::load::failure::Failure;
use crate::publish::lists;
use crate::publish::lists::ListedObject;
use crate::publish::manifest::Manifest;
use crate::publish::work::{Work, WorkError};
use crate::status::{DayCoverage, PeriodRecord};

/// Lists that are read at once.
const AT_ONCE: usize = 4;

/// The changes of a set of days, and what they were found from.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    pub of_day: BTreeMap<Day, DayChange>,
    /// The objects that exist now and may hold rows of these days.
    pub standing: Vec<Standing>,
    /// The lists of the days, compared with these objects.
    comparisons: BTreeMap<String, Comparison>,
    list_of: BTreeMap<Day, String>,
}

impl Changes {
    /// The comparison of the list that a day refers to.
    pub fn comparison(&self, day: Day) -> Option<&Comparison> {
        self.comparisons.get(self.list_of.get(&day)?)
    }

    /// Groups days whose new objects can be read by one attempt. An object that is new to one
    /// day may have given rows to another before, which must not be written again.
    pub fn read_together(&self, days: &BTreeSet<Day>) -> Vec<BTreeSet<Day>> {
        coverage::read_together(days, &self.of_day, &self.standing)
    }

    /// Adds the changes of other days. Only the changes are kept, not their origin.
    pub fn extend(&mut self, other: Self) {
        self.of_day.extend(other.of_day);
    }
}

impl Survey<'_> {
    /// Compares the covered days of a period whose input differs from when they were loaded.
    pub async fn changes(
        &self,
        record: &PeriodRecord,
        manifest: &Manifest,
        inventory: &Inventory,
        days: &BTreeSet<Day>,
    ) -> Result<Changes, Failure> {
        let mut changes = Changes::default();
        for day in days {
            let coverage = record.covered_days.get(day);
            let list = manifest.lists.get(day);
            if let (Some(coverage), Some(list)) = (coverage, list)
                && self.may_have_changed(*day, coverage, inventory)
            {
                changes.list_of.insert(*day, list.clone());
            }
        }
        if changes.list_of.is_empty() {
            return Ok(changes);
        }
        let reach = self.reach(&BTreeSet::new(), Some(record));
        let widest = Reach::same(self.margin());
        let objects = inventory.to_read(changes.list_of.keys(), &widest);
        let standing = objects.map(|object| {
            let margin = reach.of(object.day.map(Day));
            Standing::new(&object, margin)
        });
        changes.standing = standing.collect();
        let names: BTreeSet<&String> = changes.list_of.values().collect();
        for name in names {
            let list = read(&self.work, name).await?;
            let compared = Comparison::of(list, &changes.standing);
            changes.comparisons.insert(name.clone(), compared);
        }
        for (day, list) in &changes.list_of {
            let change = changes.comparisons[list].change(*day, &changes.standing);
            changes.of_day.insert(*day, change);
        }
        Ok(changes)
    }

    /// Warnings about objects that gave rows to covered days and are gone.
    pub(super) fn vanished(&self, remaining: &[Remaining]) -> Vec<String> {
        let mut warnings = Vec::new();
        for remaining in remaining {
            for (day, change) in &self.changes.of_day {
                let is_replaced = remaining.load.contains_key(day);
                let is_kept = remaining.skip.get(day) == Some(&SkipReason::InputGone);
                if change.gone.is_empty() || !(is_replaced || is_kept) {
                    continue;
                }
                let (objects, rows) = (change.gone.len(), change.gone_rows());
                let names: Vec<_> = change.gone.keys().take(3).map(String::as_str).collect();
                let names = names.join(", ");
                warnings.push(match is_replaced {
                    true => format!(
                        "{day}: {rows} published rows came from {objects} objects that are gone \
                         ({names}); they are replaced by what exists now"
                    ),
                    false => format!(
                        "{day}: {objects} objects that gave it {rows} rows are gone ({names}); \
                         its published rows are kept"
                    ),
                });
            }
        }
        warnings
    }

    fn may_have_changed(&self, day: Day, coverage: &DayCoverage, inventory: &Inventory) -> bool {
        let margin = self.margin_of(Some(coverage));
        let found = inventory.digest(day, margin).to_string();
        let is_marked = coverage.owed.is_some() || coverage.rewritten.is_some();
        found != coverage.input_digest || is_marked || self.request.terms.full_load
    }

    /// The days that own rows without a readable time in undated objects that were read before,
    /// by the objects' URIs.
    pub(super) async fn fallback_days(
        &self,
        manifests: &[SurveyedManifest],
    ) -> Result<HashMap<String, Day>, Failure> {
        let mut by_version = HashMap::new();
        let mut by_content = HashMap::new();
        let mut undated = self.inventory.undated().peekable();
        if undated.peek().is_none() {
            return Ok(HashMap::new());
        }
        let mut days_of: BTreeMap<&String, BTreeSet<Day>> = BTreeMap::new();
        for surveyed in manifests {
            for (day, list) in &surveyed.manifest.lists {
                days_of.entry(list).or_default().insert(*day);
            }
        }
        for (list, days) in days_of {
            for object in read(&self.work, list).await? {
                let owner = object.fallback_day.filter(|day| days.contains(day));
                if let (None, Some(owner)) = (object.day, owner) {
                    by_content.insert(object.identity.content, owner);
                    by_version.insert((object.uri, object.identity.version), owner);
                }
            }
        }
        let known = undated.filter_map(|object| {
            let uri = crate::input::identity::uri(&object);
            let Identity { version, content } = Identity::of(&object);
            let known = by_version.get(&(uri.clone(), version));
            let known = known.or_else(|| by_content.get(&content));
            known.map(|day| (uri, *day))
        });
        Ok(known.collect())
    }
}

/// Reads a list of objects.
pub(super) async fn read(work: &Work, name: &str) -> Result<Vec<ListedObject>, Failure> {
    let bytes = work.get_bytes(name).await?;
    let decoded = tokio::task::spawn_blocking(move || {
        let mut objects = Vec::new();
        lists::decode(bytes, |object| objects.push(object)).map(|()| objects)
    });
    let decoded = decoded
        .await
        .map_err(|error| unreadable(work, name, &error))?;
    decoded.map_err(|error| unreadable(work, name, &error))
}

fn unreadable(work: &Work, name: &str, error: &dyn std::error::Error) -> Failure {
    let error = WorkError::Unreadable {
        uri: work.uri_of(name),
        what: error.to_string(),
    };
    error.into()
}

/// Reads the manifests that the records name, in the order of the records.
pub(super) async fn manifests(
    work: &Work,
    records: &[PeriodRecord],
) -> Result<Vec<SurveyedManifest>, Failure> {
    let reads: Vec<_> = records
        .iter()
        .map(|record| async move {
            let found = super::survey::manifest(work, record).await?;
            Ok::<_, Failure>(found.map(|(_, manifest)| SurveyedManifest {
                month: record.period,
                manifest,
            }))
        })
        .collect();
    let found: Vec<Option<SurveyedManifest>> = stream::iter(reads)
        .buffered(AT_ONCE * 8)
        .try_collect()
        .await?;
    Ok(found.into_iter().flatten().collect())
}
