//! Which words of an expression are SQL's own, and what is SQL in no dialect.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

/// Whether a word without a column's name may be a part of an expression's syntax. Any other
/// keyword (`USER`, `HOST`, `ROLE` …) is read as the name of a column.
pub(super) fn is_syntax(keyword: Keyword) -> bool {
    use Keyword::*;
    const CONDITIONS: &[Keyword] = &[
        ALL, AND, ANY, BETWEEN, CASE, DISTINCT, DIV, ELSE, END, ESCAPE, EXISTS, FALSE, ILIKE, IN,
        IS, JSON, LIKE, NORMALIZED, NOT, NOTNULL, NULL, OR, REGEXP, RLIKE, SIMILAR, SOME,
        SYMMETRIC, THEN, TO, TRUE, UNKNOWN, WHEN, XOR,
    ];
    const CALLS: &[Keyword] = &[
        ARRAY, AS, BOTH, CAST, EXTRACT, FOR, FROM, INTERVAL, LEADING, OVER, PLACING, POSITION,
        SUBSTRING, TRAILING, TRIM, TRY_CAST, USING,
    ];
    const TIMES: &[Keyword] = &[
        AT,
        CURRENT_DATE,
        CURRENT_TIME,
        CURRENT_TIMESTAMP,
        DATE,
        DAY,
        DAYS,
        EPOCH,
        HOUR,
        HOURS,
        LOCAL,
        MICROSECOND,
        MICROSECONDS,
        MILLISECOND,
        MILLISECONDS,
        MINUTE,
        MINUTES,
        MONTH,
        MONTHS,
        NANOSECOND,
        NANOSECONDS,
        QUARTER,
        SECOND,
        SECONDS,
        TIME,
        TIMESTAMP,
        WEEK,
        WEEKS,
        WITH,
        WITHOUT,
        YEAR,
        YEARS,
        ZONE,
    ];
    const TYPES: &[Keyword] = &[PRECISION, UNSIGNED, VARYING];
    [CONDITIONS, CALLS, TIMES, TYPES]
        .iter()
        .any(|words| words.contains(&keyword))
}

/// The message and remedy for a token that other languages have and SQL has not, or that
/// surely means something else than its author thinks.
pub(super) fn foreign(tokens: &[TokenWithSpan], index: usize) -> Option<(String, &'static str)> {
    const CASE: &str = "write CASE WHEN … THEN … ELSE … END";
    let next = following(tokens, index);
    let (shown, remedy) = match &tokens[index].token {
        Token::Overlap => ("&&".to_owned(), "write AND"),
        Token::ExclamationMark => ("!".to_owned(), "write NOT"),
        Token::Question => ("?".to_owned(), CASE),
        Token::Placeholder(text) if text.starts_with('?') => (text.clone(), CASE),
        Token::Placeholder(text) => (text.clone(), "name the column without `$`"),
        Token::LBrace => ("{".to_owned(), "name the column without braces"),
        Token::Char(c @ ('‘' | '’' | '“' | '”')) => {
            (c.to_string(), "put text in straight single quotes")
        }
        Token::Word(word)
            if ["if", "iif"].contains(&word.value.to_lowercase().as_str())
                && word.quote_style.is_none()
                && next == Some(&Token::LParen) =>
        {
            (format!("{}(…)", word.value), CASE)
        }
        Token::Eq | Token::DoubleEq if is_null(next) => {
            return Some(("nothing is equal to NULL".to_owned(), "write IS NULL"));
        }
        Token::Neq if is_null(next) => {
            return Some(("nothing differs from NULL".to_owned(), "write IS NOT NULL"));
        }
        Token::Plus if is_text(next) || is_text(preceding(tokens, index)) => {
            return Some(("`+` adds numbers".to_owned(), "join texts with ||"));
        }
        _ => return None,
    };
    Some((format!("`{shown}` is no SQL"), remedy))
}

fn is_null(token: Option<&Token>) -> bool {
    matches!(token, Some(Token::Word(word)) if word.keyword == Keyword::NULL)
}

fn is_text(token: Option<&Token>) -> bool {
    matches!(token, Some(Token::SingleQuotedString(_)))
}

/// The token after `index`, without white space.
pub(super) fn following(tokens: &[TokenWithSpan], index: usize) -> Option<&Token> {
    let mut after = tokens[index + 1..].iter().map(|t| &t.token);
    after.find(|t| !matches!(t, Token::Whitespace(_)))
}

/// The token before `index`, without white space.
pub(super) fn preceding(tokens: &[TokenWithSpan], index: usize) -> Option<&Token> {
    let mut before = tokens[..index].iter().rev().map(|t| &t.token);
    before.find(|t| !matches!(t, Token::Whitespace(_)))
}
