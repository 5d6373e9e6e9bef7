//! Wire formats: decompressed bytes in, Arrow columns out. One file per format.
//!
//! Every line (or record) becomes exactly one row: parsed, or with a reason in
//! the reject columns. Decoding never fails and never panics on any bytes.

mod column;
mod csv;
pub mod decompress;
mod json_lines;
mod json_scan;
mod layout;
mod line_decoder;
mod lines;
mod parquet;
mod rows;
mod s3_access;
#[cfg(test)]
mod testing;
mod time;
mod value;
mod vpc_flow;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;

use crate::spec::{Column, ColumnKind};

/// Index of the row's object in its shard. UInt32, never NULL.
pub const OBJECT: &str = "_object";
/// Line (or record) number in its object, from 1. UInt64, never NULL.
pub const LINE: &str = "_line";
/// Byte offset of the record in the decompressed object. UInt64, never NULL.
pub const OFFSET: &str = "_offset";
/// The record's bytes, without its line end. BinaryView; NULL for columnar formats.
pub const RAW: &str = "_raw";
/// Why the row cannot be mapped, a `snake_case` code; NULL for a good row. Utf8View.
pub const REJECT: &str = "_reject";
/// More about the reason: the column and what is wrong with its value. Utf8View.
pub const DETAIL: &str = "_detail";
/// Values the format found and no column takes, as a JSON object. Utf8View.
pub const EXTRA: &str = "_extra";

/// Every format a source may name, in alphabetical order.
static FORMATS: &[(&str, &dyn Format)] = &[
    ("csv", &csv::Csv),
    ("json_lines", &json_lines::JsonLines),
    ("parquet", &parquet::Parquet),
    ("s3_access", &s3_access::S3Access),
    ("vpc_flow", &vpc_flow::VpcFlow),
];

/// Other names for formats, as older configurations write them.
static ALIASES: &[(&str, &str)] = &[
    ("json", "json_lines"),
    ("jsonl", "json_lines"),
    ("ndjson", "json_lines"),
    ("text", "csv"),
    ("txt", "csv"),
];

/// The format of this name, or which names there are.
pub fn find(name: &str) -> Result<&'static dyn Format, UnknownFormat> {
    let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
    let wanted = alias.map_or(name, |(_, format)| *format);
    FORMATS
        .iter()
        .find(|(known, _)| *known == wanted)
        .map(|(_, format)| *format)
        .ok_or_else(|| UnknownFormat::new(name))
}

/// A format that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown format `{name}`; known are {known}")]
pub struct UnknownFormat {
    pub name: String,
    pub known: String,
}

impl UnknownFormat {
    fn new(name: &str) -> Self {
        let known: Vec<_> = FORMATS.iter().map(|(known, _)| *known).collect();
        Self {
            name: name.to_owned(),
            known: known.join(", "),
        }
    }
}

/// How a format turns bytes into rows.
pub trait Format: Debug + Send + Sync {
    fn name(&self) -> &'static str;

    /// The columns of this format that a source need not declare, in the order
    /// that applies when a file names none.
    fn columns(&self) -> Vec<Column>;

    /// Option keys that `source.toml` may set for this format.
    fn options(&self) -> &'static [&'static str];

    /// What reads it.
    fn reading(&self) -> Reading;
}

/// Formats differ in what they need to see at once.
pub enum Reading {
    /// Decodes a stream of decompressed blocks.
    Blocks(fn(DecoderRequest) -> Box<dyn Decoder>),
    /// Apache Parquet: read by ranges, cast to the columns by name.
    Parquet,
}

/// What a decoder is built from.
#[derive(Clone, Debug)]
pub struct DecoderRequest {
    /// The columns to produce, in this order; of these only `wanted` are read,
    /// the others are left out of the batch.
    pub columns: Arc<[Column]>,
    pub wanted: Arc<[usize]>,
    /// `schema_of(wanted columns)`: parsed columns, then the system columns.
    pub schema: SchemaRef,
    pub options: Arc<BTreeMap<String, String>>,
    pub batch_rows: usize,
    /// The object's index in its shard.
    pub object: u32,
}

impl DecoderRequest {
    /// The columns that are read.
    pub fn parsed(&self) -> impl Iterator<Item = &Column> {
        self.wanted.iter().map(|index| &self.columns[*index])
    }
}

/// Turns the blocks of one object into batches.
pub trait Decoder: Send {
    /// Takes the next block; it may end anywhere, even inside a line.
    fn push(&mut self, block: Bytes);
    /// Says that the object has ended. `broken` tells why it ended too early
    /// (such as `truncated_gzip`): what is left of a last record is then rejected.
    fn finish(&mut self, broken: Option<Broken>);
    /// The next full batch, or whatever is there after `finish`; `None` asks for more blocks.
    fn next_batch(&mut self) -> Option<RecordBatch>;
}

/// Why an object could not be read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// A `snake_case` code for `_reject`.
    pub reason: &'static str,
    pub detail: String,
}

/// The Arrow type a kind of column is parsed to.
pub fn arrow_type(kind: &ColumnKind) -> DataType {
    match kind {
        ColumnKind::Text | ColumnKind::Ip | ColumnKind::Json => DataType::Utf8View,
        ColumnKind::Int32 => DataType::Int32,
        ColumnKind::Int64 => DataType::Int64,
        ColumnKind::Double => DataType::Float64,
        ColumnKind::Boolean => DataType::Boolean,
        ColumnKind::Epoch(_) | ColumnKind::Rfc3339 | ColumnKind::Strftime(_) => {
            DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
        }
    }
}

/// The schema of a scan: the columns given, then the system columns.
pub fn schema_of<'a>(columns: impl IntoIterator<Item = &'a Column>) -> SchemaRef {
    let parsed = columns
        .into_iter()
        .map(|column| Field::new(&column.name, arrow_type(&column.kind), true));
    Arc::new(Schema::new(
        parsed.chain(system_fields()).collect::<Vec<_>>(),
    ))
}

/// The columns that every scan adds.
pub fn system_fields() -> [Field; 7] {
    [
        Field::new(EXTRA, DataType::Utf8View, true),
        Field::new(OBJECT, DataType::UInt32, false),
        Field::new(LINE, DataType::UInt64, false),
        Field::new(OFFSET, DataType::UInt64, false),
        Field::new(RAW, DataType::BinaryView, true),
        Field::new(REJECT, DataType::Utf8View, true),
        Field::new(DETAIL, DataType::Utf8View, true),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_found_by_name_and_alias() {
        for (name, format) in [
            ("vpc_flow", "vpc_flow"),
            ("txt", "csv"),
            ("json", "json_lines"),
        ] {
            assert_eq!(find(name).map(Format::name), Ok(format));
        }
    }

    #[test]
    fn an_unknown_format_lists_the_known_ones() {
        let error = find("xml").err().map(|error| error.to_string());
        assert_eq!(
            error.as_deref(),
            Some("unknown format `xml`; known are csv, json_lines, parquet, s3_access, vpc_flow")
        );
    }

    #[test]
    fn the_table_is_sorted_and_names_agree() {
        assert!(FORMATS.is_sorted_by_key(|(name, _)| *name));
        assert!(FORMATS.iter().all(|(name, format)| *name == format.name()));
        assert!(ALIASES.iter().all(|(_, target)| find(target).is_ok()));
    }
}
