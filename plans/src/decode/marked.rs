//! Splits a line into fields that marks hold together: `"…"` and `[…]`.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use super::column::Span;
use super::layout::{Field, surplus_key};
use super::rows::{Rejected, Rows};

pub(crate) const QUOTE: u8 = b'"';

/// How a line is split into fields.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marks {
    /// Several spaces separate like one. Any other separator ends a field each time.
    pub(crate) separator: u8,
    /// Whether `\"`, `\\` and `\xNN` in quotes mean other characters.
    pub(crate) escapes: bool,
    /// Whether `[…]` is a mark.
    pub(crate) brackets: bool,
}

/// The position of a field without its marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// The position of the separator, or the end of the line.
    pub(crate) next: usize,
    pub(crate) is_quoted: bool,
    /// Whether the text has a backslash that may be an escape.
    pub(crate) is_escaped: bool,
}

impl Token {
    pub(crate) fn bare(start: usize, end: usize) -> Self {
        Self {
            start,
            end,
            next: end,
            is_quoted: false,
            is_escaped: false,
        }
    }

    /// The text as it is written.
    pub(crate) fn bytes<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        &line[self.start..self.end]
    }

    /// The text, with its escapes resolved. It stays as it is written if the result is not
    /// UTF-8.
    pub(crate) fn text<'a>(&self, line: &'a [u8]) -> Cow<'a, [u8]> {
        let text = self.bytes(line);
        match self.is_escaped {
            true => unescaped(text),
            false => Cow::Borrowed(text),
        }
    }
}

impl Marks {
    /// Appends the fields from `at` on to `tokens`. A quoted field ends at the first quote with
    /// a separator behind it. Returns whether no quote is inside of a field.
    pub(crate) fn split(
        &self,
        line: &[u8],
        at: usize,
        tokens: &mut Vec<Token>,
    ) -> Result<bool, Rejected> {
        self.split_at(line, at, None, tokens)
    }

    /// Same as `split`, where a reading has found the quotes that end fields. The quoted fields
    /// after the last of them are surplus.
    pub(crate) fn split_by(
        &self,
        line: &[u8],
        at: usize,
        ends: &[usize],
        tokens: &mut Vec<Token>,
    ) -> Result<bool, Rejected> {
        self.split_at(line, at, Some(ends), tokens)
    }

    fn split_at(
        &self,
        line: &[u8],
        mut at: usize,
        reading: Option<&[usize]>,
        tokens: &mut Vec<Token>,
    ) -> Result<bool, Rejected> {
        let mut ends = reading.unwrap_or_default().iter().copied();
        let (mut brackets, mut quotes) = (Ahead::default(), Ahead::default());
        let mut is_clean = true;
        let mut has_quotes = false;
        loop {
            at = self.skip(line, at);
            if self.separator == b' ' && at == line.len() {
                return Ok(is_clean);
            }
            let token = match line.get(at) {
                Some(&QUOTE) => {
                    has_quotes = true;
                    let (token, is_simple) = self.quoted(line, at, ends.next())?;
                    is_clean &= is_simple;
                    token
                }
                Some(b'[') if reading.is_some() => {
                    self.unquoted(line, at, &mut brackets, &mut quotes)
                }
                Some(b'[') if self.brackets => self.bracketed(line, at, &mut brackets)?,
                _ => {
                    let token = self.bare(line, at);
                    is_clean &= !(has_quotes && line[at..token.end].ends_with(b"\""));
                    token
                }
            };
            tokens.push(token);
            at = token.next;
            if at >= line.len() {
                return Ok(is_clean);
            }
            at += 1;
        }
    }

    /// Skips the spaces before a field.
    pub(super) fn skip(&self, line: &[u8], mut at: usize) -> usize {
        if self.separator == b' ' {
            while line.get(at) == Some(&b' ') {
                at += 1;
            }
        }
        at
    }

    fn bare(&self, line: &[u8], at: usize) -> Token {
        let length = memchr(self.separator, &line[at..]);
        Token::bare(at, length.map_or(line.len(), |length| at + length))
    }

    /// Whether a field can end before `at`.
    pub(super) fn is_end(&self, line: &[u8], at: usize) -> bool {
        line.get(at).is_none_or(|byte| *byte == self.separator)
    }

