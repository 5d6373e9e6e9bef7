//! `url_decode`, `url_path`, `url_query` and `host_of`: parts of URLs and of request targets.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::definition::{Definition, Returns, one_text};
use super::text::{map_parts, text_type};

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
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit_once('@').map_or(authority, |(_, a)| a);
    if let Some(bracketed) = authority.strip_prefix('[') {
        return bracketed.split(']').next().unwrap_or_default();
    }
    match authority.rsplit_once(':') {
        // More than one colon outside brackets is an IPv6 address without a port.
        Some((host, _)) if !host.contains(':') => host,
        _ => authority,
    }
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
    }

    #[test]
    fn escapes_that_are_not_utf8_are_unchanged() {
        assert_eq!(decode("a%20b+c"), "a b+c");
        assert_eq!(decode("%ff"), "%ff");
        assert_eq!(decode("100%"), "100%");
    }
}
