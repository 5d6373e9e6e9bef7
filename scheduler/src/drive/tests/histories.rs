//! Random histories of a dataset, against a model that knows where each record must be.
//!
//! Objects appear, with and without a date, are renamed, grow, are merged and expire. Loads of ranges, open loads and
//! daily loads run between, with full loads, replays, other margins, dying and concurrent
//! drivers. After each load:
//!
//! - no record is in the lake and the quarantine more than once;
//! - after exit code 0, no day that was asked for lacks a record of an object that exists;
//! - otherwise each such day is named as owed, rewritten or broken, or its period failed.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::fakes::{Dying, Engine, Fault, World};
use crate::load::days::Day;
use crate::load::outcome::{Outcome, PeriodState};
use crate::load::terms::{LoadRequest, OnStale, OnVanished, Range};

/// Histories that every run of the tests drives.
const ROUNDS: u64 = 200;
const THREADS: u64 = 2;
const STEPS: u64 = 14;

thread_local! {
    /// Seconds since the beginning of the history.
    static ELAPSED: Cell<i64> = const { Cell::new(0) };
}

fn clock() -> DateTime<Utc> {
    let noon: DateTime<Utc> = "2024-03-20T12:00:00Z".parse().unwrap();
    noon + chrono::TimeDelta::seconds(ELAPSED.get())
}

fn first() -> Day {
    "2024-02-27".parse().unwrap()
}

fn last() -> Day {
    "2024-03-04".parse().unwrap()
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }

    fn day(&mut self) -> Day {
        first().plus(self.below(7) as i32)
    }

    fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }
}

/// A record: the day of its time, and its id. A record without a time is garbage.
#[derive(Clone)]
struct Record {
    time: Option<Day>,
    id: u64,
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let time = self
            .time
            .map_or("garbage".to_owned(), |day| day.to_string());
        write!(f, "r{} {time}", self.id)
    }
}

impl Record {
    fn line(&self) -> String {
        match self.time {
            Some(day) => format!("{day} r{}\n", self.id),
            None => format!("garbage without a time r{}\n", self.id),
        }
    }

    /// The model: the day that must account for the record. Objects without a date have no
    /// garbage here: it belongs to the day that took it first.
    fn owner(&self, object: Option<Day>, margin: u32) -> Option<Day> {
        let Some(object) = object else {
            return self.time;
        };
        let near = |day: &Day| day.0.abs_diff(object.0) <= margin;
        Some(self.time.filter(near).unwrap_or(object))
    }
}

/// An object that exists: the day in its path, if it names one, and its records.
#[derive(Clone, Debug)]
struct Object {
    day: Option<Day>,
    records: Vec<Record>,
}

struct History {
    seed: u64,
    random: Random,
    world: World,
    objects: BTreeMap<String, Object>,
    next: u64,
    /// Whether loads with another margin took part: a record's owner then depends on the order.
    other_margins: bool,
    log: Vec<String>,
}

impl History {
    fn new(seed: u64) -> Self {
        ELAPSED.set(0);
        let world = World::in_memory();
        fs::create_dir_all(world.path("input")).unwrap();
        Self {
            seed,
            random: Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            world,
            objects: BTreeMap::new(),
            next: 0,
            other_margins: false,
            log: Vec::new(),
        }
    }

    async fn drive(mut self) {
        for _ in 0..STEPS {
            ELAPSED.set(ELAPSED.get() + 3600);
            match self.random.below(10) {
                0..=2 => self.appear(),
                3 => self.changed(),
                4 => self.merge(),
                _ => Box::pin(self.load()).await,
            }
        }
    }

    /// Records around a day.
    fn records(&mut self, day: Option<Day>) -> Vec<Record> {
        let has_garbage = day.is_some();
        let day = day.unwrap_or_else(|| self.random.day());
        let count = 1 + self.random.below(4);
        let record = |_| {
            self.next += 1;
            let away = self.random.below(5) as i32 - 2;
            let is_garbage = has_garbage && self.random.one_in(9);
            Record {
                time: (!is_garbage).then(|| day.plus(away)),
                id: self.next,
            }
        };
        (0..count).map(record).collect()
    }

    fn name(&mut self) -> String {
        self.next += 1;
        format!("{}.log", self.next)
    }

    fn appear(&mut self) {
        let (day, name) = (self.random.day(), self.name());
        let day = (!self.random.one_in(5)).then_some(day);
        let records = self.records(day);
        self.log
            .push(format!("{name} of {day:?} appears: {records:?}"));
        self.write(&name, Object { day, records });
    }

    fn path(&self, name: &str, day: Option<Day>) -> PathBuf {
        let Some(day) = day else {
            return self.world.path(&format!("input/rotated/{name}"));
        };
        let folder = "input/AWSLogs/123456789012/vpcflowlogs/us-east-1";
        let day = day.to_string().replace('-', "/");
        self.world.path(&format!("{folder}/{day}/{name}"))
    }

