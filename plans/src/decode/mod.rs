//! Turns decompressed bytes into Arrow columns. Formats share this code: lines, rows,
//! columns, times, numbers, JSON and decompression.

pub(crate) mod column;
pub(crate) mod composite;
pub(crate) mod damage;
#[cfg(test)]
pub(crate) mod damage_tests;
pub mod decompress;
pub(crate) mod json_damage;
pub(crate) mod json_records;
pub(crate) mod json_scan;
pub(crate) mod json_wrapper;
pub(crate) mod kind_check;
pub(crate) mod layout;
pub(crate) mod line_decoder;
pub(crate) mod lines;
pub(crate) mod marked;
pub(crate) mod not_utf8;
pub(crate) mod readings;
pub(crate) mod records;
pub(crate) mod rows;
pub(crate) mod spanning;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod time;
pub(crate) mod value;
pub(crate) mod written;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;

use crate::spec::{Column, ColumnKind};

pub use damage::is_damage;

/// Index of the row's object in the split. UInt32, never NULL.
pub const OBJECT: &str = "_object";
/// Line (or record) number in the object, from 1. UInt64, never NULL.
pub const LINE: &str = "_line";
/// Byte offset of the record in the decompressed object. UInt64, never NULL.
pub const OFFSET: &str = "_offset";
/// The record's bytes, without its line end. BinaryView; NULL for columnar formats.
pub const RAW: &str = "_raw";
/// The `snake_case` code of the reason why the row is rejected. NULL for a good row. Utf8View.
pub const REJECT: &str = "_reject";
/// Details of the reason, such as the column and its value. Utf8View.
pub const DETAIL: &str = "_detail";
/// Physical lines of a rejected record whose bytes are not all kept. NULL: those of its `_raw`.
/// UInt64.
pub const LINES: &str = "_lines";
/// Values without a column, as a JSON object. Utf8View.
pub const EXTRA: &str = "_extra";

/// The texts of the row's values as the source has them, where the parsed value has another
/// text: a JSON object by column name. Utf8View. NULL for columnar formats and rejected rows.
pub const WRITTEN: &str = "_written";

/// A wire format.
pub trait Format: Debug + Send + Sync {
    /// Name in `source.toml`.
    fn name(&self) -> &'static str;

    /// One line about the files it reads.
    fn help(&self) -> &'static str;

    /// The built-in columns, which a source need not declare. Files without column names
    /// use this order.
    fn columns(&self) -> Vec<Column>;

    /// The options that `source.toml` may set.
    fn options(&self) -> &'static [FormatOption];

    /// The way in which its objects are read.
    fn reading(&self) -> Reading;
}

/// An option of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormatOption {
    /// Key in `source.toml`.
    pub name: &'static str,
    /// The values it takes.
    pub values: &'static str,
    /// The value without it.
    pub default: &'static str,
    /// What it does, in one line.
    pub help: &'static str,
}

/// The way in which the objects of a format are read.
pub enum Reading {
    /// As a stream of decompressed blocks.
    Blocks(fn(DecoderRequest) -> Box<dyn Decoder>),
    /// As Apache Parquet: by ranges, and with columns cast by name.
    Parquet,
}

/// The parameters of a decoder.
#[derive(Clone, Debug)]
pub struct DecoderRequest {
    /// All columns of the source.
    pub columns: Arc<[Column]>,
    /// Indexes of the columns to read. The others are left out of the batch.
    pub wanted: Arc<[usize]>,
    /// The wanted columns, then the system columns, as `schema_of` returns it.
    pub schema: SchemaRef,
    /// For each wanted column, whether `_written` shall have its texts. An empty list is all
    /// false.
    pub written: Arc<[bool]>,
    /// Texts that are NULL in every column, in addition to those of the format.
    pub null: Arc<[String]>,
    /// Options of the format.
    pub options: Arc<BTreeMap<String, String>>,
    /// Maximum rows of a batch.
    pub batch_rows: usize,
    /// Index of the object in the split.
    pub object: u32,
}

impl DecoderRequest {
    /// Returns the columns to read.
    pub fn parsed(&self) -> impl Iterator<Item = &Column> {
        self.wanted.iter().map(|index| &self.columns[*index])
    }
}

/// Turns the blocks of one object into batches.
pub trait Decoder: Send {
    /// Adds the next block. It may end anywhere, even inside a line.
    fn push(&mut self, block: Bytes);
    /// Ends the object. `broken` is the reason if it ended too early (such as
    /// `truncated_gzip`). The rest of the last record is then rejected with this reason.
    fn finish(&mut self, broken: Option<Broken>);
    /// Returns the next full batch, and after `finish` the last rows. `None` means that more
    /// blocks are needed, or that all rows were returned.
    fn next_batch(&mut self) -> Option<RecordBatch>;
}

/// The reason why an object could not be read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// A `snake_case` code for `_reject`.
    pub reason: &'static str,
    /// A message for `_detail`.
    pub detail: String,
}

/// Returns the Arrow type of a column.
pub fn arrow_type(kind: &ColumnKind) -> DataType {
    match kind {
        ColumnKind::Text | ColumnKind::Ip | ColumnKind::Json => DataType::Utf8View,
        ColumnKind::Int32 => DataType::Int32,
        ColumnKind::Int64 => DataType::Int64,
        ColumnKind::Double => DataType::Float64,
        ColumnKind::Boolean => DataType::Boolean,
        ColumnKind::Epoch(_)
        | ColumnKind::Rfc3339
        | ColumnKind::Strftime(_)
        | ColumnKind::Times(_) => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
    }
}

/// Returns the schema of a scan: the given columns, then the system columns.
pub fn schema_of<'a>(columns: impl IntoIterator<Item = &'a Column>) -> SchemaRef {
    let parsed = columns
        .into_iter()
        .map(|column| Field::new(&column.name, arrow_type(&column.kind), true));
    Arc::new(Schema::new(
        parsed.chain(system_fields()).collect::<Vec<_>>(),
    ))
}

/// The number of columns that every scan adds.
pub(crate) const SYSTEM_FIELDS: usize = 9;

/// Returns the columns that every scan adds.
pub fn system_fields() -> [Field; SYSTEM_FIELDS] {
    [
        Field::new(EXTRA, DataType::Utf8View, true),
        Field::new(OBJECT, DataType::UInt32, false),
        Field::new(LINE, DataType::UInt64, false),
        Field::new(OFFSET, DataType::UInt64, false),
        Field::new(RAW, DataType::BinaryView, true),
        Field::new(REJECT, DataType::Utf8View, true),
        Field::new(DETAIL, DataType::Utf8View, true),
        Field::new(LINES, DataType::UInt64, true),
        Field::new(WRITTEN, DataType::Utf8View, true),
    ]
}
