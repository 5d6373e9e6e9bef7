//! `url_decode`, `url_path`, `url_query`, `host_of` and `port_of`: parts of URLs and of
//! request targets.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::Int32Array;
use arrow::datatypes::DataType;
use datafusion::logical_expr::ColumnarValue;
use percent_encoding::percent_decode_str;

use super::definition::{Definition, Returns, one_text};
use super::text::{column, map_parts, text_type};

/// Decodes percent escapes. The text is unchanged if the result is not UTF-8.
pub(super) static URL_DECODE: Definition = Definition {
    name: "url_decode",
    arguments: one_text,
    returns: Returns::Fixed(text_type),
    invoke: |args| map_parts(args, |text| Some(decode(text))),
};

pub(super) static URL_PATH: Definition = Definition {
    name: "url_path",
    arguments: one_text,
    returns: Returns::Fixed(text_type),
    invoke: |args| map_parts(args, |text| present(path(text))),
};

pub(super) static URL_QUERY: Definition = Definition {
    name: "url_query",
    arguments: one_text,
    returns: Returns::Fixed(text_type),
    invoke: |args| map_parts(args, |text| present(query(text))),
};

/// Returns the host of a URL or of `host:port`, without the port.
pub(super) static HOST_OF: Definition = Definition {
    name: "host_of",
    arguments: one_text,
    returns: Returns::Fixed(text_type),
    invoke: |args| map_parts(args, |text| present(host(text))),
};

/// Returns the port that a URL, `host:port` or `[address]:port` names.
pub(super) static PORT_OF: Definition = Definition {
    name: "port_of",
    arguments: one_text,
    returns: Returns::Fixed(|| DataType::Int32),
    invoke: |args| {
        let source = column(args, 0)?;
        let ports: Int32Array = source.iter().map(|text| text.and_then(port)).collect();
        Ok(ColumnarValue::Array(Arc::new(ports)))
    },
};

fn present(part: &str) -> Option<Cow<'_, str>> {
    (!part.is_empty() && part != "-").then_some(Cow::Borrowed(part))
}

fn decode(text: &str) -> Cow<'_, str> {
    if !text.as_bytes().contains(&b'%') {
        return Cow::Borrowed(text);
    }
    percent_decode_str(text)
        .decode_utf8()
        .unwrap_or(Cow::Borrowed(text))
}

/// Returns the text between the authority and the query.
fn path(text: &str) -> &str {
    let target = text.split(['?', '#']).next().unwrap_or_default();
    match target.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]),
        None => target,
    }
}

fn query(text: &str) -> &str {
    let whole = text.split_once('#').map_or(text, |(before, _)| before);
    whole.split_once('?').map_or("", |(_, query)| query)
}

fn host(text: &str) -> &str {
    let authority = authority(text);
    if let Some(bracketed) = authority.strip_prefix('[') {
        return bracketed.split(']').next().unwrap_or_default();
    }
    match authority.rsplit_once(':') {
        // More than one colon outside brackets is an IPv6 address without a port.
        Some((host, _)) if !host.contains(':') => host,
        _ => authority,
    }
}

fn port(text: &str) -> Option<i32> {
    let authority = authority(text);
    let after = match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?.1.strip_prefix(':')?,
        None => authority.split_once(':')?.1,
    };
    let is_number = !after.is_empty() && after.bytes().all(|byte| byte.is_ascii_digit());
    let port = is_number.then(|| after.parse::<u16>().ok()).flatten()?;
    Some(i32::from(port))
}

/// Returns the part with the host and the port, without a user.
fn authority(text: &str) -> &str {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once('@').map_or(authority, |(_, a)| a)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_targets_are_split_into_parts() {
        let url = "https://u@example.com:8443/a/b?c=d#e";
        assert_eq!(
            (path(url), query(url), host(url)),
            ("/a/b", "c=d", "example.com")
        );
        assert_eq!((path("/a?b"), query("/a?b")), ("/a", "b"));
        assert_eq!(path("http://example.com?x"), "");
        assert_eq!(host("[::1]:80"), "::1");
        assert_eq!(host("2001:db8::1"), "2001:db8::1");
        assert_eq!(host("10.0.0.1:443"), "10.0.0.1");
        assert_eq!(host("example.com:80/a:1"), "example.com");
        assert_eq!(host("::"), "::");
    }

    #[test]
    fn only_a_written_port_is_one() {
        for text in [
            "h:443",
            "10.0.0.1:443",
            "[2001:db8::1]:443",
            "wss://u:p@h:443/a?b#c",
        ] {
            assert_eq!(port(text), Some(443), "{text}");
        }
        assert_eq!((port("h:0"), port("h:65535")), (Some(0), Some(65535)));
        for text in [
            "h",
            "https://h/",
            "2001:db8::1",
            "[::1]",
            "h:",
            "h:65536",
            "h:-1",
            "h:+1",
            "h:8o",
            "/a:80",
            "",
            "[::1",
            "h:99999999999999999999",
        ] {
            assert_eq!(port(text), None, "{text}");
        }
    }

    #[test]
    fn escapes_that_are_not_utf8_are_unchanged() {
        assert_eq!(decode("a%20b+c"), "a b+c");
        assert_eq!(decode("%ff"), "%ff");
        assert_eq!(decode("100%"), "100%");
    }
}
