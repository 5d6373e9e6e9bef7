//! Splits Rust source into tokens, as far as the checks need it.
//!
//! Comments and strings are single tokens, so that a check can read them or skip
//! them. Lifetimes and character literals are dropped. Numbers are words.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An identifier, a keyword or a number.
    Word,
    /// `::`, or any other single character of punctuation.
    Mark,
    /// A string literal with its quotes and prefix.
    Text,
    /// A comment with its slashes.
    Comment,
}

/// A token and the line that it starts on, counted from 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    pub(crate) text: &'a str,
    pub(crate) line: usize,
}

/// All tokens of a file, in order.
pub(crate) fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = source;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let (kind, length) = next(rest, first);
        let text = &rest[..length];
        if let Some(kind) = kind {
            tokens.push(Token { kind, text, line });
        }
        line += text.matches('\n').count();
        rest = &rest[length..];
    }
    tokens
}

/// The kind and the length of the token at the start of `rest`. Space has no kind.
fn next(rest: &str, first: char) -> (Option<Kind>, usize) {
    if first.is_whitespace() {
        return (None, first.len_utf8());
    }
    if rest.starts_with("//") {
        let end = rest.find('\n').unwrap_or(rest.len());
        return (Some(Kind::Comment), end);
    }
    if rest.starts_with("/*") {
        return (Some(Kind::Comment), block_comment(rest));
    }
    if let Some(length) = string(rest) {
        return (Some(Kind::Text), length);
    }
    if first == '\'' {
        return (None, after_quote(rest));
    }
    if is_word(first) {
        let raw = if rest.starts_with("r#") { 2 } else { 0 };
        let end = rest[raw..].find(|other| !is_word(other));
        return (Some(Kind::Word), end.map_or(rest.len(), |end| raw + end));
    }
    if rest.starts_with("::") {
        return (Some(Kind::Mark), 2);
    }
    (Some(Kind::Mark), first.len_utf8())
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The length of a block comment, which may hold others.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            at += 2;
        } else {
            at += 1;
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// The length of the string literal at the start of `rest`, if there is one.
fn string(rest: &str) -> Option<usize> {
    let prefix = ["br", "cr", "b", "c", "r", ""];
    let prefix = prefix.iter().find(|&&prefix| rest.starts_with(prefix))?;
    let body = &rest[prefix.len()..];
    let hashes = body.len() - body.trim_start_matches('#').len();
    let is_raw = prefix.ends_with('r');
    if !body[hashes..].starts_with('"') || (hashes > 0 && !is_raw) {
        return None;
    }
    let start = prefix.len() + hashes + 1;
    let length = if is_raw {
        let close = format!("\"{}", "#".repeat(hashes));
        rest[start..].find(&close).map(|at| at + close.len())
    } else {
        closing_quote(&rest[start..])
    };
    Some(length.map_or(rest.len(), |length| start + length))
}

/// The length up to and with the quote that no backslash precedes.
fn closing_quote(body: &str) -> Option<usize> {
    let mut is_escaped = false;
    for (at, byte) in body.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// The length of a character literal or of a lifetime.
fn after_quote(rest: &str) -> usize {
    let mut characters = rest.char_indices().skip(1);
    let Some((_, first)) = characters.next() else {
        return rest.len();
    };
    let Some((second_at, second)) = characters.next() else {
        return rest.len();
    };
    if first == '\\' {
        // The escaped character may be a quote, the next quote closes.
        let after = second_at + second.len_utf8();
        let close = rest[after..].find('\'');
        return close.map_or(rest.len(), |at| after + at + 1);
    }
    if second == '\'' {
        return second_at + 1;
    }
    let lifetime = rest[1..].find(|other| !is_word(other));
    lifetime.map_or(rest.len(), |end| 1 + end.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<&str> {
        tokens(source).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn paths_are_words_and_marks() {
        assert_eq!(texts("use a::{B};"), ["use", "a", "::", "{", "B", "}", ";"]);
    }

    #[test]
    fn strings_and_comments_are_one_token_each() {
        let source = r##"a("x \" y", r#"z " "#, b"q") // end"##;
        let expected = [
            "a",
            "(",
            r#""x \" y""#,
            ",",
            r##"r#"z " "#"##,
            ",",
            "b\"q\"",
            ")",
            "// end",
        ];
        assert_eq!(texts(source), expected);
    }

    #[test]
    fn lifetimes_and_characters_are_dropped() {
        assert_eq!(texts("&'a x '\\'' '\"' 'é' y"), ["&", "x", "y"]);
    }

    #[test]
    fn comments_nest_and_lines_are_counted() {
        let found = tokens("/* a\n/* b */\n*/ c");
        assert_eq!(found.len(), 2);
        assert_eq!((found[1].text, found[1].line), ("c", 3));
    }

    #[test]
    fn raw_identifiers_are_words() {
        assert_eq!(texts("r#type break"), ["r#type", "break"]);
    }
}
