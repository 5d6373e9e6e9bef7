//! The SQL of a mapping as DataFusion expressions. Columns are found before the
//! parser sees the text, so that they beat keywords and errors have a place.

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DataFusionError, Result, SchemaError, plan_err};
use datafusion::logical_expr::expr::{InList, ScalarFunction};
use datafusion::logical_expr::{Expr, Volatility, lit};
use datafusion::sql::sqlparser::parser::ParserError;

use super::rewrite::{AT_MARK, Rewritten, rewrite};
use super::scope::{Scope, literal};
use crate::diagnostics::{Diagnostic, Origin, did_you_mean};
use crate::spec::Sql;
use crate::{functions, session};

/// The expression as written: not coerced yet, so that a bare column is one.
pub(super) fn plan(scope: &Scope<'_>, sql: &Sql) -> Result<Expr, Diagnostic> {
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

/// Puts in what the SQL only names: sets, the redaction of JSON, columns with an `@`.
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
        other => Ok(Transformed::no(other)),
    })?;
    Ok(resolved.data)
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
                return unknown_column(scope, &rewritten.find(sql, &field.name), &field.name);
            }
            at(&sql.at, schema_error.to_string(), "")
        }
        DataFusionError::SQL(parser_error, _) => parse_error(sql, rewritten, parser_error),
        root => {
            let message = root.message();
            let (first, rest) = message.split_once('\n').unwrap_or((&message, ""));
            let name = quoted_name(first);
            let place = name.map(|name| rewritten.find(sql, name));
            let place = place.unwrap_or_else(|| sql.at.clone());
            let remedy = match name {
                // The engine would suggest a function that is refused.
                Some(name) if first.starts_with("Invalid function") => functions::remedy(name),
                _ => lowered(rest.lines().next().unwrap_or_default()),
            };
            at(&place, lowered(first), remedy)
        }
    }
}

fn parse_error(sql: &Sql, rewritten: &Rewritten, error: &ParserError) -> Diagnostic {
    let message = match error {
        ParserError::ParserError(message) | ParserError::TokenizerError(message) => message.clone(),
        ParserError::RecursionLimitExceeded => "the expression is nested too deeply".to_owned(),
    };
    let (text, place) = match message.rsplit_once(" at Line: ") {
        Some((text, place)) => (text, rewritten.place(sql, place)),
        None => (message.as_str(), sql.at.clone()),
    };
    at(
        &place,
        format!("not an SQL expression: {}", lowered(text)),
        "constants belong under [set]; put columns with odd names in double quotes",
    )
}

/// A word that is neither a column nor a keyword.
pub(super) fn unknown_column(scope: &Scope<'_>, place: &Origin, name: &str) -> Diagnostic {
    let names = scope.kinds.keys().map(String::as_str);
    let near = did_you_mean(name, names);
    at(
        place,
        format!("there is no column `{name}`"),
        format!("{near}; a constant belongs under [set], or in single quotes"),
    )
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

/// The name in the first pair of single quotes.
fn quoted_name(message: &str) -> Option<&str> {
    message.split('\'').nth(1)
}

fn lowered(text: &str) -> String {
    let text = text.trim().trim_end_matches('.');
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => String::new(),
    }
}
