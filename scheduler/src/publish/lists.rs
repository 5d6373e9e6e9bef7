//! Lists of input objects, stored beside the manifests: which objects were read for a manifest's
//! days, and how many rows each gave to which day.
//!
//! A list is a Parquet file with a row for each object and day, ordered by the objects' URIs. Each
//! URI is stored as its difference from the one before, so that an object takes about 20 bytes.
//! DuckDB can read a list: `SELECT uri, owner, rows FROM read_parquet('….objects')`.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int32Array, RecordBatch, StringArray, UInt64Array,
};
use datafusion::arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef, UInt64Type};
use datafusion::arrow::error::ArrowError;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::parquet::basic::{Compression, Encoding, ZstdLevel};
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::properties::WriterProperties;

use crate::input::identity::Identity;
use crate::load::days::Day;

/// Rows of one batch.
const BATCH_ROWS: usize = 8192;

/// A list that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    #[error(transparent)]
    Parquet(#[from] ParquetError),
    #[error(transparent)]
    Arrow(#[from] ArrowError),
    #[error("column {name} is missing or has another type")]
    Column { name: &'static str },
}

/// An object that was read, and what it gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListedObject {
    pub uri: String,
    pub identity: Identity,
    /// The day in its path.
    pub day: Option<Day>,
    /// Days that its rows may be away from its day.
    pub margin: u32,
    /// The day that owns its rows without a readable time, if its path names no day.
    pub fallback_day: Option<Day>,
    /// Whether it was damaged.
    pub damaged: bool,
    /// Its rows by the day that owns them, also of days that were not loaded.
    pub rows: Vec<(Day, u64)>,
}

impl ListedObject {
    /// The number of rows that it has of a day.
    pub fn rows_of(&self, day: Day) -> u64 {
        let found = self.rows.iter().find(|(owner, _)| *owner == day);
        found.map_or(0, |(_, rows)| *rows)
    }

    /// Whether the object was read for a day that refers to its list.
    pub fn reaches(&self, day: Day) -> bool {
        self.day
            .is_none_or(|own| own.0.abs_diff(day.0) <= self.margin)
    }
}

/// Encodes a list. The objects must be ordered by URI.
pub fn encode(objects: &[ListedObject]) -> Result<Bytes, ListError> {
    let schema = schema();
    let mut writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties()))?;
    let mut columns = Columns::default();
    for object in objects {
        columns.push(object);
        if columns.uris.len() >= BATCH_ROWS {
            writer.write(&std::mem::take(&mut columns).batch(&schema)?)?;
        }
    }
    writer.write(&columns.batch(&schema)?)?;
    Ok(writer.into_inner()?.into())
}

/// Decodes a list and passes each object to `each`.
pub fn decode(bytes: Bytes, mut each: impl FnMut(ListedObject)) -> Result<(), ListError> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)?.build()?;
    let mut current: Option<ListedObject> = None;
    for batch in reader {
        let batch = batch?;
        let read = ReadColumns::of(&batch)?;
        for row in 0..batch.num_rows() {
            let (uri, identity) = (read.uris.value(row), read.identity(row));
            let is_same = |object: &ListedObject| {
                object.uri == uri && object.identity.version == identity.version
            };
            if !current.as_ref().is_some_and(is_same)
                && let Some(ended) = current.replace(read.object(row))
            {
                each(ended);
            }
            if let (Some(object), Some(day)) = (&mut current, day_at(read.owners, row)) {
                object.rows.push((day, read.rows.value(row)));
            }
        }
    }
    current.into_iter().for_each(each);
    Ok(())
}

const URI: &str = "uri";
const VERSION: &str = "version";
const CONTENT: &str = "content";
const DAY: &str = "day";
const MARGIN: &str = "margin";
const FALLBACK_DAY: &str = "fallback_day";
const DAMAGED: &str = "damaged";
const OWNER: &str = "owner";
const ROWS: &str = "rows";

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new(URI, DataType::Utf8, false),
        Field::new(VERSION, DataType::UInt64, false),
        // Null if it is the version.
        Field::new(CONTENT, DataType::UInt64, true),
        Field::new(DAY, DataType::Int32, true),
        Field::new(MARGIN, DataType::UInt64, false),
        Field::new(FALLBACK_DAY, DataType::Int32, true),
        Field::new(DAMAGED, DataType::Boolean, false),
        // The day that owns the rows; null for an object without rows.
        Field::new(OWNER, DataType::Int32, true),
        Field::new(ROWS, DataType::UInt64, false),
    ]))
}

