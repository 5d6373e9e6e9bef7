//! The one model of a source and its mapping. Every dialect reads into it; it
//! knows no file format, no network and no clock.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::diagnostics::Origin;
use crate::storage::Role;

/// A kind of log: how it is read and what it becomes.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    pub name: String,
    pub aliases: Vec<String>,
    pub format: Format,
    /// Declared columns, in the file's order where the format has no names.
    pub columns: Vec<Column>,
    /// Where a row's account stands: the first of these that is not NULL.
    pub account: Vec<Sql>,
    /// Where a row's region stands: the first of these that is not NULL.
    pub region: Vec<Sql>,
    pub filters: Vec<Filter>,
    /// Named value lists for `in_set(column, 'name')`.
    pub sets: BTreeMap<String, Vec<String>>,
    /// Tried in this order.
    pub events: Vec<Event>,
    pub unmapped: Unmapped,
    pub redact: Redact,
    /// By class name.
    pub outputs: BTreeMap<String, Output>,
    /// What a foreign dialect says about the load itself.
    pub load: Option<LoadHints>,
}

impl Source {
    /// The classes that the events become, each once.
    pub fn classes(&self) -> BTreeSet<&str> {
        self.events
            .iter()
            .map(|event| event.class.as_str())
            .collect()
    }
}

/// The wire format and its options, such as `delimiter`.
#[derive(Clone, Debug, PartialEq)]
pub struct Format {
    pub name: String,
    pub options: BTreeMap<String, String>,
    pub at: Origin,
}

/// A column of the parsed log. On the wire it leaves its origin behind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    pub kind: ColumnKind,
    /// The name it has in the file, where that differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_name: Option<String>,
    #[serde(skip)]
    pub at: Origin,
}

/// The type a column is parsed to. A value that does not parse sets the row aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    Text,
    Int32,
    Int64,
    Double,
    Boolean,
    /// An IP address, kept as its canonical text.
    Ip,
    /// JSON text; dots in an expression walk into it.
    Json,
    /// Time as an epoch number in the given unit.
    Epoch(TimeUnit),
    /// Time as RFC 3339 text; without an offset it is UTC.
    Rfc3339,
    /// Time as text in a strftime pattern (chrono's letters, English names).
    Strftime(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeUnit {
    Second,
    Millisecond,
    Microsecond,
    Nanosecond,
}

/// A DataFusion SQL expression over the source's columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Sql {
    pub text: String,
    /// Where the text's first character stands.
    pub at: Origin,
}

/// Rows that are left out on purpose, with the reason that the ledger shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    pub when: Sql,
    pub reason: String,
}

/// A condition and a mapping to one OCSF class.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub name: String,
    /// The OCSF class's name, such as `network_activity`.
    pub class: String,
    pub profiles: Vec<String>,
    pub profiles_at: Origin,
    /// NULL is false; absent is true.
    pub when: Option<Sql>,
    /// Adds a row beside the one of the event that takes the row.
    pub also: bool,
    pub attributes: Object,
    /// Columns (dotted) that leave `unmapped` though a function used them.
    pub consumed: Vec<String>,
    /// Where the class is named.
    pub at: Origin,
}

/// Attribute name to value, each with its place in the configuration.
pub type Object = BTreeMap<String, Node>;

#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub value: Value,
    pub at: Origin,
}

/// What an attribute is filled with.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Object(Object),
    Constant(Constant),
    Sql(Sql),
    /// A list whose NULL items are dropped; an empty one is NULL.
    List(Vec<Node>),
    Enum(Enum),
    Each(Each),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    Text(String),
    Integer(i64),
    Double(f64),
    Boolean(bool),
    List(Vec<Constant>),
}

/// Source values to enum members. Matching ignores case, the longest glob wins,
/// NULL is 0 and no match is 99 with the source's text in the sibling.
#[derive(Clone, Debug, PartialEq)]
pub struct Enum {
    pub on: Sql,
    /// Glob over the source value, and the caption or id it becomes.
    pub to: Vec<(String, Constant, Origin)>,
}

/// A list of objects, one for each element of a JSON array; `item` names the element.
#[derive(Clone, Debug, PartialEq)]
pub struct Each {
    pub list: Sql,
    pub item: Object,
}

/// What becomes of the columns that nothing maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmapped {
    pub kept: bool,
    pub style: UnmappedStyle,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnmappedStyle {
    /// `map<string,string>` with dotted keys, as Security Lake's own files have it.
    Map,
    /// The same as one JSON text.
    Json,
}

/// Dotted globs over keys whose values are replaced before anything is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redact {
    pub add: Vec<String>,
    pub keep: Vec<String>,
}

/// Where a class goes, when it is not the load's own target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    pub name: Option<String>,
    pub uri: Option<String>,
    pub role_arn: Option<String>,
    pub external_id: Option<String>,
    pub at: Origin,
}

impl Output {
    /// The role that writes it.
    pub fn role(&self) -> Option<Role> {
        Some(Role {
            arn: self.role_arn.clone()?,
            external_id: self.external_id.clone(),
        })
    }
}

/// What a metadata CSV says about the load; flags outrank it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadHints {
    pub input: Option<String>,
    pub output: Option<String>,
    /// `daily` or `historical`.
    pub load_type: Option<String>,
    /// `daily`, `monthly` or `yearly`: how history is cut.
    pub batch_load_type: Option<String>,
    pub daily_days: Option<u32>,
    pub days: Option<u32>,
    /// `yyyy-MM-dd`
    pub from: Option<String>,
    pub to: Option<String>,
    pub is_partitioned: Option<bool>,
    pub hive_style: Option<bool>,
    pub hour_level: Option<bool>,
    pub enrichment: Option<EnrichmentHint>,
}

/// Which database table a metadata CSV joins, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrichmentHint {
    /// The source's column.
    pub column: String,
    /// The table's column.
    pub key: String,
    pub database: String,
    pub table: String,
    /// The name of the secret; never the secret.
    pub secret: String,
}
