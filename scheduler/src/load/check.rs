//! What a scheduler checks before it accepts a load from a client: the range of each field, and
//! the places of a load with each other. Pure.

use std::ops::RangeInclusive;
use std::time::Duration;

use plans::lake::is_region_name;
use plans::storage::Role;

use super::days::Day;
use super::places;
use super::range::MAX_DAYS;
use super::terms::{Range, Terms};

const MOST_INPUTS: usize = 1000;
const LONGEST_URI: usize = 2048;
const LONGEST_TEXT: usize = 256;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const YEAR: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// 1970-01-01 to 9999-12-31.
const DAYS: RangeInclusive<i32> = 0..=2_932_896;
const MEMORY: RangeInclusive<u64> = (1 << 20)..=(64 << 30);

/// A field that is not accepted as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {what}")]
pub struct Invalid {
    /// The field's name.
    pub field: &'static str,
    /// What is wrong with it.
    pub what: String,
    /// How to fix it.
    pub remedy: &'static str,
}

impl Invalid {
    /// Says that `field` is wrong, and how to fix it.
    pub fn new(field: &'static str, what: impl Into<String>, remedy: &'static str) -> Self {
        let what = what.into();
        Self {
            field,
            what,
            remedy,
        }
    }
}

impl Terms {
    /// Refuses the first field that is out of its range.
    pub fn check(&self) -> Result<(), Invalid> {
        inputs(&self.inputs)?;
        uri("output", &self.output)?;
        self.role.as_ref().map_or(Ok(()), role)?;
        text("name", &self.name)?;
        range(self.range)?;
        number("margin", self.margin.into(), 0..=366)?;
        duration("lateness", self.lateness, 10 * YEAR)?;
        self.region.as_deref().map_or(Ok(()), region)?;
        let account = self.account.as_deref();
        account.map_or(Ok(()), |name| text("account", name))?;
        uri("quarantine", &self.quarantine)?;
        uri("work", &self.work)?;
        percent(self.max_quarantine)?;
        number("max_attempts", self.max_attempts.into(), 1..=100)?;
        number("parallel", self.parallel as u64, 0..=10_000)?;
        duration("wait", self.wait, 7 * DAY)?;
        number("memory_bytes", self.memory_bytes, MEMORY)?;
        let places = places::check(&self.output, &self.work, &self.quarantine);
        let output = std::slice::from_ref(&self.output);
        let checked = places.and_then(|()| {
            places::check_inputs(&self.inputs, output, &self.work, &self.quarantine)
        });
        checked.map_err(|wrong| Invalid::new(wrong.area, wrong.what, wrong.remedy))
    }
}

fn range(range: Range) -> Result<(), Invalid> {
    match range {
        Range::Everything => Ok(()),
        Range::Between { from, to } => between(from, to),
        Range::LastDays(days) => number("range.LastDays", days.into(), 0..=MAX_DAYS.into()),
        Range::Daily(days) => number("range.Daily", days.into(), 1..=MAX_DAYS.into()),
    }
}

fn between(from: Day, to: Day) -> Result<(), Invalid> {
    let known = DAYS.contains(&from.0) && DAYS.contains(&to.0);
    if known && from <= to && from.0.abs_diff(to.0) < MAX_DAYS {
        return Ok(());
    }
    Err(Invalid::new(
        "range.Between",
        format!("is {from} to {to}"),
        "send days since 1970-01-01, the first no later than the last, of a hundred years at most",
    ))
}

fn inputs(inputs: &[String]) -> Result<(), Invalid> {
    if inputs.is_empty() || inputs.len() > MOST_INPUTS {
        let what = format!("has {} entries", inputs.len());
        return Err(Invalid::new("inputs", what, "send between 1 and 1000 URIs"));
    }
    inputs.iter().try_for_each(|input| uri("inputs", input))
}

fn uri(field: &'static str, uri: &str) -> Result<(), Invalid> {
    const REMEDY: &str = "send an absolute URI, file:///PATH or s3://BUCKET/PREFIX";
    let path = uri
        .strip_prefix("file:///")
        .or_else(|| uri.strip_prefix("s3://"));
    let path = path.ok_or_else(|| Invalid::new(field, "is not an absolute URI", REMEDY))?;
    if uri.len() > LONGEST_URI || uri.contains(char::is_control) {
        let what = "is too long or holds control characters";
        return Err(Invalid::new(field, what, REMEDY));
    }
    if path.split('/').any(|step| step == "..") {
        return Err(Invalid::new(field, "leads upwards by `..`", REMEDY));
    }
    Ok(())
}

fn text(field: &'static str, text: &str) -> Result<(), Invalid> {
    if text.is_empty() || text.len() > LONGEST_TEXT || text.contains(char::is_control) {
        let what = "is empty, too long or holds control characters";
        return Err(Invalid::new(
            field,
            what,
            "send 1 to 256 bytes of plain text",
        ));
    }
    Ok(())
}

