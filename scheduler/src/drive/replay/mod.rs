//! Maps quarantined rows again with the current mapping. Accepted rows are published with
//! their period's parts. The rest is quarantined again and keeps its origin.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use bytes::Bytes;
use object_store::ObjectStoreExt;
use plans::lake::{AttemptFiles, PartName, digest8, quarantine_folder};
use plans::receipt::{Ledger, Part, PartKind};
use plans::scan::split::{InputObject, Split};
use plans::sink::quarantine;
use plans::sink::quarantine::QuarantinedRow;
use plans::storage;
use plans::storage::parts::{PartHandle, Staged};
use plans::storage::{StoreFailure, parts};
use tracing::warn;

use super::attempt::Attempt;
use super::context::{Driver, Load, log};
use super::frame::PeriodRun;
use super::survey;
use super::survey::Survey;
use crate::load::dataset;
use crate::load::days::Day;
use crate::load::failure::{Failure, Kind};
use crate::load::notification::Notification;
use crate::load::outcome::{Outcome, PeriodOutcome, PeriodState};
use crate::load::range::{AskedPeriod, Period};
use crate::load::terms::LoadRequest;
use crate::publish::lease::Lease;
use crate::publish::manifest::{LiveObject, Manifest, Written};
use crate::publish::receipts::Collected;
use crate::status::{PeriodRecord, State};

mod origin;

use origin::{OriginError, Replayed};

/// The quarantined rows of a period, split into those to map again and those to keep.
#[derive(Debug, Default)]
struct Rows {
    /// The quarantine objects that held them.
    replaced: BTreeSet<String>,
    /// Rows to map again, by the day that owns them.
    replayed: BTreeMap<Day, Vec<Replayed>>,
    /// Rows without bytes, and rows whose object's header can no longer be read.
    kept: BTreeMap<Day, Vec<QuarantinedRow>>,
    count: u64,
}

impl Driver {
    /// Maps the dataset's quarantined rows again and publishes the accepted ones.
    pub async fn replay(&self, request: &LoadRequest) -> Outcome {
        let mut outcome = self.outcome_of(request);
        let replayed = self.replay_all(request, &mut outcome).await;
        self.concluded(outcome, replayed).await
    }

    async fn replay_all(
        &self,
        request: &LoadRequest,
        outcome: &mut Outcome,
    ) -> Result<(), Failure> {
        let (status, now) = (self.status.clone(), outcome.started_at);
        let survey = Survey::unlisted(request, status, &outcome.load_id, now).await?;
        self.begin(request, outcome).await?;
        let lease_client = self.lease_client(request, &outcome.load_id);
        let load = Load::new(self, lease_client, survey, BTreeSet::new());
        for record in &load.survey.records {
            let Some(period) = load.replay(record).await? else {
                continue;
            };
            log(&load.id, &period);
            load.report(&Notification::PeriodEnded(Box::new(period.clone())));
            outcome.periods.push(period);
        }
        Ok(())
    }
}

impl Load<'_> {
    /// Returns the period's outcome, or `None` if it has no quarantined rows.
    async fn replay(&self, record: &PeriodRecord) -> Result<Option<PeriodOutcome>, Failure> {
        let manifest = survey::manifest(&self.survey.work, record).await?;
        let Some((_, manifest)) = manifest else {
            return Ok(None);
        };
        if record.state != State::Publishing && quarantined(&manifest).next().is_none() {
            return Ok(None);
        }
        if self.driver.is_cancelled() {
            return Err(Failure::cancelled());
        }
        let asked = AskedPeriod {
            period: Period::Month(record.period),
            days: record.covered_days.keys().copied().collect(),
        };
        let started = Instant::now();
        let period = PeriodRun {
            load: self,
            asked: &asked,
        };
        let mut outcome = match Box::pin(period.acquired()).await {
            Ok(lease) => {
                let ended = Box::pin(Replay { period: &period }.run(&lease)).await;
                Box::pin(period.release(lease, ended)).await
            }
            Err(failure) => period.failed(failure),
        };
        outcome.attempts = 1;
        outcome.seconds = started.elapsed().as_secs_f64();
        Ok(Some(outcome))
    }
}

/// The replay of one period, run under its lease.
struct Replay<'a> {
    period: &'a PeriodRun<'a>,
}

