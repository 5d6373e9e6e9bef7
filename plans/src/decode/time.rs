//! Parses times to UTC milliseconds: epoch numbers, RFC 3339 and strftime patterns.

use chrono::format::{Item, Parsed, StrftimeItems, parse};
use chrono::{DateTime, NaiveDate};

use super::value::integer;
use crate::spec::{ColumnKind, TimeUnit};

/// The pattern of Apache's and S3's access logs. It has a dedicated parser, for speed.
pub(crate) const ACCESS_LOG: &str = "%d/%b/%Y:%H:%M:%S %z";

/// 0001-01-01 and the end of 9999. Times outside of them have no calendar text.
const FIRST: i64 = -62_135_596_800_000;
const LAST: i64 = 253_402_300_799_999;

/// 1990-01-01 to 2100-01-01, in milliseconds. The time of an event outside of this range has
/// the wrong unit.
pub(crate) const PLAUSIBLE: std::ops::Range<i64> = 631_152_000_000..4_102_444_800_000;

const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// The time format of one column.
#[derive(Debug)]
pub(crate) enum TimeFormat {
    Epoch(TimeUnit),
    Rfc3339,
    AccessLog,
    Pattern(Vec<Item<'static>>),
    /// The first of several formats that fits.
    AnyOf(Vec<TimeFormat>),
    /// The pattern is invalid, so no text matches it.
    Unreadable,
}

impl TimeFormat {
    /// Returns the format of a column's times. `None`: the column has no times.
    pub(crate) fn of(kind: &ColumnKind) -> Option<Self> {
        Some(match kind {
            ColumnKind::Epoch(unit) => Self::Epoch(*unit),
            ColumnKind::Rfc3339 => Self::Rfc3339,
            ColumnKind::Strftime(pattern) => Self::strftime(pattern),
            ColumnKind::Times(kinds) => Self::AnyOf(kinds.iter().filter_map(Self::of).collect()),
            _ => return None,
        })
    }

    pub(crate) fn strftime(pattern: &str) -> Self {
        if pattern == ACCESS_LOG {
            return Self::AccessLog;
        }
        match StrftimeItems::new(pattern).parse_to_owned() {
            Ok(items) => Self::Pattern(items),
            Err(_) => Self::Unreadable,
        }
    }

