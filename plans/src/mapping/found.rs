//! Collects what is wrong with a source while it is compiled.

use datafusion::common::DataFusionError;
use datafusion::logical_expr::Expr;

use super::scope::Scope;
use super::sql;
use crate::diagnostics::{Diagnostic, Diagnostics, Origin};
use crate::spec::Sql;

/// The errors and warnings of one source.
pub(super) struct Found {
    is_foreign: bool,
    errors: Diagnostics,
    warnings: Diagnostics,
}

impl Found {
    /// `is_foreign` is true for sources that were written for another engine.
    pub(super) fn new(is_foreign: bool) -> Self {
        Self {
            is_foreign,
            errors: Diagnostics::default(),
            warnings: Diagnostics::default(),
        }
    }

    pub(super) fn is_foreign(&self) -> bool {
        self.is_foreign
    }

    pub(super) fn error(
        &mut self,
        at: &Origin,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.errors.push(at, message, remedy);
    }

    /// Reports what OCSF requires and the source does not give. This is an error in our own
    /// dialect. A foreign source ran without it before, so there it is a warning.
    pub(super) fn gap(
        &mut self,
        at: &Origin,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        match self.is_foreign {
            true => self.warnings.push(at, message, remedy),
            false => self.errors.push(at, message, remedy),
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
                self.error(at, error.message(), "");
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
            Err(diagnostic) => {
                self.errors.0.push(diagnostic);
                None
            }
        }
    }

    /// The errors and the warnings, each sorted by place and without repeats.
    pub(super) fn into_sorted(self) -> (Diagnostics, Diagnostics) {
        (sorted(self.errors), sorted(self.warnings))
    }
}

/// A mistake in `base` is found once for each route, and reported once.
fn sorted(mut found: Diagnostics) -> Diagnostics {
    found.sort();
    let mut kept: Vec<Diagnostic> = Vec::new();
    for diagnostic in found.0 {
        if !kept.contains(&diagnostic) {
            kept.push(diagnostic);
        }
    }
    Diagnostics(kept)
}
