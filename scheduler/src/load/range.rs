//! The days that a load asks for, and the periods that they belong to. Callers pass today
//! in, and it is the same for the whole load.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::days::{Day, Month, NotADate};
use super::terms::Range;

/// The most days that one load may ask for: a hundred years.
pub const MAX_DAYS: u32 = 36_525;

/// The name of a period: a month, or a day of a daily load. Written `yyyy-MM` or `yyyy-MM-dd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Period {
    Month(Month),
    Day(Day),
}

/// A period clipped to the days asked for; never without a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedPeriod {
    pub period: Period,
    pub days: BTreeSet<Day>,
}

/// The length of a load's periods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Month,
    Day,
}

/// The days whose objects a listing keeps, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// `None` keeps objects of any age.
    pub from: Option<Day>,
    pub to: Day,
}

/// Why a range cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    #[error("the range begins on {from}, after its end on {to}")]
    Backwards { from: Day, to: Day },
    #[error("a range of {days} days: one load takes at most {MAX_DAYS}")]
    TooLong { days: u64 },
    #[error("a daily load of no days: ask for at least one")]
    NoDays,
    #[error(
        "the paths of the {objects} input objects name no day: give the range with --from and --to"
    )]
    Undated { objects: u64 },
}

impl Range {
    /// The length of the periods that the range is divided into.
    pub fn unit(self) -> Unit {
        match self {
            Self::Daily(_) => Unit::Day,
            Self::Everything | Self::Between { .. } | Self::LastDays(_) => Unit::Month,
        }
    }
}

impl Window {
    /// Whether `day` is in the window.
    pub fn contains(&self, day: Day) -> bool {
        self.overlaps(day, day)
    }

    /// Whether a day between `first` and `last`, both inclusive, is in the window.
    pub fn overlaps(&self, first: Day, last: Day) -> bool {
        first <= self.to && self.from.is_none_or(|from| from <= last)
    }
}

/// The window to list for `range`, with `margin` days on each side. `revisit` holds the days
/// of earlier loads to look at again (`remaining::revisit`).
pub fn window(
    range: Range,
    today: Day,
    margin: u32,
    revisit: &BTreeSet<Day>,
) -> Result<Window, RangeError> {
    let margin = i32::try_from(margin).unwrap_or(i32::MAX);
    let (from, to) = match bounds(range, today)? {
        Some((from, to)) => (Some(from), to),
        None => (None, today.plus(-1)),
    };
    let from = from.map(|from| revisit.first().map_or(from, |first| from.min(*first)));
    let to = revisit.last().map_or(to, |last| to.max(*last));
    Ok(Window {
        from: from.map(|from| from.plus(-margin)),
        to: to.plus(margin),
    })
}

/// The days asked for. Only `Range::Everything` looks at the input: `found` holds the days
/// that have objects, and `undated` is the number of objects whose paths name no day.
pub fn resolve(
    range: Range,
    today: Day,
    found: impl IntoIterator<Item = Day>,
    undated: u64,
) -> Result<BTreeSet<Day>, RangeError> {
    if let Some((from, to)) = bounds(range, today)? {
        return Ok(from.to(to).collect());
    }
    let days: BTreeSet<Day> = found.into_iter().filter(|day| *day < today).collect();
    if days.is_empty() && undated > 0 {
        return Err(RangeError::Undated { objects: undated });
    }
    within_limit(days.len() as u64)?;
    Ok(days)
}

/// Divides `days` into periods, in order. The periods are disjoint and cover exactly `days`.
pub fn cut(days: &BTreeSet<Day>, unit: Unit) -> Vec<AskedPeriod> {
    let mut periods: BTreeMap<Period, BTreeSet<Day>> = BTreeMap::new();
    for day in days {
        let period = match unit {
            Unit::Month => Period::Month(day.month()),
            Unit::Day => Period::Day(*day),
        };
        periods.entry(period).or_default().insert(*day);
    }
    let asked = periods.into_iter();
    asked
        .map(|(period, days)| AskedPeriod { period, days })
        .collect()
}

/// First and last day of a range that does not depend on the input.
fn bounds(range: Range, today: Day) -> Result<Option<(Day, Day)>, RangeError> {
    let (from, to) = match range {
        Range::Everything => return Ok(None),
        Range::Between { from, to } if from > to => return Err(RangeError::Backwards { from, to }),
        Range::Between { from, to } => (from, to),
        Range::LastDays(days) => (today.plus(-limited(days)?), today),
        Range::Daily(0) => return Err(RangeError::NoDays),
        Range::Daily(days) => (today.plus(-limited(days)?), today.plus(-1)),
    };
    within_limit(u64::from(to.0.abs_diff(from.0)) + 1)?;
    Ok(Some((from, to)))
}

fn limited(days: u32) -> Result<i32, RangeError> {
    within_limit(u64::from(days))?;
    Ok(i32::try_from(days).expect("the limit is far below the greatest i32"))
}

fn within_limit(days: u64) -> Result<(), RangeError> {
    if days > u64::from(MAX_DAYS) {
        return Err(RangeError::TooLong { days });
    }
    Ok(())
}

impl Period {
    /// The month whose item in the status table keeps this period.
    pub fn month(self) -> Month {
        match self {
            Self::Month(month) => month,
            Self::Day(day) => day.month(),
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Month(month) => month.fmt(f),
            Self::Day(day) => day.fmt(f),
        }
    }
}

impl FromStr for Period {
    type Err = NotADate;

    fn from_str(text: &str) -> Result<Self, NotADate> {
        let month = text.parse().map(Self::Month);
        let period = month.or_else(|_| text.parse().map(Self::Day));
        period.map_err(|_| NotADate {
            text: text.to_owned(),
            what: "period (yyyy-MM or yyyy-MM-dd)",
        })
    }
}