    /// Reads a quoted field. Returns whether it has no quote inside, too.
    fn quoted(
        &self,
        line: &[u8],
        start: usize,
        end: Option<usize>,
    ) -> Result<(Token, bool), Rejected> {
        let mut is_escaped = false;
        let mut is_simple = true;
        let mut at = start + 1;
        while let Some(rest) = line.get(at..) {
            let found = match self.escapes {
                true => memchr2(QUOTE, b'\\', rest),
                false => memchr(QUOTE, rest),
            };
            let Some(length) = found else {
                break;
            };
            let found = at + length;
            at = found + 1;
            if line[found] == b'\\' {
                is_escaped = true;
                at += 1;
            } else if end.map_or(self.is_end(line, at), |end| end == found) {
                let token = Token {
                    start: start + 1,
                    end: found,
                    next: at,
                    is_quoted: true,
                    is_escaped,
                };
                return Ok((token, is_simple));
            } else {
                is_simple = false;
            }
        }
        Err(unclosed(start))
    }

    /// Reads a field without quotes. One in brackets has none inside, so that no byte belongs
    /// to two fields whatever the quotes mean.
    pub(super) fn unquoted(
        &self,
        line: &[u8],
        at: usize,
        brackets: &mut Ahead,
        quotes: &mut Ahead,
    ) -> Token {
        if self.brackets
            && line.get(at) == Some(&b'[')
            && let Some(end) = brackets.find(b']', line, at)
            && self.is_end(line, end + 1)
            && quotes.find(QUOTE, line, at).is_none_or(|quote| quote > end)
        {
            return Token {
                next: end + 1,
                ..Token::bare(at + 1, end)
            };
        }
        self.bare(line, at)
    }

    /// Reads a field in brackets. One with more behind the bracket, such as an address with its
    /// port, keeps them.
    fn bracketed(&self, line: &[u8], start: usize, ahead: &mut Ahead) -> Result<Token, Rejected> {
        let end = ahead
            .find(b']', line, start)
            .ok_or_else(|| unclosed(start))?;
        if !self.is_end(line, end + 1) {
            return Ok(self.bare(line, start));
        }
        Ok(Token {
            next: end + 1,
            ..Token::bare(start + 1, end)
        })
    }
}

/// Finds a byte from growing positions. It looks at each byte once, however often it is asked.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    found: Option<usize>,
}

impl Ahead {
    pub(super) fn find(&mut self, byte: u8, line: &[u8], from: usize) -> Option<usize> {
        let found = match self.found {
            Some(found) if found >= from => found,
            _ => memchr(byte, &line[from..]).map_or(usize::MAX, |length| from + length),
        };
        self.found = Some(found);
        (found < line.len()).then_some(found)
    }
}

fn unclosed(start: usize) -> Rejected {
    let detail = format!("the field that begins at byte {} has no end", start + 1);
    Rejected::new("unclosed_quote", detail)
}

#[cold]
fn unescaped(text: &[u8]) -> Cow<'_, [u8]> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(length) = memchr(b'\\', rest) {
        plain.extend_from_slice(&rest[..length]);
        let (byte, taken) = escape(&rest[length..]).unwrap_or((b'\\', 1));
        plain.push(byte);
        rest = &rest[length + taken..];
    }
    plain.extend_from_slice(rest);
    match std::str::from_utf8(&plain) {
        Ok(_) => Cow::Owned(plain),
        Err(_) => Cow::Borrowed(text),
    }
}

/// The byte that an escape at the start of `text` means, and its length.
fn escape(text: &[u8]) -> Option<(u8, usize)> {
    match text {
        [_, byte @ (b'"' | b'\\'), ..] => Some((*byte, 2)),
        [_, b'x', high, low, ..] => {
            let digit = |byte: &u8| char::from(*byte).to_digit(16);
            let byte = digit(high)? * 16 + digit(low)?;
            Some((u8::try_from(byte).ok()?, 4))
        }
        _ => None,
    }
}

/// A line whose fields are put into columns.
#[derive(Clone, Copy)]
pub(crate) struct Line<'a> {
    pub(crate) span: Span<'a>,
    pub(crate) is_utf8: bool,
}

impl<'a> Line<'a> {
    pub(crate) fn new(span: Span<'a>) -> Self {
        let is_utf8 = true;
        Self { span, is_utf8 }
    }

    /// A line with bytes that are not UTF-8.
    pub(crate) fn of_any_bytes(span: Span<'a>) -> Self {
        let is_utf8 = false;
        Self { span, is_utf8 }
    }
}

/// Puts the text of the field at `position` where it belongs. A bare or quoted dash is NULL,
/// and so is an empty text in a column that has no texts.
#[inline]
pub(crate) fn put(
    rows: &mut Rows,
    field: Option<&Field>,
    position: usize,
    token: &Token,
    line: Line<'_>,
) -> Result<(), Rejected> {
    let bytes = token.bytes(line.span.bytes);
    if bytes == b"-" || (bytes.is_empty() && !token.is_quoted) {
        return Ok(());
    }
    match field {
        Some(Field::Wanted(slot)) if line.is_utf8 && !token.is_escaped && !bytes.is_empty() => {
            rows.set(*slot, line.span.part(token.start, token.end))
        }
        Some(Field::Unwanted) => Ok(()),
        _ => put_slowly(rows, field, position, token, line),
    }
}

