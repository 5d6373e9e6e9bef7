//! Scans JSON text in place. It finds the positions of values without building them.

use std::ops::Range;

/// Deeper nesting is rejected, which bounds the stack.
const MAX_DEPTH: usize = 128;

/// Offset of the first byte that is not valid JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Boolean,
    Number,
    /// `start` and `end` leave out the quotes.
    String {
        is_escaped: bool,
    },
    /// An object or array.
    Nested {
        has_spaces: bool,
    },
}

/// A value and its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Value {
    /// The position of the value, a string with its quotes.
    pub(crate) fn with_quotes(&self) -> Range<usize> {
        match self.kind {
            Kind::String { .. } => self.start - 1..self.end + 1,
            _ => self.start..self.end,
        }
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    has_spaces: bool,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            at: 0,
            has_spaces: false,
        }
    }

    /// Offset of the next byte.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Returns the next byte that is not white space, without consuming it.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.text.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(*byte);
            }
            self.has_spaces = true;
            self.at += 1;
        }
        None
    }

    /// Consumes `byte`. Any other byte is an error.
    pub(crate) fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.take(byte) {
            Ok(())
        } else {
            Err(self.malformed())
        }
    }

    /// Consumes `byte` if it is next.
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    pub(crate) fn malformed(&self) -> Malformed {
        Malformed(self.at)
    }

    /// Consumes a key and its colon.
    pub(crate) fn key(&mut self) -> Result<Value, Malformed> {
        if self.peek() != Some(b'"') {
            return Err(self.malformed());
        }
        let key = self.string()?;
        self.expect(b':')?;
        Ok(key)
    }

    /// Consumes the next value.
    pub(crate) fn value(&mut self) -> Result<Value, Malformed> {
        self.value_at(0)
    }

    fn value_at(&mut self, depth: usize) -> Result<Value, Malformed> {
        match self.peek().ok_or(self.malformed())? {
            b'"' => self.string(),
            b'{' | b'[' if depth < MAX_DEPTH => self.nested(depth),
            b't' => self.word(b"true", Kind::Boolean),
            b'f' => self.word(b"false", Kind::Boolean),
            b'n' => self.word(b"null", Kind::Null),
            b'-' | b'0'..=b'9' => self.number(),
            _ => Err(self.malformed()),
        }
    }

    fn nested(&mut self, depth: usize) -> Result<Value, Malformed> {
        let start = self.at;
        let had_spaces = std::mem::take(&mut self.has_spaces);
        let is_object = self.text[start] == b'{';
        let close = if is_object { b'}' } else { b']' };
        self.at += 1;
        let mut is_done = self.take(close);
        while !is_done {
            if is_object {
                self.key()?;
            }
            self.value_at(depth + 1)?;
            is_done = self.take(close);
            if !is_done {
                self.expect(b',')?;
            }
        }
        let has_spaces = std::mem::replace(&mut self.has_spaces, false);
        self.has_spaces = has_spaces | had_spaces;
        Ok(Value {
            kind: Kind::Nested { has_spaces },
            start,
            end: self.at,
        })
    }

    fn word(&mut self, word: &[u8], kind: Kind) -> Result<Value, Malformed> {
        let start = self.at;
        if !self.text[start..].starts_with(word) {
            return Err(self.malformed());
        }
        self.at += word.len();
        Ok(Value {
            kind,
            start,
            end: self.at,
        })
    }

    fn string(&mut self) -> Result<Value, Malformed> {
        let start = self.at + 1;
        let mut is_escaped = false;
        self.at = start;
        loop {
            match self.text.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    is_escaped = true;
                    self.escape()?;
                }
                Some(0x20..) => self.at += 1,
                _ => return Err(self.malformed()),
            }
        }
        let end = self.at;
        self.at += 1;
        Ok(Value {
            kind: Kind::String { is_escaped },
            start,
            end,
        })
    }

    fn escape(&mut self) -> Result<(), Malformed> {
        let rest = &self.text[self.at + 1..];
        let length = match rest {
            [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => 2,
            [b'u', hex @ ..] if hex.len() >= 4 && hex[..4].iter().all(u8::is_ascii_hexdigit) => 6,
            _ => return Err(self.malformed()),
        };
        self.at += length;
        Ok(())
    }

    fn number(&mut self) -> Result<Value, Malformed> {
        let start = self.at;
        self.at += usize::from(self.text[start] == b'-');
        if self.text.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.text.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.text.get(self.at), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(Value {
            kind: Kind::Number,
            start,
            end: self.at,
        })
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        let rest = &self.text[self.at..];
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        if count == 0 {
            Err(self.malformed())
        } else {
            Ok(())
        }
    }
}

