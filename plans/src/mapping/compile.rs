//! A source's mapping to the program that the sink evaluates.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema as ArrowSchema};
use datafusion::common::Column as Name;
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::logical_expr::{Expr, cast};

use super::attributes::Builder;
use super::digest::digest;
use super::program::{Class, Layout, Program, Route};
use super::scope::Scope;
use super::tree::{Demands, Members, Tree};
use super::{classify, leftover, sql, times, tree};
use crate::diagnostics::{Diagnostics, Origin, did_you_mean};
use crate::functions::Redaction;
use crate::ocsf::Schema;
use crate::spec::{Column, Constant, Event, Output, Source, Sql, Value};
use crate::{decode, ocsf};

/// Compiles `source` against `schema`; `format_columns` are those that its format
/// brings. The raw shape keeps the parsed columns as they are.
///
/// # Errors
/// Everything that is wrong with the mapping, each with its place.
pub fn compile(
    source: &Source,
    schema: &Schema,
    format_columns: Vec<Column>,
    shape_raw: bool,
) -> Result<Program, Diagnostics> {
    let columns = overlaid(format_columns, &source.columns);
    let redaction = Redaction::new(&source.redact.add, &source.redact.keep);
    let mut diagnostics = Diagnostics::default();
    let scope = match Scope::new(&columns, &source.sets, &redaction) {
        Ok(scope) => scope,
        Err(error) => {
            diagnostics.push(&source.format.at, error.message(), "give each column once");
            return Err(diagnostics);
        }
    };
    let compiler = Compiler {
        source,
        ocsf: schema,
        columns: &columns,
        scope: &scope,
    };
    let filters = compiler.filters(&mut diagnostics);
    let mut routes = compiler.routes(&mut diagnostics);
    if shape_raw {
        routes = compiler.raw(routes);
    }
    let digest = digest(source, schema.version(), &columns, shape_raw);
    let mut program = Program {
        source: source.name.clone(),
        columns: Vec::new(),
        wanted: Vec::new(),
        filters,
        routes,
        digest,
    };
    program.wanted = match source.unmapped.kept || shape_raw {
        true => (0..columns.len()).collect(),
        false => used(&program, &columns),
    };
    program.columns = columns;
    diagnostics.into_result(program)
}

/// The format's columns; one that is declared has the declared type.
fn overlaid(mut columns: Vec<Column>, declared: &[Column]) -> Vec<Column> {
    for column in declared {
        match columns.iter_mut().find(|known| known.name == column.name) {
            Some(known) => *known = column.clone(),
            None => columns.push(column.clone()),
        }
    }
    columns
}

/// The indices of the columns that the program names.
fn used(program: &Program, columns: &[Column]) -> Vec<usize> {
    let mut names = BTreeSet::new();
    let mut note = |expr: &Expr| {
        names.extend(expr.column_refs().into_iter().map(|c| c.name.clone()));
    };
    program.filters.iter().for_each(|(expr, _)| note(expr));
    for route in &program.routes {
        let single = [&route.when, &route.account, &route.region];
        single.into_iter().flatten().for_each(&mut note);
        note(&route.time);
        leaves(&route.layout, &mut note);
    }
    let is_used = |index: &usize| names.contains(&columns[*index].name);
    (0..columns.len()).filter(is_used).collect()
}

fn leaves(layout: &[Layout], note: &mut impl FnMut(&Expr)) {
    for part in layout {
        match part {
            Layout::Leaf(expr) => note(expr),
            Layout::Struct(inner) => leaves(inner, note),
        }
    }
}

struct Compiler<'a> {
    source: &'a Source,
    ocsf: &'a Schema,
    columns: &'a [Column],
    scope: &'a Scope<'a>,
}