fn put_slowly(
    rows: &mut Rows,
    field: Option<&Field>,
    position: usize,
    token: &Token,
    line: Line<'_>,
) -> Result<(), Rejected> {
    let text = token.text(line.span.bytes);
    match field {
        Some(Field::Wanted(slot)) => set(rows, *slot, token, text, line),
        Some(Field::Alternative(one)) => {
            let is_absent = text.is_empty() && !rows.is_text(one.slot);
            match !is_absent && rows.takes_text(one, &text) {
                true => set(rows, one.slot, token, text, line),
                false => Ok(()),
            }
        }
        Some(Field::Unwanted) => Ok(()),
        Some(Field::Unknown(name)) => {
            rows.add_extra_bytes(name, &text);
            Ok(())
        }
        None => {
            rows.add_extra_bytes(&surplus_key(position + 1), &text);
            Ok(())
        }
    }
}

fn set(
    rows: &mut Rows,
    slot: usize,
    token: &Token,
    text: Cow<'_, [u8]>,
    line: Line<'_>,
) -> Result<(), Rejected> {
    let written = line.span.part(token.start, token.end);
    match text {
        _ if text.is_empty() && !rows.is_text(slot) => Ok(()),
        Cow::Borrowed(_) if line.is_utf8 => rows.set(slot, written),
        Cow::Borrowed(_) => rows.set_bytes(slot, written),
        Cow::Owned(text) => {
            rows.set_owned(slot, &text)?;
            rows.note(slot, written.bytes);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(marks: Marks, line: &str) -> Result<Vec<String>, &'static str> {
        let mut tokens = Vec::new();
        let line = line.as_bytes();
        marks
            .split(line, 0, &mut tokens)
            .map_err(|why| why.reason)?;
        let text = |token: &Token| String::from_utf8_lossy(&token.text(line)).into_owned();
        Ok(tokens.iter().map(text).collect())
    }

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    const SPACES: Marks = Marks {
        separator: b' ',
        escapes: true,
        brackets: true,
    };

    #[test]
    fn marks_hold_fields_together() {
        for (line, expected) in [
            ("a b", vec!["a", "b"]),
            ("  a   b  ", vec!["a", "b"]),
            ("\"a b\" [c d] \"\" []", vec!["a b", "c d", "", ""]),
            (
                "[2001:db8::1]:443 [a]b c]",
                vec!["[2001:db8::1]:443", "[a]b", "c]"],
            ),
            ("\"h2\",\"http/1.1\" x", vec!["h2\",\"http/1.1", "x"]),
            ("a\"b \"c\"", vec!["a\"b", "c"]),
        ] {
            assert_eq!(texts(SPACES, line), Ok(owned(&expected)), "{line}");
        }
        for line in ["\"a b", "[a b", "\"a\\\"", "\"a\\", "x \""] {
            assert_eq!(texts(SPACES, line), Err("unclosed_quote"), "{line}");
        }
    }

    #[test]
    fn each_tab_ends_a_field() {
        let tabs = Marks {
            separator: b'\t',
            ..SPACES
        };
        for (line, expected) in [
            ("a b\t\tc", vec!["a b", "", "c"]),
            ("\t\"a\tb\"\t", vec!["", "a\tb", ""]),
        ] {
            assert_eq!(texts(tabs, line), Ok(owned(&expected)), "{line}");
        }
    }

    #[test]
    fn escapes_are_resolved_if_the_result_is_utf8() {
        for (text, expected) in [
            (r#"a\"b\\"#, r#"a"b\"#),
            (r"\x22\xc3\xA9", "\"é"),
            (r"\xff", r"\xff"),
            (r"\n\x4\xzz\", r"\n\x4\xzz\"),
        ] {
            assert_eq!(
                unescaped(text.as_bytes()),
                Cow::Borrowed(expected.as_bytes())
            );
        }
    }

    #[test]
    fn a_reading_says_where_fields_end() {
        let line = b"\"a\" b\" c";
        let mut tokens = Vec::new();
        assert!(!SPACES.split(line, 0, &mut tokens).unwrap());
        assert_eq!(tokens.len(), 3);
        tokens.clear();
        assert!(!SPACES.split_by(line, 0, &[5], &mut tokens).unwrap());
        assert_eq!((tokens.len(), tokens[0].end), (2, 5));
    }
}
