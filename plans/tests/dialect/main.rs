//! Random mappings over random rows. For every one of them:
//!
//! - nothing panics and every line has a fate;
//! - each value of a record is in its event: in an attribute, or in `unmapped`;
//! - no credential is in an event, or in the detail of a rejection;
//! - each event is valid, also by JSON Schemas that another project made;
//! - a load writes what `map` shows.
//!
//! `LAKEBOLT_DIALECT_SEED` runs one case, as a failed run printed it. `LAKEBOLT_DIALECT_CASES`
//! is the number of cases. `LAKEBOLT_DIALECT_SHOWN` is the number of cases that are printed
//! of those that are broken alike. `LAKEBOLT_DIALECT_REFUSED=1` prints why mappings were refused.

mod config;
mod event;
mod expression;
mod json;
mod loads;
mod promise;
mod random;
mod rows;
mod schema;
mod shrink;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use plans::compiled::{CompileError, Compiled, compile};
use plans::dialects;
use plans::inspect::preview::Fate;
use plans::ocsf;

use crate::event::{Events, Exact};
use crate::json::Json;
use crate::loads::Loaded;
use crate::random::Random;
use crate::rows::{Rows, SECRET, Source};
use crate::schema::Schemas;

const THREADS: usize = 2;
/// So many mappings of one case are tried until one compiles.
const TRIES: usize = 8;
/// One case of so many is also loaded.
const LOADED: u64 = 20;

/// How the message begins where the compiler itself fails.
const PANIC: &str = "panic: ";

/// A mapping that compiles, and the lines that it maps.
struct Case {
    source: Source,
    /// `source.toml` and the event's file.
    files: [String; 2],
    exact: Vec<Exact>,
    compiled: Compiled,
    lines: Vec<Json>,
}

/// What was counted.
#[derive(Default)]
struct Counts {
    written: u64,
    compiled: u64,
    lines: u64,
    events: u64,
    loaded: u64,
    rejected: BTreeMap<String, u64>,
    refused: BTreeMap<String, u64>,
    broken: BTreeMap<u64, (String, Case)>,
    panics: BTreeMap<u64, String>,
}

impl Case {
    fn new(seed: u64, counts: &Mutex<Counts>) -> Option<Self> {
        let mut random = Random::new(seed);
        for _ in 0..TRIES {
            let source = Source::new(&mut random);
            let schema = ocsf::schema("1.1.0").expect("a pinned version");
            let mut events = Events::new(&mut random, schema, &source.columns);
            let files = [source.toml(), events.toml()];
            let exact = events.exact;
            counts.lock().expect("no panic").written += 1;
            match compiled(&files) {
                Ok(compiled) => {
                    counts.lock().expect("no panic").compiled += 1;
                    let mut rows = Rows {
                        random: &mut random,
                        count: 0,
                    };
                    let lines = rows.lines(&source);
                    return Some(Self {
                        source,
                        files,
                        exact,
                        compiled,
                        lines,
                    });
                }
                Err(refused) => {
                    let mut counts = counts.lock().expect("no panic");
                    for message in refused {
                        if message.starts_with(PANIC) {
                            counts.panics.insert(seed, message.clone());
                        }
                        *counts.refused.entry(message).or_default() += 1;
                    }
                }
            }
        }
        None
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for line in &self.lines {
            line.write(&mut text);
            text.push('\n');
        }
        text
    }

    /// What is wrong with what the lines become.
    async fn faults(
        &self,
        is_loaded: bool,
        schemas: Option<&Schemas>,
        counts: &Mutex<Counts>,
    ) -> Faults {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("lines.jsonl");
        fs::write(&file, self.text()).expect("writes");
        let fates = loads::mapped(&self.compiled, &file).await;
        let mut faults = Faults::default();
        let is_routed_once = fates.len() == self.lines.len();
        if !is_routed_once {
            faults.add(0, format!("fates: {} of {}", fates.len(), self.lines.len()));
        }
        for fate in &fates {
            self.check(fate, schemas, &mut faults);
        }
        self.count(&fates, counts);
        if is_loaded {
            counts.lock().expect("no panic").loaded += 1;
            let loaded = loads::loaded(&self.compiled, &file, folder.path()).await;
            let mapped = Loaded::of(&fates);
            if loaded != mapped {
                let difference = differing(&mapped, &loaded);
                faults.add(0, format!("differs: {difference}"));
            }
        }
        faults
    }

    fn check(&self, fate: &Fate, schemas: Option<&Schemas>, faults: &mut Faults) {
        match fate {
            Fate::Event {
                line,
                json,
                invalid,
                ..
            } => {
                for finding in invalid {
                    faults.add(*line, format!("verify: {finding}"));
                }
                let Some(record) = self.lines.get(*line as usize - 1) else {
                    return faults.add(*line, "fates: there is no such line".to_owned());
                };
                for fault in promise::broken(&self.source, &self.exact, record, json) {
                    faults.add(*line, fault);
                }
                if let Some(schemas) = schemas {
                    let class = &self.compiled.program.routes[0].class.name;
                    let event = serde_json::from_str(json).unwrap_or_default();
                    for fault in schemas.faults(class, &event) {
                        faults.add(*line, format!("schema: {fault}"));
                    }
                }
                if faults.of_line(*line) {
                    faults.add(*line, format!("event: {json}"));
                }
            }
            Fate::Rejected {
                line,
                reason,
                detail,
                ..
            } => {
                if detail.to_uppercase().contains(SECRET) {
                    faults.add(*line, format!("secret: {reason}: {detail}"));
                }
            }
        }
    }

