//! Collects exactly one receipt per split; otherwise the attempt fails. The engine's task
//! status is not used.

use std::collections::{BTreeMap, BTreeSet};

use plans::lake::{AttemptFiles, is_heartbeat, part_day};
use plans::receipt::{Ledger, ObjectRows, Part, PartKind, PeriodRows, Receipt, add_counts};
use plans::storage::parts::PartHandle;

use super::work::{Work, WorkError};
use crate::load::days::Day;
use crate::load::failure::{Failure, Kind};
use crate::load::outcome::Volume;

/// Why the receipts of an attempt cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    #[error("{missing} of {splits} splits have no receipt, the first is {first}")]
    Missing {
        missing: usize,
        splits: usize,
        first: String,
    },
    #[error("receipt {name}: belongs to attempt {attempt}")]
    Foreign { name: String, attempt: String },
    #[error("receipt {name}: split {split} does not belong to the attempt")]
    UnknownSplit { name: String, split: String },
    #[error("receipt {name}: rows do not add up: {what}")]
    DoesNotAddUp { name: String, what: String },
    #[error(transparent)]
    Work(#[from] WorkError),
}

impl ReceiptError {
    /// Returns true if a new attempt may succeed with the same input.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Missing { .. } => true,
            Self::Foreign { .. } | Self::UnknownSplit { .. } | Self::DoesNotAddUp { .. } => false,
            Self::Work(error) => error.retryable(),
        }
    }
}

/// The combined receipts of an attempt.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Collected {
    pub ledger: Ledger,
    pub reasons: BTreeMap<String, u64>,
    /// Optional objects that events lack since OCSF would refuse them, by dotted attribute.
    pub left_out: BTreeMap<String, u64>,
    /// Physical lines of the quarantined rows.
    pub quarantined_lines: u64,
    pub parts: Vec<Part>,
    /// Parts of duplicate receipts that were not chosen.
    pub losers: Vec<PartHandle>,
    pub input: Volume,
    pub raw_bytes: u64,
    pub scratch_bytes: u64,
    /// What each object gave, by split, in the order of the split.
    pub objects: BTreeMap<String, Vec<ObjectRows>>,
    /// The row counts by the attempt of each period, if there are several periods.
    pub periods: BTreeMap<String, PeriodRows>,
}

/// Reads an attempt's receipts and chooses one for each of `splits`.
pub async fn collect(
    work: &Work,
    attempt: &str,
    splits: &BTreeSet<String>,
) -> Result<Collected, ReceiptError> {
    let mut receipts = Vec::new();
    for (name, _) in work.list(&AttemptFiles(attempt).receipts()).await? {
        if is_heartbeat(&name) {
            continue;
        }
        let receipt: Receipt = work.get(&name).await?;
        receipts.push((name, receipt));
    }
    choose(attempt, splits, receipts)
}

/// Chooses the first receipt of each split by name. The parts of the others become losers.
fn choose(
    attempt: &str,
    splits: &BTreeSet<String>,
    mut receipts: Vec<(String, Receipt)>,
) -> Result<Collected, ReceiptError> {
    receipts.sort_by(|a, b| a.0.cmp(&b.0));
    let mut taken = BTreeSet::new();
    let mut collected = Collected::default();
    for (name, receipt) in receipts {
        check(attempt, splits, &name, &receipt)?;
        if taken.insert(receipt.split.clone()) {
            collected.add(receipt);
        } else {
            let lost = receipt.parts.into_iter().map(|part| part.handle);
            collected.losers.extend(lost);
        }
    }
    match splits.difference(&taken).next() {
        None => Ok(collected),
        Some(first) => Err(ReceiptError::Missing {
            missing: splits.len() - taken.len(),
            splits: splits.len(),
            first: first.clone(),
        }),
    }
}

fn check(
    attempt: &str,
    splits: &BTreeSet<String>,
    name: &str,
    receipt: &Receipt,
) -> Result<(), ReceiptError> {
    let name = || name.to_owned();
    if receipt.attempt != attempt {
        return Err(ReceiptError::Foreign {
            name: name(),
            attempt: receipt.attempt.clone(),
        });
    }
    if !splits.contains(&receipt.split) {
        return Err(ReceiptError::UnknownSplit {
            name: name(),
            split: receipt.split.clone(),
        });
    }
    match disagreement(receipt) {
        None => Ok(()),
        Some(what) => Err(ReceiptError::DoesNotAddUp { name: name(), what }),
    }
}

