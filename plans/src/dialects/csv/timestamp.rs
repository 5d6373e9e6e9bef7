//! Translates Java date patterns to chrono's.

use crate::spec::{ColumnKind, TimeUnit};

/// Parses a `source_log_timestamp_format`.
pub(super) fn kind(format: &str) -> Result<ColumnKind, String> {
    let unit = match format.trim().to_ascii_lowercase().as_str() {
        "epoch" | "epoch_s" | "epoch_seconds" => TimeUnit::Second,
        "epoch_ms" | "epoch_millis" => TimeUnit::Millisecond,
        "epoch_us" => TimeUnit::Microsecond,
        "epoch_ns" => TimeUnit::Nanosecond,
        _ => return strftime(format).map(ColumnKind::Strftime),
    };
    Ok(ColumnKind::Epoch(unit))
}

/// Translates a pattern. Brackets are part of the field, as in the framework.
fn strftime(pattern: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut chars = pattern.chars().peekable();
    let mut letters = false;
    while let Some(c) = chars.next() {
        if c == '\'' {
            let quoted: String = chars.by_ref().take_while(|c| *c != '\'').collect();
            out.push_str(&if quoted.is_empty() {
                "'".to_owned()
            } else {
                literal(&quoted)
            });
        } else if c.is_ascii_alphabetic() {
            let mut count = 1;
            while chars.next_if_eq(&c).is_some() {
                count += 1;
            }
            out = letter(out, c, count)?;
            letters = true;
        } else {
            out.push_str(&literal(&c.to_string()));
        }
    }
    if letters {
        Ok(out)
    } else {
        Err(format!("`{pattern}` has no date letters"))
    }
}

fn literal(text: &str) -> String {
    text.replace('%', "%%")
}

/// Translates `count` times `letter` and appends it.
fn letter(mut before: String, letter: char, count: usize) -> Result<String, String> {
    let translated = match (letter, count) {
        ('y' | 'u', 2) => "%y",
        ('y' | 'u', _) => "%Y",
        ('M' | 'L', 1 | 2) => "%m",
        ('M' | 'L', 3) => "%b",
        ('M' | 'L', _) => "%B",
        ('d', _) => "%d",
        ('D', _) => "%j",
        ('E', 1..=3) => "%a",
        ('E', _) => "%A",
        ('H', _) => "%H",
        ('h' | 'K', _) => "%I",
        ('m', _) => "%M",
        ('s', _) => "%S",
        ('a', _) => "%p",
        ('S', _) => return fraction(before, count),
        ('Z' | 'x', _) => "%z",
        ('X', _) => "%#z",
        _ => {
            let letters = letter.to_string().repeat(count);
            return Err(format!("`{letters}` is not a known part of a time"));
        }
    };
    before.push_str(translated);
    Ok(before)
}

/// Translates a fraction. After a point it matches any number of digits.
fn fraction(mut before: String, count: usize) -> Result<String, String> {
    if before.ends_with('.') {
        before.pop();
        before.push_str("%.f");
        return Ok(before);
    }
    let exact = match count {
        3 => "%3f",
        6 => "%6f",
        9 => "%9f",
        _ => return Err("a fraction without a point has 3, 6 or 9 digits".to_owned()),
    };
    before.push_str(exact);
    Ok(before)
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, NaiveDateTime};

    use super::*;

    #[test]
    fn java_patterns_are_translated() {
        let check =
            |java: &str, expected: &str| assert_eq!(strftime(java).as_deref(), Ok(expected));
        check("[dd/MMM/yyyy:HH:mm:ssZZZZ]", "[%d/%b/%Y:%H:%M:%S%z]");
        check("[dd/MMM/yyyy:HH:mm:ss ZZZZ]", "[%d/%b/%Y:%H:%M:%S %z]");
        check("yyyy-MM-dd'T'HH:mm:ss.SSSX", "%Y-%m-%dT%H:%M:%S%.f%#z");
        check("EEE, d MMMM yy hh:mm a", "%a, %d %B %y %I:%M %p");
        check("yyyyMMddHHmmssSSS", "%Y%m%d%H%M%S%3f");
        check("yyyy''%", "%Y'%%");
    }

    #[test]
    fn unknown_letters_are_reported() {
        assert_eq!(
            strftime("yyyy QQ").expect_err("wrong"),
            "`QQ` is not a known part of a time"
        );
        assert_eq!(
            strftime("--").expect_err("wrong"),
            "`--` has no date letters"
        );
        assert_eq!(kind("epoch"), Ok(ColumnKind::Epoch(TimeUnit::Second)));
    }

    #[test]
    fn translated_patterns_parse_real_times() {
        let pattern = strftime("[dd/MMM/yyyy:HH:mm:ss ZZZZ]").expect("a pattern");
        let read = DateTime::parse_from_str("[06/Feb/2019:00:00:38 +0000]", &pattern);
        assert_eq!(read.map(|time| time.timestamp()), Ok(1_549_411_238));
        let pattern = strftime("[dd/MMM/yyyy:HH:mm:ssZZZZ]").expect("a pattern");
        let read = DateTime::parse_from_str("[06/Feb/2019:00:00:38 +0000]", &pattern);
        assert!(read.is_ok(), "the framework's own example has no space");
        let pattern = strftime("yyyy-MM-dd HH:mm:ss.SSS").expect("a pattern");
        assert!(NaiveDateTime::parse_from_str("2019-02-06 00:00:38.123456", &pattern).is_ok());
    }
}