/// A region becomes a folder of every part's URI.
fn region(region: &str) -> Result<(), Invalid> {
    match is_region_name(region) {
        true => Ok(()),
        false => Err(Invalid::new(
            "region",
            "is no region's name",
            "send at most 64 letters, digits, `-` and `_`, such as eu-central-1",
        )),
    }
}

fn role(role: &Role) -> Result<(), Invalid> {
    if !role.arn.starts_with("arn:") {
        let remedy = "send arn:aws:iam::ACCOUNT:role/NAME";
        return Err(Invalid::new("role.arn", "is not an ARN", remedy));
    }
    text("role.arn", &role.arn)?;
    let id = role.external_id.as_deref();
    id.map_or(Ok(()), |id| text("role.external_id", id))
}

fn percent(percent: f64) -> Result<(), Invalid> {
    match (0.0..=100.0).contains(&percent) {
        true => Ok(()),
        false => Err(Invalid::new(
            "max_quarantine",
            format!("is {percent}"),
            "send a number between 0 and 100",
        )),
    }
}

fn duration(field: &'static str, duration: Duration, most: Duration) -> Result<(), Invalid> {
    if duration <= most {
        return Ok(());
    }
    let what = format!(
        "is {} seconds, not of 0 to {}",
        duration.as_secs(),
        most.as_secs()
    );
    Err(Invalid::new(field, what, "send a number between these"))
}

fn number(field: &'static str, number: u64, allowed: RangeInclusive<u64>) -> Result<(), Invalid> {
    if allowed.contains(&number) {
        return Ok(());
    }
    let (least, most) = allowed.into_inner();
    let what = format!("is {number}, not of {least} to {most}");
    Err(Invalid::new(field, what, "send a number between these"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::terms::example;

    #[track_caller]
    fn refused(field: &str, spoil: impl FnOnce(&mut Terms)) {
        let mut terms = example();
        spoil(&mut terms);
        let invalid = terms.check().expect_err(field);
        assert_eq!(invalid.field, field);
        assert!(!invalid.remedy.is_empty());
    }

    #[test]
    fn right_terms_are_accepted_and_empty_ones_are_not() {
        assert_eq!(example().check(), Ok(()));
        assert!(Terms::default().check().is_err());
    }

    #[test]
    fn a_field_out_of_bounds_is_named() {
        refused("inputs", |terms| terms.inputs.clear());
        refused("inputs", |terms| {
            terms.inputs = vec!["file:///a".to_owned(); 1001]
        });
        refused("inputs", |terms| terms.inputs = vec!["logs".to_owned()]);
        refused("output", |terms| {
            terms.output = "file:///a/../etc".to_owned()
        });
        refused("output", |terms| {
            terms.output = format!("s3://{}", "a".repeat(3000))
        });
        refused("work", |terms| terms.work = String::new());
        refused("name", |terms| terms.name = "a\nb".to_owned());
        refused("account", |terms| terms.account = Some(String::new()));
        for region in ["", "?", "a/b", "../x", "-a"] {
            refused("region", |terms| terms.region = Some(region.to_owned()));
        }
        refused("margin", |terms| terms.margin = 367);
        refused("lateness", |terms| terms.lateness = Duration::MAX);
        refused("max_quarantine", |terms| terms.max_quarantine = f64::NAN);
        refused("max_attempts", |terms| terms.max_attempts = 0);
        refused("parallel", |terms| terms.parallel = 10_001);
        refused("memory_bytes", |terms| terms.memory_bytes = u64::MAX);
        refused("wait", |terms| terms.wait = Duration::MAX);
    }

    #[test]
    fn a_role_is_an_arn_and_its_external_id_plain_text() {
        let role = |arn: &str, id: Option<&str>| {
            Some(Role {
                arn: arn.to_owned(),
                external_id: id.map(str::to_owned),
            })
        };
        refused("role.arn", |terms| terms.role = role("", None));
        let arn = "arn:aws:iam::123456789012:role/r";
        refused("role.external_id", |terms| terms.role = role(arn, Some("")));
        let terms = Terms {
            role: role(arn, Some("id")),
            ..example()
        };
        assert_eq!(terms.check(), Ok(()));
    }

    #[test]
    fn places_that_do_not_fit_together_are_named() {
        refused("quarantine", |terms| {
            terms.quarantine = "s3://lake/a/q".to_owned()
        });
        refused("quarantine", |terms| {
            terms.quarantine = "file:///q".to_owned()
        });
        refused("work", |terms| terms.work = "s3://lake/a/w".to_owned());
        refused("work", |terms| terms.work = "file:///w".to_owned());
    }

    #[test]
    fn a_range_is_of_days_that_exist() {
        for (from, to) in [(2, 1), (-1, 1), (i32::MIN, i32::MAX), (0, 40_000)] {
            let (from, to) = (Day(from), Day(to));
            refused("range.Between", |terms| {
                terms.range = Range::Between { from, to }
            });
        }
        refused("range.Daily", |terms| terms.range = Range::Daily(0));
        refused("range.LastDays", |terms| {
            terms.range = Range::LastDays(u32::MAX)
        });
    }
}