/// Describes the first contradiction between a receipt's counts, if there is one.
fn disagreement(receipt: &Receipt) -> Option<String> {
    let ledger = receipt.ledger;
    let mut of_periods = Ledger::default();
    for rows in receipt.periods.values() {
        of_periods += rows.ledger;
    }
    if !receipt.periods.is_empty() && of_periods != ledger {
        return Some(format!("{of_periods:?} of its periods, {ledger:?} of all"));
    }
    disagreement_of(ledger, &receipt.parts)
}

/// Describes the first contradiction between a ledger and the parts, if there is one.
fn disagreement_of(ledger: Ledger, parts: &[Part]) -> Option<String> {
    if !ledger.adds_up() {
        return Some(format!("{ledger:?}"));
    }
    let rows = |kind| -> u64 {
        let parts = parts.iter().filter(|part| part.kind == kind);
        parts.map(|part| part.rows).sum()
    };
    let pairs = [
        ("written", rows(PartKind::Events), ledger.written),
        (
            "quarantined",
            rows(PartKind::Quarantine),
            ledger.quarantined,
        ),
    ];
    let wrong = pairs.into_iter().find(|(_, parts, said)| parts != said);
    wrong.map(|(what, parts, said)| format!("{said} {what}, but parts hold {parts}"))
}

impl Collected {
    /// Gives up the parts of days that are not published. Their rows stay accounted for by what
    /// is published of these days, so they count as another period's.
    pub fn give_up(&mut self, days: &BTreeSet<Day>) {
        let is_given_up = |part: &Part| days.contains(&Day(part.day));
        let (given_up, kept): (Vec<Part>, Vec<Part>) = std::mem::take(&mut self.parts)
            .into_iter()
            .partition(is_given_up);
        self.parts = kept;
        for part in given_up {
            let counted = match part.kind {
                PartKind::Events => &mut self.ledger.written,
                PartKind::Quarantine => &mut self.ledger.quarantined,
            };
            *counted -= part.rows;
            self.ledger.other_period += part.rows;
            self.losers.push(part.handle);
        }
    }

    /// Takes what belongs to the attempt of one period, which loads `days`. The first period
    /// taken counts the input that was read.
    pub fn take_period(
        &mut self,
        attempt: &str,
        days: &BTreeSet<Day>,
    ) -> Result<Self, ReceiptError> {
        let of_period = |part: &Part| days.contains(&Day(part.day));
        let (parts, left) = std::mem::take(&mut self.parts)
            .into_iter()
            .partition(of_period);
        self.parts = left;
        let of_period =
            |part: &PartHandle| part_day(&part.uri).is_some_and(|day| days.contains(&Day(day)));
        let (losers, left) = std::mem::take(&mut self.losers)
            .into_iter()
            .partition(of_period);
        self.losers = left;
        let rows = self.periods.remove(attempt).unwrap_or_default();
        let taken = Self {
            ledger: rows.ledger,
            reasons: rows.reasons,
            left_out: rows.left_out,
            quarantined_lines: rows.quarantined_lines,
            parts,
            losers,
            input: std::mem::take(&mut self.input),
            raw_bytes: std::mem::take(&mut self.raw_bytes),
            scratch_bytes: std::mem::take(&mut self.scratch_bytes),
            objects: BTreeMap::new(),
            periods: BTreeMap::new(),
        };
        match disagreement_of(taken.ledger, &taken.parts) {
            None => Ok(taken),
            Some(what) => Err(ReceiptError::DoesNotAddUp {
                name: format!("the receipts of {attempt}"),
                what,
            }),
        }
    }

    /// Adds what the same attempt has read elsewhere.
    pub fn merge(&mut self, other: Self) {
        self.ledger += other.ledger;
        self.quarantined_lines += other.quarantined_lines;
        add_counts(&mut self.reasons, &other.reasons);
        add_counts(&mut self.left_out, &other.left_out);
        self.parts.extend(other.parts);
        self.losers.extend(other.losers);
        self.input += other.input;
        self.raw_bytes += other.raw_bytes;
        self.scratch_bytes += other.scratch_bytes;
    }

