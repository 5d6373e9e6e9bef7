//! Cuts lines into fields.

use std::borrow::Cow;

use memchr::{memchr, memchr2, memmem};

/// What separates and quotes fields.
#[derive(Clone, Debug)]
pub(super) struct Quoting {
    pub(super) delimiter: Vec<u8>,
    pub(super) quote: Option<u8>,
    /// The character that makes a quote behind it text.
    pub(super) escape: Option<u8>,
    /// Whether a field in square brackets may contain the delimiter.
    pub(super) brackets: bool,
    /// Whether a quote inside a quoted field is text if no delimiter is beside it.
    pub(super) is_lenient: bool,
}

/// The position of a field without its quotes, and the start of the next field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) next: Option<usize>,
    pub(super) is_quoted: bool,
    has_escapes: bool,
}

/// Why a text has no field at some place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// The quoted field that begins here does not end in the text.
    Open(usize),
    /// This quote ends a field, but neither a delimiter nor the end of the text follows.
    Stray(usize),
}

/// The fields of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// The number of whole fields.
    pub(super) fields: usize,
    /// What follows them.
    pub(super) flaw: Option<Flaw>,
}

/// The fields of a text one after the other. It ends after the first flaw.
pub(super) struct Tokens<'a> {
    quoting: &'a Quoting,
    text: &'a [u8],
    next: Option<usize>,
}

/// The end of a quoted field.
enum Close {
    At { end: usize, has_escapes: bool },
    Nowhere,
    Stray(usize),
}

impl Iterator for Tokens<'_> {
    type Item = Result<Token, Flaw>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let start = self.next?;
        let token = self.quoting.token(self.text, start);
        self.next = token.as_ref().ok().and_then(|token| token.next);
        Some(token)
    }
}

impl Quoting {
    pub(super) fn tokens<'a>(&'a self, text: &'a [u8]) -> Tokens<'a> {
        Tokens {
            quoting: self,
            text,
            next: Some(0),
        }
    }

    pub(super) fn shape(&self, text: &[u8]) -> Shape {
        self.shape_from(text, Some(0), 0)
    }

    /// Returns the shape of a text that was read up to `at`, which is inside a quoted field.
    /// `fields` are before that field.
    pub(super) fn shape_inside(&self, text: &[u8], at: usize, fields: usize) -> Shape {
        let flaw = match self.close(text, at) {
            Close::At { end, .. } => {
                return self.shape_from(text, self.after(text, end + 1), fields + 1);
            }
            Close::Nowhere => Flaw::Open(at),
            Close::Stray(at) => Flaw::Stray(at),
        };
        Shape {
            fields,
            flaw: Some(flaw),
        }
    }

    fn shape_from(&self, text: &[u8], next: Option<usize>, mut fields: usize) -> Shape {
        let tokens = Tokens {
            quoting: self,
            text,
            next,
        };
        for token in tokens {
            match token {
                Ok(_) => fields += 1,
                Err(flaw) => {
                    let flaw = Some(flaw);
                    return Shape { fields, flaw };
                }
            }
        }
        Shape { fields, flaw: None }
    }

