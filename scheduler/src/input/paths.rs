//! Reads the day, account and region of an object from its path, and whether it is input at
//! all. Parsing never fails: a path without any of these is an object without a day.
//!
//! A path has two parts: the requested folder (base) and the rest below it.
//! - The rest takes precedence over the base, which may be a dated backup folder.
//! - In the rest, folders take precedence over the file name. A folder is a partition; a name
//!   may contain the time of delivery.
//! - Of several dates the deepest counts.

use std::ops::RangeInclusive;
use std::str::FromStr;

use chrono::NaiveDate;
use plans::lake::{EXTERNAL, is_account_number, is_region_name};
use serde::{Deserialize, Serialize};

use crate::load::days::{Day, Month};
use crate::load::range::Window;

/// The attributes found in a path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathFacts {
    pub day: Option<Day>,
    /// Minute of the day, from an hour folder or the name. It orders the objects of a day.
    pub minute: Option<u16>,
    pub region: Option<String>,
    pub account: Option<String>,
}

/// Why an object of the input is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Skip {
    /// It is empty, for example a folder marker.
    Empty,
    /// A file or folder that writers hide from readers (`.x`, `_SUCCESS`, `_temporary`).
    Hidden,
    /// A file that AWS writes beside the logs: a digest, an insight or a permission test.
    NotALog,
    /// Its name cannot be addressed, for example because a part of it is empty or `..`.
    Unaddressable,
}

/// Parses the path `base` + `/` + `rest`.
pub fn facts(base: &str, rest: &str) -> PathFacts {
    let (folders, name) = rest.rsplit_once('/').unwrap_or(("", rest));
    let folders: Vec<&str> = parts(base).chain(parts(folders)).collect();
    let above = parts(base).count();
    let in_name = date_in_name(name);
    let date = date_of_folders(&folders, above + 1..=folders.len())
        .map(|date| date.or_minute_of(in_name))
        .or(in_name)
        .or_else(|| date_of_folders(&folders, 1..=above));
    let owner = |of: fn(&str) -> Option<&str>| {
        let found = folders.iter().rev().copied().find_map(of);
        // Twelve digits of a name may also be a time.
        let mut pieces = name.split(['_', '.']).filter(|piece| !is_time(piece));
        let found = found.or_else(|| pieces.find_map(of));
        found.map(str::to_owned)
    };
    PathFacts {
        day: date.map(|date| date.day),
        minute: date.and_then(|date| date.minute),
        region: owner(region),
        account: owner(account),
    }
}

/// Returns why the object at `rest` below the base is skipped, or `None` if it is read.
pub fn skip(rest: &str, size: u64) -> Option<Skip> {
    if parts(rest).any(is_hidden) {
        return Some(Skip::Hidden);
    }
    if size == 0 {
        return Some(Skip::Empty);
    }
    parts(rest).any(is_not_a_log).then_some(Skip::NotALog)
}

/// Returns why an object at `rest` would be skipped even if its name could be addressed.
pub fn skip_unaddressable(rest: &str, is_empty: bool) -> Option<Skip> {
    // As a part of a name, `..` is not hidden but bad.
    let named = parts(rest).filter(|part| !matches!(*part, "." | ".."));
    let named = named.collect::<Vec<_>>().join("/");
    skip(&named, u64::from(!is_empty))
}

/// Returns true if a folder may hold objects that a listing for `window` keeps. Only a day or
/// a month excludes a folder: a lone number such as `2019` may mean anything.
pub fn may_hold(folder: &str, window: &Window) -> bool {
    let parts: Vec<&str> = parts(folder).collect();
    if let Some(date) = date_ending(&parts) {
        return window.contains(date.day);
    }
    match month_ending(&parts) {
        Some(month) => window.overlaps(month.first_day(), month.last_day()),
        None => true,
    }
}

/// Returns true if the folder's date, a day or a month, includes `day`.
pub fn is_dated(folder: &str, day: Day) -> bool {
    let parts: Vec<&str> = parts(folder).collect();
    if let Some(date) = date_ending(&parts) {
        return date.day == day;
    }
    month_ending(&parts).is_some_and(|month| month == day.month())
}

/// Returns true for the folder of a day. All objects below belong to that day unless their
/// paths say otherwise.
pub fn is_day(folder: &str) -> bool {
    let parts: Vec<&str> = parts(folder).collect();
    date_ending(&parts).is_some()
}

/// Returns why a folder and everything below it is skipped. The rules are those for its
/// objects.
pub fn skip_folder(name: &str) -> Option<Skip> {
    if is_hidden(name) {
        return Some(Skip::Hidden);
    }
    is_not_a_log(name).then_some(Skip::NotALog)
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty())
}