    fn add(&mut self, receipt: Receipt) {
        self.ledger += receipt.ledger;
        self.quarantined_lines += receipt.quarantined_lines;
        for (attempt, rows) in &receipt.periods {
            *self.periods.entry(attempt.clone()).or_default() += rows;
        }
        add_counts(&mut self.reasons, &receipt.reasons);
        add_counts(&mut self.left_out, &receipt.left_out);
        self.parts.extend(receipt.parts);
        self.input += Volume {
            objects: receipt.input_objects,
            bytes: receipt.input_bytes,
        };
        self.raw_bytes += receipt.raw_bytes;
        self.scratch_bytes += receipt.scratch_bytes;
        self.objects.insert(receipt.split, receipt.objects);
    }
}

impl From<ReceiptError> for Failure {
    fn from(error: ReceiptError) -> Self {
        let retryable = error.retryable();
        match error {
            ReceiptError::Work(error) => error.into(),
            ReceiptError::Missing { .. } => Self::of(
                Kind::Work,
                "receipt_missing",
                &error,
                "run the load again; if it fails again, check the executors' logs",
            )
            .retryable(retryable),
            ReceiptError::Foreign { .. }
            | ReceiptError::UnknownSplit { .. }
            | ReceiptError::DoesNotAddUp { .. } => Self::of(
                Kind::Work,
                "ledger_does_not_add_up",
                &error,
                "nothing was published: please report it with the source and its format",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(split: &str, task: &str, read: u64) -> (String, Receipt) {
        let receipt = Receipt {
            schema_version: 1,
            attempt: "a".to_owned(),
            split: split.to_owned(),
            task_attempt: task.to_owned(),
            ledger: Ledger {
                read,
                filtered: read,
                ..Ledger::default()
            },
            reasons: BTreeMap::from([("noise".to_owned(), read)]),
            left_out: BTreeMap::from([("device".to_owned(), 1)]),
            quarantined_lines: 0,
            parts: Vec::new(),
            input_objects: 1,
            input_bytes: 10,
            raw_bytes: 100,
            scratch_bytes: 0,
            objects: Vec::new(),
            periods: BTreeMap::new(),
        };
        (format!("{split}-{task}.json"), receipt)
    }

    fn chosen(receipts: Vec<(String, Receipt)>) -> Result<Collected, ReceiptError> {
        let splits = ["1", "2"].map(str::to_owned).into();
        choose("a", &splits, receipts)
    }

    #[test]
    fn one_receipt_is_chosen_per_split_in_any_order() {
        let receipts = vec![
            receipt("2", "x", 5),
            receipt("1", "y", 3),
            receipt("1", "x", 2),
        ];
        let mut turned = receipts.clone();
        turned.reverse();
        let collected = chosen(receipts).unwrap();
        assert_eq!(collected.ledger.read, 7);
        assert_eq!(collected.reasons["noise"], 7);
        assert_eq!(collected.left_out["device"], 2);
        assert_eq!(chosen(turned).unwrap(), collected);
    }

    #[test]
    fn a_split_without_a_receipt_fails_the_attempt() {
        let error = chosen(vec![receipt("1", "x", 2)]).unwrap_err();
        assert!(matches!(&error, ReceiptError::Missing { first, .. } if first == "2"));
        assert!(error.retryable());
    }

    #[test]
    fn unbalanced_rows_fail_the_attempt_without_retry() {
        let mut wrong = receipt("1", "x", 2);
        wrong.1.ledger.read = 3;
        let error = chosen(vec![wrong, receipt("2", "x", 1)]).unwrap_err();
        assert!(matches!(&error, ReceiptError::DoesNotAddUp { .. }));
        assert!(!error.retryable());
    }

    #[test]
    fn a_receipt_without_its_parts_does_not_add_up() {
        let mut wrong = receipt("1", "x", 2);
        wrong.1.ledger.filtered = 0;
        wrong.1.ledger.written = 2;
        assert!(chosen(vec![wrong, receipt("2", "x", 1)]).is_err());
    }

    #[test]
    fn a_receipt_of_another_attempt_is_refused() {
        let mut wrong = receipt("1", "x", 2);
        wrong.1.attempt = "b".to_owned();
        assert!(chosen(vec![wrong]).is_err());
    }
}