    /// Milliseconds since 1970 in UTC.
    pub(crate) fn read(&self, text: &[u8]) -> Option<i64> {
        let millis = match self {
            Self::Epoch(unit) => epoch(text, *unit),
            Self::Rfc3339 => rfc3339(text),
            Self::AccessLog => access_log(text),
            Self::Pattern(items) => by_pattern(text, items),
            Self::AnyOf(formats) => formats.iter().find_map(|format| format.read(text)),
            Self::Unreadable => None,
        }?;
        (FIRST..=LAST).contains(&millis).then_some(millis)
    }
}

fn epoch(text: &[u8], unit: TimeUnit) -> Option<i64> {
    let Some(number) = integer(text) else {
        return fractional_epoch(text, unit);
    };
    match unit {
        TimeUnit::Second => number.checked_mul(1000),
        TimeUnit::Millisecond => Some(number),
        TimeUnit::Microsecond => Some(number.div_euclid(1000)),
        TimeUnit::Nanosecond => Some(number.div_euclid(1_000_000)),
    }
}

/// Parses `1591367999.43`. The two parts are parsed separately, as floats would lose digits.
fn fractional_epoch(text: &[u8], unit: TimeUnit) -> Option<i64> {
    let dot = text.iter().position(|byte| *byte == b'.')?;
    let (whole, fraction) = (&text[..dot], &text[dot + 1..]);
    let is_number = !fraction.is_empty() && fraction.iter().all(u8::is_ascii_digit);
    let millis = epoch(whole, unit).filter(|_| is_number)?;
    if !matches!(unit, TimeUnit::Second) {
        return Some(millis);
    }
    let part = milliseconds(fraction);
    Some(if whole.starts_with(b"-") {
        millis - part
    } else {
        millis + part
    })
}

/// Returns the milliseconds of a fraction: its first three digits.
fn milliseconds(fraction: &[u8]) -> i64 {
    let digit = |at: usize| fraction.get(at).map_or(0, |byte| i64::from(byte - b'0'));
    digit(0) * 100 + digit(1) * 10 + digit(2)
}

/// Parses `2024-01-15T10:00:00.123Z`, also with spaces, and with any offset or none (UTC).
fn rfc3339(text: &[u8]) -> Option<i64> {
    let (fields, mut rest) = text.split_at_checked(19)?;
    let has_marks = fields[4] == b'-'
        && fields[7] == b'-'
        && matches!(fields[10], b'T' | b't' | b' ')
        && fields[13] == b':'
        && fields[16] == b':';
    let date = (
        digits(&fields[..4])?,
        digits(&fields[5..7])?,
        digits(&fields[8..10])?,
    );
    let clock = (
        digits(&fields[11..13])?,
        digits(&fields[14..16])?,
        digits(&fields[17..19])?,
    );
    let mut millis = millis_of(date, clock).filter(|_| has_marks)?;
    if let [b'.' | b',', tail @ ..] = rest {
        let length = tail.iter().take_while(|byte| byte.is_ascii_digit()).count();
        millis += milliseconds(&tail[..length]);
        rest = tail.get(length..).filter(|_| length > 0)?;
    }
    // Some writers have a space before the offset.
    if let [b' ', offset @ ..] = rest
        && !offset.is_empty()
    {
        rest = offset;
    }
    Some(millis - offset_millis(rest)?)
}

/// Parses `06/Feb/2019:00:00:38 +0000`.
fn access_log(text: &[u8]) -> Option<i64> {
    let (fields, rest) = text.split_at_checked(20)?;
    let has_marks = [(2, b'/'), (6, b'/'), (11, b':'), (14, b':'), (17, b':')]
        .iter()
        .all(|(at, mark)| fields[*at] == *mark);
    let month = MONTHS.iter().position(|name| *name == &fields[3..6])? as i64 + 1;
    let date = (digits(&fields[7..11])?, month, digits(&fields[..2])?);
    let clock = (
        digits(&fields[12..14])?,
        digits(&fields[15..17])?,
        digits(&fields[18..20])?,
    );
    let offset = offset_millis(rest.strip_prefix(b" ")?)?;
    Some(millis_of(date, clock).filter(|_| has_marks)? - offset)
}

/// Parses `Z`, `+05:30`, `+0530`, `+05` or the empty text.
fn offset_millis(text: &[u8]) -> Option<i64> {
    let (sign, digits_text) = match text {
        [] | [b'Z' | b'z'] => return Some(0),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = match digits_text {
        [_, _] => (digits(digits_text)?, 0),
        [_, _, b':', rest @ ..] | [_, _, rest @ ..] if rest.len() == 2 => {
            (digits(&digits_text[..2])?, digits(rest)?)
        }
        _ => return None,
    };
    let is_offset = hours < 24 && minutes < 60;
    is_offset.then_some(sign * (hours * 60 + minutes) * 60_000)
}

fn digits(text: &[u8]) -> Option<i64> {
    integer(text).filter(|_| text[0] != b'-')
}

fn millis_of((year, month, day): (i64, i64, i64), clock: (i64, i64, i64)) -> Option<i64> {
    let (hour, minute, second) = clock;
    // A leap second counts as the last second of its minute.
    let second = second.min(if second == 60 { 59 } else { second });
    let is_clock = hour < 24 && minute < 60 && second < 60;
    let is_date = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    let seconds = days_from_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    (is_clock && is_date).then_some(seconds * 1000)
}

fn days_in(year: i64, month: i64) -> i64 {
    let is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Counts days in the proleptic Gregorian calendar. Years start in March here, which makes
/// the leap day the last day of a year.
fn days_from_1970(year: i64, month: i64, day: i64) -> i64 {
    let march_year = if month <= 2 { year - 1 } else { year };
    let march_month = (month + 9) % 12;
    let leap_days =
        march_year.div_euclid(4) - march_year.div_euclid(100) + march_year.div_euclid(400);
    march_year * 365 + leap_days + (march_month * 153 + 2) / 5 + day - 1 - 719_468
}

fn by_pattern(text: &[u8], items: &[Item<'static>]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let mut parsed = Parsed::new();
    parse(&mut parsed, text, items.iter()).ok()?;
    complete(&mut parsed);
    if let Ok(instant) = parsed.to_datetime() {
        return Some(instant.timestamp_millis());
    }
    let date: NaiveDate = parsed.to_naive_date().ok()?;
    let time = parsed.to_naive_time().ok()?;
    let instant: DateTime<chrono::Utc> = date.and_time(time).and_utc();
    Some(instant.timestamp_millis())
}

/// Sets missing parts of the time of day to zero and a missing AM/PM to AM, as Spark's
/// `to_timestamp` does.
fn complete(parsed: &mut Parsed) {
    if parsed.timestamp().is_some() {
        return;
    }
    // Setting a part fails only if it was parsed, and these were not.
    let _ = match (parsed.hour_div_12(), parsed.hour_mod_12()) {
        (None, None) => parsed.set_hour(0),
        (None, Some(_)) => parsed.set_ampm(false),
        (Some(_), _) => Ok(()),
    };
    if parsed.minute().is_none() {
        let _ = parsed.set_minute(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: i64 = 1_549_411_238_000;

    fn check(format: &TimeFormat, cases: &[(&str, Option<i64>)]) {
        for (text, expected) in cases {
            assert_eq!(format.read(text.as_bytes()), *expected, "{text}");
        }
    }

    #[test]
    fn epoch_numbers_are_read_in_their_unit() {
        check(
            &TimeFormat::Epoch(TimeUnit::Second),
            &[
                ("1549411238", Some(EPOCH)),
                ("1549411238.4599", Some(EPOCH + 459)),
                ("-1.5", Some(-1500)),
                ("1549411238.", None),
                ("1549411238.x", None),
                ("9223372036854775807", None),
                ("999999999999999", None),
                ("-", None),
            ],
        );
        check(
            &TimeFormat::Epoch(TimeUnit::Nanosecond),
            &[("1549411238000999999", Some(EPOCH))],
        );
    }

    #[test]
    fn rfc3339_accepts_any_offset_and_none() {
        check(
            &TimeFormat::Rfc3339,
            &[
                ("2019-02-06T00:00:38Z", Some(EPOCH)),
                ("2019-02-06 00:00:38", Some(EPOCH)),
                ("2019-02-06T05:30:38.25+05:30", Some(EPOCH + 250)),
                ("2019-02-05T16:00:38.123456-0800", Some(EPOCH + 123)),
                ("2019-02-29T00:00:38Z", None),
                ("2019-02-06T24:00:38Z", None),
                ("2019-02-06T00:00:38.Z", None),
                ("2019-02-06T00:00:38x", None),
                ("2019-02-06", None),
                ("-019-02-06T00:00:38Z", None),
            ],
        );
    }

    #[test]
    fn the_first_format_that_fits_is_used() {
        let kinds = vec![
            ColumnKind::Epoch(TimeUnit::Second),
            ColumnKind::Rfc3339,
            ColumnKind::Strftime("%Y/%m/%d %H:%M:%S".to_owned()),
        ];
        check(
            &TimeFormat::of(&ColumnKind::Times(kinds)).unwrap(),
            &[
                ("1549411238", Some(EPOCH)),
                ("2019-02-06T00:00:38Z", Some(EPOCH)),
                ("2019-02-06 00:00:38", Some(EPOCH)),
                ("2019/02/06 00:00:38", Some(EPOCH)),
                ("06.02.2019", None),
            ],
        );
        let days = ["%d/%m/%Y", "%m/%d/%Y"].map(|day| ColumnKind::Strftime(day.to_owned()));
        check(
            &TimeFormat::of(&ColumnKind::Times(days.to_vec())).unwrap(),
            &[
                ("06/02/2019", Some(EPOCH - 38_000)),
                ("02/26/2019", Some(EPOCH - 38_000 + 20 * 86_400_000)),
            ],
        );
        assert!(TimeFormat::of(&ColumnKind::Text).is_none());
    }

    #[test]
    fn access_log_times_have_an_offset() {
        check(
            &TimeFormat::strftime(ACCESS_LOG),
            &[
                ("06/Feb/2019:00:00:38 +0000", Some(EPOCH)),
                ("05/Feb/2019:19:00:38 -0500", Some(EPOCH)),
                ("06/Foo/2019:00:00:38 +0000", None),
                ("06/Feb/2019:00:00:38", None),
                ("06/Feb/2019", None),
            ],
        );
    }

    #[test]
    fn patterns_without_an_offset_are_utc() {
        check(
            &TimeFormat::strftime("[%d/%b/%Y:%H:%M:%S%z]"),
            &[
                ("[06/Feb/2019:01:00:38+0100]", Some(EPOCH)),
                ("06/Feb/2019", None),
            ],
        );
        check(
            &TimeFormat::strftime("%Y-%m-%d %H:%M:%S"),
            &[("2019-02-06 00:00:38", Some(EPOCH))],
        );
        check(
            &TimeFormat::strftime("%Y%m%d"),
            &[("20190206", Some(EPOCH - 38_000))],
        );
        check(&TimeFormat::strftime("%Q"), &[("20190206", None)]);
    }

    #[test]
    fn missing_parts_of_the_time_of_day_are_zero() {
        let midnight = EPOCH - 38_000;
        let hour = 3_600_000;
        let cases = [
            ("%Y-%m-%d %I:%M:%S", "2019-02-06 03:00:38", EPOCH + 3 * hour),
            ("%Y-%m-%d %I:%M:%S", "2019-02-06 12:00:38", EPOCH),
            (
                "%Y-%m-%d %I:%M %p",
                "2019-02-06 03:00 PM",
                midnight + 15 * hour,
            ),
            ("%Y-%m-%d %H", "2019-02-06 07", midnight + 7 * hour),
            ("%Y-%m-%d %I%z", "2019-02-06 03+0100", midnight + 2 * hour),
            ("%Y-%m-%d%z", "2019-02-06-0200", midnight + 2 * hour),
            ("%s", "1549411238", EPOCH),
        ];
        for (pattern, text, expected) in cases {
            let read = TimeFormat::strftime(pattern).read(text.as_bytes());
            assert_eq!(read, Some(expected), "{pattern} {text}");
        }
        let twelve = TimeFormat::strftime("%Y-%m-%d %I:%M");
        assert_eq!(twelve.read(b"2019-02-06 13:00"), None);
    }

    #[test]
    fn days_agree_with_chrono() {
        for days in (-700_000..2_900_000).step_by(997) {
            let date = NaiveDate::from_epoch_days(days).expect("within chrono's range");
            use chrono::Datelike;
            let (year, month, day) = (date.year().into(), date.month().into(), date.day().into());
            assert_eq!(days_from_1970(year, month, day), i64::from(days), "{date}");
        }
    }
}
