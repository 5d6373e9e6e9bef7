//! Turns decompressed bytes into Arrow columns: what formats are built from, and what
//! they share (lines, rows, columns, times, numbers, JSON and decompression).

pub(crate) mod column;
pub mod decompress;
pub(crate) mod json_scan;
pub(crate) mod layout;
pub(crate) mod line_decoder;
pub(crate) mod lines;
pub(crate) mod rows;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod time;
pub(crate) mod value;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;

use crate::spec::{Column, ColumnKind};

/// Index of the row's object in its split. UInt32, never NULL.
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
    /// The object's index in its split.
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