impl Replay<'_> {
    async fn run(&self, lease: &Lease) -> Result<PeriodOutcome, Failure> {
        let publisher = self.survey().publisher(self.load().driver.clock);
        if lease.record().await.state.is_committed() {
            publisher.finish(lease).await?;
        }
        let record = lease.record().await;
        let found = survey::manifest(&self.survey().work, &record).await?;
        let Some((name, base)) = found.filter(|(_, base)| base.repair.is_empty()) else {
            return Err(unrepaired(&record));
        };
        let rows = self.rows(&base).await?;
        if rows.replayed.is_empty() {
            return Ok(self.nothing(&rows));
        }
        if record.state != State::Running {
            lease.next_attempt("").await?;
        }
        let record = lease.record().await;
        let attempt = self.attempt(&record, &rows);
        let mut splits = self.splits(&attempt, &rows).await?;
        let mut collected = self
            .period
            .until_stopped(lease, attempt.write_splits(&mut splits))
            .await?;
        refuse_strays(&collected)?;
        self.quarantine_again(&attempt, &rows, &mut collected)
            .await?;
        let written = Written {
            asked: record.asked_days.clone(),
            ..self.period.written(&attempt.name, &collected)
        };
        let replaced = rows.replaced.clone();
        let manifest = Manifest::replayed(written, (&name, &base), replaced, rows.count);
        let window = self.period.publish(&publisher, lease, &manifest).await?;
        let mut outcome = self.done(&rows, &collected);
        outcome.count(&collected.parts, window);
        Ok(outcome)
    }

    /// Reads the quarantine objects and groups their rows by day and origin.
    async fn rows(&self, base: &Manifest) -> Result<Rows, Failure> {
        let mut rows = Rows::default();
        let mut of_origin: BTreeMap<(Day, String), Vec<QuarantinedRow>> = BTreeMap::new();
        for object in quarantined(base) {
            rows.replaced.insert(object.uri.clone());
            for row in read(&object.uri).await? {
                let key = (object.day, row.object.clone());
                of_origin.entry(key).or_default().push(row);
            }
        }
        for ((day, object), all) in of_origin {
            self.sort(&mut rows, day, &object, all).await;
        }
        Ok(rows)
    }

    async fn sort(&self, rows: &mut Rows, day: Day, object: &str, all: Vec<QuarantinedRow>) {
        let request = self.load().request();
        let header = origin::header(object, &request.source.format, &request.source.program).await;
        let header = header.inspect_err(|error| {
            warn!("cannot read the rows of an object again: {error}");
        });
        let can_be_read = |row: &QuarantinedRow| header.is_ok() && is_whole(row);
        let (good, kept): (Vec<_>, Vec<_>) = all.into_iter().partition(can_be_read);
        if !kept.is_empty() {
            rows.kept.entry(day).or_default().extend(kept);
        }
        let Ok(header) = header else {
            return;
        };
        if !good.is_empty() {
            rows.count += good.len() as u64;
            let good: Vec<&QuarantinedRow> = good.iter().collect();
            let replayed = Replayed::of(object, header, &good, &self.survey().inputs);
            rows.replayed.entry(day).or_default().push(replayed);
        }
    }

    fn attempt(&self, record: &PeriodRecord, rows: &Rows) -> Attempt<'_> {
        let survey = self.survey();
        let days = record.covered_days.keys().copied().collect();
        let undated = rows.replayed.iter();
        let mut undated = undated.filter(|(_, of_day)| of_day.iter().any(|one| one.day.is_none()));
        let undated = undated.next().map(|(day, _)| *day);
        let mut attempt = Attempt::new(
            self.load(),
            self.period.asked,
            &survey.inventory,
            days,
            record,
        );
        attempt.undated_day = undated.unwrap_or(survey.undated_day);
        if !survey.work.is_local() {
            let rejected = AttemptFiles(&attempt.name).rejected();
            attempt.quarantine = survey.work.uri_of(&rejected);
        }
        attempt
    }

    /// Writes the raw rows as objects of the work area, one split per day.
    async fn splits(&self, attempt: &Attempt<'_>, rows: &Rows) -> Result<Vec<Split>, Failure> {
        let work = &self.survey().work;
        let store = storage::open(work.uri()).map_err(|error| {
            Failure::of(Kind::Usage, "work_area_unusable", &error, "check --work")
        })?;
        let mut splits = Vec::new();
        for (number, (_, of_day)) in rows.replayed.iter().enumerate() {
            let id = format!("{number:04}");
            let mut objects = Vec::new();
            for (index, replayed) in of_day.iter().enumerate() {
                let name = AttemptFiles(&attempt.name).replayed(&id, index);
                let text = Bytes::from(replayed.text.clone());
                work.put_bytes(&name, text).await?;
                objects.push(InputObject {
                    store: store.uri.clone(),
                    path: work.path(&name).to_string(),
                    size: replayed.text.len() as u64,
                    region: replayed.region.clone(),
                    account: replayed.account.clone(),
                    day: replayed.day.map(|day| day.0),
                    ..InputObject::default()
                });
            }
            splits.push(Split { id, objects });
        }
        Ok(splits)
    }

    /// Quarantines the rows that were rejected again or not read, with their original origin.
    async fn quarantine_again(
        &self,
        attempt: &Attempt<'_>,
        rows: &Rows,
        collected: &mut Collected,
    ) -> Result<(), Failure> {
        let origins = origins(attempt, rows);
        let mut again = rows.kept.clone();
        let parts = std::mem::take(&mut collected.parts);
        let (rejected, events): (Vec<Part>, Vec<Part>) = parts
            .into_iter()
            .partition(|part| part.kind == PartKind::Quarantine);
        collected.parts = events;
        for part in rejected {
            let read = self.rejected(&part.handle).await?.into_iter();
            let read = read.map(|row| with_origin(row, &origins));
            again.entry(Day(part.day)).or_default().extend(read);
            collected.losers.push(part.handle);
        }
        for (day, rejected) in again {
            let part = self.part(attempt, day, &rejected).await?;
            collected.parts.push(part);
        }
        Ok(())
    }

    /// Reads the quarantined rows of a part of this attempt. An upload cannot be read before
    /// it is completed, so such a part is first published in the work area, where readers do
    /// not see it.
    async fn rejected(&self, part: &PartHandle) -> Result<Vec<QuarantinedRow>, Failure> {
        match &part.staged {
            Staged::File { path } => read(path).await,
            Staged::Upload { .. } => {
                self.survey().part_store.complete(part).await?;
                read(&part.uri).await
            }
        }
    }

    async fn part(
        &self,
        attempt: &Attempt<'_>,
        day: Day,
        rejected: &[QuarantinedRow],
    ) -> Result<Part, Failure> {
        let request = self.load().request();
        let (folder, source) = (&request.terms.quarantine, &request.source.name);
        let bytes = quarantine::encode(rejected).map_err(|error| unreadable(folder, error))?;
        let name = PartName {
            quarantined: false,
            source,
            period: &self.period.asked.period.to_string(),
            day: day.0,
            digest8: &digest8(&attempt.name),
            number: PartName::REPLAY,
        };
        let uri = format!("{}/{}", quarantine_folder(folder, day.0), name.file());
        let staging = AttemptFiles(&attempt.name).staged_replay(day.0);
        let sink = parts::open(&uri, &request.terms.work, &dataset::access(request))?;
        let mut part = sink.writer.create(&uri, &staging).await?;
        part.write(bytes).await?;
        Ok(quarantine_part(part.finish().await?, day, rejected.len()))
    }

    fn done(&self, rows: &Rows, collected: &Collected) -> PeriodOutcome {
        let kept: usize = rows.kept.values().map(Vec::len).sum();
        let reason = format!("{} rows read again, {kept} could not be", rows.count);
        let mut outcome = self.outcome(PeriodState::Done, &reason);
        outcome.days = rows.replayed.keys().copied().collect();
        outcome.rows = collected.ledger;
        outcome.reasons.clone_from(&collected.reasons);
        outcome.input = collected.input;
        let left = collected.ledger.quarantined > 0 || kept > 0;
        outcome.quarantine = left.then(|| self.load().request().terms.quarantine.clone());
        outcome
    }

    fn nothing(&self, rows: &Rows) -> PeriodOutcome {
        let kept: usize = rows.kept.values().map(Vec::len).sum();
        let reason = format!("none of {kept} quarantined rows can be read again");
        self.outcome(PeriodState::Skipped, &reason)
    }

    fn outcome(&self, state: PeriodState, reason: &str) -> PeriodOutcome {
        let period = self.period.asked.period.to_string();
        PeriodOutcome::new(&period, Vec::new(), state, reason)
    }

    fn load(&self) -> &Load<'_> {
        self.period.load
    }

    fn survey(&self) -> &Survey<'_> {
        &self.period.load.survey
    }
}

