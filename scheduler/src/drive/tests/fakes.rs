//! Fakes for tests: an engine that writes parts without running a plan, and a world to load.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::Schema;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::prelude::lit;
use plans::attempt::AttemptSpec;
use plans::lake::{AttemptFiles, PartName, event_folder};
use plans::mapping::{Class, Object, Placed, Program, Route};
use plans::receipt::{Ledger, ObjectRows, Part, PartKind, PeriodRows, Receipt};
use plans::scan::split::Split;
use plans::sink::quarantine;
use plans::sink::quarantine::QuarantinedRow;
use plans::spec::Format;
use plans::storage::parts;
use plans::storage::parts::Staged;
use tokio::sync::{Notify, Semaphore, watch};

pub(crate) use super::dying::Dying;
use crate::drive::activity::Activity;
use crate::drive::context::Planner;
use crate::drive::context::{Driver, Timing};
use crate::load::days::Day;
use crate::load::notification::NoObserver;
use crate::load::outcome::Outcome;
use crate::load::terms::{CompiledSource, LoadRequest, Range, Terms};
use crate::publish::lease::Clock;
use crate::publish::work::Work;
use crate::status::StatusStore;
use crate::status::memory::Memory;
use crate::submit::{Admission, Submit, SubmitError};

/// A failure of the fake engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The job fails before anything is written.
    Fails,
    /// The last split gets no receipt, but the job succeeds.
    NoReceipt,
    /// Every split runs twice.
    Twice,
    /// The first part disappears after its receipt was written.
    LosesPart,
    /// The job waits until the test notifies `resume`.
    Waits,
    /// Everything is written, then the job waits until the test notifies `resume`.
    WaitsLate,
    /// A receipt counts one row too many.
    Miscounts,
    /// Receipts name a file outside the target.
    Forges,
    /// Everything is written, but the job fails.
    FailsLate,
}

/// Lines of the form `yyyy-MM-dd text` are written to parts. Other lines are quarantined.
#[derive(Debug, Default)]
pub(crate) struct Engine {
    specs: Arc<Mutex<HashMap<String, AttemptSpec>>>,
    /// The faults of the next jobs, one per job.
    pub(crate) faults: Mutex<Vec<Fault>>,
    pub(crate) resume: Notify,
    pub(crate) reached: Notify,
    pub(crate) jobs: AtomicU64,
    /// Slots for concurrent periods. `None` means no limit.
    slots: Option<Arc<Semaphore>>,
    /// Whether lines that start with `bad` are accepted.
    pub(crate) accepts_bad: AtomicBool,
}

impl Engine {
    pub(crate) fn with(faults: &[Fault]) -> Arc<Self> {
        Arc::new(Self {
            faults: Mutex::new(faults.to_vec()),
            ..Self::default()
        })
    }

    /// Creates an engine with this many slots for periods.
    pub(crate) fn with_slots(slots: usize) -> Arc<Self> {
        Arc::new(Self {
            slots: Some(Arc::new(Semaphore::new(slots))),
            ..Self::default()
        })
    }

    pub(crate) fn planner(&self) -> Arc<Planner> {
        let specs = self.specs.clone();
        Arc::new(move |_: &Program, _: &Format, spec: &AttemptSpec| {
            let mut specs = specs.lock().unwrap();
            specs.insert(spec.attempt.clone(), spec.clone());
            let plan: Arc<dyn ExecutionPlan> = Arc::new(EmptyExec::new(Arc::new(Schema::empty())));
            Ok(plan)
        })
    }

