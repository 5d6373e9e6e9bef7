//! What may be the value of a partition. Region and account become folders of a URI, so
//! nothing else may pass here.

/// Longest name of a custom source: Security Lake makes role names from it.
pub const LONGEST_SOURCE: usize = 20;
/// What the account of logs that are not AWS's begins with.
pub const EXTERNAL: &str = "external";
const LONGEST_REGION: usize = 64;

/// Whether `account` is twelve digits, `external`, or `external_` and a plain name.
pub fn is_account(account: &str) -> bool {
    let Some(rest) = account.strip_prefix(EXTERNAL) else {
        return is_account_number(account);
    };
    let name = rest.strip_prefix('_');
    rest.is_empty() || name.is_some_and(|name| !name.is_empty() && is_plain(name))
}

/// Whether `text` has the form of an AWS account's number.
pub fn is_account_number(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether `region` may be the name of a region, of AWS or not: at most 64 ASCII letters,
/// digits, `-` and `_` that begin with a letter or a digit.
pub fn is_region_name(region: &str) -> bool {
    region.starts_with(|c: char| c.is_ascii_alphanumeric())
        && region.len() <= LONGEST_REGION
        && is_plain(region)
}

/// Whether `region` is spelled as AWS spells its regions. Security Lake asks for this in
/// objects that it reads.
pub fn is_lowercase_region(region: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    region.bytes().all(allowed)
}

fn is_plain(name: &str) -> bool {
    name.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_regions_name_is_plain_and_short() {
        let longest = "r".repeat(64);
        for name in ["us-gov-west-1", "unknown", "r", "0_a", &longest] {
            assert!(is_region_name(name), "{name}");
        }
        let too_long = "r".repeat(65);
        for name in [
            "",
            "?",
            "a#b",
            "../../tmp/x",
            "a//b",
            "%2F",
            "-a",
            "_a",
            ".",
            "é",
            "a b",
            "a\n",
            &too_long,
        ] {
            assert!(!is_region_name(name), "{name}");
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
            assert!(is_account(account), "{account}");
        }
        for account in [
            "1234567890123",
            "-",
            "external_",
            "external-x",
            "unknown",
            "external_a b",
            "../x",
        ] {
            assert!(!is_account(account), "{account}");
        }
    }
}