    /// Writes an object. Each version has its own modification time.
    fn write(&mut self, name: &str, object: Object) {
        let path = self.path(name, object.day);
        let lines: Vec<String> = object.records.iter().map(Record::line).collect();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, lines.concat()).unwrap();
        self.next += 1;
        let modified = std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + self.next);
        let file = fs::File::options().append(true).open(&path).unwrap();
        file.set_modified(modified).unwrap();
        self.objects.insert(name.to_owned(), object);
    }

    fn remove(&mut self, name: &str) -> Object {
        let object = self.objects.remove(name).unwrap();
        fs::remove_file(self.path(name, object.day)).unwrap();
        object
    }

    fn any(&mut self) -> Option<String> {
        let names: Vec<String> = self.objects.keys().cloned().collect();
        let index = self.random.below(names.len().max(1) as u64);
        names.into_iter().nth(index as usize)
    }

    /// An object is renamed, grows, shrinks or expires.
    fn changed(&mut self) {
        let Some(name) = self.any() else { return };
        let mut object = self.objects[&name].clone();
        match self.random.below(4) {
            0 => {
                let new = self.name();
                self.log.push(format!("{name} is renamed to {new}"));
                fs::rename(self.path(&name, object.day), self.path(&new, object.day)).unwrap();
                self.objects.remove(&name);
                self.objects.insert(new, object);
            }
            1 => {
                let more = self.records(object.day);
                self.log.push(format!("{name} grows by {more:?}"));
                object.records.extend(more);
                self.write(&name, object);
            }
            2 if object.records.len() > 1 => {
                self.log.push(format!("{name} shrinks"));
                object.records.pop();
                self.write(&name, object);
            }
            _ => {
                self.log.push(format!("{name} expires"));
                self.remove(&name);
            }
        }
    }

    /// The objects of a day are merged into one, perhaps with new records.
    fn merge(&mut self) {
        let Some(name) = self.any() else { return };
        let day = self.objects[&name].day;
        let of_day = |(_, object): &(&String, &Object)| object.day == day;
        let names: Vec<String> = self
            .objects
            .iter()
            .filter(of_day)
            .map(|(name, _)| name.clone())
            .collect();
        if names.len() < 2 {
            return;
        }
        let merged = names.iter().flat_map(|name| self.remove(name).records);
        let mut records: Vec<Record> = merged.collect();
        if self.random.one_in(2) {
            records.extend(self.records(day));
        }
        let name = self.name();
        self.log.push(format!("{names:?} are merged into {name}"));
        self.write(&name, Object { day, records });
    }

    fn request(&mut self) -> LoadRequest {
        let (from, to) = (self.random.day(), self.random.day());
        let (from, to) = (from.min(to), from.max(to));
        let mut request = self.world.request(&from.to_string(), &to.to_string());
        let terms = &mut request.terms;
        terms.max_quarantine = 100.0;
        terms.allow_empty = true;
        terms.wait = Duration::from_secs(20);
        match self.random.below(4) {
            0 | 1 => {}
            2 => terms.range = Range::Everything,
            _ => terms.range = Range::Daily(16 + self.random.below(8) as u32),
        }
        terms.full_load = self.random.one_in(6);
        if self.random.one_in(5) {
            terms.on_vanished = OnVanished::Replace;
        }
        if self.random.one_in(12) {
            terms.margin = 2;
            if self.random.one_in(2) {
                terms.on_stale = OnStale::Reload;
            }
            self.other_margins = true;
        }
        request
    }

    async fn load(&mut self) {
        let request = self.request();
        let terms = &request.terms;
        let kind = self.random.below(10);
        self.log.push(format!(
            "load {kind}: {:?} full {} {:?} margin {} {:?}",
            terms.range, terms.full_load, terms.on_vanished, terms.margin, terms.on_stale
        ));
        match kind {
            0 => self.dying(&request).await,
            1 => {
                let (mut request, mut other) = (request.clone(), self.request());
                // A margin that grows while another load runs is not part of the contract.
                for terms in [&mut request.terms, &mut other.terms] {
                    terms.margin = 1;
                    terms.on_stale = OnStale::Report;
                }
                let (one, two) = (
                    self.world.driver(&Engine::with(&[]), clock),
                    self.world.driver(&Engine::with(&[]), clock),
                );
                self.log.push(format!("and {:?}", other.terms));
                tokio::join!(one.run(&request), two.run(&other));
                self.check_once();
            }
            2 => {
                let outcome = self
                    .world
                    .driver(&Engine::with(&[]), clock)
                    .replay(&request)
                    .await;
                self.log.push(format!("replay: {}", shown(&outcome)));
                self.check_once();
            }
            _ => {
                let faults: &[Fault] = match self.random.below(6) {
                    0 => &[Fault::Twice],
                    1 => &[Fault::LosesPart],
                    2 => &[Fault::NoReceipt],
                    _ => &[],
                };
                let engine = Engine::with(faults);
                let outcome = self.world.driver(&engine, clock).run(&request).await;
                self.log.push(format!("{faults:?} {}", shown(&outcome)));
                self.check_once();
                self.check(&request, &outcome);
            }
        }
    }

    /// The driver dies at one of its writes.
    async fn dying(&mut self, request: &LoadRequest) {
        let (at, after) = (1 + self.random.below(14), self.random.one_in(2));
        let status = Dying::at(self.world.status.clone(), at, after);
        let driver = self
            .world
            .driver_on(status.clone(), &Engine::with(&[]), clock);
        let mut died = status.died.subscribe();
        tokio::select! {
            _ = driver.run(request) => self.log.push("it lives".to_owned()),
            _ = died.wait_for(|died| *died) => self.log.push(format!("it dies at write {at}, {after}")),
        }
    }

    fn fail(&self, what: &str) -> ! {
        panic!("seed {}: {what}\n{}", self.seed, self.log.join("\n"));
    }

    /// The ids of all records that readers of the lake and of the quarantine see.
    fn visible(&self) -> Vec<String> {
        let rejected = self.world.rejected().into_iter().map(|row| {
            let raw = String::from_utf8(row.raw.unwrap_or_default()).unwrap();
            raw.rsplit(' ').next().unwrap_or_default().to_owned()
        });
        self.world.rows().into_iter().chain(rejected).collect()
    }

    fn check_once(&self) {
        let mut seen = BTreeSet::new();
        for id in self.visible() {
            if !seen.insert(id.clone()) {
                self.fail(&format!("{id} is visible twice"));
            }
        }
    }

    fn asked(&self, range: Range) -> BTreeSet<Day> {
        let today = clock().date_naive().to_string().parse::<Day>().unwrap();
        match range {
            Range::Everything => first().plus(-9).to(last().plus(9)).collect(),
            Range::Between { from, to } => from.to(to).collect(),
            Range::Daily(days) | Range::LastDays(days) => {
                today.plus(-(days as i32)).to(today.plus(-1)).collect()
            }
        }
    }

    fn check(&self, request: &LoadRequest, outcome: &Outcome) {
        let asked = self.asked(request.terms.range);
        let visible: BTreeSet<String> = self.visible().into_iter().collect();
        let incomplete = &outcome.incomplete;
        let notes = [&incomplete.owed, &incomplete.rewritten, &incomplete.broken];
        let named: BTreeSet<Day> = notes.into_iter().flatten().map(|note| note.day).collect();
        let failed: BTreeSet<Day> = outcome
            .periods
            .iter()
            .filter(|period| period.state == PeriodState::Failed)
            .flat_map(|period| period.days.iter().copied())
            .collect();
        for (name, object) in &self.objects {
            for record in &object.records {
                let Some(owner) = record.owner(object.day, request.terms.margin) else {
                    continue;
                };
                // With other margins, the days that the margins choose from must be asked for.
                let both = record
                    .time
                    .iter()
                    .chain(&object.day)
                    .all(|day| asked.contains(day));
                let either = self.other_margins && !both;
                if either || !asked.contains(&owner) || visible.contains(&format!("r{}", record.id))
                {
                    continue;
                }
                // The margin that the object's day was loaded with decides, not the request's.
                let mut owners = vec![owner];
                if self.other_margins {
                    owners.extend(record.time.iter().chain(&object.day));
                }
                let is_named = owners.iter().any(|day| named.contains(day));
                if outcome.exit_code == 0 && !(self.other_margins && is_named) {
                    self.fail(&format!("{record:?} of {name} is missing on {owner}"));
                }
                let has_failed = owners.iter().any(|day| failed.contains(day));
                if outcome.error.is_none() && !is_named && !has_failed {
                    self.fail(&format!(
                        "{owner} lacks {record:?} of {name} and is not named"
                    ));
                }
            }
        }
    }
}