impl Compiler<'_> {
    fn filters(&self, diagnostics: &mut Diagnostics) -> Vec<(Expr, String)> {
        let filters = self.source.filters.iter().filter_map(|filter| {
            let when = self.condition(&filter.when, diagnostics)?;
            Some((when, filter.reason.clone()))
        });
        filters.collect()
    }

    fn condition(&self, sql: &Sql, diagnostics: &mut Diagnostics) -> Option<Expr> {
        let expr = self.expr(sql, diagnostics)?;
        if matches!(self.scope.type_of(&expr), Ok(DataType::Boolean)) {
            return Some(expr);
        }
        diagnostics.push(&sql.at, "a condition is true or false", "compare the value");
        None
    }

    fn expr(&self, sql: &Sql, diagnostics: &mut Diagnostics) -> Option<Expr> {
        let planned = sql::plan(self.scope, sql);
        match planned.map(|expr| self.scope.finish(expr)) {
            Ok(Ok(expr)) => return Some(expr),
            Ok(Err(error)) => diagnostics.push(&sql.at, error.message(), ""),
            Err(diagnostic) => diagnostics.0.push(diagnostic),
        }
        None
    }

    /// The first of the expressions that is not NULL, as text.
    fn first_text(&self, all: &[Sql], diagnostics: &mut Diagnostics) -> Option<Expr> {
        let texts: Vec<Expr> = all
            .iter()
            .filter_map(|sql| self.expr(sql, diagnostics))
            .map(|expr| cast(expr, DataType::Utf8View))
            .collect();
        let first = match texts.len() {
            0 => return None,
            1 => texts.into_iter().next()?,
            _ => coalesce(texts),
        };
        self.scope.finish(first).ok()
    }

    fn routes(&self, diagnostics: &mut Diagnostics) -> Vec<Route> {
        if self.source.events.is_empty() {
            let at = &self.source.format.at;
            diagnostics.push(at, "the source has no events", "list them under `events`");
        }
        let account = self.first_text(&self.source.account, diagnostics);
        let region = self.first_text(&self.source.region, diagnostics);
        let mut routes = Vec::new();
        for event in &self.source.events {
            if let Some(mut route) = self.route(event, diagnostics) {
                route.account.clone_from(&account);
                route.region.clone_from(&region);
                routes.push(route);
            }
        }
        routes
    }

    fn route(&self, event: &Event, diagnostics: &mut Diagnostics) -> Option<Route> {
        let Some(class) = self.ocsf.class(&event.class) else {
            let names: Vec<&str> = self.ocsf.classes().map(|c| c.name.as_str()).collect();
            let message = format!(
                "OCSF {} has no class `{}`",
                self.ocsf.version(),
                event.class
            );
            diagnostics.push(&event.at, message, did_you_mean(&event.class, names));
            return None;
        };
        let profiles = profiles(event, class, diagnostics);
        let when = event
            .when
            .as_ref()
            .map(|when| self.condition(when, diagnostics));
        let members = self.members(event, class, &profiles, diagnostics);
        let time = self.time(event, &members, diagnostics)?;
        let (fields, layout) = tree::layout(&members);
        let mut demands = Demands {
            ocsf: self.ocsf,
            profiles: &profiles,
            found: Vec::new(),
        };
        demands.collect(&members, &class.attributes, &class.constraints, (&[], ""));
        Some(Route {
            event: event.name.clone(),
            class: self.class(class),
            when: when.flatten(),
            also: event.also,
            time,
            account: None,
            region: None,
            schema: Arc::new(ArrowSchema::new(fields)),
            layout,
            required: demands.found,
        })
    }

    fn class(&self, class: &ocsf::Class) -> Class {
        let output = self.source.outputs.get(&class.name);
        let own = output.and_then(|output| output.name.clone());
        Class {
            uid: class.uid,
            name: class.name.clone(),
            output: own.unwrap_or_else(|| self.source.name.clone()),
            target: output.and_then(|output| output.uri.clone()),
            role: output.and_then(Output::role),
        }
    }

    /// Every attribute of the event: mapped, derived and left over.
    fn members(
        &self,
        event: &Event,
        class: &ocsf::Class,
        profiles: &[String],
        diagnostics: &mut Diagnostics,
    ) -> Members {
        let mut builder = Builder {
            ocsf: self.ocsf,
            profiles,
            mapped: BTreeSet::new(),
            item_of: None,
            diagnostics: Diagnostics::default(),
        };
        let mut members = builder.object(self.scope, &class.attributes, &event.attributes, "");
        classify::add(&mut members, class, self.ocsf, profiles);
        check_ids(event, class, &mut builder.diagnostics);
        self.finish(&mut members, &mut builder, &event.at);
        if !members.contains_key("observables")
            && let Some(expr) = classify::observables(&members, class, self.ocsf)
        {
            let at = &event.at;
            self.add(&mut members, &mut builder, "observables", expr, at);
        }
        if self.source.unmapped.kept {
            let style = self.source.unmapped.style;
            let leaf = leftover::leaf(&mut builder, self.scope, event, self.columns, style);
            let at = &event.at;
            self.add(&mut members, &mut builder, ocsf::UNMAPPED, leaf.expr, at);
        }
        diagnostics.0.append(&mut builder.diagnostics.0);
        members
    }

    /// What follows from other attributes is written out like these.
    fn finish(&self, members: &mut Members, builder: &mut Builder<'_>, at: &Origin) {
        for tree in members.values_mut() {
            match tree {
                Tree::Struct(inner) => self.finish(inner, builder, at),
                Tree::Leaf(leaf) if leaf.filled == tree::Filled::Derived => {
                    let finished = self.scope.finish(leaf.expr.clone());
                    if let Some(expr) = builder.valid(at, finished) {
                        leaf.expr = expr;
                    }
                }
                Tree::Leaf(_) => {}
            }
        }
    }

    fn add(
        &self,
        members: &mut Members,
        builder: &mut Builder<'_>,
        name: &str,
        expr: Expr,
        at: &Origin,
    ) {
        let finished = builder.valid(at, self.scope.finish(expr));
        if let Some(expr) = finished
            && let Some(kind) = builder.valid(at, self.scope.type_of(&expr))
        {
            let leaf = tree::Leaf::derived(expr, kind);
            members.insert(name.to_owned(), Tree::Leaf(leaf));
        }
    }

    fn time(
        &self,
        event: &Event,
        members: &Members,
        diagnostics: &mut Diagnostics,
    ) -> Option<Expr> {
        if let Some(time) = tree::leaf(members, "time") {
            return Some(times::of_millis(&time.expr));
        }
        if !event.attributes.contains_key("time") {
            let message = "the event has no `time`";
            diagnostics.push(&event.at, message, "map `time` to the column that holds it");
        }
        None
    }

    /// One route with the parsed columns as they are; its time is the first event's.
    fn raw(&self, routes: Vec<Route>) -> Vec<Route> {
        let Some(first) = routes.into_iter().next() else {
            return Vec::new();
        };
        let fields = decode::schema_of(self.columns).fields()[..self.columns.len()].to_vec();
        let column =
            |column: &Column| Layout::Leaf(Expr::Column(Name::new_unqualified(&column.name)));
        vec![Route {
            event: "raw".to_owned(),
            class: Class {
                uid: 0,
                name: "raw".to_owned(),
                output: self.source.name.clone(),
                target: None,
                role: None,
            },
            when: None,
            also: false,
            schema: Arc::new(ArrowSchema::new(fields)),
            layout: self.columns.iter().map(column).collect(),
            required: Vec::new(),
            ..first
        }]
    }
}

/// The declared profiles as the class spells them.
fn profiles(event: &Event, class: &ocsf::Class, diagnostics: &mut Diagnostics) -> Vec<String> {
    let mut profiles = Vec::new();
    for declared in &event.profiles {
        match class.profile(declared) {
            Some(profile) => profiles.push(profile.to_owned()),
            None => {
                let known = class.profiles.iter().map(String::as_str);
                let message = format!("class {} has no profile `{declared}`", class.name);
                diagnostics.push(&event.at, message, did_you_mean(declared, known));
            }
        }
    }
    profiles
}

/// A constant that says another class than the event's is a mistake.
fn check_ids(event: &Event, class: &ocsf::Class, diagnostics: &mut Diagnostics) {
    for (name, right) in [
        ("class_uid", class.uid),
        ("category_uid", class.category_uid),
    ] {
        let Some(node) = event.attributes.get(name) else {
            continue;
        };
        if let Value::Constant(Constant::Integer(given)) = node.value
            && given != i64::from(right)
        {
            let message = format!("`{name}` of {} is {right}, not {given}", class.name);
            diagnostics.push(&node.at, message, "leave it out: it is derived");
        }
    }
}