fn properties() -> WriterProperties {
    let delta = |name: &str| (name.to_owned().into(), Encoding::DELTA_BINARY_PACKED);
    let mut properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(datafusion::parquet::file::properties::EnabledStatistics::None)
        .set_column_encoding(URI.to_owned().into(), Encoding::DELTA_BYTE_ARRAY);
    for (column, encoding) in [DAY, MARGIN, FALLBACK_DAY, OWNER, ROWS].map(delta) {
        properties = properties.set_column_encoding(column, encoding);
    }
    properties.build()
}

/// Rows that are held until they are written.
#[derive(Default)]
struct Columns {
    uris: Vec<String>,
    versions: Vec<u64>,
    contents: Vec<Option<u64>>,
    days: Vec<Option<i32>>,
    margins: Vec<u64>,
    fallback_days: Vec<Option<i32>>,
    damaged: Vec<bool>,
    owners: Vec<Option<i32>>,
    rows: Vec<u64>,
}

impl Columns {
    fn push(&mut self, object: &ListedObject) {
        if object.rows.is_empty() {
            self.row(object, None, 0);
        }
        for (day, rows) in &object.rows {
            self.row(object, Some(day.0), *rows);
        }
    }

    fn row(&mut self, object: &ListedObject, owner: Option<i32>, rows: u64) {
        let Identity { version, content } = object.identity;
        self.uris.push(object.uri.clone());
        self.versions.push(version);
        self.contents.push((content != version).then_some(content));
        self.days.push(object.day.map(|day| day.0));
        self.margins.push(object.margin.into());
        self.fallback_days
            .push(object.fallback_day.map(|day| day.0));
        self.damaged.push(object.damaged);
        self.owners.push(owner);
        self.rows.push(rows);
    }

    fn batch(self, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(self.uris)),
            Arc::new(UInt64Array::from(self.versions)),
            Arc::new(UInt64Array::from(self.contents)),
            Arc::new(Int32Array::from(self.days)),
            Arc::new(UInt64Array::from(self.margins)),
            Arc::new(Int32Array::from(self.fallback_days)),
            Arc::new(BooleanArray::from(self.damaged)),
            Arc::new(Int32Array::from(self.owners)),
            Arc::new(UInt64Array::from(self.rows)),
        ];
        RecordBatch::try_new(schema.clone(), columns)
    }
}

/// The columns of a batch that is read.
struct ReadColumns<'a> {
    uris: &'a StringArray,
    versions: &'a UInt64Array,
    contents: &'a UInt64Array,
    days: &'a Int32Array,
    margins: &'a UInt64Array,
    fallback_days: &'a Int32Array,
    damaged: &'a BooleanArray,
    owners: &'a Int32Array,
    rows: &'a UInt64Array,
}

impl<'a> ReadColumns<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Self, ListError> {
        let numbers = |name| {
            column(batch, name)?
                .as_primitive_opt::<UInt64Type>()
                .ok_or(wrong(name))
        };
        let days = |name| {
            column(batch, name)?
                .as_primitive_opt::<Int32Type>()
                .ok_or(wrong(name))
        };
        Ok(Self {
            uris: column(batch, URI)?.as_string_opt().ok_or(wrong(URI))?,
            versions: numbers(VERSION)?,
            contents: numbers(CONTENT)?,
            days: days(DAY)?,
            margins: numbers(MARGIN)?,
            fallback_days: days(FALLBACK_DAY)?,
            damaged: column(batch, DAMAGED)?
                .as_boolean_opt()
                .ok_or(wrong(DAMAGED))?,
            owners: days(OWNER)?,
            rows: numbers(ROWS)?,
        })
    }

    fn identity(&self, row: usize) -> Identity {
        let version = self.versions.value(row);
        let content = match self.contents.is_valid(row) {
            true => self.contents.value(row),
            false => version,
        };
        Identity::new(version, content)
    }

    /// The object of a row, without its rows.
    fn object(&self, row: usize) -> ListedObject {
        ListedObject {
            uri: self.uris.value(row).to_owned(),
            identity: self.identity(row),
            day: day_at(self.days, row),
            margin: u32::try_from(self.margins.value(row)).unwrap_or(u32::MAX),
            fallback_day: day_at(self.fallback_days, row),
            damaged: self.damaged.value(row),
            rows: Vec::new(),
        }
    }
}

