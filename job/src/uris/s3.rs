//! S3 URIs as users write them. Keys are not decoded: `%20` in a key is three characters.

use plans::storage::s3::is_bucket;

/// The schemes of S3; `s3a` and `s3n` are Hadoop's names for the same objects.
const SCHEMES: &[&str] = &["s3", "s3a", "s3n"];

/// The text after the scheme, if `text` is an S3 URI.
pub(super) fn rest(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once("://")?;
    SCHEMES.contains(&scheme).then_some(rest)
}

/// `s3://BUCKET` or `s3://BUCKET/PREFIX`, without a slash at the end.
pub(super) fn absolute(rest: &str) -> Result<String, &'static str> {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if !is_bucket(bucket) {
        return Err("a bucket's name has 3 to 63 of a-z, 0-9, `.` and `-`");
    }
    let prefix = prefix.trim_end_matches('/');
    if prefix.is_empty() {
        return Ok(format!("s3://{bucket}"));
    }
    for part in prefix.split('/') {
        match part {
            "" => return Err("`//` and `/` in a key name different objects"),
            "." | ".." => return Err("a key cannot contain `.` or `..` folders"),
            part if part.contains(char::is_control) => return Err("has a control character"),
            _ => {}
        }
    }
    Ok(format!("s3://{bucket}/{prefix}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let uri = rest(text).map(absolute);
        assert_eq!(uri, Some(Ok(expected.to_owned())), "{text}");
    }

    #[test]
    fn a_prefix_is_taken_verbatim_and_ends_without_a_slash() {
        check("s3://logs", "s3://logs");
        check("s3://logs/", "s3://logs");
        check("s3://logs/a/b//", "s3://logs/a/b");
        check("s3a://logs/a b+c%20é/d?e#f", "s3://logs/a b+c%20é/d?e#f");
        check("s3n://my.logs-1/x", "s3://my.logs-1/x");
    }

    #[test]
    fn a_key_that_could_name_other_objects_is_rejected() {
        for text in ["logs//a", "logs/a//b", "logs/./a", "logs/a/..", "logs/a\nb"] {
            assert!(absolute(text).is_err(), "{text}");
        }
    }

    #[test]
    fn bucket_names_follow_the_rules_of_aws() {
        for name in ["abc", "a.b-1", "123", &"a".repeat(63)] {
            assert!(is_bucket(name), "{name}");
        }
        let long = "a".repeat(64);
        for name in [
            "", "ab", &long, "Logs", "a_b", "-ab", "ab-", ".ab", "a..b", "10.0.0.1", "a b",
        ] {
            assert!(!is_bucket(name), "{name}");
        }
    }
}
