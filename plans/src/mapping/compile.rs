//! Compiles a source to the program that the sink evaluates, and checks it on the way.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::Schema as ArrowSchema;
use datafusion::common::Column as Name;
use datafusion::logical_expr::Expr;

use super::digest::digest;
use super::found::Found;
use super::layout::{Demand, Held, Layout, Leaf, Object, Placed};
use super::program::{Class, Program, Route};
use super::routes::Compiler;
use super::scope::Scope;
use super::{base, format, lets, outputs};
use crate::decode;
use crate::diagnostics::Diagnostics;
use crate::formats;
use crate::functions::Redaction;
use crate::ocsf::Schema;
use crate::spec::{Column, ColumnKind, Source};

/// A compiled source with everything that is wrong with it.
#[derive(Debug)]
pub struct Compilation {
    /// The program, or all errors, sorted by place.
    pub program: Result<Program, Diagnostics>,
    /// What should be fixed and does not prevent a run, sorted by place.
    pub warnings: Diagnostics,
}

/// Compiles `source` against `schema`. The raw shape keeps the parsed columns as they are.
pub fn compile(source: &Source, schema: &Schema, shape_raw: bool) -> Compilation {
    let mut found = Found::new(source.load.is_some());
    let source = &base::fitted(source, schema, &mut found);
    let columns = format::columns(source, &mut found);
    let redaction = Redaction::new(&source.redact.add, &source.redact.keep);
    let scope = scope(source, columns.as_deref(), &redaction, &mut found);
    let scope = lets::with_lets(&scope, &source.lets, &mut found);
    let columns = columns.unwrap_or_default();
    let mut compiler = Compiler {
        source,
        ocsf: schema,
        scope: &scope,
        found: &mut found,
    };
    let filters = compiler.filters();
    let mut routes = compiler.routes();
    outputs::check(source, &mut found);
    if shape_raw {
        routes = raw(&source.name, &columns, routes);
    }
    let mut program = Program {
        source: source.name.clone(),
        columns: Vec::new(),
        wanted: Vec::new(),
        written: Vec::new(),
        filters,
        routes,
        digest: digest(source, schema.version(), &columns, shape_raw),
    };
    let is_kept = source.unmapped.kept || shape_raw;
    let wanted = format::wanted(&columns, &used(&program), is_kept);
    program.wanted = wanted;
    program.written = written(source, &columns, &program);
    program.columns = columns;
    let (errors, warnings) = found.into_sorted();
    Compilation {
        program: errors.into_result(program),
        warnings,
    }
}

/// What the source's expressions may name. Without columns they are not planned.
fn scope<'a>(
    source: &'a Source,
    columns: Option<&[Column]>,
    redaction: &'a Redaction,
    found: &mut Found,
) -> Scope<'a> {
    let blind = || Scope::blind(&source.sets, redaction);
    let Some(columns) = columns else {
        return blind();
    };
    match Scope::new(columns, &source.sets, redaction) {
        Ok(scope) => Scope {
            reads_json: formats::find(&source.format.name)
                .is_ok_and(|format| format.name() == "json_lines"),
            ..scope
        },
        Err(error) => {
            let at = &source.format.at;
            found.error(at, error.message(), "give each column once");
            blind()
        }
    }
}

/// The names of the columns that the program names.
fn used(program: &Program) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for expr in program.exprs() {
        names.extend(expr.column_refs().into_iter().map(|c| c.name.as_str()));
    }
    names
}

/// The columns whose text in the source is needed where their value prints differently:
/// those that may stay in `unmapped`.
fn written(source: &Source, columns: &[Column], program: &Program) -> Vec<usize> {
    let may_stay = |column: &Column| {
        let is_text = matches!(column.kind, ColumnKind::Text | ColumnKind::Json);
        // Services write numbers and addresses as they print. Looking at each costs a tenth
        // of a load.
        let is_built_in = column.at.line == 0 && column.names.is_empty();
        let is_plain = is_built_in
            && matches!(
                column.kind,
                ColumnKind::Int32 | ColumnKind::Int64 | ColumnKind::Ip | ColumnKind::Epoch(_)
            );
        let routes = &program.routes;
        !is_text && !is_plain && !routes.iter().all(|route| arrives(route, &column.name))
    };
    match source.unmapped.kept {
        true => (0..columns.len())
            .filter(|index| may_stay(&columns[*index]))
            .collect(),
        false => Vec::new(),
    }
}

/// Whether every event of the route has the column's value in an attribute, or no event does
/// have it in `unmapped`.
fn arrives(route: &Route, column: &str) -> bool {
    let is_key = |held: &Held| {
        let key = &route.keys[held.key];
        held.when.is_none() && key.column == column && key.path.is_empty()
    };
    let is_due = |index: usize| {
        let due = |demand: &Demand| demand.members == [index];
        route.event.demands.iter().any(due)
    };
    let members = route.event.members.iter().enumerate();
    let arrives = |(index, member): (usize, &Layout)| match member {
        Layout::Leaf(leaf) => is_due(index) && leaf.holds.iter().any(is_key),
        Layout::Unmapped(leftover) => leftover.consumed.iter().any(|name| name == column),
        _ => false,
    };
    members.into_iter().any(arrives)
}

/// One route with the parsed columns as they are. Its time is the first route's.
fn raw(source: &str, columns: &[Column], routes: Vec<Route>) -> Vec<Route> {
    let Some(first) = routes.into_iter().next() else {
        return Vec::new();
    };
    let columns = columns.iter().filter(|column| column.is_of_record());
    let columns: Vec<&Column> = columns.collect();
    let fields = decode::schema_of(columns.iter().copied()).fields()[..columns.len()].to_vec();
    let column = |column: &Column| {
        let value = Placed {
            expr: Expr::Column(Name::new_unqualified(&column.name)),
            at: column.at.place().into(),
        };
        let holds = Vec::new();
        Layout::Leaf(Leaf { value, holds })
    };
    vec![Route {
        name: "raw".to_owned(),
        class: Class {
            uid: 0,
            name: "raw".to_owned(),
            output: source.to_owned(),
            target: None,
            role: None,
        },
        when: None,
        also: false,
        schema: Arc::new(ArrowSchema::new(fields)),
        event: Object::new(columns.into_iter().map(column).collect()),
        keys: Vec::new(),
        ..first
    }]
}
