//! The SQL of a mapping as DataFusion expressions. Columns are found before the
//! parser sees the text, so that they beat keywords and errors have a place.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DataFusionError, Result, SchemaError, plan_err};
use datafusion::logical_expr::expr::{InList, ScalarFunction};
use datafusion::logical_expr::{Expr, Volatility, lit, try_cast};
use datafusion::sql::sqlparser::parser::ParserError;

use super::rewrite::{AT_MARK, LET_MARK, Rewritten, rewrite};
use super::scope::{Scope, literal};
use super::{constants, words};
use crate::decode::RAW;
use crate::diagnostics::{Diagnostic, Origin, did_you_mean, nearest};
use crate::ocsf::{Attribute, Type};
use crate::spec::Sql;
use crate::{functions, session};

/// The expression as written: not coerced yet, so that a bare column is one.
pub(super) fn plan(scope: &Scope<'_>, sql: &Sql) -> Result<Expr, Unplanned> {
    let rewritten = rewrite(scope, sql)?;
    let failed = |error: DataFusionError| explain(scope, sql, &rewritten, &error);
    let state = session::compiling();
    let expr = state
        .create_logical_expr(&rewritten.text, &rewritten.schema)
        .map_err(failed)?;
    let expr = expr.unalias_nested().data.unalias();
    refuse(&expr, &sql.text).map_err(failed)?;
    let expr = resolve(scope, expr).map_err(failed)?;
    scope.finish(expr.clone()).map_err(failed)?;
    Ok(expr)
}

/// Why there is no expression.
pub(super) enum Unplanned {
    Wrong(Diagnostic),
    /// The mistake is in a named expression, where it is reported.
    Reported,
}

impl From<Diagnostic> for Unplanned {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::Wrong(diagnostic)
    }
}

/// A mapping sees one row at a time, and the same row gives the same result. No row makes it
/// panic or fill the memory, so only listed functions are called.
fn refuse(expr: &Expr, text: &str) -> Result<()> {
    expr.apply(|expr| {
        let refused = match expr {
            Expr::AggregateFunction(call) => Some(format!("the aggregate {}", call.func.name())),
            Expr::WindowFunction(_) => Some("a window function".to_owned()),
            Expr::ScalarSubquery(_)
            | Expr::Exists(_)
            | Expr::InSubquery(_)
            | Expr::SetComparison(_) => Some("a subquery".to_owned()),
            Expr::Unnest(_) => Some("unnest".to_owned()),
            Expr::HigherOrderFunction(_) | Expr::Lambda(_) | Expr::LambdaVariable(_) => {
                Some("a lambda".to_owned())
            }
            Expr::Placeholder(_) | Expr::ScalarVariable(..) => Some("a parameter".to_owned()),
            Expr::ScalarFunction(call)
                if call.func.signature().volatility != Volatility::Immutable =>
            {
                Some(format!("{}, which changes from run to run,", call.name()))
            }
            Expr::ScalarFunction(call) => match functions::refusal(call, text) {
                Some(why) => return plan_err!("{why}"),
                None => None,
            },
            _ => None,
        };
        match refused {
            Some(what) => plan_err!("{what} cannot be used here: an expression sees one row"),
            None => Ok(TreeNodeRecursion::Continue),
        }
    })?;
    Ok(())
}

