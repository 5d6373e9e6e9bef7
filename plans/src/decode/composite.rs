//! Cuts texts into parts: addresses with ports, Windows users, HTTP requests and pairs.

use std::collections::HashMap;
use std::net::Ipv6Addr;
use std::ops::Range;

use super::json_scan::Scanner;
use super::rows::write_json_string;
use crate::spec::Composite;

/// The parts of a text, in the order of `Composite::parts`. One that is missing is `None`.
pub(crate) type Parts<'a> = [Option<&'a str>; 3];

/// The key in `pairs` of a text before the first pair.
const BEFORE: &str = "_text";

/// Number of escaped quotes after which a quoted value is taken to end at the first.
const FAR: usize = 64;

/// Cuts a text. `None`: it does not have the expected form. Whether the parts are values of
/// their types is for the caller to check.
pub(crate) fn parts(composite: Composite, text: &str) -> Option<Parts<'_>> {
    match composite {
        Composite::IpPort => ip_port(text),
        Composite::WindowsUser => windows_user(text),
        Composite::RequestLine => request_line(text),
        Composite::Pairs => None,
    }
}

/// `192.0.2.1:443`, `[2001:db8::1]:443`, or without a port. An IPv6 address needs no brackets
/// unless it may be read in two ways: `::1:443` has a port or not.
fn ip_port(text: &str) -> Option<Parts<'_>> {
    let (ip, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (ip, rest) = rest.split_once(']').filter(|(ip, _)| ip.contains(':'))?;
            match rest {
                "" => (ip, None),
                _ => (ip, Some(rest.strip_prefix(':')?)),
            }
        }
        None => match text.rsplit_once(':') {
            Some((ip, port)) => match (text.parse::<Ipv6Addr>(), ip.parse::<Ipv6Addr>()) {
                (Ok(_), Ok(_)) if is_port(port) => return None,
                (Ok(_), _) => (text, None),
                (Err(_), _) => (ip, Some(port)),
            },
            None => (text, None),
        },
    };
    port.is_none_or(is_port).then_some([Some(ip), port, None])
}

fn is_port(port: &str) -> bool {
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    is_number && port.parse::<u16>().is_ok()
}

/// `DOMAIN\name`, or `name@domain`.
fn windows_user(text: &str) -> Option<Parts<'_>> {
    let (domain, name) = match text.split_once('\\') {
        Some(parts) => parts,
        None => text.split_once('@').map(|(name, domain)| (domain, name))?,
    };
    let is_whole = |part: &str| !part.is_empty() && !part.contains('\\');
    let is_user = is_whole(domain) && is_whole(name) && !domain.contains('@');
    is_user.then_some([Some(domain), Some(name), None])
}

/// `GET /path HTTP/1.1`. The path may contain spaces. The oldest requests have no version.
fn request_line(text: &str) -> Option<Parts<'_>> {
    let (method, rest) = text.split_once(' ')?;
    let is_letter = |byte: u8| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_');
    let is_method = !method.is_empty() && method.bytes().all(is_letter);
    let with_version = rest.rsplit_once(' ');
    let with_version = with_version.filter(|(_, version)| version.starts_with("HTTP/"));
    let (path, version) = match with_version {
        Some((path, version)) => (path, Some(version)),
        None if rest.contains(' ') => return None,
        None => (rest, None),
    };
    let is_path = !path.is_empty() && path.trim() == path;
    (is_method && is_path).then_some([Some(method), Some(path), version])
}

/// A pair in a text.
struct Pair {
    /// Where its key begins.
    start: usize,
    key: Range<usize>,
    /// Where its value begins. It ends where the next pair begins.
    value: usize,
}

/// Appends the pairs of a text as a JSON object of strings. Commas, semicolons, white space and
/// `&` separate pairs. A word without `=` belongs to the value before it. A repeated key has a
/// list of its values. A text without a pair becomes a JSON string, and a JSON object is kept.
pub(crate) fn pairs(text: &str, out: &mut Vec<u8>) {
    if is_object(text) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    let found = found(text);
    let Some(first) = found.first() else {
        write_json_string(out, text);
        return;
    };
    let before = text[..first.start].trim_matches(is_separator);
    let mut members: Vec<(&str, Vec<String>)> = Vec::with_capacity(found.len());
    let mut places = HashMap::new();
    if !before.is_empty() {
        places.insert(BEFORE, 0);
        members.push((BEFORE, vec![before.to_owned()]));
    }
    let ends = found.iter().skip(1).map(|next| next.start);
    for (pair, end) in found.iter().zip(ends.chain([text.len()])) {
        let key = &text[pair.key.clone()];
        let value = unquoted(text[pair.value..end].trim_end_matches(is_separator));
        let place = *places.entry(key).or_insert(members.len());
        match members.get_mut(place) {
            Some((_, values)) => values.push(value),
            None => members.push((key, vec![value])),
        }
    }
    write_members(&members, out);
}