fn is_hidden(part: &str) -> bool {
    part.starts_with('.')
        || (part.starts_with('_') && !part.contains('='))
        || part.ends_with("_$folder$")
}

/// CloudTrail keeps digests and insights beside its logs. AWS Config and the load balancers
/// write a file to test their permission.
fn is_not_a_log(part: &str) -> bool {
    matches!(
        part,
        "CloudTrail-Digest"
            | "CloudTrail-Insight"
            | "ConfigWritabilityCheckFile"
            | "ELBAccessLogTestFile"
    ) || part.starts_with("aws_test")
        || part.starts_with("aws-test")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Date {
    day: Day,
    minute: Option<u16>,
}

impl Date {
    fn new(year: i32, month: u32, day: u32) -> Option<Self> {
        // Logs are younger than this. Numbers outside this range are not dates.
        let plausible = (1990..2100).contains(&year);
        let date = NaiveDate::from_ymd_opt(year, month, day).filter(|_| plausible)?;
        Some(Self {
            day: date.into(),
            minute: None,
        })
    }

    fn at(self, hour: u16, minute: u16) -> Self {
        let minute = (hour < 24 && minute < 60).then_some(hour * 60 + minute);
        Self { minute, ..self }
    }

    /// Takes the minute of `other`, which is more precise than the hour of a folder.
    fn or_minute_of(self, other: Option<Date>) -> Self {
        let finer = other.filter(|other| other.day == self.day);
        Self {
            minute: finer.and_then(|finer| finer.minute).or(self.minute),
            ..self
        }
    }
}

/// Returns the deepest date that ends with one of the first `ends` folders, with the hour of
/// the folder below it.
fn date_of_folders(folders: &[&str], ends: RangeInclusive<usize>) -> Option<Date> {
    let mut ends = ends.rev();
    let (end, date) = ends.find_map(|end| Some((end, date_ending(&folders[..end])?)))?;
    let hour = folders.get(end).and_then(|part| hour(part));
    Some(match hour {
        Some(hour) => date.at(hour, 0),
        None => date,
    })
}

/// Returns the date that the last folder completes: `2024/01/15`, `year=2024/month=1/day=15`,
/// `dt=2024-01-15`, `eventDay=20240115`, `2024-01-15`, `20240115`.
fn date_ending(folders: &[&str]) -> Option<Date> {
    let (last, above) = folders.split_last()?;
    let value = last.split_once('=').map_or(*last, |(_, value)| value);
    if let Some(date) = whole_date(value) {
        return Some(date);
    }
    let month = month_ending(above)?;
    let day = field(last, "day", 2)?;
    Date::new(month.year, month.month, day)
}

fn month_ending(folders: &[&str]) -> Option<Month> {
    let (last, above) = folders.split_last()?;
    let month = field(last, "month", 2)?;
    let year = field(above.last()?, "year", 4)?;
    let first = Date::new(i32::try_from(year).ok()?, month, 1)?;
    Some(first.day.month())
}

/// Parses the number in a date folder: bare with all its digits, or after `name=`.
fn field(part: &str, name: &str, digits: usize) -> Option<u32> {
    match part.split_once('=') {
        Some((key, value)) if key.eq_ignore_ascii_case(name) => number(value),
        Some(_) => None,
        None if part.len() == digits => number(part),
        None => None,
    }
}

fn hour(part: &str) -> Option<u16> {
    let hour = field(part, "hour", 2)?;
    u16::try_from(hour).ok().filter(|hour| *hour < 24)
}

/// Parses exactly `yyyy-MM-dd`, `yyyy-MM-dd-HH` or `yyyyMMdd`.
fn whole_date(text: &str) -> Option<Date> {
    let digits = text.len() == 8 && number::<u32>(text).is_some();
    let date = match text.as_bytes() {
        _ if digits => date_at(text.as_bytes(), "yyyyMMdd"),
        bytes if bytes.len() == 10 => date_at(bytes, "yyyy-MM-dd"),
        bytes if bytes.len() == 13 => date_at(bytes, "yyyy-MM-dd-HH"),
        _ => None,
    };
    date.map(|(date, _)| date)
}

/// Spellings of dates in names. Those with a time come first because they are the least
/// ambiguous.
const NAME_PATTERNS: &[&str] = &[
    "yyyy-MM-dd-HH-mm-ss",
    "yyyy-MM-ddTHH-mm",
    "yyyy-MM-ddTHH:mm",
    "yyyy-MM-ddTHHmm",
    "yyyyMMddTHHmm",
    "yyyy-MM-dd-HH-mm",
    "yyyyMMdd-HHmm",
    "yyyyMMdd_HHmm",
    "yyyyMMddHHmmss",
    "yyyyMMddHHmm",
    "yyyy-MM-dd-HH",
    "yyyy-MM-dd",
    "yyyy_MM_dd",
    "yyyyMMdd",
];

/// Returns the date in a file's name, such as `…_20240115T0005Z_…`, `2024-01-15-10-11-12-ABC…`
/// or `E123.2024-01-15-10.abc.gz`: the last match of the first pattern that occurs.
fn date_in_name(name: &str) -> Option<Date> {
    let bytes = name.as_bytes();
    // Most positions cannot start a date, and most of the others match no pattern.
    let starts: Vec<usize> = (0..bytes.len())
        .filter(|at| matches!(bytes[*at..], [b'1' | b'2', b'0' | b'9', ..]))
        .collect();
    NAME_PATTERNS.iter().find_map(|pattern| {
        let starts = starts.iter().rev();
        starts
            .copied()
            .find_map(|at| date_in_name_at(bytes, at, pattern))
    })
}

fn date_in_name_at(bytes: &[u8], at: usize, pattern: &str) -> Option<Date> {
    let (date, length) = date_at(&bytes[at..], pattern)?;
    let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let before = at.checked_sub(1).and_then(|before| bytes.get(before));
    let after = bytes.get(at + length);
    // In S3 access logs a prefix comes right before the year and may end in a digit.
    let glued = pattern == "yyyy-MM-dd-HH-mm-ss";
    let bare = pattern == "yyyyMMdd";
    // Eight digits inside a hash are not a date.
    let letters = bare
        && (before.is_some_and(u8::is_ascii_hexdigit)
            || after.is_some_and(u8::is_ascii_alphabetic));
    (!digit(after) && (glued || !digit(before)) && !letters).then_some(date)
}

/// Parses a date in the spelling of `pattern` at the start of `text`. Returns it with its
/// length.
fn date_at(text: &[u8], pattern: &str) -> Option<(Date, usize)> {
    let text = text.get(..pattern.len())?;
    let mut fields = [0u16; 6];
    for (byte, expected) in text.iter().zip(pattern.bytes()) {
        let field = match expected {
            b'y' => 0,
            b'M' => 1,
            b'd' => 2,
            b'H' => 3,
            b'm' => 4,
            b's' => 5,
            separator if separator == *byte => continue,
            _ => return None,
        };
        let digit = byte.is_ascii_digit().then(|| u16::from(byte - b'0'))?;
        fields[field] = fields[field] * 10 + digit;
    }
    let [year, month, day, hour, minute, second] = fields;
    let date = Date::new(i32::from(year), u32::from(month), u32::from(day))?;
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let timed = pattern.contains('H');
    Some((
        if timed { date.at(hour, minute) } else { date },
        pattern.len(),
    ))
}

/// Returns the region in a folder or a piece of a name: `us-gov-east-1`, `region=eu-west-1`.
/// The region becomes a folder of the lake, so only valid region names are accepted.
fn region(part: &str) -> Option<&str> {
    match part.split_once('=') {
        Some((key, value)) => {
            let named = matches!(
                &*key.to_ascii_lowercase(),
                "region" | "aws-region" | "aws_region" | "awsregion"
            );
            (named && is_region_name(value)).then_some(value)
        }
        None => is_region(part).then_some(part),
    }
}

/// A region name: an area (`us`, `cn`, …), optionally a partition (`gov`, `iso`, `isob`, …), a
/// direction and a number.
fn is_region(text: &str) -> bool {
    const DIRECTIONS: &[&str] = &["central", "east", "north", "south", "west"];
    let pieces: Vec<&str> = text.split('-').collect();
    let (area, partition, direction, digits) = match pieces[..] {
        [area, direction, digits] => (area, None, direction, digits),
        [area, partition, direction, digits] => (area, Some(partition), direction, digits),
        _ => return false,
    };
    let directed = DIRECTIONS.iter().any(|first| {
        let rest = direction.strip_prefix(first);
        rest.is_some_and(|rest| rest.is_empty() || DIRECTIONS.contains(&rest))
    });
    area.len() == 2
        && area.bytes().all(|byte| byte.is_ascii_lowercase())
        && partition.is_none_or(|name| name == "gov" || name.starts_with("iso"))
        && directed
        && digits.len() == 1
        && number::<u32>(digits).is_some()
}

/// Returns the account in a folder or a piece of a name: twelve digits, or
/// `accountId=external_x`.
fn account(part: &str) -> Option<&str> {
    match part.split_once('=') {
        Some((key, value)) => {
            let named = matches!(
                &*key.to_ascii_lowercase(),
                "account"
                    | "accountid"
                    | "account-id"
                    | "account_id"
                    | "aws-account-id"
                    | "aws_account_id"
            );
            (named && is_account(value)).then_some(value)
        }
        None => is_account_number(part).then_some(part),
    }
}

fn is_account(text: &str) -> bool {
    is_account_number(text) || text.starts_with(EXTERNAL)
}

fn is_time(text: &str) -> bool {
    const PATTERN: &str = "yyyyMMddHHmm";
    text.len() == PATTERN.len() && date_in_name_at(text.as_bytes(), 0, PATTERN).is_some()
}

/// Parses a number of digits only. `parse` alone would accept a sign.
fn number<T: FromStr>(text: &str) -> Option<T> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use chrono::Datelike;
    use proptest::prelude::*;

    use super::*;

    /// `day minute region account` of a path below `base`, with `-` for missing values.
    fn shown(base: &str, rest: &str) -> String {
        let found = facts(base, rest);
        let or_dash = |text: Option<String>| text.unwrap_or("-".to_owned());
        format!(
            "{} {} {} {}",
            or_dash(found.day.map(|day| day.to_string())),
            or_dash(found.minute.map(|minute| minute.to_string())),
            or_dash(found.region),
            or_dash(found.account),
        )
    }

    fn check(path: &str, expected: &str) {
        assert_eq!(shown("", path), expected, "{path}");
    }

    #[test]
    fn the_folders_of_aws_logs_name_everything() {
        check(
            "AWSLogs/123456789012/vpcflowlogs/us-east-1/2024/01/15/123456789012_vpcflowlogs_us-east-1_fl-1234abcd_20240115T0005Z_fe123456.log.gz",
            "2024-01-15 5 us-east-1 123456789012",
        );
        check(
            "p/AWSLogs/o-abc/111122223333/CloudTrail/us-gov-west-1/2024/02/29/x.json.gz",
            "2024-02-29 - us-gov-west-1 111122223333",
        );
        check(
            "AWSLogs/123456789012/elasticloadbalancing/cn-north-1/2024/12/31/123456789012_elasticloadbalancing_cn-north-1_app.lb-2020-01-01.abc_20241231T2355Z_10.0.0.1_4kxa.log.gz",
            "2024-12-31 1435 cn-north-1 123456789012",
        );
        check(
            "AWSLogs/123456789012/vpcflowlogs/us-east-1/2024/01/15/10/a.gz",
            "2024-01-15 600 us-east-1 123456789012",
        );
    }

    #[test]
    fn hive_folders_name_everything() {
        check(
            "AWSLogs/aws-account-id=123456789012/aws-service=vpcflowlogs/aws-region=us-isob-east-1/year=2024/month=01/day=15/hour=07/a.parquet",
            "2024-01-15 420 us-isob-east-1 123456789012",
        );
        check(
            "ext/vpc/region=eu-west-1/accountId=external_okta/eventDay=20240115/a.parquet",
            "2024-01-15 - eu-west-1 external_okta",
        );
        check("year=2024/month=1/day=5/a", "2024-01-05 - - -");
        check("dt=2024-01-15/a", "2024-01-15 - - -");
        check("region=/accountId=/dt=2024-13-15/a", "- - - -");
        check("us-east-1/region=a%2Fb/a", "- - us-east-1 -");
        for value in ["?", "..", "a#b", "a b", "-a", &"r".repeat(65)] {
            check(&format!("region={value}/a"), "- - - -");
        }
    }

    #[test]
    fn plain_folders_name_their_day() {
        check("2024/01/15/a.log", "2024-01-15 - - -");
        check("vpc-flow-logs/2019/12/31/23/a.log", "2019-12-31 1380 - -");
        check("2024-01-15/a", "2024-01-15 - - -");
        check("20240115/a", "2024-01-15 - - -");
        check("2024/1/15/a", "- - - -");
        check("2023/02/29/a", "- - - -");
    }

    #[test]
    fn file_names_give_the_day_where_folders_do_not() {
        check("2024-01-15-10-11-12-ABCDEF0123456789", "2024-01-15 611 - -");
        check(
            "access/prefix2024-01-15-10-11-12-ABCDEF",
            "2024-01-15 611 - -",
        );
        check("log12024-01-15-10-11-12-ABCDEF", "2024-01-15 611 - -");
        check(
            "cdn/E123ABC.2024-01-15-10.abcd1234.gz",
            "2024-01-15 600 - -",
        );
        check(
            "123456789012_vpcflowlogs_eu-central-1_fl-1_20240115T0000Z_ab.log.gz",
            "2024-01-15 0 eu-central-1 123456789012",
        );
        check(
            "123456789012/us-east-1/bucket/2024/01/15/2024-01-15-00-19-41-3A",
            "2024-01-15 19 us-east-1 123456789012",
        );
        check("app_2024_01_15.log", "2024-01-15 - - -");
        check("app-20240115.log", "2024-01-15 - - -");
        check("log20240115.log", "2024-01-15 - - -");
        check("app-20240115ab.log", "- - - -");
        check("nfcapd.202401151205", "2024-01-15 725 - -");
        check("app_20240115120559.log.gz", "2024-01-15 725 - -");
        check("session-1202401159.log", "- - - -");
        check("é2024-01-15ü", "2024-01-15 - - -");
    }

    #[test]
    fn folders_win_over_names_and_deep_folders_over_shallow_ones() {
        check("dt=2024-01-16/2024-01-15-23-59-59-AB", "2024-01-16 - - -");
        check("2020/01/01/AWSLogs/2024/01/15/a", "2024-01-15 - - -");
        assert_eq!(
            shown("backup/2024-05-01", "2024-01-15-10-11-12-AB"),
            "2024-01-15 611 - -"
        );
        assert_eq!(
            shown(
                "AWSLogs/123456789012/vpcflowlogs/us-east-1/2024/01/15",
                "a.gz"
            ),
            "2024-01-15 - us-east-1 123456789012"
        );
        assert_eq!(shown("logs/2024", "01/15/a.gz"), "2024-01-15 - - -");
        assert_eq!(shown("logs/2024/01/15", "10/a.gz"), "2024-01-15 600 - -");
    }

    #[test]
    fn what_is_no_input_is_skipped() {
        for (rest, size, expected) in [
            ("2024/01/15/a.gz", 1, None),
            ("2024/01/15/a.gz", 0, Some(Skip::Empty)),
            ("2024/01/15/_SUCCESS", 0, Some(Skip::Hidden)),
            ("_temporary/0/a.gz", 1, Some(Skip::Hidden)),
            ("a/.b/c.gz", 1, Some(Skip::Hidden)),
            ("logs_$folder$", 1, Some(Skip::Hidden)),
            ("_day=1/a.gz", 1, None),
            ("AWSLogs/aws_test_file", 1, Some(Skip::NotALog)),
            ("AWSLogs/1/CloudTrail-Digest/a.gz", 1, Some(Skip::NotALog)),
            ("AWSLogs/1/ELBAccessLogTestFile", 9, Some(Skip::NotALog)),
        ] {
            assert_eq!(skip(rest, size), expected, "{rest}");
        }
    }

    #[test]
    fn a_folder_is_left_out_by_its_day_or_its_month() {
        let day = |text: &str| text.parse::<Day>().expect("a day");
        let window = Window {
            from: Some(day("2024-01-31")),
            to: day("2024-02-02"),
        };
        for (folder, expected) in [
            ("logs", true),
            ("logs/2019", true),
            ("logs/2023/12", false),
            ("logs/2024/01", true),
            ("logs/2024/01/30", false),
            ("logs/2024/01/31", true),
            ("logs/2024/02/03", false),
            ("logs/2024/02/02/23", true),
            ("year=2024/month=3", false),
            ("dt=2024-02-01", true),
            ("eventDay=20240203", false),
        ] {
            assert_eq!(may_hold(folder, &window), expected, "{folder}");
        }
        let all = Window {
            from: None,
            ..window
        };
        assert!(may_hold("1999/01", &all));
    }

    proptest! {
        #[test]
        fn every_path_has_an_answer(base in ".*", rest in ".*", digits in "[0-9TZ=/_.-]{0,40}") {
            for rest in [&rest, &digits] {
                facts(&base, rest);
                skip(rest, 1);
                may_hold(rest, &Window { from: None, to: Day(0) });
            }
        }

        #[test]
        fn a_day_is_found_in_every_layout(offset in 7_305..47_000i32) {
            let day = Day(offset);
            let date = day.date();
            let (year, month, number) = (date.year(), date.month(), date.day());
            for path in [
                format!("x/{year}/{month:02}/{number:02}/a.gz"),
                format!("year={year}/month={month}/day={number}/a.gz"),
                format!("x{year}-{month:02}-{number:02}-01-02-03-AB"),
                format!("eventDay={year}{month:02}{number:02}/a"),
                format!("a_{year}{month:02}{number:02}T0102Z_b"),
            ] {
                prop_assert_eq!(facts("", &path).day, Some(day), "{}", path);
            }
        }
    }
}
