//! The content of a period: every live object by day, and the changes that one attempt makes.
//! Pure data; `commit` stores and executes it.

use std::collections::{BTreeMap, BTreeSet};

use plans::lake::manifest_name;
use plans::receipt::{Ledger, Part, PartKind};
use plans::storage::parts::PartHandle;
use serde::{Deserialize, Serialize};

use crate::load::days::{Day, Moment, Month};
use crate::load::outcome::Volume;
use crate::status::DayCoverage;

/// The version of the manifest format that this program writes.
pub const SCHEMA_VERSION: u32 = 1;

/// Everything needed to publish an attempt, also for a process that takes over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub schema_version: u32,
    pub dataset: String,
    pub period: Month,
    pub load_id: String,
    /// The name of the attempt that wrote the manifest and its work files.
    pub attempt: String,
    pub nonce: String,
    pub created_at: Moment,
    pub target: String,
    /// The name of the manifest that this one replaces.
    pub previous: Option<String>,
    /// The inputs that were read. A load of another input is detected by them.
    pub inputs: Vec<String>,
    /// The day of the dataset that owns rows of undated objects whose time cannot be read. It
    /// is the same in every manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undated_day: Option<Day>,
    /// The days of the period that the load requested.
    pub asked: BTreeSet<Day>,
    /// Days that were covered while still open and have closed since without new input.
    pub closes: BTreeSet<Day>,
    /// Seconds between the end of a day and its closing.
    pub closing_delay: u64,
    /// The coverage of the days that this attempt loaded.
    pub coverage: BTreeMap<Day, DayCoverage>,
    /// The coverage of days whose published objects are kept: objects were read for them that
    /// gave them no row, or whose rows are published beside the others, or cannot be.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub noted: BTreeMap<Day, DayCoverage>,
    /// The list of the objects that each covered day was made of, by its name in the work area.
    /// Days that an older version loaded have none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lists: BTreeMap<Day, String>,
    /// Every live object of the period, including those of days that were not loaded.
    pub objects: BTreeMap<Day, Vec<LiveObject>>,
    /// Unpublished parts to make visible.
    pub added: Vec<PartHandle>,
    /// URIs of objects to delete.
    pub removed: BTreeSet<String>,
    /// Unpublished parts from other runs of the same splits, to be discarded.
    pub losers: Vec<PartHandle>,
    /// The input that this attempt read.
    #[serde(default)]
    pub input: Volume,
    /// The row counts of this attempt.
    pub ledger: Ledger,
    pub reasons: BTreeMap<String, u64>,
    /// Optional objects that the events of this attempt lack since OCSF would refuse them, by
    /// dotted attribute.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out: BTreeMap<String, u64>,
    /// The attempts that wrote the live days.
    pub contributions: Vec<Contribution>,
    /// Days whose parts were lost during publishing. The next attempt must load them again
    /// before the objects in `removed` may be deleted.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub repair: BTreeSet<Day>,
}

/// A published object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LiveObject {
    pub uri: String,
    pub kind: PartKind,
    pub rows: u64,
    pub bytes: u64,
    pub class_uid: u32,
    pub region: String,
    pub account: String,
    pub day: Day,
    pub min_time: i64,
    pub max_time: i64,
}

/// The ledger of an attempt. It counts as long as one of its days is live.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contribution {
    pub attempt: String,
    pub days: BTreeSet<Day>,
    pub ledger: Ledger,
    /// Days that the attempt did not load, but has read rows of.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub other_days: BTreeSet<Day>,
}

/// The result of an attempt, from which its manifest is made.
#[derive(Clone, Debug)]
pub struct Written {
    pub dataset: String,
    pub period: Month,
    pub load_id: String,
    pub attempt: String,
    pub nonce: String,
    pub now: Moment,
    pub target: String,
    pub inputs: Vec<String>,
    pub undated_day: Day,
    pub asked: BTreeSet<Day>,
    pub closes: BTreeSet<Day>,
    pub closing_delay: u64,
    pub coverage: BTreeMap<Day, DayCoverage>,
    pub noted: BTreeMap<Day, DayCoverage>,
    /// The days that the attempt's list of objects describes, and its name.
    pub listed: BTreeSet<Day>,
    pub list: Option<String>,
    pub other_days: BTreeSet<Day>,
    pub parts: Vec<Part>,
    pub losers: Vec<PartHandle>,
    pub input: Volume,
    pub ledger: Ledger,
    pub reasons: BTreeMap<String, u64>,
    pub left_out: BTreeMap<String, u64>,
}

