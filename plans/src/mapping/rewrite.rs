//! Rewrites a mapping's SQL before it is parsed: every word that is a column is
//! quoted, and dots into JSON columns become `json_get` calls.

use std::fmt::Write;
use std::iter::once;

use arrow::datatypes::Schema;
use datafusion::common::DFSchema;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Word};

use super::scope::Scope;
use super::sql::{at, unknown_column};
use crate::diagnostics::{Diagnostic, Origin};
use crate::spec::{ColumnKind, Sql};

/// The prefix of columns whose name starts with `@`: the planner would take them for variables.
pub(super) const AT_MARK: char = '\u{2060}';

const MOST_BYTES: usize = 16 << 10;
/// A flat `1+1+…` becomes a tree as deep as it is long, and whatever walks it or frees it
/// uses up the stack: half of a worker's 2 MiB for so many levels.
const MOST_LEVELS: usize = 250;

/// SQL that the engine's parser takes.
pub(super) struct Rewritten {
    pub(super) text: String,
    /// The columns under the names that the text has.
    pub(super) schema: DFSchema,
    /// For each token: its column in the new text, and its place in the old one.
    places: Vec<(u64, Location)>,
    /// Words with their places.
    words: Vec<(String, Location)>,
}

impl Rewritten {
    /// The place of what the parser calls `LINE, Column: COLUMN`.
    pub(super) fn place(&self, sql: &Sql, parser: &str) -> Origin {
        let column = parser
            .rsplit(' ')
            .next()
            .and_then(|c| c.parse::<u64>().ok());
        let found = column.and_then(|column| {
            let before = self.places.partition_point(|(start, _)| *start <= column);
            self.places.get(before.checked_sub(1)?)
        });
        found.map_or_else(|| sql.at.clone(), |(_, place)| inside(sql, *place))
    }

    /// The place of a word.
    pub(super) fn find(&self, sql: &Sql, word: &str) -> Origin {
        let same = |known: &&(String, Location)| known.0.eq_ignore_ascii_case(word);
        let found = self.words.iter().find(same);
        found.map_or_else(|| sql.at.clone(), |(_, place)| inside(sql, *place))
    }
}

/// A place inside the string as a place in the file.
fn inside(sql: &Sql, place: Location) -> Origin {
    let mut origin = sql.at.clone();
    let number = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    if origin.line == 0 || place.line == 0 {
        return origin;
    }
    if place.line == 1 {
        origin.column = origin.column.saturating_add(number(place.column - 1));
    } else {
        origin.line = origin.line.saturating_add(number(place.line - 1));
        origin.column = number(place.column);
    }
    origin
}

pub(super) fn rewrite(scope: &Scope<'_>, sql: &Sql) -> Result<Rewritten, Diagnostic> {
    if sql.text.len() > MOST_BYTES {
        return Err(too_long(
            sql,
            &format!("more than {} KiB", MOST_BYTES >> 10),
        ));
    }
    let dialect = GenericDialect {};
    let tokens = Tokenizer::new(&dialect, &sql.text)
        .with_unescape(false)
        .tokenize_with_location()
        .map_err(|error| at(&inside(sql, error.location), error.message, ""))?;
    if tokens.iter().filter(|token| deepens(&token.token)).count() > MOST_LEVELS {
        let what = format!("more than {MOST_LEVELS} operators");
        return Err(too_long(sql, &what));
    }
    let mut writer = Writer {
        scope,
        sql,
        tokens: &tokens,
        text: String::new(),
        places: Vec::new(),
        words: Vec::new(),
    };
    let mut next = 0;
    while next < tokens.len() {
        next = writer.token(next)?;
    }
    if writer.words.is_empty() && writer.text.trim().is_empty() {
        return Err(at(&sql.at, "the expression is empty", "name a column"));
    }
    Ok(Rewritten {
        text: writer.text,
        schema: planning_schema(scope),
        places: writer.places,
        words: writer.words,
    })
}

/// Whether a token may move the tokens before it a level deeper into the tree. The branches
/// of a `CASE` and the members of a list are on one level.
fn deepens(token: &Token) -> bool {
    use Keyword::*;
    const OPERATORS: &[Keyword] = &[
        AND, AT, BETWEEN, COLLATE, DIV, ILIKE, IN, IS, LIKE, MATCH, MEMBER, NOT, NOTNULL, OPERATOR,
        OR, OVERLAPS, REGEXP, RLIKE, SIMILAR, XOR,
    ];
    match token {
        Token::Whitespace(_) | Token::Comma | Token::LParen | Token::RParen | Token::Period => {
            false
        }
        Token::Number(..) | Token::SingleQuotedString(_) => false,
        Token::Word(word) => OPERATORS.contains(&word.keyword),
        _ => true,
    }
}

fn too_long(sql: &Sql, what: &str) -> Diagnostic {
    at(
        &sql.at,
        format!("the expression is too long: it has {what}"),
        "put lists of values under [sets], or cut it into columns and events",
    )
}

fn planning_schema(scope: &Scope<'_>) -> DFSchema {
    let fields = scope.schema.fields().iter().map(|field| {
        let marked = planned_name(field.name());
        field.as_ref().clone().with_name(marked)
    });
    let schema = Schema::new(fields.collect::<Vec<_>>());
    DFSchema::try_from(schema).expect("renaming some of distinct names keeps them distinct")
}

