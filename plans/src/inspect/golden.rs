//! The samples of a source and the rows that they are expected to become: `samples/` and
//! `expected/` in its folder. `lakebolt test` and the tests of the shipped sources compare
//! them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use datafusion::common::DataFusionError;
use serde_json::{Value, json};

use super::attributes::joined;
use super::preview::{Fate, Observer, Request, observe};
use crate::compiled::Compiled;
use crate::receipt::Ledger;
use crate::scan::split::InputObject;
use crate::storage;

/// The account of rows that neither a column nor a path gives one.
pub const ACCOUNT: &str = "111122223333";
/// The region of the samples' objects.
pub const REGION: &str = "us-east-1";

const SAMPLES: &str = "samples";
const EXPECTED: &str = "expected";
const QUARANTINE: &str = "quarantine.json";
/// Changes of one row that are listed.
const MOST_CHANGES: usize = 20;

/// What the samples of a source become.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Names of the samples, in order.
    pub samples: Vec<String>,
    pub events: u64,
    pub quarantined: u64,
    pub filtered: u64,
    /// The rows of each file of `expected/`.
    pub files: BTreeMap<String, Vec<Value>>,
    /// The events that `verify` would refuse.
    pub invalid: Vec<Invalid>,
    /// Samples whose rows do not add up, which is a bug.
    pub miscounted: Vec<String>,
}

/// An event that `verify` would refuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    pub sample: String,
    pub line: u64,
    pub finding: String,
}

/// A file of `expected/` that differs from the rows that were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub file: String,
    /// Number of rows in the file.
    pub expected: usize,
    /// Number of rows that were found.
    pub found: usize,
    /// Number of rows that differ, are missing or are new.
    pub rows: usize,
    /// The first of them.
    pub first: RowDifference,
}

/// A row that differs, is missing or is new.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowDifference {
    pub sample: String,
    pub line: u64,
    pub changes: Vec<Change>,
}

/// A value that differs. An absent value is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Dotted path in the event; empty for the entire row.
    pub path: String,
    pub expected: Option<Value>,
    pub found: Option<Value>,
}

/// Why samples cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum GoldenError {
    #[error("{}: cannot be read or written", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{}: holds no expected rows", path.display())]
    NotRows {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("{}: cannot be mapped", path.display())]
    Failed {
        path: PathBuf,
        source: DataFusionError,
    },
}

/// The sample logs of the source in `folder`, in the order of their names.
pub fn samples(folder: &Path) -> Vec<PathBuf> {
    files_of(&folder.join(SAMPLES))
}

/// The files of a folder, in the order of their names. Hidden ones are left out.
fn files_of(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let mut files: Vec<PathBuf> = paths
        .filter(|path| path.is_file() && !name_of(path).starts_with('.'))
        .collect();
    files.sort();
    files
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Maps the samples of the source in `folder`.
pub async fn map(compiled: &Compiled, folder: &Path) -> Result<Outcome, GoldenError> {
    let mut outcome = Outcome::default();
    for path in samples(folder) {
        let name = name_of(&path);
        let mut rows = Rows {
            sample: &name,
            fates: 0,
            outcome: &mut outcome,
        };
        let request = Request {
            objects: vec![object(&path)?],
            account: Some(ACCOUNT.to_owned()),
            ..Request::default()
        };
        let (program, format) = (&compiled.program, &compiled.source.format);
        let summary = observe(program, format, request, &mut rows).await;
        let summary = summary.map_err(|source| GoldenError::Failed { path, source })?;
        let fates = rows.fates;
        if !adds_up(&summary.ledger, fates) {
            outcome.miscounted.push(name.clone());
        }
        outcome.filtered += summary.ledger.filtered;
        outcome.samples.push(name);
    }
    Ok(outcome)
}

/// Whether every row has exactly one fate. `fates` are the events and rejections.
pub fn adds_up(ledger: &Ledger, fates: u64) -> bool {
    ledger.read + ledger.duplicated == fates + ledger.filtered
}

/// A sample as an object of a store.
pub fn object(path: &Path) -> Result<InputObject, GoldenError> {
    let unreadable = |source| GoldenError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let full = path.canonicalize().map_err(unreadable)?;
    let size = full.metadata().map_err(unreadable)?.len();
    let uri = url::Url::from_file_path(&full)
        .map_err(|()| unreadable(io::Error::other("is not an absolute path")))?;
    let located =
        storage::open(uri.as_str()).map_err(|error| unreadable(io::Error::other(error)))?;
    Ok(InputObject {
        store: located.uri,
        path: located.path.to_string(),
        size,
        region: Some(REGION.to_owned()),
        ..InputObject::default()
    })
}

/// Collects the rows of one sample.
struct Rows<'a> {
    sample: &'a str,
    fates: u64,
    outcome: &'a mut Outcome,
}

