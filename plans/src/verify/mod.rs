//! Reads objects back and judges them by Security Lake's rules and by OCSF. It
//! trusts nothing that the writer remembers, and holds one batch per thread.

mod events;
mod findings;
mod level;
mod listing;
mod object;
mod ocsf;
mod path;
mod rules;
mod scalar;

use std::collections::BTreeMap;
use std::io;
use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

pub use findings::{Finding, Tally};
pub use rules::{Rule, Weight};

use findings::Findings;
use listing::{Found, Listing};
use object::Examined;

/// 5 minutes are the least that an object may stand for.
const MOST_OBJECTS_A_DAY: usize = 288;
/// Objects this large may come more often.
const LARGE: u64 = 256 << 20;

/// What verification found.
#[derive(Debug)]
pub struct Report {
    pub objects: u64,
    pub rows: u64,
    pub bytes: u64,
    /// Every rule, in the order of `Rule::all`.
    pub rules: Vec<(Rule, Tally)>,
}

#[derive(Debug, thiserror::Error)]
#[error("{path}: cannot be listed")]
pub struct VerifyError {
    pub path: String,
    #[source]
    pub source: io::Error,
}

impl Report {
    /// Whether no demand is broken.
    pub fn passed(&self) -> bool {
        let demands = self
            .rules
            .iter()
            .filter(|(rule, _)| rule.weight() == Weight::Demand);
        demands.map(|(_, tally)| tally.broken).sum::<u64>() == 0
    }
}

/// Judges every object below `root`, a folder or one object, keeping the first
/// `limit` findings of each rule. `seen` hears how many objects are done, of how many.
pub fn verify(
    root: &Path,
    limit: usize,
    seen: impl Fn(usize, usize) + Send + Sync,
) -> Result<Report, VerifyError> {
    let unlisted = |source| VerifyError {
        path: root.display().to_string(),
        source,
    };
    let root = std::path::absolute(root).map_err(unlisted)?;
    let listing = listing::list(&root).map_err(unlisted)?;
    let mut summary = Summary::new(&listing, limit);
    examine_all(&listing.objects, limit, |index, examined| {
        summary.add(&listing.objects[index], examined);
        seen(index + 1, listing.objects.len());
    });
    Ok(summary.report(&listing))
}

/// Examines objects on every core; `take` gets the results in their order.
fn examine_all(objects: &[Found], limit: usize, mut take: impl FnMut(usize, Examined)) {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let next = AtomicUsize::new(0);
    // Bounded, so that a slow object does not let results pile up behind it.
    let (sender, receiver) = mpsc::sync_channel(threads * 4);
    thread::scope(|scope| {
        for _ in 0..threads.min(objects.len()) {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                while let Some(index) = claim(next, objects.len()) {
                    if sender
                        .send((index, object::examine(&objects[index], limit)))
                        .is_err()
                    {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut early = BTreeMap::new();
        let mut due = 0;
        for (index, examined) in receiver {
            early.insert(index, examined);
            while let Some(examined) = early.remove(&due) {
                take(due, examined);
                due += 1;
            }
        }
    });
}

fn claim(next: &AtomicUsize, count: usize) -> Option<usize> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    (index < count).then_some(index)
}

/// What is gathered over all objects.
struct Summary {
    findings: Findings,
    limit: usize,
    rows: u64,
    /// First object and its schema's digest, by target and class.
    schemas: BTreeMap<(String, i64), (String, u64)>,
    /// Objects below `LARGE` for each partition folder and class.
    counts: BTreeMap<(String, Option<i64>), usize>,
}

impl Summary {
    fn new(listing: &Listing, limit: usize) -> Self {
        let mut findings = Findings::new("", limit);
        findings.checked(
            Rule::StrayFile,
            (listing.objects.len() + listing.strays.len()) as u64,
        );
        let mut summary = Self {
            findings,
            limit,
            rows: 0,
            schemas: BTreeMap::new(),
            counts: BTreeMap::new(),
        };
        for stray in &listing.strays {
            summary.say(
                Rule::StrayFile,
                &stray.name,
                "is no Parquet object of the lake".to_owned(),
            );
        }
        summary
    }

    fn add(&mut self, object: &Found, examined: Examined) {
        self.rows += examined.rows;
        if let (Some(class), Some(schema)) = (examined.class, examined.schema) {
            self.compare(object, (examined.target, class), schema);
        }
        if object.size < LARGE {
            *self
                .counts
                .entry((examined.folder, examined.class))
                .or_default() += 1;
        }
        self.findings.absorb(examined.findings);
    }

    fn compare(&mut self, object: &Found, key: (String, i64), schema: u64) {
        self.findings.checked(Rule::SameSchema, 1);
        let first = self
            .schemas
            .entry(key)
            .or_insert_with(|| (object.name.clone(), schema));
        if first.1 != schema {
            let message = format!("schema differs from that of {}", first.0);
            self.say(Rule::SameSchema, &object.name, message);
        }
    }

    fn say(&mut self, rule: Rule, object: &str, message: String) {
        let mut one = Findings::new(object, self.limit);
        one.broken(rule, 1, None, || message);
        self.findings.absorb(one);
    }

    fn report(mut self, listing: &Listing) -> Report {
        for ((folder, _), count) in std::mem::take(&mut self.counts) {
            self.findings.checked(Rule::ObjectCount, 1);
            if count > MOST_OBJECTS_A_DAY {
                self.say(Rule::ObjectCount, &folder, format!("{count} objects"));
            }
        }
        let mut tallies = self.findings.into_tallies();
        let tally = |rule| (rule, tallies.remove(&rule).unwrap_or_default());
        Report {
            objects: listing.objects.len() as u64,
            rows: self.rows,
            bytes: listing.objects.iter().map(|object| object.size).sum(),
            rules: Rule::all().map(tally).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
