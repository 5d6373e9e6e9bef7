//! Walks JSON text without building a tree. Invalid JSON is not an error: it has no members.

use std::borrow::Cow;

use memchr::memchr2;

/// One value, as a slice of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Raw<'a> {
    Null,
    /// A string; `inner` is the text between the quotes.
    Text {
        inner: &'a str,
        escaped: bool,
    },
    /// A number or a boolean.
    Scalar(&'a str),
    Object(&'a str),
    Array(&'a str),
}

impl<'a> Raw<'a> {
    /// Parses a text with one value. Returns `None` if it is not JSON.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let mut walk = Walk { text, at: 0 };
        let value = walk.value()?;
        walk.space();
        (walk.at == text.len()).then_some(value)
    }

    /// Opens an object or array without parsing it, so that walking into it reads it only
    /// once.
    pub(crate) fn open(text: &'a str) -> Option<Self> {
        let text = text.trim_ascii_start();
        match text.as_bytes().first()? {
            b'{' => Some(Raw::Object(text)),
            b'[' => Some(Raw::Array(text)),
            _ => None,
        }
    }

    /// Returns strings without quotes, objects and arrays as JSON, and `None` for null.
    pub(crate) fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Raw::Null => None,
            Raw::Text { inner, escaped } => Some(unescape(inner, escaped)),
            Raw::Scalar(text) | Raw::Object(text) | Raw::Array(text) => Some(Cow::Borrowed(text)),
        }
    }

    /// Returns the member or element at the path of keys.
    pub(crate) fn walk(mut self, keys: &[&str]) -> Option<Self> {
        for key in keys {
            self = match self {
                Raw::Object(text) => members(text).find(|(name, _)| *name == **key)?.1,
                Raw::Array(text) => elements(text).nth(key.parse().ok()?)?,
                _ => return None,
            };
        }
        Some(self)
    }
}

/// Returns the members of an object, in their order.
pub(crate) fn members(object: &str) -> impl Iterator<Item = (Cow<'_, str>, Raw<'_>)> {
    let mut walk = Walk {
        text: object,
        at: 1,
    };
    std::iter::from_fn(move || {
        walk.separator();
        let Raw::Text { inner, escaped } = walk.value()? else {
            return None;
        };
        walk.space();
        walk.eat(b':')?;
        Some((unescape(inner, escaped), walk.value()?))
    })
}

/// Returns the elements of an array.
pub(crate) fn elements(array: &str) -> impl Iterator<Item = Raw<'_>> {
    let mut walk = Walk { text: array, at: 1 };
    std::iter::from_fn(move || {
        walk.separator();
        walk.value()
    })
}

/// Calls `each` with every element of a JSON array that is not null, as text. Another value
/// is an element itself.
pub(crate) fn json_elements(text: &str, mut each: impl FnMut(&str)) {
    match Raw::parse(text) {
        Some(Raw::Array(array)) => {
            for element in elements(array).filter_map(Raw::text) {
                each(&element);
            }
        }
        Some(other) => {
            if let Some(element) = other.text() {
                each(&element);
            }
        }
        None => {}
    }
}

fn unescape(inner: &str, escaped: bool) -> Cow<'_, str> {
    if !escaped {
        return Cow::Borrowed(inner);
    }
    match serde_json::from_str(&format!("\"{inner}\"")) {
        Ok(text) => Cow::Owned(text),
        Err(_) => Cow::Borrowed(inner),
    }
}

struct Walk<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Walk<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn separator(&mut self) {
        self.space();
        if self.peek() == Some(b',') {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn value(&mut self) -> Option<Raw<'a>> {
        self.space();
        match self.peek()? {
            b'"' => self.string(),
            b'{' => self.nested().map(Raw::Object),
            b'[' => self.nested().map(Raw::Array),
            b'n' => self.word("null").map(|_| Raw::Null),
            b't' => self.word("true").map(Raw::Scalar),
            b'f' => self.word("false").map(Raw::Scalar),
            b'-' | b'0'..=b'9' => Some(Raw::Scalar(self.number())),
            _ => None,
        }
    }

    fn word(&mut self, word: &str) -> Option<&'a str> {
        let found = self.text.get(self.at..self.at + word.len())?;
        (found == word).then(|| {
            self.at += word.len();
            found
        })
    }

    fn number(&mut self) -> &'a str {
        let start = self.at;
        while matches!(
            self.peek(),
            Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')
        ) {
            self.at += 1;
        }
        &self.text[start..self.at]
    }

    fn string(&mut self) -> Option<Raw<'a>> {
        let start = self.at + 1;
        let mut at = start;
        let mut escaped = false;
        loop {
            at += memchr2(b'"', b'\\', self.text.as_bytes().get(at..)?)?;
            if self.text.as_bytes()[at] == b'"' {
                break;
            }
            escaped = true;
            at += 2;
        }
        self.at = at + 1;
        let inner = self.text.get(start..at)?;
        Some(Raw::Text { inner, escaped })
    }

    /// Consumes an object or array, including its closing bracket.
    fn nested(&mut self) -> Option<&'a str> {
        let start = self.at;
        let mut depth = 0usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return self.text.get(start..self.at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get<'a>(text: &'a str, keys: &[&str]) -> Option<Cow<'a, str>> {
        Raw::parse(text)?.walk(keys)?.text()
    }

    #[test]
    fn keys_address_objects_and_arrays() {
        let text = r#" {"a": {"b.c": [10, {"d": "x\"y"}], "e": null}, "f": -1.50 } "#;
        assert_eq!(get(text, &["a", "b.c", "1", "d"]).as_deref(), Some("x\"y"));
        assert_eq!(get(text, &["a", "b.c", "0"]).as_deref(), Some("10"));
        assert_eq!(get(text, &["a", "e"]), None);
        assert_eq!(get(text, &["f"]).as_deref(), Some("-1.50"));
        assert_eq!(get(text, &["f", "g"]), None);
        assert_eq!(get(text, &["a", "b.c", "9"]), None);
        let nested = get(text, &["a", "b.c"]);
        assert_eq!(nested.as_deref(), Some(r#"[10, {"d": "x\"y"}]"#));
    }

    #[test]
    fn invalid_json_has_no_members() {
        for text in ["", "{", "\"", "\"\\", "[1,", "{\"a\"", "nul", "abc", "{\"é"] {
            assert_eq!(get(text, &["a"]), None, "{text}");
        }
    }

    #[test]
    fn escapes_and_long_numbers_stay_exact() {
        let text = r#"{"k\u0065y":"\ud83d\ude00 \n","id":12345678901234567890}"#;
        assert_eq!(get(text, &["key"]).as_deref(), Some("\u{1F600} \n"));
        assert_eq!(get(text, &["id"]).as_deref(), Some("12345678901234567890"));
    }
}
