//! Generates small logs in AWS's layout and formats. The same seed gives the same logs.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use crate::days::{Day, SECONDS};
use crate::random::Random;

/// The first line of every flow log file.
pub const FLOW_HEADER: &str = "version account-id interface-id srcaddr dstaddr srcport dstport \
     protocol packets bytes start end action log-status";

/// Generates flow logs of one account and region.
#[derive(Clone, Debug)]
pub struct Flows {
    pub account: String,
    pub region: String,
    pub seed: u64,
}

impl Default for Flows {
    fn default() -> Self {
        Self {
            account: "111122223333".to_owned(),
            region: "eu-central-1".to_owned(),
            seed: 1,
        }
    }
}

impl Flows {
    /// Writes one file for each day from `first` to `last`, each with `rows` flows.
    pub fn write_days(&self, input: &Path, first: Day, last: Day, rows: u64) -> anyhow::Result<()> {
        for day in first.to(last) {
            self.write(input, day, 0, rows)?;
        }
        Ok(())
    }

    /// Writes the `number`-th file of a day. Its first flow starts ten seconds before the day,
    /// as in files that AWS delivers after midnight.
    pub fn write(&self, input: &Path, day: Day, number: u64, rows: u64) -> anyhow::Result<PathBuf> {
        let mut random = Random::new(self.seed ^ (day.0.unsigned_abs() << 20) ^ (number << 8));
        let mut lines = vec![FLOW_HEADER.to_owned()];
        for row in 0..rows {
            let start = match row {
                0 => day.midnight() - 10,
                _ => day.midnight() + random.below(SECONDS.unsigned_abs()).cast_signed(),
            };
            lines.push(self.line(&mut random, row, start));
        }
        let path = self.path(input, day, number);
        write_gzip(&path, &(lines.join("\n") + "\n"))?;
        Ok(path)
    }

    /// The path of the `number`-th file of a day.
    pub fn path(&self, input: &Path, day: Day, number: u64) -> PathBuf {
        let Self {
            account, region, ..
        } = self;
        let folder = day.to_string().replace('-', "/");
        let at = format!("{}T{:02}{:02}Z", day.compact(), number / 60, number % 60);
        input.join(format!(
            "AWSLogs/{account}/vpcflowlogs/{region}/{folder}/\
             {account}_vpcflowlogs_{region}_fl-0123456789abcdef0_{at}_{:08x}.log.gz",
            self.seed.wrapping_mul(0x9e37_79b9) ^ number
        ))
    }

    fn line(&self, random: &mut Random, row: u64, start: i64) -> String {
        let account = &self.account;
        let end = start + random.below(60).cast_signed();
        let interface = format!("eni-0{:016x}", random.below(8));
        if row % 40 == 39 {
            let status = if row % 80 == 79 { "SKIPDATA" } else { "NODATA" };
            return format!("2 {account} {interface} - - - - - - - {start} {end} - {status}");
        }
        let (from, to) = match row % 20 {
            7 => (
                format!("2001:db8::{:x}", 1 + random.below(65_000)),
                "2001:db8:1::5".to_owned(),
            ),
            _ => (
                format!("10.0.{}.{}", random.below(256), 1 + random.below(254)),
                format!("198.51.100.{}", 1 + random.below(254)),
            ),
        };
        let packets = 1 + random.below(1000);
        // Some counts exceed 32 bits, so that a counter that wraps fails a test.
        let bytes = packets
            * if row % 50 == 3 {
                9_000_000_000
            } else {
                40 + random.below(1400)
            };
        let action = if row % 9 == 4 { "REJECT" } else { "ACCEPT" };
        format!(
            "2 {account} {interface} {from} {to} {} 443 6 {packets} {bytes} {start} {end} {action} OK",
            1024 + random.below(60_000)
        )
    }
}