impl Observer for Rows<'_> {
    fn fate(&mut self, fate: Fate) -> bool {
        self.fates += 1;
        let (file, row) = match fate {
            Fate::Event {
                line,
                class_uid,
                json,
                invalid,
                ..
            } => {
                self.outcome.events += 1;
                self.refuse(line, invalid);
                let event: Value = serde_json::from_str(&json).unwrap_or(Value::String(json));
                let row = json!({ "sample": self.sample, "line": line, "event": event });
                (format!("{class_uid}.json"), row)
            }
            Fate::Rejected {
                line,
                reason,
                detail,
                ..
            } => {
                self.outcome.quarantined += 1;
                let row = json!({
                    "sample": self.sample, "line": line, "reason": reason, "detail": detail,
                });
                (QUARANTINE.to_owned(), row)
            }
        };
        self.outcome.files.entry(file).or_default().push(row);
        true
    }
}

impl Rows<'_> {
    fn refuse(&mut self, line: u64, findings: Vec<String>) {
        let sample = self.sample;
        let invalid = findings.into_iter().map(|finding| Invalid {
            sample: sample.to_owned(),
            line,
            finding,
        });
        self.outcome.invalid.extend(invalid);
    }
}

/// Compares the rows with the files of `expected/` in `folder`, in the order of their names.
pub fn compare(folder: &Path, outcome: &Outcome) -> Result<Vec<Difference>, GoldenError> {
    let mut expected: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for path in expected_files(folder) {
        let text = fs::read_to_string(&path).map_err(|source| GoldenError::Unreadable {
            path: path.clone(),
            source,
        })?;
        let name = name_of(&path);
        let rows =
            serde_json::from_str(&text).map_err(|source| GoldenError::NotRows { path, source })?;
        expected.insert(name, rows);
    }
    let names: BTreeSet<&String> = expected.keys().chain(outcome.files.keys()).collect();
    let none = Vec::new();
    let differences = names.into_iter().filter_map(|name| {
        let of = |files: &BTreeMap<String, Vec<Value>>| files.get(name).cloned();
        let expected = of(&expected).unwrap_or_else(|| none.clone());
        let found = of(&outcome.files).unwrap_or_else(|| none.clone());
        difference(name, &expected, &found)
    });
    Ok(differences.collect())
}

/// The files of `expected/` that `bless` would write.
fn expected_files(folder: &Path) -> Vec<PathBuf> {
    let is_ours = |path: &PathBuf| {
        let name = name_of(path);
        let class = name.strip_suffix(".json").unwrap_or_default();
        name == QUARANTINE || class.parse::<u32>().is_ok()
    };
    let files = files_of(&folder.join(EXPECTED)).into_iter();
    files.filter(is_ours).collect()
}

/// Writes `expected/` in `folder` anew. Returns the files that it changed or removed.
pub fn bless(folder: &Path, outcome: &Outcome) -> Result<Vec<PathBuf>, GoldenError> {
    let mut changed = Vec::new();
    let unwritable = |path: &Path, source| GoldenError::Unreadable {
        path: path.to_owned(),
        source,
    };
    for path in expected_files(folder) {
        if !outcome.files.contains_key(&name_of(&path)) {
            fs::remove_file(&path).map_err(|error| unwritable(&path, error))?;
            changed.push(path);
        }
    }
    let expected = folder.join(EXPECTED);
    fs::create_dir_all(&expected).map_err(|error| unwritable(&expected, error))?;
    for (name, rows) in &outcome.files {
        let path = expected.join(name);
        let text = text_of(rows);
        if fs::read_to_string(&path).is_ok_and(|written| written == text) {
            continue;
        }
        fs::write(&path, text).map_err(|error| unwritable(&path, error))?;
        changed.push(path);
    }
    Ok(changed)
}

/// The text of a file of `expected/`.
pub fn text_of(rows: &[Value]) -> String {
    let rows: Vec<String> = rows.iter().map(|row| format!("{row:#}")).collect();
    format!("[\n{}\n]\n", rows.join(",\n"))
}

/// A row's sample and line, and its number among the rows of that line.
type Key = (String, u64, usize);