fn quarantined(manifest: &Manifest) -> impl Iterator<Item = &LiveObject> {
    manifest
        .live()
        .filter(|object| object.kind == PartKind::Quarantine)
}

/// A row whose object ended too early may be cut off, and would then be read as another row.
fn is_whole(row: &QuarantinedRow) -> bool {
    row.raw.is_some() && !row.reason.starts_with("truncated")
}

async fn read(uri: &str) -> Result<Vec<QuarantinedRow>, Failure> {
    let object = storage::open(uri).map_err(|error| unreadable(uri, error))?;
    let bytes = async { object.store.get(&object.path).await?.bytes().await };
    let bytes = bytes
        .await
        .map_err(|error| unreadable(uri, StoreFailure::from(error)))?;
    let read = tokio::task::spawn_blocking(move || quarantine::read(bytes)).await;
    let read = read.map_err(|error| unreadable(uri, error))?;
    read.map_err(|error| unreadable(uri, error))
}

/// Maps the names in the work area to the replayed objects.
fn origins<'a>(attempt: &Attempt, rows: &'a Rows) -> BTreeMap<String, &'a Replayed> {
    let mut origins = BTreeMap::new();
    for (number, (_, of_day)) in rows.replayed.iter().enumerate() {
        for (index, replayed) in of_day.iter().enumerate() {
            let split = format!("{number:04}");
            let name = AttemptFiles(&attempt.name).replayed(&split, index);
            origins.insert(name, replayed);
        }
    }
    origins
}

