//! Rewrites a mapping's SQL before it is parsed: every word that is a column is
//! quoted, and dots into JSON columns become `json_get` calls.

use std::fmt::Write;
use std::iter::once;

use arrow::datatypes::{Field, Schema};
use datafusion::common::DFSchema;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Word};

use super::keywords::{following, foreign, is_syntax, preceding};
use super::scope::Scope;
use super::sql::{Missing, Unplanned, at, unknown_column};
use crate::diagnostics::{Diagnostic, Origin};
use crate::spec::{ColumnKind, Sql};

/// The prefix of columns whose name starts with `@`: the planner would take them for variables.
pub(super) const AT_MARK: char = '\u{2060}';
/// The prefix of named expressions, which are columns until they are put in.
pub(super) const LET_MARK: char = '\u{2061}';

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

pub(super) fn rewrite(scope: &Scope<'_>, sql: &Sql) -> Result<Rewritten, Unplanned> {
    if sql.text.len() > MOST_BYTES {
        let what = format!("more than {} KiB", MOST_BYTES >> 10);
        return Err(too_long(sql, &what).into());
    }
    let dialect = GenericDialect {};
    let tokens = Tokenizer::new(&dialect, &sql.text)
        .with_unescape(false)
        .tokenize_with_location()
        .map_err(|error| cut_off(&inside(sql, error.location), &error.message))?;
    if tokens.iter().filter(|token| deepens(&token.token)).count() > MOST_LEVELS {
        let what = format!("more than {MOST_LEVELS} operators");
        return Err(too_long(sql, &what).into());
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
        return Err(at(&sql.at, "the expression is empty", "name a column").into());
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

/// A quote that is never closed, or a character that starts no word.
fn cut_off(place: &Origin, message: &str) -> Diagnostic {
    let is_quote = message.contains("Unterminated") || message.contains("close delimiter");
    match is_quote {
        true => at(
            place,
            "this quote is never closed",
            "close it; a quote inside a text is doubled: 'it''s'",
        ),
        false => at(
            place,
            format!("not an SQL expression: {message}"),
            "put text in single quotes",
        ),
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
    let lets = scope.lets.iter().filter_map(|(name, planned)| {
        let kind = planned.as_ref()?.kind.clone();
        Some(Field::new(format!("{LET_MARK}{name}"), kind, true))
    });
    let schema = Schema::new(fields.chain(lets).collect::<Vec<_>>());
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
    fn token(&mut self, index: usize) -> Result<usize, Unplanned> {
        let TokenWithSpan { token, span } = &self.tokens[index];
        let column = self.text.chars().count() as u64 + 1;
        self.places.push((column, span.start));
        if let Some((message, remedy)) = foreign(self.tokens, index) {
            return Err(at(&inside(self.sql, span.start), message, remedy).into());
        }
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

    fn word(&mut self, index: usize, word: &Word) -> Result<usize, Unplanned> {
        let start = self.tokens[index].span.start;
        self.words.push((word.value.clone(), start));
        let is_call = word.quote_style.is_none()
            && matches!(following(self.tokens, index), Some(Token::LParen));
        let path = match word.keyword == Keyword::ARRAY {
            true => self.path(index).into_iter().take(1).collect(),
            false => self.path(index),
        };
        let path = self.renamed(path);
        let is_type = self.is_type(index);
        if !(is_type || is_call && path.len() == 1)
            && let Some((named, used)) = self.named(&path)
        {
            return self.write_named(start, &named, &path, used);
        }
        let place = inside(self.sql, start);
        if word.keyword == Keyword::SELECT {
            let message = "a subquery cannot be used here: an expression sees one row";
            return Err(at(&place, message, "name the row's own columns").into());
        }
        let is_syntax = word.quote_style.is_none() && is_syntax(word.keyword);
        if !is_call && !is_type && (path.len() > 1 || !is_syntax) {
            let first = &path[0].key;
            let missing = Missing {
                name: first,
                quote: word.quote_style,
                is_path: path.len() > 1,
                is_renamed: *first != word.value,
            };
            return Err(unknown_column(self.scope, &place, &missing).into());
        }
        let _ = write!(self.text, "{word}");
        Ok(index + 1)
    }

    /// The words from `index` on that dots (or keys in brackets) join.
    fn path(&self, index: usize) -> Vec<Step> {
        let token = |at: usize| self.tokens.get(at).map(|t| &t.token);
        let Some(Token::Word(first)) = token(index) else {
            return Vec::new();
        };
        let step = |key: &str, end, is_index| Step {
            key: key.to_owned(),
            end,
            is_index,
        };
        let mut path = vec![step(&first.value, index + 1, false)];
        let mut end = index + 1;
        loop {
            let next = match (token(end), token(end + 1), token(end + 2)) {
                (Some(Token::Period), Some(Token::Word(key)), _) => {
                    step(&key.value, end + 2, false)
                }
                (Some(Token::LBracket), Some(Token::Number(at, _)), Some(Token::RBracket)) => {
                    step(at, end + 3, true)
                }
                (
                    Some(Token::LBracket),
                    Some(Token::SingleQuotedString(key)),
                    Some(Token::RBracket),
                ) => step(&key.replace("''", "'"), end + 3, false),
                _ => return path,
            };
            end = next.end;
            path.push(next);
        }
    }

    /// The path with the columns that the expression reads under other names.
    fn renamed(&self, path: Vec<Step>) -> Vec<Step> {
        let found = (1..=path.len())
            .rev()
            .find_map(|used| Some((self.sql.renamed.get(&joined(&path[..used]))?, used)));
        let Some((target, used)) = found else {
            return path;
        };
        let end = path[used - 1].end;
        let dotted = target.replace('[', ".").replace(']', "");
        let keys: Vec<&str> = match self.scope.kinds.contains_key(target) {
            true => vec![target],
            false => dotted.split('.').collect(),
        };
        let renamed = keys.into_iter().map(|key| Step {
            key: key.trim_matches('"').to_owned(),
            end,
            is_index: false,
        });
        renamed.chain(path.into_iter().skip(used)).collect()
    }

    /// The column that the longest part of a path names, or the named expression that its
    /// first word is, and how many words that takes.
    fn named(&self, path: &[Step]) -> Option<(Named, usize)> {
        let column = (1..=path.len()).rev().find_map(|used| {
            let name = joined(&path[..used]);
            let is_column = self.scope.kinds.contains_key(&name);
            is_column.then_some((Named::Column(name), used))
        });
        let is_let = |step: &&Step| self.scope.lets.contains_key(&step.key);
        let first = path.first().filter(is_let);
        column.or_else(|| first.map(|step| (Named::Let(step.key.clone()), 1)))
    }

    /// Writes a column or a named expression with the keys that follow it, and gives the index
    /// of the token after them.
    fn write_named(
        &mut self,
        start: Location,
        named: &Named,
        path: &[Step],
        used: usize,
    ) -> Result<usize, Unplanned> {
        let (planned, is_json) = match named {
            Named::Column(name) => {
                let is_json = self.scope.kinds.get(name) == Some(&ColumnKind::Json);
                (planned_name(name), is_json)
            }
            Named::Let(name) => {
                let Some(Some(found)) = self.scope.lets.get(name) else {
                    return Err(Unplanned::Reported);
                };
                let is_json = self.scope.json_key(&found.expr).is_some();
                (format!("{LET_MARK}{name}"), is_json)
            }
        };
        let quoted = format!("\"{}\"", planned.replace('"', "\"\""));
        let (before, keys) = path.split_at(used);
        match keys.first() {
            // An index into a list is SQL.
            Some(first) if !is_json && first.is_index => {
                self.text.push_str(&quoted);
                return Ok(before[used - 1].end);
            }
            Some(first) if !is_json => {
                let place = inside(self.sql, start);
                let parts = parts_of(self.scope, named);
                return Err(no_json(&place, named, &first.key, &parts).into());
            }
            Some(_) => {
                let keys = keys
                    .iter()
                    .map(|step| format!("'{}'", step.key.replace('\'', "''")));
                let args: Vec<String> = once(quoted).chain(keys).collect();
                let _ = write!(self.text, "json_get({})", args.join(", "));
            }
            None => self.text.push_str(&quoted),
        }
        Ok(path[path.len() - 1].end)
    }

    /// Whether a type is expected here: after `::` or `AS`.
    fn is_type(&self, index: usize) -> bool {
        match preceding(self.tokens, index) {
            Some(Token::DoubleColon) => true,
            Some(Token::Word(word)) => word.keyword == Keyword::AS,
            _ => false,
        }
    }
}

/// A word or key of a path, and the index of the token after it.
struct Step {
    key: String,
    end: usize,
    /// Whether it is a number in brackets.
    is_index: bool,
}

/// What a path starts with.
enum Named {
    Column(String),
    Let(String),
}

fn joined(path: &[Step]) -> String {
    let words: Vec<&str> = path.iter().map(|step| step.key.as_str()).collect();
    words.join(".")
}

/// The parts of a composite column.
fn parts_of(scope: &Scope<'_>, named: &Named) -> Vec<String> {
    let Named::Column(column) = named else {
        return Vec::new();
    };
    let prefix = format!("{column}.");
    let names = scope.kinds.keys().filter(|name| name.starts_with(&prefix));
    names.map(|name| format!("`{name}`")).collect()
}

fn no_json(place: &Origin, named: &Named, key: &str, parts: &[String]) -> Diagnostic {
    match named {
        Named::Column(column) if !parts.is_empty() => at(
            place,
            format!("`{column}` has no part `{key}`"),
            format!("its parts are {}", parts.join(", ")),
        ),
        Named::Column(column) => at(
            place,
            format!("`{column}` is not a JSON column, so `.{key}` is nothing"),
            format!("declare `{column} = \"json\"` under [columns]"),
        ),
        Named::Let(name) => at(
            place,
            format!("`{name}` is no JSON, so `.{key}` is nothing"),
            "name a JSON column, or a path into one, under [let]",
        ),
    }
}