    fn fault(&self) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap();
        (!faults.is_empty()).then(|| faults.remove(0))
    }

    async fn split(&self, spec: &AttemptSpec, id: &str, task: &str, fault: Option<Fault>) {
        let work = Work::open(&spec.work).unwrap();
        let name = AttemptFiles(&spec.attempt).split(id);
        let split: Split = work.get(&name).await.unwrap();
        let mut receipt = Receipt {
            schema_version: 1,
            attempt: spec.attempt.clone(),
            split: id.to_owned(),
            task_attempt: task.to_owned(),
            ledger: Ledger::default(),
            reasons: BTreeMap::new(),
            left_out: BTreeMap::new(),
            quarantined_lines: 0,
            parts: Vec::new(),
            input_objects: split.objects.len() as u64,
            input_bytes: split.objects.iter().map(|object| object.size).sum(),
            raw_bytes: 0,
            scratch_bytes: 0,
            objects: Vec::new(),
            periods: BTreeMap::new(),
        };
        let accepts_bad = self.accepts_bad.load(Ordering::Relaxed);
        for ((kind, day), lines) in sorted(spec, &split, &mut receipt, accepts_bad) {
            let part = write(spec, id, task, kind, day, &lines).await;
            receipt.parts.push(part);
        }
        if fault == Some(Fault::Miscounts) {
            receipt.ledger.read += 1;
        }
        if fault == Some(Fault::Forges) {
            receipt.parts[0].handle.uri = format!("{}-victim", spec.work);
        }
        let first = receipt.parts.first().map(|part| &part.handle.staged);
        if let (Some(Fault::LosesPart), Some(Staged::File { path })) = (fault, first) {
            std::fs::remove_file(path).unwrap();
        }
        let name = AttemptFiles(&spec.attempt).receipt(&format!("{id}-{task}"));
        work.put(&name, &receipt).await.unwrap();
    }
}

/// A line with its object, line number and offset.
type Line = (String, String, u64, u64);

/// Lines by part kind and day.
type Sorted = BTreeMap<(u8, i32), Vec<Line>>;

/// Groups lines by kind and day, and counts them in the receipt's ledger.
fn sorted(spec: &AttemptSpec, split: &Split, receipt: &mut Receipt, accepts_bad: bool) -> Sorted {
    let mut sorted = Sorted::new();
    let mut periods: BTreeMap<String, PeriodRows> = BTreeMap::new();
    for object in &split.objects {
        let text = std::fs::read_to_string(format!("/{}", object.path)).unwrap();
        let fallback = object.fallback_day.unwrap_or(spec.undated_day);
        let (own, margin) = (
            object.day.unwrap_or(fallback),
            object.margin.unwrap_or(spec.margin),
        );
        let mut given = ObjectRows::default();
        let mut next = 0;
        for (number, line) in (1..).zip(text.lines()) {
            let offset = next;
            next += line.len() as u64 + 1;
            let good = line.strip_prefix("bad ").filter(|_| accepts_bad);
            let line = good.unwrap_or(line);
            let time = line.get(..10).and_then(|day| day.parse::<Day>().ok());
            let near = |day: &Day| own.abs_diff(day.0) <= margin || object.day.is_none();
            let (kind, day) = match time.filter(near) {
                Some(day) => (0, day.0),
                None => (1, own),
            };
            given.count(day);
            if line.starts_with("truncated") {
                given.damaged = Some(day);
            }
            let owner = spec.period_of(day);
            let mut row = PeriodRows::default();
            row.ledger.read += 1;
            if owner.is_none() {
                row.ledger.other_period += 1;
            } else if kind == 0 {
                row.ledger.written += 1;
            } else {
                row.ledger.quarantined += 1;
                row.reasons.insert("bad".to_owned(), 1);
            }
            let counted = owner.unwrap_or(&spec.periods[0]).attempt.clone();
            *periods.entry(counted).or_default() += &row;
            if owner.is_some() {
                let lines = sorted.entry((kind, day)).or_default();
                let object = format!("file:///{}", object.path);
                lines.push((line.to_owned(), object, number, offset));
            }
        }
        receipt.objects.push(given);
    }
    let mut total = PeriodRows::default();
    for rows in periods.values() {
        total += rows;
    }
    receipt.ledger = total.ledger;
    receipt.reasons = total.reasons;
    receipt.left_out = total.left_out;
    if spec.periods.len() > 1 {
        receipt.periods = periods;
    }
    sorted
}

