//! Counts checks and findings. Only the first findings of each rule are kept, which bounds
//! memory.

use std::collections::BTreeMap;

use super::rules::Rule;

/// A place where a rule is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Name of the object.
    pub object: String,
    /// Row in the object, from 0.
    pub row: Option<u64>,
    /// Description of the finding.
    pub message: String,
}

/// Numbers of checks and findings of one rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Number of checks.
    pub checked: u64,
    /// Number of findings.
    pub broken: u64,
    /// The first findings, up to the limit.
    pub findings: Vec<Finding>,
}

/// The tallies of one object or of all objects.
#[derive(Clone, Debug)]
pub(super) struct Findings {
    object: String,
    limit: usize,
    tallies: BTreeMap<Rule, Tally>,
}

impl Findings {
    pub(super) fn new(object: &str, limit: usize) -> Self {
        Self {
            object: object.to_owned(),
            limit,
            tallies: BTreeMap::new(),
        }
    }

    /// Counts `count` checks of `rule`.
    pub(super) fn checked(&mut self, rule: Rule, count: u64) {
        self.tallies.entry(rule).or_default().checked += count;
    }

    /// Counts `count` findings of `rule`.
    pub(super) fn broken(
        &mut self,
        rule: Rule,
        count: u64,
        row: Option<u64>,
        message: impl FnOnce() -> String,
    ) {
        let tally = self.tallies.entry(rule).or_default();
        tally.broken += count;
        if tally.findings.len() < self.limit {
            tally.findings.push(Finding {
                object: self.object.clone(),
                row,
                message: message(),
            });
        }
    }

    /// Counts one check. `wrong` is the message of its finding.
    pub(super) fn judge(&mut self, rule: Rule, wrong: Option<String>) {
        self.checked(rule, 1);
        if let Some(message) = wrong {
            self.broken(rule, 1, None, || message);
        }
    }

    /// Adds the tallies of another object.
    pub(super) fn absorb(&mut self, other: Self) {
        for (rule, theirs) in other.tallies {
            let tally = self.tallies.entry(rule).or_default();
            tally.checked += theirs.checked;
            tally.broken += theirs.broken;
            let room = self.limit.saturating_sub(tally.findings.len());
            tally
                .findings
                .extend(theirs.findings.into_iter().take(room));
        }
    }

    pub(super) fn into_tallies(self) -> BTreeMap<Rule, Tally> {
        self.tallies
    }

    #[cfg(test)]
    pub(super) fn messages(&self, rule: Rule) -> Vec<&str> {
        let tally = self.tallies.get(&rule);
        let findings = tally.map_or(&[][..], |tally| &tally.findings);
        findings
            .iter()
            .map(|found| found.message.as_str())
            .collect()
    }
}