    /// Returns the text of a field.
    #[inline]
    pub(super) fn text<'a>(&self, token: &Token, line: &'a [u8]) -> Cow<'a, [u8]> {
        let text = &line[token.start..token.end];
        match token.has_escapes {
            false => Cow::Borrowed(text),
            true => Cow::Owned(self.without_escapes(text)),
        }
    }

    fn without_escapes(&self, text: &[u8]) -> Vec<u8> {
        let mut plain = Vec::with_capacity(text.len());
        let mut at = 0;
        while at < text.len() {
            let (byte, next) = (Some(text[at]), text.get(at + 1).copied());
            let is_pair = match byte == self.quote {
                true => next == self.quote,
                false => byte == self.escape && self.is_escapable(next),
            };
            at += usize::from(is_pair);
            plain.push(text[at]);
            at += 1;
        }
        plain
    }

    fn is_escapable(&self, byte: Option<u8>) -> bool {
        byte.is_some() && (byte == self.quote || byte == self.escape)
    }

    #[inline]
    fn token(&self, line: &[u8], start: usize) -> Result<Token, Flaw> {
        let rest = &line[start..];
        let first = rest.first().copied();
        if first.is_some() && first == self.quote {
            return self.quoted(line, start);
        }
        let from = match first {
            Some(b'[') if self.brackets => memchr(b']', rest).unwrap_or(0),
            _ => 0,
        };
        let length = self.find_delimiter(&rest[from..]);
        let end = length.map_or(line.len(), |length| start + from + length);
        Ok(Token {
            start,
            end,
            next: length.map(|_| end + self.delimiter.len()),
            is_quoted: false,
            has_escapes: false,
        })
    }

    fn quoted(&self, line: &[u8], start: usize) -> Result<Token, Flaw> {
        match self.close(line, start + 1) {
            Close::At { end, has_escapes } => Ok(Token {
                start: start + 1,
                end,
                next: self.after(line, end + 1),
                is_quoted: true,
                has_escapes,
            }),
            Close::Nowhere => Err(Flaw::Open(start)),
            Close::Stray(at) => Err(Flaw::Stray(at)),
        }
    }

    /// Returns the start of the field behind the delimiter at `end`, if there is one.
    fn after(&self, text: &[u8], end: usize) -> Option<usize> {
        (end < text.len()).then(|| end + self.delimiter.len())
    }

    /// Finds the end of the quoted field that goes on at `at`.
    fn close(&self, text: &[u8], mut at: usize) -> Close {
        let mut has_escapes = false;
        while let Some(length) = self.find_quote(&text[at..]) {
            let end = at + length;
            let rest = &text[end + 1..];
            if Some(text[end]) != self.quote {
                let is_pair = self.is_escapable(rest.first().copied());
                has_escapes |= is_pair;
                at = end + 1 + usize::from(is_pair);
                continue;
            }
            if rest.is_empty() || rest.starts_with(&self.delimiter) {
                return Close::At { end, has_escapes };
            }
            let is_double = rest.first().copied() == self.quote;
            if !is_double && (!self.is_lenient || self.begins_field(text, end)) {
                return Close::Stray(end);
            }
            has_escapes |= is_double;
            at = end + 1 + usize::from(is_double);
        }
        Close::Nowhere
    }

    /// Whether the quotes up to the one at `at` would begin a field if no other one were open.
    fn begins_field(&self, text: &[u8], at: usize) -> bool {
        let is_quote = |byte: &u8| Some(*byte) == self.quote;
        let start = text[..at].iter().rposition(|byte| !is_quote(byte));
        start.is_none_or(|last| text[..=last].ends_with(&self.delimiter))
    }

    fn find_quote(&self, text: &[u8]) -> Option<usize> {
        match (self.quote, self.escape) {
            (Some(quote), Some(escape)) => memchr2(quote, escape, text),
            (Some(quote), None) => memchr(quote, text),
            (None, _) => None,
        }
    }

    #[inline]
    fn find_delimiter(&self, text: &[u8]) -> Option<usize> {
        match self.delimiter.as_slice() {
            [byte] => memchr(*byte, text),
            bytes => memmem::find(text, bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoting(escape: Option<u8>, is_lenient: bool) -> Quoting {
        Quoting {
            delimiter: b",".to_vec(),
            quote: Some(b'"'),
            escape,
            brackets: false,
            is_lenient,
        }
    }

    fn fields(quoting: &Quoting, text: &str) -> Result<Vec<String>, Flaw> {
        let text = text.as_bytes();
        let field = |token: Result<Token, Flaw>| {
            let token = token?;
            let field = quoting.text(&token, text).into_owned();
            Ok(String::from_utf8(field).unwrap())
        };
        quoting.tokens(text).map(field).collect()
    }

    #[test]
    fn quotes_open_a_field_only_at_its_start() {
        let strict = quoting(None, false);
        for (text, expected) in [
            ("", &[""][..]),
            (",", &["", ""]),
            ("a,b", &["a", "b"]),
            ("a\"b,c\"", &["a\"b", "c\""]),
            (" \"a,b\"", &[" \"a", "b\""]),
            ("\"a,b\",\"\"", &["a,b", ""]),
            ("\"a\"\"b\",c", &["a\"b", "c"]),
            ("\"\"\"\",\"a\\\"", &["\"", "a\\"]),
        ] {
            let found = fields(&strict, text).unwrap();
            assert_eq!(found, expected, "{text}");
        }
        assert_eq!(fields(&strict, "a,\"b"), Err(Flaw::Open(2)));
        assert_eq!(fields(&strict, "\"a\"b\",c"), Err(Flaw::Stray(2)));
        assert_eq!(fields(&strict, "\"a\" ,c"), Err(Flaw::Stray(2)));
    }

    #[test]
    fn a_lenient_field_ends_at_a_quote_before_a_delimiter() {
        let lenient = quoting(None, true);
        assert_eq!(fields(&lenient, "\"a,\"b\",c"), Err(Flaw::Stray(3)));
        assert_eq!(fields(&lenient, "\"a,\"\"\"b\",c"), Err(Flaw::Stray(5)));
        assert_eq!(fields(&lenient, "\"a\"b\",c").unwrap(), ["a\"b", "c"]);
        assert_eq!(fields(&lenient, "\"a\"b,c"), Err(Flaw::Open(0)));
    }

    #[test]
    fn an_escape_makes_quotes_and_itself_text() {
        let escaped = quoting(Some(b'\\'), false);
        for (text, expected) in [
            (r#""a\"b",c"#, &["a\"b", "c"][..]),
            (r#""C:\dir\\",c"#, &["C:\\dir\\", "c"]),
            (r#"a\"b,"x""y""#, &["a\\\"b", "x\"y"]),
        ] {
            assert_eq!(fields(&escaped, text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn an_open_field_is_read_on() {
        let strict = quoting(None, false);
        let text = b"a,\"b\nc\",d,\"e";
        let shape = strict.shape_inside(text, 5, 1);
        assert_eq!((shape.fields, shape.flaw), (3, Some(Flaw::Open(10))));
        let shape = strict.shape_inside(b"a,\"b\nc,\"d", 5, 1);
        assert_eq!((shape.fields, shape.flaw), (1, Some(Flaw::Stray(7))));
    }
}