/// An outcome in a line.
fn shown(outcome: &Outcome) -> String {
    let period = |period: &crate::load::outcome::PeriodOutcome| {
        let days: Vec<_> = period.days.iter().map(Day::to_string).collect();
        format!(
            "{} {:?} {} ({})",
            period.period,
            period.state,
            days.join(" "),
            period.reason
        )
    };
    let periods: Vec<_> = outcome.periods.iter().map(period).collect();
    let days = |notes: &[crate::load::outcome::DayNote]| {
        let days: Vec<_> = notes.iter().map(|note| note.day.to_string()).collect();
        days.join(" ")
    };
    format!(
        "exit {} [{}] owed [{}] rewritten [{}] not loaded [{}] {:?}",
        outcome.exit_code,
        periods.join("; "),
        days(&outcome.incomplete.owed),
        days(&outcome.incomplete.rewritten),
        days(&outcome.not_loaded),
        outcome.error,
    )
}

fn drive(seeds: impl Iterator<Item = u64>) {
    for seed in seeds {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.unwrap();
        runtime.block_on(History::new(seed).drive());
    }
}

fn histories(rounds: u64) {
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || drive((1..=rounds).filter(|seed| seed % THREADS == thread)));
        }
    });
}

#[test]
fn every_record_has_one_fate_in_random_histories() {
    histories(ROUNDS);
}

#[test]
#[ignore = "takes ten minutes; a failed history prints its seed"]
fn many_more_histories() {
    histories(2000);
}
