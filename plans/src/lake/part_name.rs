//! The name of a part, and what it says about the attempt that wrote it.

use super::parse_compact_day;

const SUFFIX: &str = ".zstd.parquet";

/// What the name of a part is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartName<'a> {
    pub quarantined: bool,
    pub source: &'a str,
    /// `2024-01` or `2024-01-15`
    pub period: &'a str,
    /// The day of its rows, in days since 1970-01-01.
    pub day: i32,
    /// The digest of the attempt's name.
    pub digest8: &'a str,
    /// Distinguishes the parts of one day and attempt: two words with one dash between them.
    pub number: &'a str,
}

impl PartName<'_> {
    /// The number of the part of a day's rows that a replay rejects again.
    pub const REPLAY: &'static str = "replay-0";
    /// The number of the part of a day's rows that a replay cannot read.
    pub const REPLAY_KEPT: &'static str = "replay-1";

    /// The name without its suffix.
    pub fn stem(&self) -> String {
        let kind = if self.quarantined { "quarantine-" } else { "" };
        let day = super::compact_day(self.day);
        format!(
            "{kind}{}-{}-{day}-{}-{}",
            self.source, self.period, self.digest8, self.number
        )
    }

    /// The name of the published object.
    pub fn file(&self) -> String {
        format!("{}{SUFFIX}", self.stem())
    }
}

/// The digest of the attempt that wrote a part, from the part's URI.
pub fn attempt_digest(uri: &str) -> Option<&str> {
    let name = uri.rsplit('/').next()?.strip_suffix(SUFFIX)?;
    // …-{digest8}-{word}-{word}: counted from the end, since a source's name may have dashes.
    let digest = name.rsplit('-').nth(2)?;
    let is_hex = digest.len() == 8 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then_some(digest)
}

/// The day of a part's rows, in days since 1970-01-01, from the part's URI.
pub fn part_day(uri: &str) -> Option<i32> {
    let name = uri.rsplit('/').next()?;
    parse_compact_day(name.rsplit('-').nth(3)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FOLDER: &str = "s3://lake/ext/my-logs/region=r/accountId=a/eventDay=20240115";

    #[test]
    fn a_name_is_made_as_the_picture_shows_it() {
        let mut name = PartName {
            quarantined: false,
            source: "my-logs",
            period: "2024-01",
            day: 19737,
            digest8: "0011aabb",
            number: "0000c0ffee00-7",
        };
        let events = "my-logs-2024-01-20240115-0011aabb-0000c0ffee00-7.zstd.parquet";
        assert_eq!(name.file(), events);
        name.quarantined = true;
        assert_eq!(name.file(), format!("quarantine-{events}"));
    }

    #[test]
    fn a_parts_name_has_its_attempts_digest_and_another_name_has_none() {
        for name in [
            "my-logs-2024-01-20240115-0011aabb-0000c0ffee00-0",
            "quarantine-my-logs-2024-01-15-20240115-0011aabb-00001234abcd-12",
            "my-logs-2024-01-20240115-0011aabb-replay-0",
        ] {
            let uri = format!("{FOLDER}/{name}{SUFFIX}");
            assert_eq!(attempt_digest(&uri), Some("0011aabb"), "{name}");
            assert_eq!(part_day(&uri), Some(19737), "{name}");
        }
        for name in [
            "part-00000-0011aabb-c000.snappy.parquet",
            "a.zstd.parquet",
            "lakebolt-probe-0011aabb",
            "x-0011aabz-1-0.zstd.parquet",
        ] {
            assert_eq!(attempt_digest(&format!("{FOLDER}/{name}")), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn digest_and_day_are_read_back_from_the_name(
            quarantined in any::<bool>(),
            source in "[a-z][a-z0-9_-]{0,19}",
            period in "20[0-9]{2}-[01][0-9](-[0-3][0-9])?",
            day in 0..60_000i32,
            digest8 in "[0-9a-f]{8}",
            number in "[0-9a-f]{12}-[0-9]{1,3}|replay-[01]",
        ) {
            let name = PartName {
                quarantined,
                source: &source,
                period: &period,
                day,
                digest8: &digest8,
                number: &number,
            };
            let uri = format!("{FOLDER}/{}", name.file());
            prop_assert_eq!(attempt_digest(&uri), Some(digest8.as_str()));
            prop_assert_eq!(part_day(&uri), Some(day));
        }
    }
}
