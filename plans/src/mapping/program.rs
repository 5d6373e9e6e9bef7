//! A compiled mapping: what the sink evaluates, and nothing else.
//!
//! It is generic over its expressions: logical ones from a mapping, physical ones in the
//! sink, and their indices in a message on the wire.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::logical_expr::Expr;
use serde::{Deserialize, Serialize};

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
    /// The indices of those whose texts `_written` shall have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub written: Vec<usize>,
    /// Tried in order; the first that is true leaves the row out, with its reason.
    pub filters: Vec<(E, String)>,
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
        let mut all: Vec<&E> = self.filters.iter().map(|(when, _)| when).collect();
        for route in &self.routes {
            all.extend(&route.when);
            all.push(&route.time);
            all.extend(&route.account);
            all.extend(&route.region);
            route.layout.iter().for_each(|part| part.leaves(&mut all));
        }
        all
    }

    /// The same program with each expression replaced by what `f` makes of it.
    pub fn try_map<F, Err>(
        self,
        mut f: impl FnMut(E) -> Result<F, Err>,
    ) -> Result<Program<F>, Err> {
        let mut filters = Vec::with_capacity(self.filters.len());
        for (when, reason) in self.filters {
            filters.push((f(when)?, reason));
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
    pub event: String,
    pub class: Class,
    /// Boolean; `None` takes every row, NULL is false.
    pub when: Option<E>,
    /// Adds an event without taking the row.
    pub also: bool,
    /// `Timestamp(Millisecond, UTC)`: the event's time.
    pub time: E,
    /// Utf8 or Utf8View: the row's account and region, where columns hold them.
    pub account: Option<E>,
    pub region: Option<E>,
    /// The output's schema; its types come from OCSF. Messages carry it beside the program.
    #[serde(skip, default = "no_schema")]
    pub schema: SchemaRef,
    /// How each of the schema's fields is made, in its order.
    pub layout: Vec<Layout<E>>,
    /// Leaves and structs that must not be NULL.
    pub required: Vec<Quarantined>,
}

fn no_schema() -> SchemaRef {
    Arc::new(Schema::empty())
}

impl<E> Route<E> {
    /// The same route with each expression replaced by what `f` makes of it.
    pub fn try_map<F, Err>(self, mut f: impl FnMut(E) -> Result<F, Err>) -> Result<Route<F>, Err> {
        Ok(Route {
            event: self.event,
            class: self.class,
            when: self.when.map(&mut f).transpose()?,
            also: self.also,
            time: f(self.time)?,
            account: self.account.map(&mut f).transpose()?,
            region: self.region.map(&mut f).transpose()?,
            schema: self.schema,
            layout: try_map_all(self.layout, &mut f)?,
            required: self.required,
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

/// How a field of the output is made. Structs whose members are all NULL are NULL.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Layout<E = Expr> {
    /// Evaluates to exactly the field's type.
    #[serde(rename = "l")]
    Leaf(E),
    #[serde(rename = "s")]
    Struct(Vec<Layout<E>>),
}

impl<E> Layout<E> {
    fn leaves<'a>(&'a self, all: &mut Vec<&'a E>) {
        match self {
            Self::Leaf(expr) => all.push(expr),
            Self::Struct(members) => members.iter().for_each(|member| member.leaves(all)),
        }
    }
}

/// The layouts with each expression replaced by what `f` makes of it.
fn try_map_all<E, F, Err>(
    layouts: Vec<Layout<E>>,
    f: &mut impl FnMut(E) -> Result<F, Err>,
) -> Result<Vec<Layout<F>>, Err> {
    let mut mapped = Vec::with_capacity(layouts.len());
    for layout in layouts {
        mapped.push(match layout {
            Layout::Leaf(expr) => Layout::Leaf(f(expr)?),
            Layout::Struct(members) => Layout::Struct(try_map_all(members, f)?),
        });
    }
    Ok(mapped)
}

/// A field whose row is quarantined when the field is NULL and its parent is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// Field indices from the root; any one of these must be there.
    pub any_of: Vec<Vec<usize>>,
    /// Such as `required_attribute_missing`.
    pub reason: Cow<'static, str>,
    /// The dotted attribute.
    pub detail: String,
}
