//! Values of flags that have a unit. A number without its unit is refused where
//! the unit is not obvious.

use std::time::Duration;

use plans::lake::is_region_name;
use scheduler::load::days::Day;

const SECONDS: &[(&str, u64)] = &[("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];

/// `48h`, `2d`, `90m`, `30s` or a sum such as `1h30m`; `0` needs no unit.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (seconds, tail) = one_duration(rest).ok_or_else(|| duration_help(text))?;
        total = total
            .checked_add(seconds)
            .ok_or_else(|| duration_help(text))?;
        rest = tail;
    }
    if text.is_empty() {
        return Err(duration_help(text));
    }
    Ok(Duration::from_secs(total))
}

/// The first number and unit of `text` in seconds, and what follows.
fn one_duration(text: &str) -> Option<(u64, &str)> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let count: u64 = text[..digits].parse().ok()?;
    let (unit, seconds) = SECONDS
        .iter()
        .find(|(unit, _)| text[digits..].starts_with(unit))?;
    Some((count.checked_mul(*seconds)?, &text[digits + unit.len()..]))
}

fn duration_help(text: &str) -> String {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return format!("say the unit, such as `{text}h`, `{text}m` or `{text}s`");
    }
    "write a number and a unit, such as `48h`, `2d`, `90m` or `30s`".to_owned()
}

/// A UTC day, `yyyy-MM-dd`.
pub(crate) fn day(text: &str) -> Result<Day, String> {
    text.parse::<Day>()
        .map_err(|_| "write a UTC day as `yyyy-MM-dd`, such as `2024-01-22`".to_owned())
}

/// A number of days: `2` or `2d`, from 0.
pub(crate) fn days(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix('d').unwrap_or(text);
    match number.parse::<u32>() {
        Ok(days) if days <= MOST_DAYS => Ok(days),
        Ok(_) => Err(format!("at most {MOST_DAYS} days")),
        Err(_) => Err("write a whole number of days, such as `2`".to_owned()),
    }
}

/// A hundred years: more is a typing error, and day arithmetic stays in range.
const MOST_DAYS: u32 = 36_525;

/// A number of days from 1.
pub(crate) fn some_days(text: &str) -> Result<u32, String> {
    match days(text)? {
        0 => Err("at least 1 day".to_owned()),
        days => Ok(days),
    }
}

/// `5`, `0.5` or `5%`: per cent, 0 to 100.
pub(crate) fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim_end();
    match number.parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        _ => Err("write per cent from 0 to 100, such as `5` or `0.5%`".to_owned()),
    }
}

/// A region: it becomes a folder of the lake.
pub(crate) fn region(text: &str) -> Result<String, String> {
    match is_region_name(text) {
        true => Ok(text.to_owned()),
        false => {
            let help = "write at most 64 letters, digits, `-` and `_`, such as `eu-central-1`";
            Err(help.to_owned())
        }
    }
}

/// A whole number from 1.
pub(crate) fn positive(text: &str) -> Result<u32, String> {
    match text.parse::<u32>() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("write a whole number from 1".to_owned()),
    }
}

/// Bytes with an optional binary unit: `64M`, `64MiB`, `1G`.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_end_matches("iB").trim_end_matches('B');
    let shift = match unit {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return Err("write bytes such as `128M` or `1G`".to_owned()),
    };
    let number: Option<u64> = number.parse().ok();
    number
        .and_then(|number| number.checked_mul(1 << shift))
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| "write bytes such as `128M` or `1G`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<u64> {
        duration(text).ok().map(|duration| duration.as_secs())
    }

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        let cases = [("48h", 172_800), ("2d", 172_800), ("30s", 30), ("0", 0)];
        for (text, expected) in cases {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        assert_eq!(seconds("1h30m"), Some(5_400));
    }

    #[test]
    fn a_duration_without_a_unit_is_refused_with_a_proposal() {
        assert!(duration("48").is_err_and(|help| help.contains("`48h`")));
        for text in [
            "",
            "h",
            "-1h",
            "1.5h",
            "48 h",
            "1w",
            "99999999999999999999d",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn per_cent_may_carry_its_sign() {
        assert_eq!(percent("5%"), Ok(5.0));
        assert_eq!(percent("0.5"), Ok(0.5));
        for text in ["-1", "101", "five", "NaN", ""] {
            assert!(percent(text).is_err(), "{text}");
        }
    }

    #[test]
    fn days_are_whole_and_in_range() {
        assert_eq!(days("2d"), Ok(2));
        assert_eq!(days("0"), Ok(0));
        assert!(some_days("0").is_err());
        assert!(days("4000000000").is_err());
        assert!(day("2024-02-30").is_err());
        assert!(day("2024-02-29").is_ok());
    }

    #[test]
    fn bytes_take_binary_units() {
        assert_eq!(bytes("128M"), Ok(128 << 20));
        assert_eq!(bytes("1GiB"), Ok(1 << 30));
        assert!(bytes("0").is_err());
        assert!(bytes("99999999999G").is_err());
    }
}
