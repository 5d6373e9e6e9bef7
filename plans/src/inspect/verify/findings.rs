//! What was checked and what was found, in bounded space: counts for all, words
//! for the first few.

use std::collections::BTreeMap;

use super::rules::Rule;

/// Where a rule is broken, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub object: String,
    /// Row in the object, from 0.
    pub row: Option<u64>,
    pub message: String,
}

/// How often a rule was checked and broken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub checked: u64,
    pub broken: u64,
    /// The first findings, as many as asked for.
    pub findings: Vec<Finding>,
}

/// The tallies of one object, or of all.
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

    /// Counts `count` things that `rule` was applied to.
    pub(super) fn checked(&mut self, rule: Rule, count: u64) {
        self.tallies.entry(rule).or_default().checked += count;
    }

    /// Says that `count` of the things checked break `rule`.
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

    /// Checks one thing: `wrong` tells what breaks the rule.
    pub(super) fn judge(&mut self, rule: Rule, wrong: Option<String>) {
        self.checked(rule, 1);
        if let Some(message) = wrong {
            self.broken(rule, 1, None, || message);
        }
    }

    /// Adds another object's tallies.
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
