//! UTC days, months and moments. There is no clock here: callers pass today in.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// A UTC day, counted from 1970-01-01. Written `yyyy-MM-dd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Day(pub i32);

/// A UTC month. Written `yyyy-MM`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Month {
    pub year: i32,
    /// 1 to 12.
    pub month: u32,
}

/// A point in time. Written as RFC 3339 in UTC, with milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Moment(pub DateTime<Utc>);

/// A text that is not a day, month or moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {what}")]
pub struct NotADate {
    pub text: String,
    pub what: &'static str,
}

impl Day {
    /// The day as a calendar date.
    pub fn date(self) -> NaiveDate {
        NaiveDate::from_epoch_days(self.0).unwrap_or_default()
    }

    /// The month that the day is in.
    pub fn month(self) -> Month {
        Month {
            year: self.date().year(),
            month: self.date().month(),
        }
    }

    /// The day `days` after this one, or before it where negative.
    pub fn plus(self, days: i32) -> Day {
        Day(self.0.saturating_add(days))
    }

    /// Its first moment.
    pub fn start(self) -> Moment {
        Moment(self.date().and_time(NaiveTime::MIN).and_utc())
    }

    /// Whether the day and `lateness` after it have ended at `now`. No more input is expected
    /// then.
    pub fn is_closed(self, lateness: Duration, now: Moment) -> bool {
        let end = self.plus(1).start().0;
        let lateness = TimeDelta::from_std(lateness).unwrap_or(TimeDelta::MAX);
        end.checked_add_signed(lateness)
            .is_some_and(|closed| closed <= now.0)
    }

    /// Every day from this one to `last`, both inclusive.
    pub fn to(self, last: Day) -> impl DoubleEndedIterator<Item = Day> + Clone {
        (self.0..=last.0).map(Day)
    }
}

impl From<NaiveDate> for Day {
    fn from(date: NaiveDate) -> Self {
        Self(date.to_epoch_days())
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.date().format("%Y-%m-%d"))
    }
}

impl FromStr for Day {
    type Err = NotADate;

    fn from_str(text: &str) -> Result<Self, NotADate> {
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d");
        date.map(Self::from).map_err(|_| NotADate {
            text: text.to_owned(),
            what: "day (yyyy-MM-dd)",
        })
    }
}

impl Month {
    /// The first day of the month.
    pub fn first_day(self) -> Day {
        NaiveDate::from_ymd_opt(self.year, self.month, 1)
            .unwrap_or_default()
            .into()
    }

    /// The last day of the month.
    pub fn last_day(self) -> Day {
        Day(self.next().first_day().0 - 1)
    }

    /// Every day of the month.
    pub fn days(self) -> impl DoubleEndedIterator<Item = Day> + Clone {
        self.first_day().to(self.last_day())
    }

    /// The month after this one.
    pub fn next(self) -> Month {
        match self.month {
            12 => Month {
                year: self.year + 1,
                month: 1,
            },
            month => Month {
                year: self.year,
                month: month + 1,
            },
        }
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl FromStr for Month {
    type Err = NotADate;

    fn from_str(text: &str) -> Result<Self, NotADate> {
        let day = Day::from_str(&format!("{text}-01"));
        day.map(Day::month).map_err(|_| NotADate {
            text: text.to_owned(),
            what: "month (yyyy-MM)",
        })
    }
}

impl Moment {
    /// The UTC day of the moment.
    pub fn day(self) -> Day {
        self.0.date_naive().into()
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl FromStr for Moment {
    type Err = NotADate;

    fn from_str(text: &str) -> Result<Self, NotADate> {
        let moment = DateTime::parse_from_rfc3339(text);
        let moment = moment.map(|moment| Self(moment.to_utc()));
        moment.map_err(|_| NotADate {
            text: text.to_owned(),
            what: "time (RFC 3339)",
        })
    }
}

impl From<Moment> for String {
    fn from(moment: Moment) -> Self {
        moment.to_string()
    }
}

impl TryFrom<String> for Moment {
    type Error = NotADate;

    fn try_from(text: String) -> Result<Self, NotADate> {
        text.parse()
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.to_string()
    }
}

impl TryFrom<String> for Day {
    type Error = NotADate;

    fn try_from(text: String) -> Result<Self, NotADate> {
        text.parse()
    }
}

impl From<Month> for String {
    fn from(month: Month) -> Self {
        month.to_string()
    }
}

impl TryFrom<String> for Month {
    type Error = NotADate;

    fn try_from(text: String) -> Result<Self, NotADate> {
        text.parse()
    }
}