/// Appends a string with its escapes decoded. Half a surrogate pair becomes U+FFFD.
pub(crate) fn unescape(text: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        if byte != b'\\' {
            out.push(byte);
            at += 1;
            continue;
        }
        let plain = match text.get(at + 1) {
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => {
                at += unescape_unicode(&text[at..], out);
                continue;
            }
            Some(other) => *other,
            None => return,
        };
        out.push(plain);
        at += 2;
    }
}

/// Appends the character of `\uXXXX` or of a surrogate pair. Returns the length of the escape.
fn unescape_unicode(text: &[u8], out: &mut Vec<u8>) -> usize {
    let first = unit(text);
    let second = text
        .get(6..)
        .filter(|rest| rest.starts_with(b"\\u"))
        .map(unit);
    let units = [first, second.unwrap_or(0)];
    let (character, length) = match char::decode_utf16(units).next() {
        Some(Ok(character)) if u32::from(character) > 0xffff => (character, 12),
        Some(Ok(character)) => (character, 6),
        _ => (char::REPLACEMENT_CHARACTER, 6),
    };
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    length
}

fn unit(escape: &[u8]) -> u16 {
    let hex = escape
        .get(2..6)
        .and_then(|hex| std::str::from_utf8(hex).ok());
    hex.and_then(|hex| u16::from_str_radix(hex, 16).ok())
        .unwrap_or(0xd800)
}

/// Appends JSON text without the white space between its values.
pub(crate) fn compact(text: &[u8], out: &mut Vec<u8>) {
    let mut in_string = false;
    let mut after_backslash = false;
    for byte in text {
        if in_string || !byte.is_ascii_whitespace() {
            out.push(*byte);
        }
        if *byte == b'"' && !after_backslash {
            in_string = !in_string;
        }
        after_backslash = *byte == b'\\' && !after_backslash;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value as Json;

    use super::*;

    fn is_json(text: &str) -> bool {
        let mut scanner = Scanner::new(text.as_bytes());
        scanner.value().is_ok() && scanner.peek().is_none()
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(is_json(&deep(100)));
        assert!(!is_json(&deep(100_000)));
    }

    #[test]
    fn half_a_surrogate_pair_is_replaced() {
        let mut out = Vec::new();
        unescape(br"a\u00e9\ud83d\ude00\ud83dz\n", &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "aé😀\u{fffd}z\n");
    }

    proptest! {
        #[test]
        fn validity_agrees_with_serde(text in r#"[\[\]{},:"\\ 0-9eE.+\-a-fu]{0,12}|(true|null|-?[0-9.e]{1,6})"#) {
            prop_assert_eq!(is_json(&text), serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok(), "{}", text);
        }

        #[test]
        fn strings_are_decoded_as_by_serde(plain in any::<String>()) {
            let text = serde_json::to_string(&plain).unwrap();
            let value = Scanner::new(text.as_bytes()).value().unwrap();
            let mut out = Vec::new();
            unescape(&text.as_bytes()[value.start..value.end], &mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap(), plain);
        }

        #[test]
        fn compact_text_is_the_same_json(key in any::<String>(), text in any::<String>(), number in any::<i32>()) {
            let json = serde_json::json!({ &key: [text, number, {}] });
            let pretty = serde_json::to_string_pretty(&json).unwrap();
            let mut out = Vec::new();
            compact(pretty.as_bytes(), &mut out);
            prop_assert_eq!(String::from_utf8(out.clone()).unwrap(), json.to_string());
            prop_assert_eq!(serde_json::from_slice::<Json>(&out).unwrap(), json);
        }
    }
}