impl Manifest {
    /// Creates the manifest that replaces the loaded days of `base` with the written parts.
    pub fn of(written: Written, base: Option<(&str, &Manifest)>) -> Self {
        let days: BTreeSet<Day> = written.coverage.keys().copied().collect();
        let previous = base.map(|(_, manifest)| manifest);
        let contributions = contributions(previous, &days, &written);
        let lists = lists(previous, &written);
        let mut losers = written.losers;
        losers.extend(previous.map(Self::stranded).unwrap_or_default());
        Self {
            schema_version: SCHEMA_VERSION,
            dataset: written.dataset,
            period: written.period,
            load_id: written.load_id,
            nonce: written.nonce,
            created_at: written.now,
            target: written.target,
            previous: base.map(|(name, _)| name.to_owned()),
            inputs: written.inputs,
            undated_day: Some(written.undated_day),
            asked: written.asked,
            closes: written.closes,
            closing_delay: written.closing_delay,
            coverage: written.coverage,
            noted: written.noted,
            lists,
            objects: objects(previous, &days, &written.parts),
            added: written.parts.into_iter().map(|part| part.handle).collect(),
            removed: removed(previous, &days),
            losers,
            input: written.input,
            ledger: written.ledger,
            reasons: written.reasons,
            left_out: written.left_out,
            contributions,
            attempt: written.attempt,
            repair: BTreeSet::new(),
        }
    }

    /// Returns the objects that this attempt makes visible.
    pub fn published(&self) -> impl Iterator<Item = &LiveObject> {
        let added: BTreeSet<&str> = self.added.iter().map(|part| part.uri.as_str()).collect();
        let live = self.objects.values().flatten();
        live.filter(move |object| added.contains(object.uri.as_str()))
    }

    /// Creates the manifest of a replay. It keeps everything except the quarantine objects in
    /// `replaced`, which held the `rows` rows that were mapped again.
    pub fn replayed(
        written: Written,
        base: (&str, &Manifest),
        replaced: BTreeSet<String>,
        rows: u64,
    ) -> Self {
        let (_, before) = base;
        let days: BTreeSet<Day> = written.parts.iter().map(|part| Day(part.day)).collect();
        let mut objects = before.objects.clone();
        for of_day in objects.values_mut() {
            of_day.retain(|object| !replaced.contains(&object.uri));
        }
        for part in &written.parts {
            let of_day = objects.entry(Day(part.day)).or_default();
            of_day.push(LiveObject::of(part));
        }
        let mut contributions = without_quarantined(&before.contributions, rows);
        contributions.push(Contribution {
            attempt: written.attempt.clone(),
            days,
            ledger: written.ledger,
            other_days: BTreeSet::new(),
        });
        Self {
            objects,
            contributions,
            removed: replaced,
            ..Self::of(written, Some(base))
        }
    }

    /// Creates the manifest that follows this one when some of its parts were lost. It deletes
    /// nothing: readers keep the old objects until the lost days are loaded again.
    pub fn broken(&self, own_name: &str, attempt: String, now: Moment) -> Self {
        let repair: BTreeSet<Day> = self.coverage.keys().copied().collect();
        let mut removed = self.removed.clone();
        removed.extend(self.added.iter().map(|part| part.uri.clone()));
        let mut objects = self.objects.clone();
        objects.retain(|day, _| !repair.contains(day));
        Self {
            attempt,
            created_at: now,
            previous: Some(own_name.to_owned()),
            coverage: BTreeMap::new(),
            noted: BTreeMap::new(),
            objects,
            removed,
            input: Volume::default(),
            ledger: Ledger::default(),
            reasons: BTreeMap::new(),
            left_out: BTreeMap::new(),
            contributions: without(&self.contributions, &repair),
            repair,
            ..self.clone()
        }
    }

    /// Restores `previous` after parts of this manifest were lost. Only for replays: they load
    /// no day, and the objects that they replace still exist.
    pub fn undone(&self, previous: Self, attempt: String, now: Moment) -> Self {
        Self {
            attempt,
            created_at: now,
            previous: Some(self.name()),
            coverage: BTreeMap::new(),
            noted: BTreeMap::new(),
            closes: BTreeSet::new(),
            added: Vec::new(),
            removed: self.added.iter().map(|part| part.uri.clone()).collect(),
            losers: self.added.iter().chain(&self.losers).cloned().collect(),
            input: Volume::default(),
            ledger: Ledger::default(),
            reasons: BTreeMap::new(),
            left_out: BTreeMap::new(),
            ..previous
        }
    }

