//! Checks the path of an object: source, region, account and day.

use chrono::NaiveDate;

use super::findings::Findings;
use super::rules::Rule;

/// Maximum length of the name of a custom source. Names of roles contain it.
const LONGEST_SOURCE: usize = 20;

/// The parts of a path that are valid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PathParts {
    /// The folder above `region=`.
    pub(super) target: String,
    pub(super) region: Option<String>,
    pub(super) account: Option<String>,
    /// Days since 1970-01-01.
    pub(super) day: Option<i32>,
}

/// Parses `path` (with `/`) and checks it.
pub(super) fn parse(path: &str, findings: &mut Findings) -> PathParts {
    let mut folders: Vec<&str> = path.split('/').collect();
    folders.pop();
    let start = folders.len().saturating_sub(3);
    let (before, keys) = folders.split_at(start);
    let parts = PathParts {
        target: before.join("/"),
        region: value(keys, 0, "region"),
        account: value(keys, 1, "accountId"),
        day: value(keys, 2, "eventDay").and_then(|day| parse_day(&day)),
    };
    findings.judge(Rule::Path, wrong_path(keys, &parts));
    findings.judge(Rule::SourcePrefix, wrong_prefix(before));
    if let Some(region) = &parts.region {
        findings.judge(Rule::Region, wrong_region(region));
    }
    if let Some(account) = &parts.account {
        findings.judge(Rule::Account, wrong_account(account));
    }
    parts
}

fn value(keys: &[&str], index: usize, name: &str) -> Option<String> {
    let rest = keys.get(index)?.strip_prefix(name)?;
    let value = rest.strip_prefix('=')?;
    (!value.is_empty()).then(|| value.to_owned())
}

fn parse_day(text: &str) -> Option<i32> {
    if text.len() != 8 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let date = NaiveDate::parse_from_str(text, "%Y%m%d").ok()?;
    Some(date.to_epoch_days())
}

fn wrong_path(keys: &[&str], parts: &PathParts) -> Option<String> {
    let whole = parts.region.is_some() && parts.account.is_some() && parts.day.is_some();
    (!whole).then(|| format!("the folders are `{}`", keys.join("/")))
}

fn wrong_prefix(before: &[&str]) -> Option<String> {
    match before {
        [.., "ext", ""] => Some("the source has no name".to_owned()),
        [.., "ext", source] if source.len() > LONGEST_SOURCE => {
            Some(format!("`{source}` has {} characters", source.len()))
        }
        [.., "ext", _] => None,
        _ => Some("no `ext/SOURCE/` before `region=`".to_owned()),
    }
}

fn wrong_region(region: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let wrong = !region.bytes().all(allowed);
    wrong.then(|| format!("`{region}` is not a region"))
}

fn wrong_account(account: &str) -> Option<String> {
    let digits = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let external = match account.strip_prefix("external") {
        Some("") => true,
        Some(rest) => rest
            .strip_prefix('_')
            .is_some_and(|id| !id.is_empty() && id.chars().all(word)),
        None => false,
    };
    (!digits && !external).then(|| format!("`{account}` is not an account"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str) -> (PathParts, Findings) {
        let mut findings = Findings::new(path, 9);
        let parts = parse(path, &mut findings);
        (parts, findings)
    }

    #[test]
    fn a_path_of_the_lake_has_source_region_account_and_day() {
        let path = "lake/ext/vpc_flow/region=eu-central-1/accountId=123456789012/eventDay=20240122/a.parquet";
        let (parts, findings) = check(path);
        assert_eq!(parts.region.as_deref(), Some("eu-central-1"));
        assert_eq!(parts.day, Some(19744));
        assert_eq!(parts.target, "lake/ext/vpc_flow");
        for rule in [Rule::Path, Rule::SourcePrefix, Rule::Region, Rule::Account] {
            assert!(findings.messages(rule).is_empty(), "{rule:?}");
        }
    }

    #[test]
    fn another_case_or_an_invalid_day_is_a_finding() {
        let broken = [
            "ext/s/region=r/accountid=123456789012/eventDay=20240122/a.parquet",
            "ext/s/region=r/accountId=123456789012/eventDay=2024-01-22/a.parquet",
            "ext/s/region=r/accountId=123456789012/eventDay=20240230/a.parquet",
            "ext/s/region=/accountId=123456789012/eventDay=20240122/a.parquet",
            "a.parquet",
        ];
        for path in broken {
            assert_eq!(check(path).1.messages(Rule::Path).len(), 1, "{path}");
        }
    }

    #[test]
    fn an_account_is_twelve_digits_or_external() {
        let good = [
            "123456789012",
            "external",
            "external_s3-access",
            "external_a_b",
        ];
        for account in good {
            assert_eq!(wrong_account(account), None);
        }
        for account in [
            "1234567890123",
            "-",
            "external_",
            "external-x",
            "unknown",
            "external_a b",
        ] {
            assert!(wrong_account(account).is_some(), "{account}");
        }
    }

    #[test]
    fn a_source_name_has_at_most_twenty_characters() {
        let long =
            "ext/a_source_name_too_long/region=r/accountId=external/eventDay=20240122/a.parquet";
        assert_eq!(check(long).1.messages(Rule::SourcePrefix).len(), 1);
    }
}
