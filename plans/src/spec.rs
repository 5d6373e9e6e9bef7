//! The model of a source and its mappings. Every dialect is read into it. It depends on
//! no file format, no network and no clock.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::diagnostics::Origin;
use crate::storage::Role;

/// A kind of log: how it is read and how its rows are mapped.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Unique name, such as `vpc_flow`.
    pub name: String,
    /// Other names of the source.
    pub aliases: Vec<String>,
    /// The wire format and its options.
    pub format: Format,
    /// Declared columns. Formats without column names use the order of this list.
    pub columns: Vec<Column>,
    /// Expressions for a row's account. The first that is not NULL is used.
    pub account: Vec<Sql>,
    /// Expressions for a row's region. The first that is not NULL is used.
    pub region: Vec<Sql>,
    /// Rows to leave out.
    pub filters: Vec<Filter>,
    /// Named value lists for `in_set(column, 'name')`.
    pub sets: BTreeMap<String, Vec<String>>,
    /// Named expressions. One may use those before it.
    pub lets: Vec<(String, Sql)>,
    /// Position of the profiles in the source's base.
    pub base_at: Origin,
    /// Routes, in the order in which they are tried.
    pub events: Vec<Event>,
    /// Handling of columns that no mapping uses.
    pub unmapped: Unmapped,
    /// Keys whose values are replaced.
    pub redact: Redact,
    /// Outputs by class name.
    pub outputs: BTreeMap<String, Output>,
    /// Settings of the load itself, which a metadata CSV contains.
    pub load: Option<LoadHints>,
}

impl Source {
    /// Returns the classes of all routes, without duplicates.
    pub fn classes(&self) -> BTreeSet<&str> {
        self.events
            .iter()
            .map(|event| event.class.as_str())
            .collect()
    }
}

/// The wire format and its options, such as `delimiter`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Format {
    /// Name of the format, such as `csv`.
    pub name: String,
    /// Options by key.
    pub options: BTreeMap<String, String>,
    /// Texts that are NULL in every column, in addition to those of the format.
    pub null: Vec<String>,
    /// Position in the configuration.
    pub at: Origin,
}

/// A column of the parsed log. Its position is not serialised.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Name in expressions.
    pub name: String,
    /// Type that values are parsed to.
    pub kind: ColumnKind,
    /// Names in the file, if they differ from `name`. The first that has a value in a record
    /// gives the value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// How its texts are cut into parts, if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub composite: Option<Composite>,
    /// What gives its values.
    #[serde(default, skip_serializing_if = "ValueFrom::is_record")]
    pub from: ValueFrom,
    /// Whether messages must not show its values.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
    /// Position in the configuration.
    #[serde(skip)]
    pub at: Origin,
}

impl Column {
    /// Creates a column that records contain under its name.
    pub fn new(name: impl Into<String>, kind: ColumnKind) -> Self {
        Self {
            name: name.into(),
            kind,
            ..Self::default()
        }
    }

    /// Returns its names in the file, the preferred one first.
    pub fn spellings(&self) -> impl Iterator<Item = &str> {
        let own = self.names.is_empty().then_some(self.name.as_str());
        own.into_iter().chain(self.names.iter().map(String::as_str))
    }

    /// Whether its values are part of the record. Other columns never belong to `unmapped`.
    pub fn is_of_record(&self) -> bool {
        matches!(self.from, ValueFrom::Record | ValueFrom::Part(_))
    }

    /// Whether formats read it. The scan fills the others.
    pub fn is_read(&self) -> bool {
        self.from == ValueFrom::Record
    }

    /// Returns the segments of its dotted key: a part is below the column that it is cut from.
    pub fn segments(&self) -> Vec<&str> {
        match &self.from {
            ValueFrom::Part(whole) => vec![whole, self.part_name()],
            _ => vec![&self.name],
        }
    }

    /// Returns the name of a part without that of its whole, such as `port`.
    pub fn part_name(&self) -> &str {
        let ValueFrom::Part(whole) = &self.from else {
            return &self.name;
        };
        let part = self.name.strip_prefix(whole.as_str());
        let part = part.and_then(|part| part.strip_prefix('.'));
        part.unwrap_or(&self.name)
    }
}