    /// Returns the manifest's name in the work area.
    pub fn name(&self) -> String {
        manifest_name(&self.dataset, self.period, &self.attempt)
    }

    /// Returns all live objects of the period.
    pub fn live(&self) -> impl Iterator<Item = &LiveObject> {
        self.objects.values().flatten()
    }

    /// Returns the number and total size of the live event objects.
    pub fn totals(&self) -> (u64, u64) {
        let events = self.live().filter(|object| object.kind == PartKind::Events);
        events.fold((0, 0), |(count, bytes), object| {
            (count + 1, bytes + object.bytes)
        })
    }

    /// Returns the sum of the ledgers of all attempts with live days.
    pub fn total_ledger(&self) -> Ledger {
        let mut total = Ledger::default();
        for contribution in &self.contributions {
            total += contribution.ledger;
        }
        total
    }

    /// Parts of a broken manifest that may still be unpublished.
    fn stranded(&self) -> Vec<PartHandle> {
        if self.repair.is_empty() {
            return Vec::new();
        }
        self.added.iter().chain(&self.losers).cloned().collect()
    }
}

impl LiveObject {
    fn of(part: &Part) -> Self {
        Self {
            uri: part.handle.uri.clone(),
            kind: part.kind,
            rows: part.rows,
            bytes: part.handle.size,
            class_uid: part.class_uid,
            region: part.region.clone(),
            account: part.account.clone(),
            day: Day(part.day),
            min_time: part.min_time,
            max_time: part.max_time,
        }
    }
}

fn objects(
    base: Option<&Manifest>,
    days: &BTreeSet<Day>,
    parts: &[Part],
) -> BTreeMap<Day, Vec<LiveObject>> {
    let mut objects = base.map(|base| base.objects.clone()).unwrap_or_default();
    objects.retain(|day, _| !days.contains(day));
    for part in parts {
        let of_day = objects.entry(Day(part.day)).or_default();
        of_day.push(LiveObject::of(part));
    }
    objects
}

fn removed(base: Option<&Manifest>, days: &BTreeSet<Day>) -> BTreeSet<String> {
    let Some(base) = base else {
        return BTreeSet::new();
    };
    let replaced = base.live().filter(|object| days.contains(&object.day));
    let mut removed: BTreeSet<String> = replaced.map(|object| object.uri.clone()).collect();
    if base.repair.is_subset(days) && !base.repair.is_empty() {
        removed.extend(base.removed.iter().cloned());
    }
    removed
}

fn contributions(
    base: Option<&Manifest>,
    days: &BTreeSet<Day>,
    written: &Written,
) -> Vec<Contribution> {
    let mut all = without(base.map_or(&[], |base| &base.contributions), days);
    all.push(Contribution {
        attempt: written.attempt.clone(),
        days: days.iter().chain(written.noted.keys()).copied().collect(),
        ledger: written.ledger,
        other_days: written.other_days.clone(),
    });
    all
}

fn lists(base: Option<&Manifest>, written: &Written) -> BTreeMap<Day, String> {
    let mut lists = base.map(|base| base.lists.clone()).unwrap_or_default();
    for day in written.coverage.keys() {
        lists.remove(day);
    }
    if let Some(list) = &written.list {
        lists.extend(written.listed.iter().map(|day| (*day, list.clone())));
    }
    lists
}

/// Subtracts `rows` quarantined rows from the contributions: the replay counts them now.
fn without_quarantined(contributions: &[Contribution], mut rows: u64) -> Vec<Contribution> {
    let mut kept = contributions.to_vec();
    for contribution in &mut kept {
        let ledger = &mut contribution.ledger;
        let taken = rows.min(ledger.quarantined).min(ledger.read);
        ledger.quarantined -= taken;
        ledger.read -= taken;
        rows -= taken;
    }
    kept
}

/// Removes the days that are loaded again, and contributions without remaining days.
fn without(contributions: &[Contribution], days: &BTreeSet<Day>) -> Vec<Contribution> {
    let mut kept = contributions.to_vec();
    for contribution in &mut kept {
        contribution.days.retain(|day| !days.contains(day));
    }
    kept.retain(|contribution| !contribution.days.is_empty());
    kept
}