fn column<'a>(batch: &'a RecordBatch, name: &'static str) -> Result<&'a ArrayRef, ListError> {
    batch.column_by_name(name).ok_or(wrong(name))
}

fn wrong(name: &'static str) -> ListError {
    ListError::Column { name }
}

fn day_at(days: &Int32Array, row: usize) -> Option<Day> {
    days.is_valid(row).then(|| Day(days.value(row)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: Bytes) -> Vec<ListedObject> {
        let mut found = Vec::new();
        decode(bytes, |object| found.push(object)).expect("a list");
        found
    }

    fn object(uri: &str, version: u64, rows: &[(i32, u64)]) -> ListedObject {
        ListedObject {
            uri: uri.to_owned(),
            identity: Identity {
                version,
                content: version + 1,
            },
            rows: rows.iter().map(|(day, rows)| (Day(*day), *rows)).collect(),
            ..ListedObject::default()
        }
    }

    #[test]
    fn a_list_is_read_as_it_was_written() {
        let objects = vec![
            object("a", 1, &[]),
            ListedObject {
                day: Some(Day(7)),
                margin: u32::MAX,
                damaged: true,
                ..object("b", 1, &[(6, 1), (7, 9)])
            },
            // Two versions of one object: the first one is gone.
            object("b", 2, &[(7, 3)]),
            ListedObject {
                fallback_day: Some(Day(3)),
                identity: Identity {
                    version: 5,
                    content: 5,
                },
                ..object("c", 5, &[(-4, u64::MAX)])
            },
        ];
        assert_eq!(read(encode(&objects).expect("a list")), objects);
        assert_eq!(read(encode(&[]).expect("a list")), []);
        assert!(decode(Bytes::from_static(b"no list"), drop).is_err());
    }

    /// Objects of one day as AWS names them. `identity` makes an identity of a random number.
    fn day(objects: u32, store: &str, identity: impl Fn(u64) -> Identity) -> Vec<ListedObject> {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        };
        let folder = format!("{store}AWSLogs/123456789012/vpcflowlogs/eu-central-1/2024/01/08");
        let name = |minute: u32, unique: u64| {
            let (hour, minute) = (minute / 60, minute % 60);
            format!(
                "{folder}/123456789012_vpcflowlogs_eu-central-1_fl-0a1b2c3d_20240108T{hour:02}{minute:02}Z_{:08x}.log.gz",
                unique as u32
            )
        };
        let each_minute = objects / 1440 + 1;
        let objects = (0..objects).map(|number| ListedObject {
            identity: identity(next()),
            day: Some(Day(19_730)),
            ..object(
                &name(number / each_minute, next()),
                0,
                &[(19_730, 1000 + next() % 999)],
            )
        });
        let mut objects: Vec<_> = objects.collect();
        objects.sort_by(|a, b| a.uri.cmp(&b.uri));
        objects
    }

    #[test]
    fn an_object_takes_twenty_bytes_at_most() {
        let of_s3 = day(50_000, "s3://flow-logs/", |random| {
            Identity::new(random, random)
        });
        let local = day(50_000, "file:///srv/", |random| {
            Identity::new(random, !random)
        });
        for objects in [of_s3, local] {
            let bytes = encode(&objects).expect("a list").len();
            assert!(bytes <= 20 * objects.len(), "{bytes}");
        }
    }

    #[test]
    #[ignore = "prints a time"]
    fn the_list_of_a_large_day_is_written_and_read() {
        let objects = day(400_000, "s3://flow-logs/", |random| {
            Identity::new(random, random)
        });
        let since = std::time::Instant::now();
        let bytes = encode(&objects).expect("a list");
        let written = since.elapsed();
        let count = read(bytes.clone()).len();
        let read = since.elapsed() - written;
        println!(
            "{count} objects, {} bytes: written in {written:?}, read in {read:?}",
            bytes.len()
        );
    }
}