fn planned_name(name: &str) -> String {
    match name.starts_with('@') {
        true => format!("{AT_MARK}{name}"),
        false => name.to_owned(),
    }
}

struct Writer<'a> {
    scope: &'a Scope<'a>,
    sql: &'a Sql,
    tokens: &'a [TokenWithSpan],
    text: String,
    places: Vec<(u64, Location)>,
    words: Vec<(String, Location)>,
}

impl Writer<'_> {
    /// Writes the token at `index` and gives the index of the next one.
    fn token(&mut self, index: usize) -> Result<usize, Diagnostic> {
        let TokenWithSpan { token, span } = &self.tokens[index];
        let column = self.text.chars().count() as u64 + 1;
        self.places.push((column, span.start));
        match token {
            Token::Word(word) => self.word(index, word),
            Token::Whitespace(_) => {
                self.text.push(' ');
                Ok(index + 1)
            }
            other => {
                let _ = write!(self.text, "{other}");
                Ok(index + 1)
            }
        }
    }

    fn word(&mut self, index: usize, word: &Word) -> Result<usize, Diagnostic> {
        let start = self.tokens[index].span.start;
        self.words.push((word.value.clone(), start));
        let path = self.path(index);
        if let Some((column, used)) = self.column(&path) {
            let keys: Vec<&str> = path[used..].iter().map(|(key, _)| key.as_str()).collect();
            self.write_column(start, &column, &keys)?;
            return Ok(path.last().map_or(index + 1, |(_, end)| *end));
        }
        let is_word = word.quote_style.is_some() || word.keyword == Keyword::NoKeyword;
        if word.keyword == Keyword::SELECT {
            let place = inside(self.sql, start);
            let message = "a subquery cannot be used here: an expression sees one row";
            return Err(at(&place, message, ""));
        }
        if is_word && !self.is_call(index) && !self.is_type(index) {
            let place = inside(self.sql, start);
            return Err(unknown_column(self.scope, &place, &word.value));
        }
        let _ = write!(self.text, "{word}");
        Ok(index + 1)
    }

    /// The words from `index` on that dots (or an index in brackets) join, each with
    /// the index of the token after it.
    fn path(&self, index: usize) -> Vec<(String, usize)> {
        let word = |at: usize| match self.tokens.get(at).map(|t| &t.token) {
            Some(Token::Word(word)) => Some(word.value.clone()),
            _ => None,
        };
        let mut path: Vec<(String, usize)> = word(index)
            .into_iter()
            .map(|first| (first, index + 1))
            .collect();
        while let Some((_, end)) = path.last() {
            let end = *end;
            let token = |at: usize| self.tokens.get(at).map(|t| &t.token);
            let next = match (token(end), token(end + 1), token(end + 2)) {
                (Some(Token::Period), Some(Token::Word(key)), _) => (key.value.clone(), end + 2),
                (Some(Token::LBracket), Some(Token::Number(at, _)), Some(Token::RBracket)) => {
                    (at.clone(), end + 3)
                }
                _ => break,
            };
            path.push(next);
        }
        path
    }

    /// The column that the longest part of a path names, and how many words that takes.
    fn column(&self, path: &[(String, usize)]) -> Option<(String, usize)> {
        (1..=path.len()).rev().find_map(|used| {
            let words: Vec<&str> = path[..used].iter().map(|(word, _)| word.as_str()).collect();
            let name = words.join(".");
            self.scope.kinds.contains_key(&name).then_some((name, used))
        })
    }

    fn write_column(
        &mut self,
        start: Location,
        column: &str,
        keys: &[&str],
    ) -> Result<(), Diagnostic> {
        let quoted = format!("\"{}\"", planned_name(column).replace('"', "\"\""));
        if keys.is_empty() {
            self.text.push_str(&quoted);
            return Ok(());
        }
        if self.scope.kinds.get(column) != Some(&ColumnKind::Json) {
            let place = inside(self.sql, start);
            let message = format!(
                "`{column}` is not a JSON column, so `.{}` is nothing",
                keys[0]
            );
            let remedy = format!("declare `{column} = \"json\"` under [columns]");
            return Err(at(&place, message, remedy));
        }
        let keys = keys
            .iter()
            .map(|key| format!("'{}'", key.replace('\'', "''")));
        let args: Vec<String> = once(quoted).chain(keys).collect();
        let _ = write!(self.text, "json_get({})", args.join(", "));
        Ok(())
    }

    fn is_call(&self, index: usize) -> bool {
        let mut after = self.tokens[index + 1..].iter().map(|t| &t.token);
        after.find(|t| !matches!(t, Token::Whitespace(_))) == Some(&Token::LParen)
    }

    /// Whether a type is expected here: after `::` or `AS`.
    fn is_type(&self, index: usize) -> bool {
        let mut before = self.tokens[..index].iter().rev().map(|t| &t.token);
        match before.find(|t| !matches!(t, Token::Whitespace(_))) {
            Some(Token::DoubleColon) => true,
            Some(Token::Word(word)) => word.keyword == Keyword::AS,
            _ => false,
        }
    }
}
