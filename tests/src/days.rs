//! UTC days, by Howard Hinnant's calendar arithmetic. The only clock of the tests.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use anyhow::Context;

/// Seconds in a day.
pub const SECONDS: i64 = 86_400;

/// A UTC day, counted from 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i64);

impl Day {
    /// The current day.
    pub fn today() -> Self {
        let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        Self(i64::try_from(since.as_secs()).unwrap_or_default() / SECONDS)
    }

    /// The day of a calendar date.
    pub fn of(year: i64, month: i64, day: i64) -> Self {
        let year = if month <= 2 { year - 1 } else { year };
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        Self(era * 146_097 + day_of_era - 719_468)
    }

    /// Year, month and day.
    pub fn date(self) -> (i64, i64, i64) {
        let days = self.0 + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let month = if shifted < 10 {
            shifted + 3
        } else {
            shifted - 9
        };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
    }

    /// Its first second, counted from 1970.
    pub fn midnight(self) -> i64 {
        self.0 * SECONDS
    }

    /// The day `days` days later.
    pub fn plus(self, days: i64) -> Self {
        Self(self.0 + days)
    }

    /// Every day to `last`, both inclusive.
    pub fn to(self, last: Day) -> impl Iterator<Item = Day> {
        (self.0..=last.0).map(Day)
    }

    /// `yyyyMMdd`, as in `eventDay=`.
    pub fn compact(self) -> String {
        self.to_string().replace('-', "")
    }

    /// `yyyy-MM`
    pub fn month(self) -> String {
        self.to_string()[..7].to_owned()
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.date();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl FromStr for Day {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let mut parts = text.split('-').map(|part| part.parse::<i64>());
        let mut next = || {
            parts
                .next()
                .context("a day is yyyy-MM-dd")?
                .context("not a number")
        };
        Ok(Self::of(next()?, next()?, next()?))
    }
}

/// Parses a day; only for literals of tests.
pub fn day(text: &str) -> Day {
    text.parse().expect("the test's own literal is a day")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_day_numbers_agree() {
        assert_eq!(day("1970-01-01").0, 0);
        assert_eq!(day("2024-02-29").0, 19_782);
        for number in -1000..40_000 {
            let (year, month, date) = Day(number).date();
            assert_eq!(Day::of(year, month, date), Day(number));
        }
    }
}
