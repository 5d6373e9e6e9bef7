//! Maps quarantined rows again with the current mapping. Accepted rows are published with
//! their period's parts. The rest is quarantined again and keeps its origin.
//!
//! Rows are read and written some at a time, one day after the other: memory does not depend
//! on their number.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use plans::lake::{AttemptFiles, PartName, digest8, quarantine_folder, replayed_number};
use plans::receipt::{Ledger, Part, PartKind};
use plans::scan::split::Split;
use plans::sink::quarantine::{QuarantinedRow, RowStream, RowWriter, WriteError};
use plans::storage;
use plans::storage::parts;
use plans::storage::parts::{PartHandle, Staged};

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
mod pack;

use origin::OriginError;
use pack::{Origins, Packer};

/// What was made of the quarantined rows of a period.
#[derive(Debug, Default)]
struct Rows {
    /// The quarantine objects whose rows were read again or copied.
    replaced: BTreeSet<String>,
    /// The days with rows that are read again.
    days: BTreeSet<Day>,
    /// Unpublished parts of rows that are kept as they are.
    copied: Vec<Part>,
    /// Rows that are read again.
    taken: u64,
    /// Rows that are kept: cut records, marks of damage, rows without bytes, and those whose
    /// object's header can no longer be read.
    kept: u64,
    splits: Vec<Split>,
    undated: Option<Day>,
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
        let occupied = survey.target().occupy(&BTreeSet::new()).await?;
        outcome.warnings.extend(occupied);
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
        if record.state != State::Running {
            lease.next_attempt("").await?;
        }
        let record = lease.record().await;
        let mut attempt = self.attempt(&record);
        let packing = self.pack(&attempt.name, &base);
        let mut rows = Box::pin(self.period.until_stopped(lease, packing)).await?;
        if rows.taken == 0 {
            self.period.remove_attempt(&record).await;
            return Ok(self.nothing(&rows));
        }
        attempt.undated_day = rows.undated.unwrap_or(attempt.undated_day);
        let splits = std::mem::take(&mut rows.splits);
        let written = self.write(&attempt, splits, &rows);
        let collected = Box::pin(self.period.until_stopped(lease, written)).await?;
        let written = Written {
            asked: record.asked_days.clone(),
            ..self.period.written(&attempt.name, &collected)
        };
        let replaced = rows.replaced.clone();
        let manifest = Manifest::replayed(written, (&name, &base), replaced, rows.taken);
        let window = self.period.publish(&publisher, lease, &manifest).await?;
        let mut outcome = self.done(&rows, &collected);
        outcome.count(&collected.parts, window);
        Ok(outcome)
    }

    /// Runs the attempt, and quarantines what it rejects with its original place.
    async fn write(
        &self,
        attempt: &Attempt<'_>,
        mut splits: Vec<Split>,
        rows: &Rows,
    ) -> Result<Collected, Failure> {
        let mut collected = attempt.write_splits(&mut splits).await?;
        refuse_strays(&collected)?;
        refuse_fewer(&collected, rows)?;
        self.quarantine_again(attempt, &mut collected).await?;
        collected.parts.extend(rows.copied.iter().cloned());
        Ok(collected)
    }

    fn attempt(&self, record: &PeriodRecord) -> Attempt<'_> {
        let survey = self.survey();
        let days = record.covered_days.keys().copied().collect();
        let mut attempt = Attempt::new(
            self.load(),
            self.period.asked,
            &survey.inventory,
            days,
            record,
        );
        if !survey.work.is_local() {
            let rejected = AttemptFiles(&attempt.name).rejected();
            attempt.quarantine = survey.work.uri_of(&rejected);
        }
        attempt
    }

    /// Writes the raw rows as objects of the work area, and copies the other rows to new parts.
    async fn pack(&self, attempt: &str, base: &Manifest) -> Result<Rows, Failure> {
        let survey = self.survey();
        let store = storage::open(survey.work.uri()).map_err(|error| {
            Failure::of(Kind::Usage, "work_area_unusable", &error, "check --work")
        })?;
        let source = &self.load().request().source;
        let format = (&source.format, &source.program);
        let mut packer = Packer::new(&survey.work, store.uri, attempt, format, &survey.inputs);
        let mut of_days: BTreeMap<Day, Vec<&str>> = BTreeMap::new();
        for object in quarantined(base) {
            of_days.entry(object.day).or_default().push(&object.uri);
        }
        let mut rows = Rows::default();
        for (day, objects) in of_days {
            self.pack_day(&mut packer, day, &objects, &mut rows).await?;
        }
        rows.taken = packer.packed.taken;
        rows.undated = packer.packed.undated;
        rows.splits = packer.packed.splits;
        Ok(rows)
    }

    /// A day without rows that can be read again keeps its objects.
    async fn pack_day(
        &self,
        packer: &mut Packer<'_>,
        day: Day,
        objects: &[&str],
        rows: &mut Rows,
    ) -> Result<(), Failure> {
        let before = packer.packed.taken;
        let mut copy = Rejected::new(self, packer.attempt, day, PartName::REPLAY_KEPT);
        for uri in objects {
            let mut stream = opened(uri).await?;
            while let Some(read) = next(uri, &mut stream).await? {
                for row in read {
                    copy.add(&packer.push(day, row).await?).await?;
                }
            }
        }
        copy.add(&packer.flush().await?).await?;
        rows.kept += copy.rows;
        let copied = copy.finish().await?;
        if packer.packed.taken == before {
            if let Some(part) = copied {
                self.survey().part_store.abort(&part.handle).await?;
            }
            return Ok(());
        }
        rows.days.insert(day);
        rows.copied.extend(copied);
        rows.replaced
            .extend(objects.iter().map(ToString::to_string));
        Ok(())
    }

    /// Quarantines the rows that were rejected again, with their original origin.
    async fn quarantine_again(
        &self,
        attempt: &Attempt<'_>,
        collected: &mut Collected,
    ) -> Result<(), Failure> {
        let parts = std::mem::take(&mut collected.parts);
        let (rejected, events): (Vec<Part>, Vec<Part>) = parts
            .into_iter()
            .partition(|part| part.kind == PartKind::Quarantine);
        collected.parts = events;
        let mut of_days: BTreeMap<Day, Vec<PartHandle>> = BTreeMap::new();
        for part in rejected {
            of_days.entry(Day(part.day)).or_default().push(part.handle);
        }
        for (day, handles) in of_days {
            let mut again = Rejected::new(self, &attempt.name, day, PartName::REPLAY);
            for handle in handles {
                self.restore(&attempt.name, &handle, &mut again).await?;
                collected.losers.push(handle);
            }
            collected.parts.extend(again.finish().await?);
        }
        Ok(())
    }

    /// Adds the rows of a part of this attempt to `again`, with their original places.
    async fn restore(
        &self,
        attempt: &str,
        part: &PartHandle,
        again: &mut Rejected<'_>,
    ) -> Result<(), Failure> {
        let uri = self.readable(part).await?;
        let mut stream = opened(&uri).await?;
        let mut known: Option<(usize, Origins)> = None;
        while let Some(mut rows) = next(&uri, &mut stream).await? {
            for row in &mut rows {
                let Some(number) = replayed_number(&row.object) else {
                    continue;
                };
                if known.as_ref().is_none_or(|(of, _)| *of != number) {
                    let name = AttemptFiles(attempt).origins(number);
                    known = Some((number, self.survey().work.get(&name).await?));
                }
                if let Some((_, origins)) = &known {
                    origins.restore(row);
                }
            }
            again.add(&rows).await?;
        }
        Ok(())
    }

    /// Returns where a part of this attempt can be read. An upload cannot be read before it is
    /// completed, so such a part is first published in the work area, where readers do not see
    /// it.
    async fn readable(&self, part: &PartHandle) -> Result<String, Failure> {
        match &part.staged {
            Staged::File { path } => Ok(path.clone()),
            Staged::Upload { .. } => {
                self.survey().part_store.complete(part).await?;
                Ok(part.uri.clone())
            }
        }
    }

    fn done(&self, rows: &Rows, collected: &Collected) -> PeriodOutcome {
        let reason = format!("{} rows read again, {} could not be", rows.taken, rows.kept);
        let mut outcome = self.outcome(PeriodState::Done, &reason);
        outcome.days = rows.days.iter().copied().collect();
        outcome.rows = collected.ledger;
        outcome.reasons.clone_from(&collected.reasons);
        outcome.left_out.clone_from(&collected.left_out);
        outcome.input = collected.input;
        let left = collected.ledger.quarantined > 0 || rows.kept > 0;
        outcome.quarantine = left.then(|| self.load().request().terms.quarantine.clone());
        outcome
    }

    fn nothing(&self, rows: &Rows) -> PeriodOutcome {
        let reason = format!("none of {} quarantined rows can be read again", rows.kept);
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

/// A part of rows that are quarantined again. It is created with its first row.
struct Rejected<'a> {
    replay: &'a Replay<'a>,
    attempt: &'a str,
    day: Day,
    /// The number in the part's name.
    number: &'static str,
    writer: Option<RowWriter>,
    rows: u64,
}