/// What gives the values of a column.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueFrom {
    /// The records.
    #[default]
    Record,
    /// The texts of the composite column with this name.
    Part(String),
    /// The path of the object that contains the record.
    ObjectKey,
    /// The time at which the object that contains the record was last modified.
    ObjectTime,
}

impl ValueFrom {
    fn is_record(&self) -> bool {
        *self == Self::Record
    }
}

/// How the texts of a column are cut into parts. The column is NULL where its parts have the
/// values, and keeps a text that does not have the expected form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Composite {
    /// `192.0.2.1:443` or `[::1]:443`.
    IpPort,
    /// `DOMAIN\name` or `name@domain`.
    WindowsUser,
    /// `GET /index.html HTTP/1.1`.
    RequestLine,
    /// `a=1, b="x y"`. The column is a JSON object, and has no parts.
    Pairs,
}

impl Composite {
    /// Returns the names and types of the parts.
    pub fn parts(self) -> &'static [(&'static str, ColumnKind)] {
        use ColumnKind::{Int32, Ip, Text};
        type Part = (&'static str, ColumnKind);
        static IP_PORT: [Part; 2] = [("ip", Ip), ("port", Int32)];
        static WINDOWS_USER: [Part; 2] = [("domain", Text), ("name", Text)];
        static REQUEST_LINE: [Part; 3] = [("method", Text), ("path", Text), ("version", Text)];
        match self {
            Self::IpPort => &IP_PORT,
            Self::WindowsUser => &WINDOWS_USER,
            Self::RequestLine => &REQUEST_LINE,
            Self::Pairs => &[],
        }
    }

    /// Returns the type of the column itself.
    pub fn kind(self) -> ColumnKind {
        match self {
            Self::Pairs => ColumnKind::Json,
            _ => ColumnKind::Text,
        }
    }
}

/// The type a column is parsed to. A value that does not parse quarantines the row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    /// UTF-8 text.
    #[default]
    Text,
    /// 32-bit integer.
    Int32,
    /// 64-bit integer.
    Int64,
    /// 64-bit float.
    Double,
    /// `true`, `1`, `yes` and their opposites.
    Boolean,
    /// An IP address in its canonical text form.
    Ip,
    /// JSON text. Dots in an expression address its members.
    Json,
    /// Time as an epoch number in the given unit.
    Epoch(TimeUnit),
    /// Time as RFC 3339 text. Without an offset it is UTC.
    Rfc3339,
    /// Time as text in a strftime pattern (chrono's letters, English names).
    Strftime(String),
    /// Time in one of several formats, which are other variants. They are tried in this order.
    Times(Vec<ColumnKind>),
}

/// The unit of an epoch number.
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
    /// The expression as written.
    pub text: String,
    /// Columns to read under another name: the name in `text`, and that of the column.
    pub renamed: BTreeMap<String, String>,
    /// Position of the first character of `text`.
    pub at: Origin,
}

/// A condition for rows to leave out. The ledger counts them by reason.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// Condition; NULL is false.
    pub when: Sql,
    /// Name of the filter in the ledger.
    pub reason: String,
}

/// A route: a condition and a mapping to one OCSF class.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Name in the source's `events` list.
    pub name: String,
    /// Name of the OCSF class, such as `network_activity`.
    pub class: String,
    /// OCSF profiles that the events have.
    pub profiles: Vec<String>,
    /// Profiles of the source's base. The event has those that its class knows.
    pub base_profiles: Vec<String>,
    /// Position of the profiles in the configuration.
    pub profiles_at: Origin,
    /// Named expressions of this event. One may use those before it and those of the source.
    pub lets: Vec<(String, Sql)>,
    /// NULL is false. Without a condition every row matches.
    pub when: Option<Sql>,
    /// Adds an event to the one of the route that matches first.
    pub also: bool,
    /// Attributes and their values.
    pub attributes: Object,
    /// Dotted columns that only functions use, but that `unmapped` should not contain.
    pub consumed: Vec<String>,
    /// Position of the class name.
    pub at: Origin,
}