async fn write(
    spec: &AttemptSpec,
    split: &str,
    task: &str,
    kind: u8,
    day: i32,
    lines: &[Line],
) -> Part {
    let target = match kind {
        0 => spec.targets.values().next().unwrap(),
        _ => &spec.quarantine,
    };
    let period = spec.period_of(day).unwrap();
    let name = PartName {
        quarantined: kind != 0,
        source: &spec.source,
        period: &period.period,
        day,
        digest8: &period.digest8,
        number: &format!("{split}-{task}"),
    };
    let uri = format!("{}/{}", event_folder(target, "r", "a", day), name.file());
    let staging = AttemptFiles(&period.attempt).staged(&name.stem());
    let sink = parts::open(&uri, &spec.work, &spec.access).unwrap();
    let mut part = sink.writer.create(&uri, &staging).await.unwrap();
    part.write(encoded(kind, lines)).await.unwrap();
    Part {
        kind: if kind == 0 {
            PartKind::Events
        } else {
            PartKind::Quarantine
        },
        handle: part.finish().await.unwrap(),
        rows: lines.len() as u64,
        min_time: 0,
        max_time: 0,
        class_uid: 4001,
        region: "r".to_owned(),
        account: "a".to_owned(),
        day,
    }
}

/// Encodes events as lines and rejected rows as a quarantine object.
fn encoded(kind: u8, lines: &[Line]) -> bytes::Bytes {
    let rejected = lines
        .iter()
        .map(|(line, object, number, offset)| QuarantinedRow {
            source: "vpc".to_owned(),
            object: object.clone(),
            line: *number,
            lines: 1,
            offset: *offset,
            reason: "bad".to_owned(),
            detail: String::new(),
            raw: Some(line.clone().into_bytes()),
            load_id: "load".to_owned(),
            attempt: "attempt".to_owned(),
        });
    if kind == 1 {
        return quarantine::encode(&Vec::from_iter(rejected)).unwrap();
    }
    let lines: Vec<String> = lines.iter().map(|(line, ..)| format!("{line}\n")).collect();
    lines.concat().into()
}

#[async_trait]
impl Submit for Engine {
    async fn run(&self, name: &str, _: Arc<dyn ExecutionPlan>) -> Result<(), SubmitError> {
        let job = self.jobs.fetch_add(1, Ordering::Relaxed);
        let fault = self.fault();
        let failed = || SubmitError::Failed {
            message: "an executor was lost".to_owned(),
            retryable: true,
        };
        if fault == Some(Fault::Fails) {
            return Err(failed());
        }
        if fault == Some(Fault::Waits) {
            self.reached.notify_one();
            self.resume.notified().await;
        }
        let spec = self.specs.lock().unwrap()[name].clone();
        let last = spec.splits.last().map(|split| split.id.clone());
        for split in &spec.splits {
            if fault == Some(Fault::NoReceipt) && Some(&split.id) == last.as_ref() {
                continue;
            }
            self.split(&spec, &split.id, &format!("{job}x1"), fault)
                .await;
            if fault == Some(Fault::Twice) {
                self.split(&spec, &split.id, &format!("{job}x2"), None)
                    .await;
            }
        }
        if fault == Some(Fault::WaitsLate) {
            self.reached.notify_one();
            self.resume.notified().await;
        }
        match fault {
            Some(Fault::FailsLate) => Err(failed()),
            _ => Ok(()),
        }
    }

    async fn admit(&self) -> Admission {
        match &self.slots {
            Some(slots) => Admission::of(slots.clone().acquire_owned().await),
            None => Admission::default(),
        }
    }

    async fn close(&self) {}
}

/// A folder with input, output and work area, and the state of its loads.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) status: Arc<Memory>,
}

/// Noon of the day on which the tests take place.
pub(crate) fn noon() -> DateTime<Utc> {
    "2024-03-20T12:00:00Z".parse().unwrap()
}