impl<'a> Rejected<'a> {
    fn new(replay: &'a Replay<'a>, attempt: &'a str, day: Day, number: &'static str) -> Self {
        Self {
            replay,
            attempt,
            day,
            number,
            writer: None,
            rows: 0,
        }
    }

    async fn add(&mut self, rows: &[QuarantinedRow]) -> Result<(), Failure> {
        for row in rows {
            let mut writer = match self.writer.take() {
                Some(writer) => writer,
                None => created(self.replay, self.attempt, self.day, self.number).await?,
            };
            writer.push(row).await.map_err(|error| self.failed(error))?;
            self.writer = Some(writer);
            self.rows += 1;
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<Option<Part>, Failure> {
        let Some(writer) = self.writer.take() else {
            return Ok(None);
        };
        let (handle, rows) = writer.finish().await.map_err(|error| self.failed(error))?;
        Ok(Some(quarantine_part(handle, self.day, rows)))
    }

    fn failed(&self, error: WriteError) -> Failure {
        write_failed(self.replay, error)
    }
}

/// Creates a part of rows of `day` that are quarantined again.
async fn created(
    replay: &Replay<'_>,
    attempt: &str,
    day: Day,
    number: &str,
) -> Result<RowWriter, Failure> {
    let request = replay.load().request();
    let name = PartName {
        quarantined: false,
        source: &request.source.name,
        period: &replay.period.asked.period.to_string(),
        day: day.0,
        digest8: &digest8(attempt),
        number,
    };
    let folder = quarantine_folder(&request.terms.quarantine, day.0);
    let uri = format!("{folder}/{}", name.file());
    let staging = AttemptFiles(attempt).staged(&name.stem());
    let storage = parts::open(&uri, &request.terms.work, &dataset::access(request))?;
    let part = storage.writer.create(&uri, &staging).await?;
    RowWriter::new(part).map_err(|error| write_failed(replay, error))
}

fn write_failed(replay: &Replay<'_>, error: WriteError) -> Failure {
    match error {
        WriteError::Part(error) => error.into(),
        error => unreadable(&replay.load().request().terms.quarantine, error),
    }
}

fn quarantined(manifest: &Manifest) -> impl Iterator<Item = &LiveObject> {
    manifest
        .live()
        .filter(|object| object.kind == PartKind::Quarantine)
}

async fn opened(uri: &str) -> Result<RowStream, Failure> {
    let opened = RowStream::open(uri).await;
    opened.map_err(|error| unreadable(uri, error))
}

async fn next(uri: &str, stream: &mut RowStream) -> Result<Option<Vec<QuarantinedRow>>, Failure> {
    let rows = stream.next().await;
    rows.map_err(|error| unreadable(uri, error))
}

fn quarantine_part(handle: PartHandle, day: Day, rows: u64) -> Part {
    Part {
        kind: PartKind::Quarantine,
        handle,
        rows,
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

/// Fails if a row was not read again. It would be in no part.
fn refuse_fewer(collected: &Collected, rows: &Rows) -> Result<(), Failure> {
    let read = collected.ledger.read;
    if read >= rows.taken {
        return Ok(());
    }
    let message = format!("{read} of {} quarantined rows were read again", rows.taken);
    let remedy = "nothing was published: please report it";
    Err(Failure::new(
        Kind::Bug,
        "replay_miscounted",
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