/// Attribute names and their values.
pub type Object = BTreeMap<String, Node>;

/// A value with its position.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Position in the configuration.
    pub at: Origin,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// An object with attributes.
    Object(Object),
    /// The same value for every row.
    Constant(Constant),
    /// An expression over the row's columns.
    Sql(Sql),
    /// A list. NULL items are dropped, and an empty list becomes NULL.
    List(Vec<Node>),
    /// A lookup of an enum member.
    Enum(Enum),
    /// A list of objects made from a JSON array.
    Each(Each),
}

/// A literal value in a configuration.
#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    Text(String),
    Integer(i64),
    Double(f64),
    Boolean(bool),
    List(Vec<Constant>),
}

/// Maps source values to enum members. Matching ignores case, and the longest glob wins.
/// NULL becomes 0. A value without a match becomes 99, with its text in the sibling. Without
/// `to` the captions and ids of the members match themselves.
#[derive(Clone, Debug, PartialEq)]
pub struct Enum {
    /// The source value.
    pub on: Sql,
    /// Glob for the source value, and the caption or id of the member.
    pub to: Vec<(String, Constant, Origin)>,
}

/// A list of objects, one for each element of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Each {
    /// A JSON array, or a list of texts.
    pub list: Sql,
    /// Elements to take; NULL is false.
    pub when: Option<Sql>,
    /// The attributes of one object. Its expressions name the element `item`.
    pub item: Object,
}

/// Handling of columns that no mapping uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmapped {
    /// Whether the attribute `unmapped` is written.
    pub kept: bool,
    /// Type of the attribute.
    pub style: UnmappedStyle,
}

/// The type of the attribute `unmapped`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UnmappedStyle {
    /// `map<string,string>` with dotted keys, as in Security Lake's own files.
    Map,
    /// The same map as JSON text.
    Json,
}

/// Dotted globs for keys. Values of matching keys are replaced before a row is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redact {
    /// Globs in addition to the default ones.
    pub add: Vec<String>,
    /// Globs for keys that are never replaced.
    pub keep: Vec<String>,
}

/// The output of one class, if it differs from the load's target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Name of the source in the paths of the output.
    pub name: Option<String>,
    /// Target URI.
    pub uri: Option<String>,
    /// Role for writing, if it is not the load's.
    pub role_arn: Option<String>,
    /// External id for assuming the role.
    pub external_id: Option<String>,
    /// Position in the configuration.
    pub at: Origin,
}

impl Output {
    /// Returns the role for writing.
    pub fn role(&self) -> Option<Role> {
        Some(Role {
            arn: self.role_arn.clone()?,
            external_id: self.external_id.clone(),
        })
    }
}

/// Settings of a load from a metadata CSV. Command-line flags take precedence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadHints {
    /// Input URI.
    pub input: Option<String>,
    /// Target URI.
    pub output: Option<String>,
    /// `daily` or `historical`.
    pub load_type: Option<String>,
    /// `daily`, `monthly` or `yearly`: the length of a period of a historical load.
    pub batch_load_type: Option<String>,
    /// Number of days of a daily load.
    pub daily_days: Option<u32>,
    /// Number of days of a historical load.
    pub days: Option<u32>,
    /// First day, `yyyy-MM-dd`.
    pub from: Option<String>,
    /// Last day, `yyyy-MM-dd`.
    pub to: Option<String>,
    /// Whether input paths contain dates.
    pub is_partitioned: Option<bool>,
    /// Whether dates in paths look like `year=2024/month=01`.
    pub hive_style: Option<bool>,
    /// Whether input paths contain hours.
    pub hour_level: Option<bool>,
    /// The enrichment table.
    pub enrichment: Option<EnrichmentHint>,
}

/// The database table that a metadata CSV joins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrichmentHint {
    /// Column of the source.
    pub column: String,
    /// Column of the table.
    pub key: String,
    /// Name of the database.
    pub database: String,
    /// Name of the table.
    pub table: String,
    /// Name of the secret, never its value.
    pub secret: String,
}
