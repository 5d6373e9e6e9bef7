//! A compiled mapping: what the sink evaluates, and nothing else.

use arrow::datatypes::SchemaRef;
use datafusion::logical_expr::Expr;

use crate::spec::Column;
use crate::storage::Role;

/// A source's mapping as expressions over `decode::schema_of(parsed())`.
#[derive(Clone, Debug)]
pub struct Program {
    pub source: String,
    /// Every column of the log, in the order in which files without names have them.
    pub columns: Vec<Column>,
    /// The indices of those that the scan has to parse.
    pub wanted: Vec<usize>,
    /// Tried in order; the first that is true leaves the row out, with its reason.
    pub filters: Vec<(Expr, String)>,
    /// Tried in order; see `Route::also`.
    pub routes: Vec<Route>,
    /// Digest of everything that decides the output's rows.
    pub digest: String,
}

impl Program {
    /// The columns that the scan has to parse.
    pub fn parsed(&self) -> impl Iterator<Item = &Column> {
        self.wanted.iter().map(|index| &self.columns[*index])
    }
}

/// One event: which rows it takes and what they become.
#[derive(Clone, Debug)]
pub struct Route {
    pub event: String,
    pub class: Class,
    /// Boolean; `None` takes every row, NULL is false.
    pub when: Option<Expr>,
    /// Adds an event without taking the row.
    pub also: bool,
    /// `Timestamp(Millisecond, UTC)`: the event's time.
    pub time: Expr,
    /// Utf8 or Utf8View: the row's account and region, where columns tell.
    pub account: Option<Expr>,
    pub region: Option<Expr>,
    /// The output's schema; its types come from OCSF.
    pub schema: SchemaRef,
    /// How each of the schema's fields is made, in its order.
    pub layout: Vec<Layout>,
    /// Leaves and structs that must not be NULL.
    pub required: Vec<Quarantined>,
}

/// The class an event becomes. `uid` 0 is the raw shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    pub uid: u32,
    pub name: String,
    /// The output's own name (`[output.CLASS] name`), else the source's.
    pub output: String,
    /// Where it goes (`[output.CLASS] uri`), when that is not the load's own target.
    pub target: Option<String>,
    /// Who writes it (`[output.CLASS] role_arn, external_id`), when not the load itself.
    pub role: Option<Role>,
}

/// How a field of the output is made. Structs whose members are all NULL are NULL.
#[derive(Clone, Debug)]
pub enum Layout {
    /// Evaluates to exactly the field's type.
    Leaf(Expr),
    Struct(Vec<Layout>),
}

/// A field that sets its row aside when it is NULL while its parent is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Field indices from the root; any one of these must be there.
    pub any_of: Vec<Vec<usize>>,
    /// Such as `required_attribute_missing`.
    pub reason: std::borrow::Cow<'static, str>,
    /// The dotted attribute.
    pub detail: String,
}