/// Puts in what the SQL only names: sets, the redaction of JSON, columns with an `@`, and
/// named expressions.
fn resolve(scope: &Scope<'_>, expr: Expr) -> Result<Expr> {
    let resolved = expr.transform_up(|expr| match expr {
        Expr::ScalarFunction(call) if call.name() == "in_set" => {
            Ok(Transformed::yes(in_set(scope, call)?))
        }
        Expr::ScalarFunction(call) if call.name() == "json_text" && call.args.len() == 1 => {
            Ok(Transformed::yes(json_text(scope, call)?))
        }
        Expr::Column(column) if column.name.starts_with(AT_MARK) => {
            let name = column.name.trim_start_matches(AT_MARK);
            Ok(Transformed::yes(Expr::Column(Column::new_unqualified(
                name,
            ))))
        }
        // The record's bytes, where they are text.
        Expr::Column(column) if column.name == RAW => {
            let raw = Expr::Column(column);
            Ok(Transformed::yes(try_cast(raw, DataType::Utf8View)))
        }
        Expr::Column(column) if column.name.starts_with(LET_MARK) => {
            let name = column.name.trim_start_matches(LET_MARK);
            match scope.lets.get(name) {
                Some(Some(planned)) => Ok(Transformed::yes(planned.expr.clone())),
                _ => plan_err!("there is no `{name}` under [let]"),
            }
        }
        Expr::ScalarFunction(call) if call.name() == "json_get" => Ok(flat_path(call)),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(resolved.data)
}

/// A path below a path as one.
fn flat_path(mut call: ScalarFunction) -> Transformed<Expr> {
    match call.args.first() {
        Some(Expr::ScalarFunction(inner)) if inner.name() == "json_get" => {
            let mut args = inner.args.clone();
            args.extend(call.args.drain(1..));
            call.args = args;
            Transformed::yes(Expr::ScalarFunction(call))
        }
        _ => Transformed::no(Expr::ScalarFunction(call)),
    }
}

fn in_set(scope: &Scope<'_>, call: ScalarFunction) -> Result<Expr> {
    let mut args = call.args.into_iter();
    let (Some(value), Some(first)) = (args.next(), args.next()) else {
        return plan_err!("in_set needs a column and a set's name, or values");
    };
    let rest: Vec<Expr> = args.collect();
    let values = match literal(&first).filter(|_| rest.is_empty()) {
        Some(name) => match scope.sets.get(name) {
            Some(values) => values.iter().map(|value| lit(value.as_str())).collect(),
            None if scope.sets.is_empty() => {
                return plan_err!("there is no set `{name}`; add it under [sets]");
            }
            None => {
                let known = did_you_mean(name, scope.sets.keys().map(String::as_str));
                return plan_err!("there is no set `{name}`; {known}");
            }
        },
        None => std::iter::once(first).chain(rest).collect(),
    };
    Ok(Expr::InList(InList::new(Box::new(value), values, false)))
}

fn json_text(scope: &Scope<'_>, mut call: ScalarFunction) -> Result<Expr> {
    let key = scope.json_key(&call.args[0]).unwrap_or_default();
    call.args.push(lit(key));
    call.args.push(lit(scope.redaction.to_json()));
    Ok(Expr::ScalarFunction(call))
}

/// An engine's error as a diagnostic with a place inside the string.
fn explain(
    scope: &Scope<'_>,
    sql: &Sql,
    rewritten: &Rewritten,
    error: &DataFusionError,
) -> Diagnostic {
    match error.find_root() {
        DataFusionError::SchemaError(schema_error, _) => {
            if let SchemaError::FieldNotFound { field, .. } = schema_error.as_ref() {
                let place = rewritten.find(sql, &field.name);
                return unknown_column(scope, &place, &Missing::plain(&field.name));
            }
            at(
                &sql.at,
                words::plain(&schema_error.to_string()),
                ANOTHER_WAY,
            )
        }
        DataFusionError::SQL(parser_error, _) => parse_error(sql, rewritten, parser_error),
        root => {
            let explained = words::explained(&root.message());
            let place = explained.name.map(|name| rewritten.find(sql, &name));
            let place = place.unwrap_or_else(|| sql.at.clone());
            at(&place, explained.message, explained.remedy)
        }
    }
}

const ANOTHER_WAY: &str = "write the expression in another way";

fn parse_error(sql: &Sql, rewritten: &Rewritten, error: &ParserError) -> Diagnostic {
    let message = match error {
        ParserError::ParserError(message) | ParserError::TokenizerError(message) => message.clone(),
        ParserError::RecursionLimitExceeded => "the expression is nested too deeply".to_owned(),
    };
    let (text, place) = match message.rsplit_once(" at Line: ") {
        Some((text, place)) => (text, rewritten.place(sql, place)),
        None => (message.as_str(), sql.at.clone()),
    };
    let (text, remedy) = words::parsing(text);
    at(&place, format!("not an SQL expression: {text}"), remedy)
}

/// A word that is neither a column nor a keyword.
pub(super) struct Missing<'a> {
    pub(super) name: &'a str,
    /// The quote around it.
    pub(super) quote: Option<char>,
    /// Whether keys of JSON follow.
    pub(super) is_path: bool,
    /// Whether `with` gives the name.
    pub(super) is_renamed: bool,
}

impl<'a> Missing<'a> {
    fn plain(name: &'a str) -> Self {
        Self {
            name,
            quote: None,
            is_path: false,
            is_renamed: false,
        }
    }
}

/// Reports a word that is neither a column nor a keyword.
pub(super) fn unknown_column(scope: &Scope<'_>, place: &Origin, word: &Missing<'_>) -> Diagnostic {
    const CONSTANT: &str = "a constant belongs under [set], or in single quotes";
    let name = word.name;
    let kind = if word.is_path { "json" } else { "text" };
    let declare = format!(
        "declare `{} = \"{kind}\"` under [columns]",
        column_key(name)
    );
    let near = nearest(name, scope.names());
    let remedy = match near {
        Some(near) => format!("did you mean `{near}`?; {CONSTANT}"),
        None if word.quote == Some('"') => {
            format!("text is in single quotes: '{name}'; for a column, {declare}")
        }
        None if scope.has_own_columns => {
            format!("{}; {CONSTANT}", did_you_mean(name, scope.names()))
        }
        None if word.is_path || word.is_renamed => declare,
        None => format!("{declare}; {CONSTANT}"),
    };
    let by = if word.is_renamed {
        ", which `with` names"
    } else {
        ""
    };
    at(place, format!("there is no column `{name}`{by}"), remedy)
}

/// The message and remedy for an expression that names no column, where a number, a time or
/// a boolean is due: it is a constant, and often arithmetic by mistake, such as `2024-01-01`.
pub(super) fn constant_expression(
    expr: &Expr,
    attribute: &Attribute,
    key: &str,
) -> Option<(String, String)> {
    let is_due = matches!(
        attribute.ty,
        Type::Integer | Type::Long | Type::Float | Type::Timestamp | Type::Datetime | Type::Boolean
    );
    if !is_due || !expr.column_refs().is_empty() {
        return None;
    }
    let what = constants::described(attribute);
    let message = format!("is {what}, but the expression names no column");
    let remedy = match attribute.ty {
        Type::Timestamp | Type::Datetime => {
            format!(
                "name a column; a constant time is epoch milliseconds under [set]: `{key} = 1704067200000`"
            )
        }
        _ => format!("name a column; a constant belongs under [set]: `{key} = …`"),
    };
    Some((message, remedy))
}

pub(super) fn at(
    place: &Origin,
    message: impl Into<String>,
    remedy: impl Into<String>,
) -> Diagnostic {
    Diagnostic {
        at: place.clone(),
        message: message.into(),
        remedy: remedy.into(),
    }
}

/// A column as a key of a TOML table.
fn column_key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match !name.is_empty() && name.chars().all(is_bare) {
        true => name.to_owned(),
        false => format!("{name:?}"),
    }
}