/// Writes the S3 access log of a day to a flat folder, with the line shapes of real logs.
pub fn write_s3_access(input: &Path, day: Day, rows: u64) -> anyhow::Result<PathBuf> {
    let mut random = Random::new(day.0.unsigned_abs());
    let lines: Vec<String> = (0..rows)
        .map(|row| access_line(&mut random, day, row))
        .collect();
    let path = input.join(format!("{day}-00-15-00-{:016X}", random.draw()));
    fs::create_dir_all(input)?;
    fs::write(&path, lines.join("\n") + "\n").with_context(|| path.display().to_string())?;
    Ok(path)
}

fn access_line(random: &mut Random, day: Day, row: u64) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (year, month, date) = day.date();
    let month = MONTHS[usize::try_from(month - 1).unwrap_or_default()];
    let (hour, minute) = (random.below(24), random.below(60));
    let owner = "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be";
    let head = format!(
        "{owner} logs-bucket [{date:02}/{month}/{year}:{hour:02}:{minute:02}:07 +0000] \
         192.0.2.{} arn:aws:iam::111122223333:user/dev {:016X}",
        1 + random.below(254),
        random.draw()
    );
    match row % 5 {
        0 => format!(
            "{head} BATCH.DELETE.OBJECT old/{row}.json - 204 - - 113 - - - - - abc= SigV4 ECDHE-RSA-AES128-GCM-SHA256 AuthHeader logs-bucket.s3.eu-central-1.amazonaws.com TLSV1.2 - -"
        ),
        1 => format!(
            "{head} REST.GET.OBJECT a%2520b/{row}.json \"GET /a%2520b/{row}.json HTTP/1.1\" 404 NoSuchKey 243 - 12 - \"-\" \"agent \"quoted\" 1.0\" - abc= SigV4 ECDHE-RSA-AES128-GCM-SHA256 AuthHeader logs-bucket.s3.eu-central-1.amazonaws.com TLSV1.2 - -"
        ),
        2 => {
            format!("{head} REST.GET.VERSIONING - \"-\" 200 - 113 - 7 - \"-\" \"S3Console/0.4\" -")
        }
        _ => format!(
            "{head} REST.PUT.OBJECT in/{row}.json \"PUT /in/{row}.json HTTP/1.1\" 200 - - {} 20 9 \"-\" \"aws-cli/2.15\" - abc= SigV4 ECDHE-RSA-AES128-GCM-SHA256 AuthHeader logs-bucket.s3.eu-central-1.amazonaws.com TLSv1.3 - Yes",
            random.below(1 << 40)
        ),
    }
}

/// Writes `text` as one gzip member, and creates missing folders.
pub fn write_gzip(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path.parent().context("a file has a folder")?;
    fs::create_dir_all(folder)?;
    let file = fs::File::create(path).with_context(|| path.display().to_string())?;
    let mut packed = GzEncoder::new(file, Compression::fast());
    packed.write_all(text.as_bytes())?;
    packed.finish()?;
    Ok(())
}

/// Reads a gzip file, all members.
pub fn read_gzip(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let file = fs::File::open(path)?;
    MultiGzDecoder::new(file)
        .read_to_string(&mut text)
        .with_context(|| path.display().to_string())?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::days::day;
    use crate::rows::raw_flows;

    #[test]
    fn the_first_flow_of_a_day_starts_on_the_day_before() {
        let folder = tempfile::tempdir().unwrap();
        let (first, last) = (day("2024-02-28"), day("2024-03-01"));
        Flows::default()
            .write_days(folder.path(), first, last, 100)
            .unwrap();
        let count = |from, to| raw_flows(folder.path(), from, to).unwrap().len();
        assert_eq!(count(first.plus(-1), last), 300);
        assert_eq!(count(first, first), 100);
        assert_eq!(count(last, last), 99);
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let write = |part: &str| {
            let input = folder.path().join(part);
            let path = Flows::default().write(&input, day("2024-02-28"), 1, 50);
            fs::read(path.unwrap()).unwrap()
        };
        assert_eq!(write("a"), write("b"));
    }
}