impl From<Period> for String {
    fn from(period: Period) -> Self {
        period.to_string()
    }
}

impl TryFrom<String> for Period {
    type Error = NotADate;

    fn try_from(text: String) -> Result<Self, NotADate> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> Day {
        text.parse().expect("a day")
    }

    fn between(from: &str, to: &str) -> Range {
        Range::Between {
            from: day(from),
            to: day(to),
        }
    }

    fn check(range: Range, today: &str, expected: &[&str]) {
        let found = ["2024-01-03", "2024-01-01", "2024-02-09", "2024-02-10"].map(day);
        let days = resolve(range, day(today), found, 0).expect("a good range");
        let periods = cut(&days, range.unit());
        let shown: Vec<String> = periods.iter().map(show).collect();
        assert_eq!(shown, expected, "{range:?} on {today}");
    }

    fn show(asked: &AskedPeriod) -> String {
        let (first, last) = (asked.days.first(), asked.days.last());
        let (first, last) = (first.expect("a day"), last.expect("a day"));
        format!("{} {first}..{last} {}", asked.period, asked.days.len())
    }

    #[test]
    fn a_range_is_cut_at_month_boundaries_and_clipped() {
        check(
            between("2023-05-22", "2023-06-22"),
            "2024-02-10",
            &[
                "2023-05 2023-05-22..2023-05-31 10",
                "2023-06 2023-06-01..2023-06-22 22",
            ],
        );
        check(
            between("2024-02-29", "2024-02-29"),
            "2020-01-01",
            &["2024-02 2024-02-29..2024-02-29 1"],
        );
    }

    #[test]
    fn the_last_days_end_with_today() {
        check(
            Range::LastDays(35),
            "2024-02-10",
            &[
                "2024-01 2024-01-06..2024-01-31 26",
                "2024-02 2024-02-01..2024-02-10 10",
            ],
        );
        check(
            Range::LastDays(0),
            "2024-02-10",
            &["2024-02 2024-02-10..2024-02-10 1"],
        );
    }

    #[test]
    fn a_daily_load_is_the_days_before_today_one_by_one() {
        check(
            Range::Daily(2),
            "2024-03-01",
            &[
                "2024-02-28 2024-02-28..2024-02-28 1",
                "2024-02-29 2024-02-29..2024-02-29 1",
            ],
        );
    }

    #[test]
    fn everything_is_what_the_input_has_to_yesterday() {
        check(
            Range::Everything,
            "2024-02-10",
            &[
                "2024-01 2024-01-01..2024-01-03 2",
                "2024-02 2024-02-09..2024-02-09 1",
            ],
        );
    }

    #[test]
    fn a_range_that_makes_no_sense_is_refused() {
        let resolve = |range| resolve(range, day("2024-02-10"), [], 7);
        let backwards = RangeError::Backwards {
            from: day("2024-02-02"),
            to: day("2024-02-01"),
        };
        assert_eq!(resolve(between("2024-02-02", "2024-02-01")), Err(backwards));
        assert_eq!(resolve(Range::Daily(0)), Err(RangeError::NoDays));
        let long = RangeError::TooLong {
            days: u64::from(u32::MAX),
        };
        assert_eq!(resolve(Range::LastDays(u32::MAX)), Err(long));
        let century = resolve(between("1900-01-01", "2024-02-01"));
        assert!(matches!(century, Err(RangeError::TooLong { .. })));
        let undated = RangeError::Undated { objects: 7 };
        assert_eq!(resolve(Range::Everything), Err(undated));
    }

    #[test]
    fn a_window_has_the_margin_and_the_days_to_revisit() {
        let today = day("2024-02-10");
        let found = window(Range::Daily(1), today, 1, &BTreeSet::new());
        let expected = Window {
            from: Some(day("2024-02-08")),
            to: day("2024-02-10"),
        };
        assert_eq!(found, Ok(expected));
        let revisit = BTreeSet::from([day("2024-01-05")]);
        let found = window(Range::Daily(1), today, 1, &revisit).expect("a good range");
        assert_eq!(found.from, Some(day("2024-01-04")));
        let everything = window(Range::Everything, today, 1, &revisit).expect("a good range");
        assert_eq!((everything.from, everything.to), (None, today));
    }

    #[test]
    fn periods_are_read_as_they_are_written() {
        for text in ["2024-01", "2024-01-15"] {
            let period: Period = text.parse().expect("a period");
            assert_eq!(period.to_string(), text);
            assert_eq!(period.month().to_string(), "2024-01");
        }
        assert!("2024".parse::<Period>().is_err());
        assert!("2024-13".parse::<Period>().is_err());
    }

    proptest! {
        #[test]
        fn splitting_a_range_into_periods_and_unioning_gives_the_range(
            from in -100_000..100_000i32,
            length in 0..3_000i32,
            daily: bool,
        ) {
            let range = Range::Between { from: Day(from), to: Day(from + length) };
            let days = resolve(range, Day(0), [], 0).expect("a good range");
            let periods = cut(&days, if daily { Unit::Day } else { Unit::Month });
            let mut union = BTreeSet::new();
            for asked in &periods {
                for day in &asked.days {
                    prop_assert!(union.insert(*day), "{day} is in two periods");
                    prop_assert_eq!(day.month(), asked.period.month());
                }
            }
            prop_assert_eq!(union, days);
            let names: BTreeSet<_> = periods.iter().map(|asked| asked.period).collect();
            prop_assert_eq!(names.len(), periods.len());
        }
    }
}