/// Replaces the origin of a rejected row with its place in the original object.
fn with_origin(mut row: QuarantinedRow, origins: &BTreeMap<String, &Replayed>) -> QuarantinedRow {
    let mut found = origins.iter();
    let found = found.find(|(name, _)| row.object.ends_with(name.as_str()));
    if let Some((_, replayed)) = found {
        (row.line, row.offset) = replayed.origin(row.line);
        row.object.clone_from(&replayed.object);
    }
    row
}

fn quarantine_part(handle: PartHandle, day: Day, rows: usize) -> Part {
    Part {
        kind: PartKind::Quarantine,
        handle,
        rows: rows as u64,
        min_time: 0,
        max_time: 0,
        class_uid: 0,
        region: String::new(),
        account: String::new(),
        day: day.0,
    }
}

/// Fails if rows belong to another period. That period would not get them, so publishing would
/// lose them.
fn refuse_strays(collected: &Collected) -> Result<(), Failure> {
    let Ledger { other_period, .. } = collected.ledger;
    if other_period == 0 {
        return Ok(());
    }
    let message =
        format!("{other_period} rows belong to days that are not loaded, or to another period");
    let remedy = "load the days and their neighbours again with --full-load";
    Err(Failure::new(
        Kind::Work,
        "replay_elsewhere",
        message,
        remedy,
    ))
}

fn unrepaired(record: &PeriodRecord) -> Failure {
    let message = format!(
        "parts of {} are lost and must be loaded again first",
        record.period
    );
    Failure::new(
        Kind::Work,
        "parts_lost",
        message,
        "run the load again, then the replay",
    )
}