/// One hour later. Leases taken at noon have expired.
pub(crate) fn later() -> DateTime<Utc> {
    "2024-03-20T13:00:00Z".parse().unwrap()
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            status: Arc::default(),
        }
    }

    /// Does the same as [`World::new`] on a filesystem in memory, where there is one.
    pub(crate) fn in_memory() -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Self {
            folder: folder.unwrap(),
            status: Arc::default(),
        }
    }

    /// Adds an input object for a day, with one line per entry of `rows`.
    pub(crate) fn log(&self, day: &str, name: &str, rows: &[&str]) {
        let lines: Vec<String> = rows.iter().map(|row| format!("{day} {row}\n")).collect();
        self.raw(day, name, &lines.concat());
    }

    pub(crate) fn raw(&self, day: &str, name: &str, text: &str) {
        let path = self
            .path("input")
            .join("AWSLogs/123456789012/vpcflowlogs/us-east-1");
        let path = path.join(day.replace('-', "/")).join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn uri(&self, name: &str) -> String {
        format!("file://{}", self.path(name).display())
    }

    pub(crate) fn request(&self, from: &str, to: &str) -> LoadRequest {
        LoadRequest {
            source: CompiledSource {
                name: "vpc".to_owned(),
                program: program("one"),
                format: Format {
                    name: "vpc_flow".to_owned(),
                    ..Format::default()
                },
            },
            terms: self.terms(from, to),
        }
    }

    fn terms(&self, from: &str, to: &str) -> Terms {
        Terms {
            inputs: vec![self.uri("input")],
            output: self.uri("lake"),
            name: "default".to_owned(),
            range: Range::Between {
                from: from.parse().unwrap(),
                to: to.parse().unwrap(),
            },
            margin: 1,
            lateness: Duration::from_secs(48 * 3600),
            quarantine: self.uri("lake.quarantine"),
            work: self.uri("lake/.lakebolt"),
            max_quarantine: 50.0,
            max_attempts: 3,
            parallel: 2,
            memory_bytes: 1 << 20,
            ..Terms::default()
        }
    }

    pub(crate) fn driver(&self, engine: &Arc<Engine>, clock: Clock) -> Driver {
        self.driver_on(self.status.clone(), engine, clock)
    }

    pub(crate) fn driver_on(
        &self,
        status: Arc<dyn StatusStore>,
        engine: &Arc<Engine>,
        clock: Clock,
    ) -> Driver {
        Driver {
            status,
            submit: engine.clone(),
            planner: engine.planner(),
            clock,
            observer: Arc::new(NoObserver),
            cancel: watch::Sender::new(false).subscribe(),
            timing: Timing {
                lease: Duration::from_secs(30),
                progress_deadline: Duration::from_secs(20),
                notice: Duration::from_secs(10),
                poll: Duration::from_millis(10),
                backoff: Duration::from_millis(1),
                patience: Duration::from_millis(200),
            },
            activity: Activity::default(),
            input_check: None,
        }
    }

    /// Runs a request on an engine with these faults.
    pub(crate) async fn run(&self, request: &LoadRequest, faults: &[Fault]) -> Outcome {
        self.driver(&Engine::with(faults), noon).run(request).await
    }

    /// Every line that a reader of the target sees, sorted.
    pub(crate) fn rows(&self) -> Vec<String> {
        let mut rows = Vec::new();
        for path in files(&self.path("lake/ext")) {
            let text = std::fs::read_to_string(path).unwrap();
            rows.extend(text.lines().map(|line| line[11..].to_owned()));
        }
        rows.sort();
        rows
    }

    /// Every quarantined row, by object and line.
    pub(crate) fn rejected(&self) -> Vec<QuarantinedRow> {
        let files = self.files("lake.quarantine");
        let mut all: Vec<QuarantinedRow> = files
            .iter()
            .flat_map(|path| quarantine::read(std::fs::read(path).unwrap().into()).unwrap())
            .collect();
        all.sort_by(|a, b| (&a.object, a.line).cmp(&(&b.object, b.line)));
        all
    }

    pub(crate) fn files(&self, name: &str) -> Vec<PathBuf> {
        files(&self.path(name))
    }
}

/// The name of the file that names a target's owner.
const OWNER: &str = "_lakebolt.json";

/// Every file below a folder, without the owner file of a target.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false if path.ends_with(OWNER) => {}
            false => found.push(path),
        }
    }
    found.sort();
    found
}

/// A program with one route. Nothing evaluates it in these tests.
pub(crate) fn program(digest: &str) -> Program {
    let class = Class {
        uid: 4001,
        name: "network_activity".to_owned(),
        output: "vpc".to_owned(),
        target: None,
        role: None,
    };
    Program {
        source: "vpc".to_owned(),
        columns: Vec::new(),
        wanted: Vec::new(),
        written: Vec::new(),
        filters: Vec::new(),
        routes: vec![Route {
            name: "flow".to_owned(),
            class,
            when: None,
            also: false,
            time: Placed::new(lit(0)),
            account: None,
            region: None,
            schema: Arc::new(Schema::empty()),
            event: Object::new(Vec::new()),
            keys: Vec::new(),
        }],
        digest: digest.to_owned(),
    }
}
