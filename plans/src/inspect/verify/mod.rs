//! Reads objects and checks them against the rules of Security Lake and OCSF. It uses no
//! information from the load. Each thread holds one batch. Objects of remote stores are copied
//! to temporary files first.

mod batch;
mod events;
mod findings;
mod level;
mod listing;
mod object;
mod ocsf;
mod path;
mod rules;
mod scalar;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::num::NonZero;
use std::thread;

use futures::{StreamExt, TryStreamExt, stream};

pub use batch::invalid_events;
pub use findings::{Finding, Tally};
pub use rules::{Rule, Weight};

use findings::Findings;
use listing::Listing;
use object::Examined;

use super::objects::{Object, ObjectError};

/// One object for each 5 minutes of a day.
const MOST_OBJECTS_A_DAY: usize = 288;
/// Objects of at least this size may be more frequent.
const LARGE: u64 = 256 << 20;

/// The result of a verification.
#[derive(Debug)]
pub struct Report {
    /// Number of objects.
    pub objects: u64,
    /// Number of rows.
    pub rows: u64,
    /// Size of all objects.
    pub bytes: u64,
    /// Every rule, in the order of `Rule::all`.
    pub rules: Vec<(Rule, Tally)>,
}

impl Report {
    /// Whether there is no finding of a mandatory rule.
    pub fn passed(&self) -> bool {
        let demands = self
            .rules
            .iter()
            .filter(|(rule, _)| rule.weight() == Weight::Demand);
        demands.map(|(_, tally)| tally.broken).sum::<u64>() == 0
    }
}

/// Verifies every object below `uri`, which is a folder, a prefix or one object. Keeps the first
/// `limit` findings of each rule. Calls `seen` with the number of verified and of all objects.
pub async fn verify(
    uri: &str,
    limit: usize,
    seen: impl Fn(usize, usize),
) -> Result<Report, ObjectError> {
    let listing = listing::list(uri).await?;
    let mut summary = Summary::new(&listing, limit);
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let examined = listing.objects.iter().map(|object| examine(object, limit));
    // Objects are reported in order. Some are fetched while others are examined.
    let mut examined = stream::iter(examined).buffered(2 * cores);
    let mut objects = listing.objects.iter().zip(1..);
    while let Some(examined) = examined.try_next().await? {
        if let Some((object, done)) = objects.next() {
            summary.add(object, examined);
            seen(done, listing.objects.len());
        }
    }
    drop(examined);
    Ok(summary.report(&listing))
}

/// Fetches an object and examines it on a separate thread. Defects of the object are findings.
/// Failures of the store are errors.
async fn examine(object: &Object, limit: usize) -> Result<Examined, ObjectError> {
    let file = match object.file().await {
        Err(error) if !error.is_of_object() => return Err(error),
        file => file,
    };
    let object = object.clone();
    let examined = tokio::task::spawn_blocking(move || object::examine(&object, file, limit));
    match examined.await {
        Ok(examined) => Ok(examined),
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// The combined results of all objects.
struct Summary {
    findings: Findings,
    limit: usize,
    rows: u64,
    /// The first object and the digest of its schema, by target and class.
    schemas: BTreeMap<(String, i64), (String, u64)>,
    /// Number of objects smaller than `LARGE`, by partition folder and class.
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
                "is not a Parquet object of the lake".to_owned(),
            );
        }
        summary
    }

    fn add(&mut self, object: &Object, examined: Examined) {
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

    fn compare(&mut self, object: &Object, key: (String, i64), schema: u64) {
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
