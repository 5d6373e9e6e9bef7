//! What a period consists of: every live object by day, and what one attempt adds
//! to it and removes from it. Pure; `publish` writes and executes it.

use std::collections::{BTreeMap, BTreeSet};

use plans::lake::manifest_name;
use plans::receipt::{Ledger, Part, PartKind};
use plans::storage::parts::PartHandle;
use serde::{Deserialize, Serialize};

use crate::load::days::{Day, Moment, Month};
use crate::load::outcome::Volume;
use crate::status::DayCoverage;

pub const SCHEMA_VERSION: u32 = 1;

/// Everything that has to be known to publish an attempt, also by who takes over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub schema_version: u32,
    pub dataset: String,
    pub period: Month,
    pub load_id: String,
    /// The attempt that wrote it, as its work files are named.
    pub attempt: String,
    pub nonce: String,
    pub created_at: Moment,
    pub target: String,
    /// The manifest that was in force before, by its name in the work area.
    pub previous: Option<String>,
    /// What was read, to notice another input.
    pub inputs: Vec<String>,
    /// The day of the dataset that owns rows of undated objects whose time cannot be read:
    /// the same in every manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undated_day: Option<Day>,
    /// The days of the period that the load asked for.
    pub asked: BTreeSet<Day>,
    /// Covered days that were open when they were loaded, had no new input since, and are over.
    pub closes: BTreeSet<Day>,
    /// Seconds after its end until a day is closed.
    pub closing_delay: u64,
    /// How the days that this attempt loaded are covered.
    pub coverage: BTreeMap<Day, DayCoverage>,
    /// Every live object of the period, those of other days carried over.
    pub objects: BTreeMap<Day, Vec<LiveObject>>,
    /// Unpublished parts that become visible.
    pub added: Vec<PartHandle>,
    /// URIs that disappear.
    pub removed: BTreeSet<String>,
    /// Unpublished parts that nobody needs: other tries of the same splits.
    pub losers: Vec<PartHandle>,
    /// What this attempt read.
    #[serde(default)]
    pub input: Volume,
    /// Of this attempt.
    pub ledger: Ledger,
    pub reasons: BTreeMap<String, u64>,
    /// Which attempts the live days came from.
    pub contributions: Vec<Contribution>,
    /// Days whose parts were lost while they were published: the next attempt has to
    /// load them again, and only then may `removed` disappear.
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

/// The ledger of an attempt, as long as one of its days is live.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contribution {
    pub attempt: String,
    pub days: BTreeSet<Day>,
    pub ledger: Ledger,
}

/// What an attempt wrote, and what it is called.
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
    pub parts: Vec<Part>,
    pub losers: Vec<PartHandle>,
    pub input: Volume,
    pub ledger: Ledger,
    pub reasons: BTreeMap<String, u64>,
}

impl Manifest {
    /// The manifest that replaces the loaded days of `base` with what was written.
    pub fn of(written: Written, base: Option<(&str, &Manifest)>) -> Self {
        let days: BTreeSet<Day> = written.coverage.keys().copied().collect();
        let previous = base.map(|(_, manifest)| manifest);
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
            objects: objects(previous, &days, &written.parts),
            added: written.parts.into_iter().map(|part| part.handle).collect(),
            removed: removed(previous, &days),
            losers,
            input: written.input,
            ledger: written.ledger,
            reasons: written.reasons,
            contributions: contributions(previous, &days, &written.attempt, written.ledger),
            attempt: written.attempt,
            repair: BTreeSet::new(),
        }
    }

    /// The objects that this attempt made visible.
    pub fn published(&self) -> impl Iterator<Item = &LiveObject> {
        let added: BTreeSet<&str> = self.added.iter().map(|part| part.uri.as_str()).collect();
        let live = self.objects.values().flatten();
        live.filter(move |object| added.contains(object.uri.as_str()))
    }

    /// The manifest after quarantined rows were read again: everything stays but the
    /// objects in `replaced`, which held `rows` of them.
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
        let mut contributions = taken_back(&before.contributions, rows);
        contributions.push(Contribution {
            attempt: written.attempt.clone(),
            days,
            ledger: written.ledger,
        });
        Self {
            objects,
            contributions,
            removed: replaced,
            ..Self::of(written, Some(base))
        }
    }

    /// What is left of this manifest after some of its parts were lost. Nothing that a
    /// reader may see goes away before the lost days have been loaded again.
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
            objects,
            removed,
            input: Volume::default(),
            ledger: Ledger::default(),
            reasons: BTreeMap::new(),
            contributions: without(&self.contributions, &repair),
            repair,
            ..self.clone()
        }
    }

    /// The manifest `previous` once more, after parts of this one, which loads no day (a
    /// replay), were lost: what this one was to replace is all there.
    pub fn undone(&self, previous: Self, attempt: String, now: Moment) -> Self {
        Self {
            attempt,
            created_at: now,
            previous: Some(self.name()),
            coverage: BTreeMap::new(),
            closes: BTreeSet::new(),
            added: Vec::new(),
            removed: self.added.iter().map(|part| part.uri.clone()).collect(),
            losers: self.added.iter().chain(&self.losers).cloned().collect(),
            input: Volume::default(),
            ledger: Ledger::default(),
            reasons: BTreeMap::new(),
            ..previous
        }
    }

    /// Its name in the work area.
    pub fn name(&self) -> String {
        manifest_name(&self.dataset, self.period, &self.attempt)
    }

    pub fn live(&self) -> impl Iterator<Item = &LiveObject> {
        self.objects.values().flatten()
    }

    /// Number and bytes of the live event objects.
    pub fn totals(&self) -> (u64, u64) {
        let events = self.live().filter(|object| object.kind == PartKind::Events);
        events.fold((0, 0), |(count, bytes), object| {
            (count + 1, bytes + object.bytes)
        })
    }

    /// The ledgers of all attempts that live days came from.
    pub fn total_ledger(&self) -> Ledger {
        let mut total = Ledger::default();
        for contribution in &self.contributions {
            total += contribution.ledger;
        }
        total
    }

    /// Parts of a broken manifest that may still lie unpublished.
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
    attempt: &str,
    ledger: Ledger,
) -> Vec<Contribution> {
    let mut all = without(base.map_or(&[], |base| &base.contributions), days);
    all.push(Contribution {
        attempt: attempt.to_owned(),
        days: days.clone(),
        ledger,
    });
    all
}

/// Contributions without `rows` of the rows that they quarantined, which count elsewhere now.
fn taken_back(contributions: &[Contribution], mut rows: u64) -> Vec<Contribution> {
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

/// Contributions without the days that are loaded again, and without those left empty.
fn without(contributions: &[Contribution], days: &BTreeSet<Day>) -> Vec<Contribution> {
    let mut kept = contributions.to_vec();
    for contribution in &mut kept {
        contribution.days.retain(|day| !days.contains(day));
    }
    kept.retain(|contribution| !contribution.days.is_empty());
    kept
}