    fn count(&self, fates: &[Fate], counts: &Mutex<Counts>) {
        let mut counts = counts.lock().expect("no panic");
        counts.lines += self.lines.len() as u64;
        for fate in fates {
            match fate {
                Fate::Event { .. } => counts.events += 1,
                Fate::Rejected { reason, .. } => {
                    *counts.rejected.entry(reason.clone()).or_default() += 1;
                }
            }
        }
    }

    /// The case as a user would write it, with the lines that have faults.
    fn shown(&self, faults: &Faults) -> String {
        let [root, event] = &self.files;
        let mut shown = format!("--- source.toml\n{root}--- e.toml\n{event}---\n");
        let mut last = 0;
        for (line, fault) in &faults.0 {
            if *line != last && *line > 0 {
                let mut text = String::new();
                self.lines[*line as usize - 1].write(&mut text);
                let _ = writeln!(shown, "{text}");
            }
            last = *line;
            let _ = writeln!(shown, "  line {line}: {fault}");
        }
        shown
    }
}

/// Faults with the numbers of their lines.
#[derive(Default)]
struct Faults(Vec<(u64, String)>);

impl Faults {
    fn add(&mut self, line: u64, fault: String) {
        self.0.push((line, fault));
    }

    fn of_line(&self, line: u64) -> bool {
        self.0.last().is_some_and(|(known, _)| *known == line)
    }
}

fn differing(mapped: &Loaded, loaded: &Loaded) -> String {
    let event = mapped.events.iter().find(|e| !loaded.events.contains(e));
    let other = loaded.events.iter().find(|e| !mapped.events.contains(e));
    let row = mapped
        .rejected
        .iter()
        .find(|r| !loaded.rejected.contains(r));
    let other_row = loaded
        .rejected
        .iter()
        .find(|r| !mapped.rejected.contains(r));
    format!("map has {event:?} {row:?}, run has {other:?} {other_row:?}")
}

/// Compiles a mapping, or says why it is refused.
fn compiled(files: &[String; 2]) -> Result<Compiled, Vec<String>> {
    let files = [
        ("demo/source.toml", files[0].as_str()),
        ("demo/e.toml", files[1].as_str()),
    ];
    let shown = |errors: plans::diagnostics::Diagnostics| {
        errors.0.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let loaded = dialects::load_embedded(&files, "1.1.0").map_err(shown)?;
    let compiling = AssertUnwindSafe(|| compile(loaded, "1.1.0", false));
    let compiled = catch_unwind(compiling).map_err(|panic| {
        let [root, event] = &files;
        let text = text_of(panic.as_ref());
        vec![format!("{PANIC}{text}\n{}---\n{}", root.1, event.1)]
    })?;
    compiled.map_err(|error| match error {
        CompileError::Wrong { errors, .. } => shown(errors),
        other => vec![other.to_string()],
    })
}

/// What is wrong with a case, panics included.
fn faults(
    case: &Case,
    is_loaded: bool,
    schemas: Option<&Schemas>,
    counts: &Mutex<Counts>,
) -> Faults {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(case.faults(is_loaded, schemas, counts))
    }));
    outcome.unwrap_or_else(|panic| Faults(vec![(0, format!("panic: {}", text_of(panic.as_ref())))]))
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_default()
}

fn run(seed: u64, schemas: Option<&Schemas>, counts: &Mutex<Counts>) {
    let Some(case) = Case::new(seed, counts) else {
        return;
    };
    let is_loaded = seed.is_multiple_of(LOADED);
    let faults = faults(&case, is_loaded, schemas, counts);
    if let Some(kind) = shrink::kind(&faults) {
        let mut counts = counts.lock().expect("no panic");
        counts.broken.insert(seed, (kind, case));
    }
}

#[test]
fn random_mappings_over_random_rows_keep_what_the_dialect_promises() {
    let seeds = config::seeds();
    let schemas = Schemas::open();
    let counts = Mutex::new(Counts::default());
    let next = AtomicU64::new(seeds.start);
    // Panics are faults like others.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    run(seed, schemas.as_ref(), &counts);
                }
            });
        }
    });
    let counts = counts.into_inner().expect("no panic");
    eprintln!(
        "{} of {} mappings compiled; {} of {} lines became events; {} cases loaded; rejected: {:?}",
        counts.compiled,
        counts.written,
        counts.events,
        counts.lines,
        counts.loaded,
        counts.rejected
    );
    let mut refused: Vec<(&String, &u64)> = counts.refused.iter().collect();
    refused.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    if config::shows_refused() {
        for (message, count) in refused {
            eprintln!("{count} refused: {message}");
        }
    }
    let broken: Vec<u64> = counts
        .broken
        .keys()
        .chain(counts.panics.keys())
        .copied()
        .collect();
    let mut shown: BTreeMap<String, usize> = BTreeMap::new();
    for (seed, (kind, case)) in counts.broken {
        let count = shown.entry(kind).or_default();
        *count += 1;
        if *count > config::shown() {
            continue;
        }
        let is_loaded = seed.is_multiple_of(LOADED);
        let smallest = shrink::smallest(case, is_loaded, schemas.as_ref());
        eprintln!("\nLAKEBOLT_DIALECT_SEED={seed}\n{smallest}");
    }
    for (seed, panic) in &counts.panics {
        eprintln!("LAKEBOLT_DIALECT_SEED={seed} {panic}");
    }
    for (kind, count) in shown {
        eprintln!("{count} cases: {kind}");
    }
    std::panic::set_hook(hook);
    assert!(
        broken.is_empty(),
        "{} broken cases: {broken:?}",
        broken.len()
    );
    let cases = seeds.end - seeds.start;
    assert!(
        cases == 1 || counts.compiled * 2 >= counts.written,
        "most mappings compile"
    );
    assert!(
        cases == 1 || counts.events * 3 >= counts.lines,
        "many lines become events"
    );
}
