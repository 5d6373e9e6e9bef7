//! The protocol's `Load` and our request: what comes in is checked field by field, and its
//! places with each other, so that nothing behind it has to. Pure.

use std::ops::RangeInclusive;
use std::time::Duration;

use plans::lake::is_region_name;
use plans::storage::Role;

use super::proto;
use crate::load::days::Day;
use crate::load::places;
use crate::load::range::MAX_DAYS;
use crate::load::request::{LoadRequest, OnStale, Range, Shape};
use crate::load::saved::SavedRequest;

const MOST_INPUTS: usize = 1000;
const LONGEST_URI: usize = 2048;
const LONGEST_TEXT: usize = 256;
const DAY_SECONDS: u64 = 24 * 60 * 60;
const YEAR_SECONDS: u64 = 366 * DAY_SECONDS;
/// 1970-01-01 to 9999-12-31.
const DAYS: RangeInclusive<i32> = 0..=2_932_896;
const MEMORY: RangeInclusive<u64> = (1 << 20)..=(64 << 30);

/// A field that cannot be taken as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {what}")]
pub struct Invalid {
    pub field: &'static str,
    pub what: String,
    pub remedy: &'static str,
}

fn invalid(field: &'static str, what: impl Into<String>, remedy: &'static str) -> Invalid {
    let what = what.into();
    Invalid {
        field,
        what,
        remedy,
    }
}

/// A load's id: 32 hexadecimal digits.
pub fn load_id(field: &'static str, id: &str) -> Result<(), Invalid> {
    let is_digit = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    match id.len() == 32 && id.bytes().all(is_digit) {
        true => Ok(()),
        false => Err(invalid(
            field,
            "is not the id of a load",
            "send 32 hexadecimal digits",
        )),
    }
}

/// The request, as a load's record keeps it, of the source with this name and digest.
pub fn saved(load: proto::Load, source: &str, digest: &str) -> Result<SavedRequest, Invalid> {
    let saved = SavedRequest {
        source: source.to_owned(),
        config_digest: digest.to_owned(),
        shape: shape(load.shape)?,
        range: range(load.range)?,
        role: load.role.map(role).transpose()?,
        on_stale: match load.reload_stale {
            true => OnStale::Reload,
            false => OnStale::Report,
        },
        inputs: inputs(load.inputs)?,
        output: uri("output", load.output)?,
        name: text("name", load.name)?,
        full_load: load.full_load,
        margin: number("margin_days", load.margin_days.into(), 0..=366)?,
        lateness: seconds("lateness_seconds", load.lateness_seconds, 10 * YEAR_SECONDS)?,
        region: load.region.map(region).transpose()?,
        account: load.account.map(|name| text("account", name)).transpose()?,
        quarantine: uri("quarantine", load.quarantine)?,
        work: uri("work", load.work)?,
        max_quarantine: percent(load.max_quarantine_percent)?,
        max_attempts: number("max_attempts", load.max_attempts.into(), 1..=100)?,
        parallel: number("parallel", load.parallel.into(), 0..=10_000)?,
        wait: seconds("wait_seconds", load.wait_seconds, 7 * DAY_SECONDS)?,
        allow_empty: load.allow_empty,
        // The executors have theirs.
        cores: 1,
        memory_bytes: number("memory_bytes", load.memory_bytes, MEMORY)?,
    };
    let places = places::check(&saved.output, &saved.work, &saved.quarantine);
    places.map_err(|misplaced| invalid(misplaced.area, misplaced.what, misplaced.remedy))?;
    Ok(saved)
}

/// The request as it travels.
pub fn load(request: &LoadRequest) -> proto::Load {
    let role = request.role.clone();
    proto::Load {
        inputs: request.inputs.clone(),
        output: request.output.clone(),
        role: role.map(|role| proto::Role {
            arn: role.arn,
            external_id: role.external_id,
        }),
        name: request.name.clone(),
        shape: match request.shape {
            Shape::Ocsf => proto::Shape::Ocsf.into(),
            Shape::Raw => proto::Shape::Raw.into(),
        },
        range: Some(sent_range(request.range)),
        full_load: request.full_load,
        reload_stale: request.on_stale == OnStale::Reload,
        margin_days: request.margin,
        lateness_seconds: request.lateness.as_secs(),
        region: request.region.clone(),
        account: request.account.clone(),
        quarantine: request.quarantine.clone(),
        work: request.work.clone(),
        max_quarantine_percent: request.max_quarantine,
        max_attempts: request.max_attempts,
        parallel: u32::try_from(request.parallel).unwrap_or(u32::MAX),
        wait_seconds: request.wait.as_secs(),
        allow_empty: request.allow_empty,
        memory_bytes: request.memory_bytes,
    }
}