fn unreadable(uri: &str, error: impl Into<OriginError>) -> Failure {
    let message = format!(
        "{uri}: cannot be read or written as a quarantine object: {}",
        error.into()
    );
    let remedy = "load the days again with --full-load: it replaces their quarantine";
    Failure::new(Kind::Work, "quarantine_unreadable", message, remedy)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::drive::tests::fakes::{Dying, Engine, Fault, World, later, noon};
    use crate::load::dataset;
    use crate::status::StatusStore;

    /// Two days with rows that the engine cannot parse yet, and one row that it never will.
    async fn loaded() -> (World, LoadRequest) {
        let world = World::new();
        world.log("2024-02-01", "one.log", &["a"]);
        world.raw("2024-02-01", "two.log", "worse\nbad 2024-02-01 b\n");
        world.log("2024-02-02", "one.log", &["c"]);
        world.raw("2024-02-02", "two.log", "bad 2024-02-02 d\nworst\n");
        let mut request = world.request("2024-02-01", "2024-02-02");
        request.terms.max_quarantine = 100.0;
        assert_eq!(world.run(&request, &[]).await.exit_code, 0);
        assert_eq!((world.rows().len(), world.rejected().len()), (2, 4));
        (world, request)
    }

    fn fixed() -> Arc<Engine> {
        let engine = Engine::with(&[]);
        engine.accepts_bad.store(true, Ordering::Relaxed);
        engine
    }

    #[tokio::test]
    async fn fixed_rows_are_published_and_the_rest_keeps_its_origin() {
        let (world, request) = loaded().await;
        let before = world.files("lake/ext");
        let outcome = world.driver(&fixed(), noon).replay(&request).await;
        assert_eq!(outcome.exit_code, 0, "{outcome:?}");
        assert_eq!((outcome.rows.read, outcome.rows.written), (4, 2));
        assert_eq!(world.rows(), ["a", "b", "c", "d"]);
        assert!(before.iter().all(|path| path.exists()));
        let left = world.rejected();
        let lines: Vec<_> = left.iter().map(|row| row.line).collect();
        assert_eq!(lines, [1, 2]);
        assert!(left.iter().all(|row| row.object.ends_with("two.log")));
    }

    #[tokio::test]
    async fn a_replay_keeps_the_period_loaded_and_its_ledger_balanced() {
        let (world, request) = loaded().await;
        world.driver(&fixed(), noon).replay(&request).await;
        let dataset = dataset::id(&request);
        let record = &world.status.periods(&dataset).await.unwrap()[0];
        assert_eq!((record.state, record.covered_days.len()), (State::Done, 2));
        assert!(record.load_completed && record.ledger.adds_up());
        assert_eq!((record.ledger.written, record.ledger.quarantined), (4, 2));
        let again = world.run(&request, &[]).await;
        assert_eq!(again.periods[0].state, PeriodState::Skipped);
        let mut full = request.clone();
        full.terms.full_load = true;
        assert_eq!(world.run(&full, &[]).await.exit_code, 0);
        assert_eq!((world.rows().len(), world.rejected().len()), (2, 4));
    }

    #[tokio::test]
    async fn rows_whose_object_is_gone_are_kept() {
        let (world, request) = loaded().await;
        std::fs::remove_dir_all(world.path("input")).unwrap();
        let outcome = world.driver(&fixed(), noon).replay(&request).await;
        assert_eq!(outcome.exit_code, 0, "{outcome:?}");
        assert_eq!(outcome.periods[0].state, PeriodState::Skipped);
        assert_eq!((world.rows().len(), world.rejected().len()), (2, 4));
    }

    /// The days were loaded long ago and their input may be gone, so nothing is loaded again.
    #[tokio::test]
    async fn a_replay_with_lost_parts_is_undone_and_succeeds_later() {
        let (world, request) = loaded().await;
        let lossy = fixed();
        lossy.faults.lock().unwrap().push(Fault::LosesPart);
        let outcome = world.driver(&lossy, noon).replay(&request).await;
        assert_eq!(outcome.exit_code, 3, "{outcome:?}");
        assert_eq!((world.rows().len(), world.rejected().len()), (2, 4));
        let dataset = dataset::id(&request);
        let record = &world.status.periods(&dataset).await.unwrap()[0];
        assert_eq!((record.state, record.covered_days.len()), (State::Done, 2));
        assert!(record.load_completed && record.lease_owner.is_none());
        assert_eq!((record.ledger.written, record.ledger.quarantined), (2, 4));
        let again = world.run(&request, &[]).await;
        assert_eq!(again.periods[0].state, PeriodState::Skipped);
        let outcome = world.driver(&fixed(), noon).replay(&request).await;
        assert_eq!(outcome.exit_code, 0, "{outcome:?}");
        assert_eq!(world.rows(), ["a", "b", "c", "d"]);
        assert_eq!(world.rejected().len(), 2);
    }

    #[tokio::test]
    async fn without_quarantined_rows_there_is_nothing_to_replay() {
        let world = World::new();
        world.log("2024-02-01", "one.log", &["a"]);
        let request = world.request("2024-02-01", "2024-02-01");
        world.run(&request, &[]).await;
        let outcome = world.driver(&fixed(), noon).replay(&request).await;
        assert!(outcome.exit_code == 0 && outcome.periods.is_empty());
    }

    #[tokio::test]
    async fn a_replay_that_dies_at_any_write_duplicates_and_loses_no_row() {
        for at in 1..=6 {
            for after in [false, true] {
                let (world, request) = loaded().await;
                let status = Dying::at(world.status.clone(), at, after);
                let driver = world.driver_on(status.clone(), &fixed(), noon);
                let mut died = status.died.subscribe();
                let asked = request.clone();
                let running = tokio::spawn(async move { driver.replay(&asked).await });
                tokio::select! {
                    _ = died.wait_for(|died| *died) => {}
                    () = tokio::time::sleep(std::time::Duration::from_millis(400)) => {}
                }
                running.abort();
                let _ = running.await;
                let outcome = world.driver(&fixed(), later).replay(&request).await;
                assert_eq!(outcome.exit_code, 0, "{at} {after}: {outcome:?}");
                assert_eq!(world.rows(), ["a", "b", "c", "d"], "{at} {after}");
                assert_eq!(world.rejected().len(), 2, "{at} {after}");
            }
        }
    }
}
