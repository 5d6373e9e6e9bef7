//! Margins of days, and how far the rows of an object may be away from its day.

use std::collections::BTreeSet;

use super::survey::Survey;
use crate::input::inventory::Reach;
use crate::load::days::Day;
use crate::status::{DayCoverage, PeriodRecord};

impl Survey<'_> {
    /// The margin that a day was loaded with, or that it would be loaded with. Older versions
    /// did not record it.
    pub(super) fn margin_of(&self, coverage: Option<&DayCoverage>) -> u32 {
        let recorded = coverage.and_then(|coverage| coverage.margin);
        recorded.unwrap_or_else(|| self.margin())
    }

    /// The margin of days that are loaded now: the greatest of the request and of all covered
    /// days. It never shrinks: days that keep the greater margin have taken rows by it.
    pub(super) fn margin(&self) -> u32 {
        let covered = self
            .records
            .iter()
            .flat_map(|record| record.covered_days.values());
        let recorded = covered.filter_map(|coverage| coverage.margin);
        recorded.max().unwrap_or(0).max(self.request.terms.margin)
    }

    /// The reach of input objects for an attempt. Covered days keep the margin that they were
    /// loaded with, except the `renewed` ones. `latest` is newer than the survey.
    pub(super) fn reach(&self, renewed: &BTreeSet<Day>, latest: Option<&PeriodRecord>) -> Reach {
        let is_older =
            |record: &&PeriodRecord| latest.is_none_or(|latest| latest.period != record.period);
        let records = self.records.iter().filter(is_older).chain(latest);
        let covered: Vec<_> = records.flat_map(|record| &record.covered_days).collect();
        let recorded = covered.iter().filter_map(|(_, coverage)| coverage.margin);
        let mut reach = Reach::same(recorded.max().unwrap_or(0).max(self.margin()));
        for (day, coverage) in covered {
            if !renewed.contains(day) {
                reach.set(*day, self.margin_of(Some(coverage)));
            }
        }
        reach
    }
}