fn sent_range(range: Range) -> proto::Range {
    use proto::range::Days;
    proto::Range {
        days: Some(match range {
            Range::Everything => Days::Everything(proto::Everything {}),
            Range::Between { from, to } => Days::Between(proto::Between {
                from_day: from.0,
                to_day: to.0,
            }),
            Range::LastDays(days) => Days::LastDays(days),
            Range::Daily(days) => Days::Daily(days),
        }),
    }
}

fn shape(shape: i32) -> Result<Shape, Invalid> {
    match proto::Shape::try_from(shape) {
        Ok(proto::Shape::Ocsf) => Ok(Shape::Ocsf),
        Ok(proto::Shape::Raw) => Ok(Shape::Raw),
        Ok(proto::Shape::Unspecified) | Err(_) => Err(invalid(
            "shape",
            format!("is {shape}, which is not known here"),
            "send SHAPE_OCSF or SHAPE_RAW, or update the scheduler",
        )),
    }
}

fn range(range: Option<proto::Range>) -> Result<Range, Invalid> {
    use proto::range::Days;
    let days = range.and_then(|range| range.days);
    let days = days.ok_or_else(|| {
        invalid(
            "range",
            "is missing or not known here",
            "say which days to load",
        )
    })?;
    match days {
        Days::Everything(_) => Ok(Range::Everything),
        Days::Between(between) => self::between(between),
        Days::LastDays(days) => Ok(Range::LastDays(some_days("range.last_days", days, 0)?)),
        Days::Daily(days) => Ok(Range::Daily(some_days("range.daily", days, 1)?)),
    }
}

fn between(between: proto::Between) -> Result<Range, Invalid> {
    let (from, to) = (between.from_day, between.to_day);
    let known = DAYS.contains(&from) && DAYS.contains(&to);
    if !known || from > to || from.abs_diff(to) >= MAX_DAYS {
        return Err(invalid(
            "range.between",
            format!("is {from} to {to}"),
            "send days since 1970-01-01, the first no later than the last, of a hundred years at most",
        ));
    }
    Ok(Range::Between {
        from: Day(from),
        to: Day(to),
    })
}

fn some_days(field: &'static str, days: u32, least: u32) -> Result<u32, Invalid> {
    number(field, days.into(), least.into()..=MAX_DAYS.into())
}

fn inputs(inputs: Vec<String>) -> Result<Vec<String>, Invalid> {
    if inputs.is_empty() || inputs.len() > MOST_INPUTS {
        let what = format!("has {} entries", inputs.len());
        return Err(invalid("inputs", what, "send between 1 and 1000 URIs"));
    }
    inputs
        .into_iter()
        .map(|input| uri("inputs", input))
        .collect()
}

fn uri(field: &'static str, uri: String) -> Result<String, Invalid> {
    const REMEDY: &str = "send an absolute URI, file:///PATH or s3://BUCKET/PREFIX";
    let path = uri
        .strip_prefix("file:///")
        .or_else(|| uri.strip_prefix("s3://"));
    let path = path.ok_or_else(|| invalid(field, "is not an absolute URI", REMEDY))?;
    if uri.len() > LONGEST_URI || uri.contains(char::is_control) {
        return Err(invalid(
            field,
            "is too long or holds control characters",
            REMEDY,
        ));
    }
    if path.split('/').any(|step| step == "..") {
        return Err(invalid(field, "leads upwards by `..`", REMEDY));
    }
    Ok(uri)
}

fn text(field: &'static str, text: String) -> Result<String, Invalid> {
    if text.is_empty() || text.len() > LONGEST_TEXT || text.contains(char::is_control) {
        let what = "is empty, too long or holds control characters";
        return Err(invalid(field, what, "send 1 to 256 bytes of plain text"));
    }
    Ok(text)
}

/// It becomes a folder of every part's URI.
fn region(region: String) -> Result<String, Invalid> {
    match is_region_name(&region) {
        true => Ok(region),
        false => Err(invalid(
            "region",
            "is no region's name",
            "send at most 64 letters, digits, `-` and `_`, such as eu-central-1",
        )),
    }
}

fn role(role: proto::Role) -> Result<Role, Invalid> {
    if !role.arn.starts_with("arn:") {
        return Err(invalid(
            "role.arn",
            "is not an ARN",
            "send arn:aws:iam::ACCOUNT:role/NAME",
        ));
    }
    let external_id = role.external_id;
    Ok(Role {
        arn: text("role.arn", role.arn)?,
        external_id: external_id
            .map(|id| text("role.external_id", id))
            .transpose()?,
    })
}

fn percent(percent: f64) -> Result<f64, Invalid> {
    match (0.0..=100.0).contains(&percent) {
        true => Ok(percent),
        false => Err(invalid(
            "max_quarantine_percent",
            format!("is {percent}"),
            "send a number between 0 and 100",
        )),
    }
}