fn by_key(rows: &[Value]) -> BTreeMap<Key, &Value> {
    let mut keyed = BTreeMap::new();
    for row in rows {
        let sample = row["sample"].as_str().unwrap_or_default().to_owned();
        let line = row["line"].as_u64().unwrap_or_default();
        let mut key = (sample, line, 0);
        while keyed.contains_key(&key) {
            key.2 += 1;
        }
        keyed.insert(key, row);
    }
    keyed
}

fn difference(file: &str, expected: &[Value], found: &[Value]) -> Option<Difference> {
    let (old, new) = (by_key(expected), by_key(found));
    let keys: BTreeSet<&Key> = old.keys().chain(new.keys()).collect();
    let differs = |key: &&Key| old.get(*key) != new.get(*key);
    let mut differing = keys.into_iter().filter(differs);
    let key = differing.next()?;
    let mut first = RowDifference {
        sample: key.0.clone(),
        line: key.1,
        changes: Vec::new(),
    };
    let content = |row: Option<&&Value>| row.map(|row| content(row));
    changes(
        "",
        content(old.get(key)).as_ref(),
        content(new.get(key)).as_ref(),
        &mut first.changes,
    );
    first.changes.truncate(MOST_CHANGES);
    Some(Difference {
        file: file.to_owned(),
        expected: expected.len(),
        found: found.len(),
        rows: differing.count() + 1,
        first,
    })
}

/// A row's event, or what a quarantined row has instead.
fn content(row: &Value) -> Value {
    match row.get("event") {
        Some(event) => event.clone(),
        None => row.clone(),
    }
}

/// Lists the values that differ. Objects are compared by their members.
fn changes(path: &str, old: Option<&Value>, new: Option<&Value>, found: &mut Vec<Change>) {
    match (old, new) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for name in names {
                changes(&joined(path, name), old.get(name), new.get(name), found);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) => {
            for index in 0..old.len().max(new.len()) {
                let path = format!("{path}[{index}]");
                changes(&path, old.get(index), new.get(index), found);
            }
        }
        (old, new) if old == new => {}
        (old, new) => found.push(Change {
            path: path.to_owned(),
            expected: old.cloned(),
            found: new.cloned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(line: u64, name: &str) -> Value {
        json!({ "sample": "a.log", "line": line, "event": { "user": { "name": name } } })
    }

    #[test]
    fn the_first_row_that_differs_is_shown_by_attribute() {
        let old = [row(1, "ann"), row(2, "bob"), row(3, "eve")];
        let new = [row(1, "ann"), row(2, "rob"), row(3, "adam")];
        let found = difference("3002.json", &old, &new).expect("they differ");
        assert_eq!((found.expected, found.found, found.rows), (3, 3, 2));
        assert_eq!(
            (found.first.sample.as_str(), found.first.line),
            ("a.log", 2)
        );
        assert_eq!(
            found.first.changes,
            [Change {
                path: "user.name".to_owned(),
                expected: Some(json!("bob")),
                found: Some(json!("rob")),
            }]
        );
        assert_eq!(difference("3002.json", &old, &old), None);
    }

    #[test]
    fn a_missing_row_does_not_make_the_others_differ() {
        let old = [row(1, "ann"), row(2, "bob"), row(3, "eve")];
        let new = [row(1, "ann"), row(3, "eve")];
        let found = difference("3002.json", &old, &new).expect("they differ");
        assert_eq!((found.rows, found.first.line), (1, 2));
        assert_eq!(found.first.changes[0].found, None);
    }

    #[test]
    fn blessed_rows_are_the_expected_ones_and_old_files_go() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut outcome = Outcome::default();
        outcome
            .files
            .insert("3002.json".to_owned(), vec![row(1, "ann")]);
        let changed = bless(folder.path(), &outcome).expect("writable");
        assert_eq!(changed.len(), 1);
        assert!(
            compare(folder.path(), &outcome)
                .expect("readable")
                .is_empty()
        );
        assert_eq!(bless(folder.path(), &outcome).expect("writable").len(), 0);

        let other = Outcome {
            files: BTreeMap::from([(QUARANTINE.to_owned(), vec![row(2, "bob")])]),
            ..Outcome::default()
        };
        assert_eq!(compare(folder.path(), &other).expect("readable").len(), 2);
        assert_eq!(bless(folder.path(), &other).expect("writable").len(), 2);
        assert!(compare(folder.path(), &other).expect("readable").is_empty());
    }
}
