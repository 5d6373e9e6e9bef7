//! Judges an object's path: source, region, account and day.

use super::findings::Findings;
use super::rules::Rule;
use crate::lake::{LONGEST_SOURCE, PartialAddress, SourceName, is_account, is_lowercase_region};

/// Reads `path` (with `/`) and judges it.
pub(super) fn judge(path: &str, findings: &mut Findings) -> PartialAddress {
    let address = PartialAddress::read(path);
    findings.judge(Rule::Path, wrong_path(&address));
    findings.judge(Rule::SourcePrefix, wrong_source(&address));
    if let Some(region) = &address.region {
        let wrong = !is_lowercase_region(region);
        findings.judge(
            Rule::Region,
            wrong.then(|| format!("`{region}` is not a region")),
        );
    }
    if let Some(account) = &address.account {
        let wrong = !is_account(account);
        findings.judge(
            Rule::Account,
            wrong.then(|| format!("`{account}` is not an account")),
        );
    }
    address
}

fn wrong_path(address: &PartialAddress) -> Option<String> {
    let wrong = !address.is_complete();
    wrong.then(|| format!("the folders are `{}`", address.partitions))
}

fn wrong_source(address: &PartialAddress) -> Option<String> {
    match address.source() {
        SourceName::Empty => Some("the source has no name".to_owned()),
        SourceName::Named(source) if source.len() > LONGEST_SOURCE => {
            Some(format!("`{source}` has {} characters", source.len()))
        }
        SourceName::Named(_) => None,
        SourceName::NoExt => Some("no `ext/SOURCE/` before `region=`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str) -> (PartialAddress, Findings) {
        let mut findings = Findings::new(path, 9);
        let address = judge(path, &mut findings);
        (address, findings)
    }

    #[test]
    fn a_path_of_the_lake_has_source_region_account_and_day() {
        let path = "lake/ext/vpc_flow/region=eu-central-1/accountId=123456789012/eventDay=20240122/a.parquet";
        let (address, findings) = check(path);
        assert_eq!(address.region.as_deref(), Some("eu-central-1"));
        assert_eq!(address.day, Some(19744));
        assert_eq!(address.source_folder, "lake/ext/vpc_flow");
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
    fn a_source_name_has_at_most_twenty_characters() {
        let long =
            "ext/a_source_name_too_long/region=r/accountId=external/eventDay=20240122/a.parquet";
        assert_eq!(check(long).1.messages(Rule::SourcePrefix).len(), 1);
    }
}
