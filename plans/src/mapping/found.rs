//! Collects what is wrong with a source while it is compiled.

use std::collections::BTreeSet;

use datafusion::common::DataFusionError;
use datafusion::logical_expr::Expr;

use super::scope::Scope;
use super::sql::Unplanned;
use super::{sql, words};
use crate::diagnostics::{Diagnostic, Diagnostics, Origin};
use crate::spec::Sql;

/// The errors and warnings of one source.
pub(super) struct Found {
    is_foreign: bool,
    errors: Vec<Finding>,
    warnings: Vec<Finding>,
    /// The event that is being compiled.
    event: Option<String>,
    /// The events so far.
    events: BTreeSet<String>,
}

/// A mistake, and the event in which it was found.
type Finding = (Diagnostic, Option<String>);

impl Found {
    /// `is_foreign` is true for sources that were written for another engine.
    pub(super) fn new(is_foreign: bool) -> Self {
        Self {
            is_foreign,
            errors: Vec::new(),
            warnings: Vec::new(),
            event: None,
            events: BTreeSet::new(),
        }
    }

    pub(super) fn is_foreign(&self) -> bool {
        self.is_foreign
    }

    /// Mistakes from now on are those of an event.
    pub(super) fn enter(&mut self, event: &str) {
        self.events.insert(event.to_owned());
        self.event = Some(event.to_owned());
    }

    /// Mistakes from now on belong to no event.
    pub(super) fn leave(&mut self) {
        self.event = None;
    }

    pub(super) fn error(
        &mut self,
        at: &Origin,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let error = sql::at(at, message, remedy);
        self.errors.push((error, self.event.clone()));
    }

    /// Reports what OCSF requires and the source does not give. This is an error in our own
    /// dialect. A foreign source ran without it before, so there it is a warning.
    pub(super) fn gap(
        &mut self,
        at: &Origin,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let gap = sql::at(at, message, remedy);
        match self.is_foreign {
            true => self.warnings.push((gap, self.event.clone())),
            false => self.errors.push((gap, self.event.clone())),
        }
    }

    /// The value, or `None` after the engine's error was reported at `at`.
    pub(super) fn valid<T>(
        &mut self,
        at: &Origin,
        result: Result<T, DataFusionError>,
    ) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                let explained = words::explained(&error.find_root().message());
                self.error(at, explained.message, explained.remedy);
                None
            }
        }
    }

    /// The expression as written, or `None` after its error was reported.
    pub(super) fn expr(&mut self, scope: &Scope<'_>, sql: &Sql) -> Option<Expr> {
        if scope.is_blind {
            return None;
        }
        match sql::plan(scope, sql) {
            Ok(expr) => Some(expr),
            Err(Unplanned::Wrong(diagnostic)) => {
                self.errors.push((diagnostic, self.event.clone()));
                None
            }
            Err(Unplanned::Reported) => None,
        }
    }

    /// The errors and the warnings, each sorted by place and without repeats.
    pub(super) fn into_sorted(self) -> (Diagnostics, Diagnostics) {
        let events = &self.events;
        (sorted(self.errors, events), sorted(self.warnings, events))
    }
}

/// A mistake in what several routes share is found once for each of them, and reported once.
/// If only some of the events have it, it names them.
fn sorted(found: Vec<Finding>, events: &BTreeSet<String>) -> Diagnostics {
    let mut kept: Vec<(Diagnostic, BTreeSet<String>)> = Vec::new();
    for (diagnostic, event) in found {
        match kept.iter_mut().find(|(known, _)| *known == diagnostic) {
            Some((_, inside)) => inside.extend(event),
            None => kept.push((diagnostic, event.into_iter().collect())),
        }
    }
    let named = kept.into_iter().map(|(mut diagnostic, inside)| {
        let is_partial = !inside.is_empty() && inside.len() < events.len();
        if is_partial && is_shared(&diagnostic.at) {
            let names: Vec<String> = inside.iter().map(|name| format!("`{name}`")).collect();
            diagnostic.message = format!("in event {}: {}", names.join(", "), diagnostic.message);
        }
        diagnostic
    });
    let mut sorted = Diagnostics(named.collect());
    sorted.sort();
    sorted
}

/// Whether several events use what is written at a place.
fn is_shared(at: &Origin) -> bool {
    ["base.", "group.", "tables."]
        .iter()
        .any(|table| at.key.starts_with(table))
}
