//! How JSON objects begin: their first key, and what wraps a list of records, such as
//! `{"Records": [...]}`.

use memchr::memchr2;

use super::json_scan::{Scanner, Value, unescape};

/// Maximum length of a first key, with the white space before it.
pub(super) const MAX_KEY: usize = 256;

/// The members of a wrapping object before its list, as JSON.
pub(crate) type Members = Vec<(String, Vec<u8>)>;

/// What a text has before the list.
pub(super) enum Head {
    /// The list begins behind so many bytes.
    List(usize, Members),
    None,
    Open,
}

/// Looks for the list at a path of names in the object that the text begins with.
pub(super) fn head(text: &[u8], list: &[String]) -> Head {
    let mut scanner = Scanner::new(text);
    let mut members = Members::new();
    for name in list {
        match find_member(&mut scanner, text, name, &mut members) {
            Some(true) => {}
            Some(false) => return Head::None,
            None => return Head::Open,
        }
    }
    match scanner.take(b'[') {
        true => Head::List(scanner.position(), members),
        false if scanner.peek().is_none() => Head::Open,
        false => Head::None,
    }
}

/// Moves into the member of an object. Returns false if it has none, and `None` if the text
/// ends before that is known.
fn find_member(
    scanner: &mut Scanner<'_>,
    text: &[u8],
    name: &str,
    members: &mut Members,
) -> Option<bool> {
    if !scanner.take(b'{') {
        return scanner.peek().map(|_| false);
    }
    loop {
        if scanner.take(b'}') {
            return Some(false);
        }
        let key = plain(text, scanner.key().ok()?);
        if key == name {
            return Some(true);
        }
        let value = scanner.value().ok()?;
        members.push((key, text[value.with_quotes()].to_owned()));
        if !scanner.take(b',') {
            return scanner.peek().map(|_| false);
        }
    }
}

fn plain(text: &[u8], string: Value) -> String {
    let mut plain = Vec::new();
    unescape(&text[string.start..string.end], &mut plain);
    String::from_utf8_lossy(&plain).into_owned()
}

/// The first key of the object at `at`, with its quotes.
pub(super) fn key_at(window: &[u8], at: usize) -> Option<&[u8]> {
    key(window.get(at..)?)
}

/// The first key of an object, with its quotes.
fn key(object: &[u8]) -> Option<&[u8]> {
    let inside = object.strip_prefix(b"{")?;
    let inside = &inside[..inside.len().min(MAX_KEY)];
    let key = inside.trim_ascii_start();
    let name = key.strip_prefix(b"\"")?;
    let length = memchr2(b'"', b'\n', name)?;
    (name[length] == b'"').then_some(&key[..length + 2])
}