fn seconds(field: &'static str, seconds: u64, most: u64) -> Result<Duration, Invalid> {
    number(field, seconds, 0..=most).map(Duration::from_secs)
}

fn number<T: TryFrom<u64>>(
    field: &'static str,
    number: u64,
    allowed: RangeInclusive<u64>,
) -> Result<T, Invalid> {
    let fits = allowed.contains(&number).then_some(number);
    let fits = fits.and_then(|number| T::try_from(number).ok());
    fits.ok_or_else(|| {
        let what = format!(
            "is {number}, not of {} to {}",
            allowed.start(),
            allowed.end()
        );
        invalid(field, what, "send a number between these")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load() -> proto::Load {
        proto::Load {
            inputs: vec!["file:///in".to_owned()],
            output: "s3://lake/a".to_owned(),
            name: "default".to_owned(),
            shape: proto::Shape::Ocsf.into(),
            range: Some(sent_range(Range::Daily(3))),
            quarantine: "s3://lake/q/".to_owned(),
            work: "s3://lake/w/".to_owned(),
            max_quarantine_percent: 5.0,
            max_attempts: 3,
            memory_bytes: 128 << 20,
            ..proto::Load::default()
        }
    }

    #[test]
    fn a_load_is_taken_as_it_was_sent() {
        let saved = saved(load(), "vpc_flow", "digest").expect("it is well formed");
        assert_eq!(saved.range, Range::Daily(3));
        assert_eq!(saved.output, "s3://lake/a");
        assert_eq!((saved.parallel, saved.max_attempts), (0, 3));
        assert_eq!(saved.config_digest, "digest");
    }

    #[track_caller]
    fn refused(field: &str, spoil: impl FnOnce(&mut proto::Load)) {
        let mut load = load();
        spoil(&mut load);
        let invalid = saved(load, "s", "d").expect_err(field);
        assert_eq!(invalid.field, field);
        assert!(!invalid.remedy.is_empty());
    }

    #[test]
    fn a_field_out_of_bounds_is_named() {
        refused("inputs", |load| load.inputs.clear());
        refused("inputs", |load| {
            load.inputs = vec!["file:///a".to_owned(); 1001]
        });
        refused("inputs", |load| load.inputs = vec!["logs".to_owned()]);
        refused("output", |load| load.output = "file:///a/../etc".to_owned());
        refused("output", |load| {
            load.output = format!("s3://{}", "a".repeat(3000))
        });
        refused("work", |load| load.work = String::new());
        refused("name", |load| load.name = "a\nb".to_owned());
        for region in ["", "?", "a/b", "../x", "-a"] {
            refused("region", |load| load.region = Some(region.to_owned()));
        }
        refused("shape", |load| load.shape = 0);
        refused("shape", |load| load.shape = 99);
        refused("range", |load| load.range = None);
        refused("max_quarantine_percent", |load| {
            load.max_quarantine_percent = f64::NAN
        });
        refused("max_attempts", |load| load.max_attempts = 0);
        refused("memory_bytes", |load| load.memory_bytes = u64::MAX);
        refused("wait_seconds", |load| load.wait_seconds = u64::MAX);
        refused("role.arn", |load| load.role = Some(proto::Role::default()));
    }

    #[test]
    fn places_that_cannot_stand_together_are_named() {
        refused("quarantine", |load| {
            load.quarantine = "s3://lake/a/q".to_owned()
        });
        refused("quarantine", |load| {
            load.quarantine = "file:///q".to_owned()
        });
        refused("work", |load| load.work = "s3://lake/a/w".to_owned());
        refused("work", |load| load.work = "file:///w".to_owned());
    }

    #[test]
    fn a_range_is_of_days_that_exist() {
        let range = |from, to| {
            let (from, to) = (Day(from), Day(to));
            Some(sent_range(Range::Between { from, to }))
        };
        for (from, to) in [(2, 1), (-1, 1), (i32::MIN, i32::MAX), (0, 40_000)] {
            refused("range.between", |load| load.range = range(from, to));
        }
        refused("range.daily", |load| {
            load.range = Some(sent_range(Range::Daily(0)))
        });
        refused("range.last_days", |load| {
            load.range = Some(sent_range(Range::LastDays(u32::MAX)));
        });
    }

    #[test]
    fn an_id_is_32_hexadecimal_digits() {
        assert!(load_id("load_id", &"0a".repeat(16)).is_ok());
        for wrong in ["", "0a", &"0A".repeat(16), &"zz".repeat(16)] {
            assert!(load_id("load_id", wrong).is_err(), "{wrong}");
        }
    }
}