fn is_object(text: &str) -> bool {
    let mut scanner = Scanner::new(text.as_bytes());
    scanner.peek() == Some(b'{') && scanner.value().is_ok() && scanner.peek().is_none()
}

fn write_members(members: &[(&str, Vec<String>)], out: &mut Vec<u8>) {
    for (index, (key, values)) in members.iter().enumerate() {
        out.push(if index == 0 { b'{' } else { b',' });
        write_json_string(out, key);
        out.push(b':');
        match values.as_slice() {
            [value] => write_json_string(out, value),
            values => serde_json::to_writer(&mut *out, values).expect("texts have a JSON form"),
        }
    }
    out.push(b'}');
}

fn is_separator(c: char) -> bool {
    matches!(c, ',' | ';' | '&') || c.is_ascii_whitespace()
}

/// Finds the pairs. A key is at the beginning of a word and outside of quotes.
fn found(text: &str) -> Vec<Pair> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    // Quotes that nothing ends from here on, so that they are searched for once.
    let mut unclosed = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if is_separator(char::from(bytes[at])) {
            at += 1;
            continue;
        }
        let start = at;
        if let Some(pair) = pair(bytes, start) {
            at = pair.value;
            found.push(pair);
        }
        // The rest of the word, or the value.
        let quote = bytes.get(at).filter(|byte| is_quote(byte));
        let quote = quote.filter(|quote| !unclosed.contains(*quote));
        let end = quote.and_then(|_| closing(&text[at..]));
        if let (Some(quote), None) = (quote, end) {
            unclosed.push(*quote);
        }
        at = match end {
            Some(length) => at + length + 1,
            None => at + word(&bytes[at..]),
        };
    }
    found
}

fn is_quote(byte: &u8) -> bool {
    matches!(byte, b'"' | b'\'')
}

/// The bytes up to the next separator.
fn word(bytes: &[u8]) -> usize {
    let end = bytes
        .iter()
        .position(|byte| is_separator(char::from(*byte)));
    end.unwrap_or(bytes.len())
}

fn pair(bytes: &[u8], start: usize) -> Option<Pair> {
    let is_key = |byte: &u8| {
        let is_mark = is_separator(char::from(*byte)) || *byte == b'=';
        !is_mark && !is_quote(byte)
    };
    let length = bytes[start..]
        .iter()
        .take_while(|byte| is_key(byte))
        .count();
    let end = start + length;
    let spaces = |at: usize| bytes[at..].iter().take_while(|byte| **byte == b' ').count();
    let before = spaces(end);
    let is_pair = length > 0 && bytes.get(end + before) == Some(&b'=');
    let value = end + before + 1;
    is_pair.then(|| Pair {
        start,
        key: start..end,
        value: match before {
            0 => value,
            _ => value + spaces(value),
        },
    })
}

/// The position of the quote that ends a text which begins with a quote. A separator or the end
/// must follow.
fn closing(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let quote = *bytes.first().filter(|byte| is_quote(byte))?;
    let ends = |at: &usize| {
        let next = bytes.get(at + 1);
        bytes[*at] == quote && next.is_none_or(|next| is_separator(char::from(*next)))
    };
    let is_escaped = |at: usize| at > 1 && bytes[at - 1] == b'\\';
    let mut all = (1..bytes.len()).filter(ends);
    let first = all.next()?;
    // A backslash before the quote may also be the end of a Windows path.
    match is_escaped(first) {
        true => all.take(FAR).find(|at| !is_escaped(*at)).or(Some(first)),
        false => Some(first),
    }
}

