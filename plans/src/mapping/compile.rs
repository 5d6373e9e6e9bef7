//! Compiles a source to the program that the sink evaluates, and checks it on the way.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::Schema as ArrowSchema;
use datafusion::common::Column as Name;
use datafusion::logical_expr::Expr;

use super::digest::digest;
use super::found::Found;
use super::program::{Class, Layout, Program, Route};
use super::routes::Compiler;
use super::scope::Scope;
use super::{base, format, lets, outputs};
use crate::decode;
use crate::diagnostics::Diagnostics;
use crate::functions::Redaction;
use crate::ocsf::Schema;
use crate::spec::{Column, Source};

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
        columns: &columns,
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
        filters,
        routes,
        digest: digest(source, schema.version(), &columns, shape_raw),
    };
    program.wanted = match source.unmapped.kept || shape_raw {
        true => (0..columns.len()).collect(),
        false => used(&program, &columns),
    };
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
        Ok(scope) => scope,
        Err(error) => {
            let at = &source.format.at;
            found.error(at, error.message(), "give each column once");
            blind()
        }
    }
}

/// The indices of the columns that the program names.
fn used(program: &Program, columns: &[Column]) -> Vec<usize> {
    let mut names = BTreeSet::new();
    for expr in program.exprs() {
        names.extend(expr.column_refs().into_iter().map(|c| c.name.as_str()));
    }
    let is_used = |index: &usize| names.contains(columns[*index].name.as_str());
    (0..columns.len()).filter(is_used).collect()
}

/// One route with the parsed columns as they are. Its time is the first route's.
fn raw(source: &str, columns: &[Column], routes: Vec<Route>) -> Vec<Route> {
    let Some(first) = routes.into_iter().next() else {
        return Vec::new();
    };
    let fields = decode::schema_of(columns).fields()[..columns.len()].to_vec();
    let column = |column: &Column| Layout::Leaf(Expr::Column(Name::new_unqualified(&column.name)));
    vec![Route {
        event: "raw".to_owned(),
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
        layout: columns.iter().map(column).collect(),
        required: Vec::new(),
        ..first
    }]
}
