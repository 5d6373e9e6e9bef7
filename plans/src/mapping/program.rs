//! A compiled mapping: what the sink evaluates, and nothing else.
//!
//! It is generic over its expressions: logical ones from a mapping, physical ones in the
//! sink, and their indices in a message on the wire.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::logical_expr::Expr;
use serde::{Deserialize, Serialize};

use super::layout::{Around, Key, Object, Placed};
use crate::spec::Column;
use crate::storage::Role;

/// A source's mapping as expressions over `decode::schema_of(parsed())`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Program<E = Expr> {
    pub source: String,
    /// Every column of the log, in the order in which files without names have them.
    pub columns: Vec<Column>,
    /// The indices of those that the scan has to parse.
    pub wanted: Vec<usize>,
    /// The indices of those whose text in the source is kept where their value prints
    /// differently.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub written: Vec<usize>,
    /// Tried in order; the first that is true leaves the row out, with its reason.
    pub filters: Vec<(Placed<E>, String)>,
    /// Tried in order; see `Route::also`.
    pub routes: Vec<Route<E>>,
    /// Digest of everything that decides the output's rows.
    pub digest: String,
}

impl<E> Program<E> {
    /// The columns that the scan has to parse.
    pub fn parsed(&self) -> impl Iterator<Item = &Column> {
        self.wanted.iter().map(|index| &self.columns[*index])
    }

    /// Every expression.
    pub fn exprs(&self) -> Vec<&E> {
        let mut all: Vec<&E> = self.filters.iter().map(|(when, _)| &when.expr).collect();
        for route in &self.routes {
            let placed = [&route.when, &route.account, &route.region];
            all.extend(placed.into_iter().flatten().map(|placed| &placed.expr));
            all.push(&route.time.expr);
            route.event.exprs(&mut all);
        }
        all
    }

    /// The same program with each expression replaced by what `f` makes of it. `f` is also
    /// given what is around the expression.
    pub fn try_map<F, Err>(
        self,
        mut f: impl FnMut(E, &Around<'_>) -> Result<F, Err>,
    ) -> Result<Program<F>, Err> {
        let mut filters = Vec::with_capacity(self.filters.len());
        for (when, reason) in self.filters {
            filters.push((when.try_map(&[], &mut f)?, reason));
        }
        let mut routes = Vec::with_capacity(self.routes.len());
        for route in self.routes {
            routes.push(route.try_map(&mut f)?);
        }
        Ok(Program {
            source: self.source,
            columns: self.columns,
            wanted: self.wanted,
            written: self.written,
            filters,
            routes,
            digest: self.digest,
        })
    }
}

/// One event: which rows it takes and what they become.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Route<E = Expr> {
    /// Name of the event.
    pub name: String,
    pub class: Class,
    /// Boolean; `None` takes every row, NULL is false.
    pub when: Option<Placed<E>>,
    /// Adds an event without taking the row.
    pub also: bool,
    /// `Timestamp(Millisecond, UTC)`: the event's time.
    pub time: Placed<E>,
    /// Utf8 or Utf8View: the row's account and region, where columns hold them.
    pub account: Option<Placed<E>>,
    pub region: Option<Placed<E>>,
    /// The output's schema; its types come from OCSF. Messages carry it beside the program.
    #[serde(skip, default = "no_schema")]
    pub schema: SchemaRef,
    /// How each of the schema's fields is made, in its order. What the class itself
    /// requires are its demands; rows that do not meet them are rejected.
    pub event: Object<E>,
    /// The record's values that attributes may hold.
    pub keys: Vec<Key>,
}

fn no_schema() -> SchemaRef {
    Arc::new(Schema::empty())
}

impl<E> Route<E> {
    /// The same route with each expression replaced by what `f` makes of it.
    fn try_map<F, Err>(
        self,
        f: &mut impl FnMut(E, &Around<'_>) -> Result<F, Err>,
    ) -> Result<Route<F>, Err> {
        let mut map = |placed: Option<Placed<E>>| {
            let mapped = placed.map(|placed| placed.try_map(&[], f));
            mapped.transpose()
        };
        let (when, account, region) = (map(self.when)?, map(self.account)?, map(self.region)?);
        Ok(Route {
            name: self.name,
            class: self.class,
            when,
            also: self.also,
            time: self.time.try_map(&[], f)?,
            account,
            region,
            schema: self.schema,
            event: self.event.try_map(&mut Vec::new(), f)?,
            keys: self.keys,
        })
    }
}

/// The class an event becomes. `uid` 0 is the raw shape. A plan carries the targets
/// resolved, so that messages leave `target` and `role` out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Class {
    pub uid: u32,
    pub name: String,
    /// The output's own name (`[output.CLASS] name`), else the source's.
    pub output: String,
    /// Where it goes (`[output.CLASS] uri`), when that is not the load's own target.
    #[serde(skip)]
    pub target: Option<String>,
    /// Who writes it (`[output.CLASS] role_arn, external_id`), when not the load itself.
    #[serde(skip)]
    pub role: Option<Role>,
}