/// The value without quotes around all of it.
fn unquoted(value: &str) -> String {
    match closing(value) {
        Some(end) if end + 1 == value.len() => {
            let quote = &value[..1];
            value[1..end].replace(&format!("\\{quote}"), quote)
        }
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn check(composite: Composite, cases: &[(&str, Option<&[Option<&str>]>)]) {
        let count = composite.parts().len();
        for (text, expected) in cases {
            let found = parts(composite, text);
            let found = found.as_ref().map(|parts| &parts[..count]);
            assert_eq!(found, *expected, "{text}");
        }
    }

    #[test]
    fn an_address_may_have_a_port() {
        check(
            Composite::IpPort,
            &[
                ("192.0.2.1:443", Some(&[Some("192.0.2.1"), Some("443")])),
                ("192.0.2.1", Some(&[Some("192.0.2.1"), None])),
                ("[::1]:0", Some(&[Some("::1"), Some("0")])),
                ("[::1]", Some(&[Some("::1"), None])),
                ("::1", Some(&[Some("::1"), None])),
                ("2001:db8::5", Some(&[Some("2001:db8::5"), None])),
                ("::ffff:192.0.2.1", Some(&[Some("::ffff:192.0.2.1"), None])),
                (
                    "2001:db8:0:0:0:0:0:5:443",
                    Some(&[Some("2001:db8:0:0:0:0:0:5"), Some("443")]),
                ),
                ("::1:443", None),
                ("2001:db8::1:5", None),
                ("[192.0.2.1]:443", None),
                ("[::1]443", None),
                ("[::1", None),
                ("192.0.2.1:", None),
                ("192.0.2.1:65536", None),
                ("192.0.2.1:+1", None),
                ("192.0.2.1:https", None),
            ],
        );
    }

    #[test]
    fn a_user_has_a_domain_before_or_behind() {
        check(
            Composite::WindowsUser,
            &[
                (r"CORP\alice", Some(&[Some("CORP"), Some("alice")])),
                (
                    r"NT AUTHORITY\SYSTEM",
                    Some(&[Some("NT AUTHORITY"), Some("SYSTEM")]),
                ),
                (
                    r"CORP\alice@example",
                    Some(&[Some("CORP"), Some("alice@example")]),
                ),
                (
                    "alice@example.com",
                    Some(&[Some("example.com"), Some("alice")]),
                ),
                ("alice", None),
                (r"\alice", None),
                (r"CORP\", None),
                (r"A\B\c", None),
                ("@example.com", None),
                ("a@b@c", None),
                ("", None),
            ],
        );
    }

    #[test]
    fn a_request_has_a_method_a_path_and_a_version() {
        check(
            Composite::RequestLine,
            &[
                (
                    "GET /a?b=c HTTP/1.1",
                    Some(&[Some("GET"), Some("/a?b=c"), Some("HTTP/1.1")]),
                ),
                (
                    "GET /a b HTTP/2",
                    Some(&[Some("GET"), Some("/a b"), Some("HTTP/2")]),
                ),
                (
                    "M-SEARCH * HTTP/1.1",
                    Some(&[Some("M-SEARCH"), Some("*"), Some("HTTP/1.1")]),
                ),
                ("GET /a", Some(&[Some("GET"), Some("/a"), None])),
                ("GET /a b", None),
                ("GET  HTTP/1.1", None),
                ("GET  /a HTTP/1.1", None),
                ("get /a HTTP/1.1", None),
                ("GET", None),
                ("", None),
            ],
        );
    }

    fn object(text: &str) -> Value {
        let mut out = Vec::new();
        pairs(text, &mut out);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn pairs_become_an_object_of_texts() {
        for (text, expected) in [
            (
                r#"a=1, b="x y" c=2"#,
                json!({"a": "1", "b": "x y", "c": "2"}),
            ),
            ("SHA1=AB,MD5=CD", json!({"SHA1": "AB", "MD5": "CD"})),
            (
                "a=1;b=&c=007\td='x, y'",
                json!({"a": "1", "b": "", "c": "007", "d": "x, y"}),
            ),
            (
                "msg=hello world x=1",
                json!({"msg": "hello world", "x": "1"}),
            ),
            ("a = 1, b = 2", json!({"a": "1", "b": "2"})),
            ("url=/a?b=c x=1", json!({"url": "/a?b=c", "x": "1"})),
            ("CEF:0 a=1", json!({"_text": "CEF:0", "a": "1"})),
            ("a=1 b=2 a=3", json!({"a": ["1", "3"], "b": "2"})),
            (
                r#"a="say \"hi\"" b=1"#,
                json!({"a": "say \"hi\"", "b": "1"}),
            ),
            (
                r#"path="C:\dir\" b=1"#,
                json!({"path": r"C:\dir\", "b": "1"}),
            ),
            (r#"a="x" tail b=1"#, json!({"a": "\"x\" tail", "b": "1"})),
            (r#"a="open b=1"#, json!({"a": "\"open", "b": "1"})),
            ("no pair", json!("no pair")),
            ("=x", json!("=x")),
            ("", json!("")),
            (r#"{"a": 1}"#, json!({"a": 1})),
        ] {
            assert_eq!(object(text), expected, "{text}");
        }
    }

    #[test]
    fn many_pairs_take_linear_time() {
        let text: Vec<String> = (0..200_000).map(|n| format!("k{n}=\"{n}")).collect();
        assert_eq!(object(&text.join(" ")).as_object().unwrap().len(), 200_000);
    }

    proptest! {
        #[test]
        fn any_text_is_cut_without_loss(text in r#"[a-cé=,;& \t"'\\{}\[\]:@/GT0-9.]{0,24}"#) {
            let value = object(&text);
            let shown = value.to_string();
            for letter in ['b', 'é', '7'] {
                let arrives = !text.contains(letter) || shown.contains(letter);
                prop_assert!(arrives, "{} {}", text, shown);
            }
            for composite in [Composite::IpPort, Composite::WindowsUser, Composite::RequestLine] {
                let _ = parts(composite, &text);
            }
        }
    }
}
