//! Reads quarantine files.

use arrow::array::{Array, AsArray, BinaryArray, RecordBatch, StringArray, UInt64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, UInt64Type};
use arrow::error::ArrowError;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;

use super::{ATTEMPT, DETAIL, LINE, LOAD_ID, OBJECT, OFFSET, QuarantinedRow, RAW, REASON, SOURCE};

/// An object that cannot be read as a quarantine file.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("column `{0}` is missing or has another type")]
    Column(&'static str),
    #[error(transparent)]
    Parquet(#[from] ParquetError),
    #[error(transparent)]
    Arrow(#[from] ArrowError),
}

/// Every row of a quarantine file, which has to have all columns.
pub fn read(file: Bytes) -> Result<Vec<QuarantinedRow>, ReadError> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)?.build()?;
    let mut rows = Vec::new();
    for batch in reader {
        let columns = Columns::of(&batch?);
        if let Some(name) = columns.missing() {
            return Err(ReadError::Column(name));
        }
        rows.extend((0..columns.rows).map(|row| columns.row(row)));
    }
    Ok(rows)
}

/// The columns of a batch of a quarantine file. One that is missing holds nothing.
pub(crate) struct Columns {
    pub(crate) rows: usize,
    source: Option<StringArray>,
    object: Option<StringArray>,
    line: Option<UInt64Array>,
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
