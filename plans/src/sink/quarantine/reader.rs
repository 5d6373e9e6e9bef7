//! Reads quarantine files.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BinaryArray, RecordBatch, StringArray, UInt64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, UInt64Type};
use arrow::error::ArrowError;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryFutureExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::ParquetRecordBatchStreamBuilder;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStream};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use super::{
    ATTEMPT, DETAIL, LINE, LINES, LOAD_ID, OBJECT, OFFSET, QuarantinedRow, RAW, REASON, SOURCE,
    lines_of,
};
use crate::storage;
use crate::storage::{StoreError, StoreFailure};

/// An object that cannot be read as a quarantine file.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("column `{0}` is missing or has another type")]
    Column(&'static str),
    #[error(transparent)]
    Parquet(#[from] ParquetError),
    #[error(transparent)]
    Arrow(#[from] ArrowError),
    #[error(transparent)]
    Location(#[from] StoreError),
    #[error("{0}")]
    Store(StoreFailure),
}

/// Bytes of the rows that are read at once.
const BATCH_BYTES: usize = 4 << 20;
const BATCH_ROWS: usize = 4096;

/// Reads a quarantine file some rows at a time.
pub struct RowStream(ParquetRecordBatchStream<File>);

impl RowStream {
    /// Opens the file at `uri`. It has to have all columns.
    pub async fn open(uri: &str) -> Result<Self, ReadError> {
        let located = storage::open(uri)?;
        let size = located.store.head(&located.path).await;
        let size = size.map_err(|error| ReadError::Store(error.into()))?.size;
        let file = File {
            store: located.store,
            path: located.path,
            size,
        };
        let builder = ParquetRecordBatchStreamBuilder::new(file).await?;
        let rows = batch_rows(builder.metadata());
        Ok(Self(builder.with_batch_size(rows).build()?))
    }

    /// Returns the next rows, or `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<QuarantinedRow>>, ReadError> {
        let Some(batch) = self.0.next().await else {
            return Ok(None);
        };
        rows(&batch?).map(Some)
    }
}

/// A quarantine file that is read by ranges.
struct File {
    store: Arc<dyn ObjectStore>,
    path: Path,
    size: u64,
}

impl AsyncFileReader for File {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        let read = async move { self.store.get_range(&self.path, range).await };
        read.map_err(|error| ParquetError::External(Box::new(error)))
            .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        let size = self.size;
        let read = ParquetMetaDataReader::new().load_and_finish(self, size);
        read.map_ok(Arc::new).boxed()
    }
}

/// The rows of a batch of about `BATCH_BYTES`, by the average row.
fn batch_rows(file: &ParquetMetaData) -> usize {
    let groups = file.row_groups().iter();
    let bytes: i64 = groups.map(|group| group.total_byte_size().max(0)).sum();
    let count = file.file_metadata().num_rows().max(1);
    let row = usize::try_from(bytes / count).unwrap_or(BATCH_BYTES).max(1);
    (BATCH_BYTES / row).clamp(1, BATCH_ROWS)
}

fn rows(batch: &RecordBatch) -> Result<Vec<QuarantinedRow>, ReadError> {
    let columns = Columns::of(batch);
    match columns.missing() {
        Some(name) => Err(ReadError::Column(name)),
        None => Ok((0..columns.rows).map(|row| columns.row(row)).collect()),
    }
}

/// Every row of a quarantine file, which has to have all columns.
pub fn read(file: Bytes) -> Result<Vec<QuarantinedRow>, ReadError> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)?.build()?;
    let mut all = Vec::new();
    for batch in reader {
        all.extend(rows(&batch?)?);
    }
    Ok(all)
}

/// The columns of a batch of a quarantine file. One that is missing holds nothing.
pub(crate) struct Columns {
    pub(crate) rows: usize,
    source: Option<StringArray>,
    object: Option<StringArray>,
    line: Option<UInt64Array>,
    /// Older versions do not write it.
    lines: Option<UInt64Array>,
    offset: Option<UInt64Array>,
    reason: Option<StringArray>,
    detail: Option<StringArray>,
    raw: Option<BinaryArray>,
    load_id: Option<StringArray>,
    attempt: Option<StringArray>,
}

impl Columns {
    pub(crate) fn of(batch: &RecordBatch) -> Self {
        let column = |name: &str, kind: &DataType| cast(batch.column_by_name(name)?, kind).ok();
        let text = |name: &str| Some(column(name, &DataType::Utf8)?.as_string().clone());
        let number = |name: &str| {
            let column = column(name, &DataType::UInt64)?;
            Some(column.as_primitive::<UInt64Type>().clone())
        };
        Self {
            rows: batch.num_rows(),
            source: text(SOURCE),
            object: text(OBJECT),
            line: number(LINE),
            lines: number(LINES),
            offset: number(OFFSET),
            reason: text(REASON),
            detail: text(DETAIL),
            raw: column(RAW, &DataType::Binary).map(|raw| raw.as_binary().clone()),
            load_id: text(LOAD_ID),
            attempt: text(ATTEMPT),
        }
    }

    /// The first column that is missing or has another type.
    fn missing(&self) -> Option<&'static str> {
        let columns = [
            (SOURCE, self.source.is_some()),
            (OBJECT, self.object.is_some()),
            (LINE, self.line.is_some()),
            (OFFSET, self.offset.is_some()),
            (REASON, self.reason.is_some()),
            (DETAIL, self.detail.is_some()),
            (RAW, self.raw.is_some()),
            (LOAD_ID, self.load_id.is_some()),
            (ATTEMPT, self.attempt.is_some()),
        ];
        let missing = columns.into_iter().find(|(_, found)| !found);
        missing.map(|(name, _)| name)
    }

    pub(crate) fn source(&self, row: usize) -> &str {
        text(self.source.as_ref(), row)
    }

    pub(crate) fn reason(&self, row: usize) -> &str {
        text(self.reason.as_ref(), row)
    }

    pub(crate) fn row(&self, row: usize) -> QuarantinedRow {
        let raw = self.raw.as_ref().filter(|raw| raw.is_valid(row));
        QuarantinedRow {
            source: self.source(row).to_owned(),
            object: text(self.object.as_ref(), row).to_owned(),
            line: number(self.line.as_ref(), row),
            lines: match &self.lines {
                Some(_) => number(self.lines.as_ref(), row),
                None => lines_of(raw.map(|raw| raw.value(row))),
            },
            offset: number(self.offset.as_ref(), row),
            reason: self.reason(row).to_owned(),
            detail: text(self.detail.as_ref(), row).to_owned(),
            raw: raw.map(|raw| raw.value(row).to_vec()),
            load_id: text(self.load_id.as_ref(), row).to_owned(),
            attempt: text(self.attempt.as_ref(), row).to_owned(),
        }
    }
}

fn text(column: Option<&StringArray>, row: usize) -> &str {
    let column = column.filter(|column| column.is_valid(row));
    column.map_or("", |column| column.value(row))
}

fn number(column: Option<&UInt64Array>, row: usize) -> u64 {
    let column = column.filter(|column| column.is_valid(row));
    column.map_or(0, |column| column.value(row))
}
