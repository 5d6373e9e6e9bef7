//! Writes quarantine files.

use std::sync::Arc;

use arrow::array::{BinaryBuilder, RecordBatch, StringBuilder, UInt64Builder};
use arrow::error::ArrowError;
use bytes::Bytes;
use parquet::arrow::{ArrowWriter, AsyncArrowWriter};
use parquet::errors::ParquetError;

use super::{HELD_BYTES, QuarantinedRow, schema};
use crate::sink::part;
use crate::sink::part::Forward;
use crate::storage::parts::{PartError, PartHandle, UnpublishedPart};

/// Rows of one batch.
const BATCH_ROWS: usize = 8192;
/// Bytes of a row's numbers, and of the offsets of its texts.
const FIXED_BYTES: usize = 3 * 8 + 7 * 4;

/// Rows that cannot be written as a quarantine file.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error(transparent)]
    Parquet(#[from] ParquetError),
    #[error(transparent)]
    Arrow(#[from] ArrowError),
    #[error(transparent)]
    Part(#[from] PartError),
}

/// Writes rows to one part, a batch at a time.
pub struct RowWriter {
    held: BatchBuilder,
    writer: AsyncArrowWriter<Forward>,
    rows: u64,
}

impl RowWriter {
    /// Starts the file in a new part.
    pub fn new(part: Box<dyn UnpublishedPart>) -> Result<Self, WriteError> {
        let schema = schema();
        let options = part::options(&schema);
        let writer = AsyncArrowWriter::try_new_with_options(Forward { part }, schema, options)?;
        Ok(Self {
            held: BatchBuilder::default(),
            writer,
            rows: 0,
        })
    }

    /// Adds a row.
    pub async fn push(&mut self, row: &QuarantinedRow) -> Result<(), WriteError> {
        self.held.push(row);
        self.rows += 1;
        match self.held.bytes > HELD_BYTES || self.held.rows >= BATCH_ROWS {
            true => self.flush().await,
            false => Ok(()),
        }
    }

    async fn flush(&mut self) -> Result<(), WriteError> {
        let batch = std::mem::take(&mut self.held).finish()?;
        Ok(self.writer.write(&batch).await?)
    }

    /// Completes the part, which readers do not see yet. Returns it and the number of its rows.
    pub async fn finish(mut self) -> Result<(PartHandle, u64), WriteError> {
        if self.held.rows > 0 {
            self.flush().await?;
        }
        self.writer.finish().await?;
        let part = self.writer.into_inner().part.finish().await?;
        Ok((part, self.rows))
    }
}

/// A quarantine file of these rows, written like every other part.
pub fn encode(rows: &[QuarantinedRow]) -> Result<Bytes, WriteError> {
    let schema = schema();
    let options = part::options(&schema);
    let mut writer = ArrowWriter::try_new_with_options(Vec::new(), schema, options)?;
    for rows in rows.chunks(BATCH_ROWS) {
        writer.write(&batch(rows)?)?;
    }
    Ok(writer.into_inner()?.into())
}

pub(super) fn batch(rows: &[QuarantinedRow]) -> Result<RecordBatch, ArrowError> {
    let mut builder = BatchBuilder::default();
    for row in rows {
        builder.push(row);
    }
    builder.finish()
}

/// Rows that are held until they are encoded.
#[derive(Default)]
pub(super) struct BatchBuilder {
    source: StringBuilder,
    object: StringBuilder,
    line: UInt64Builder,
    lines: UInt64Builder,
    offset: UInt64Builder,
    reason: StringBuilder,
    detail: StringBuilder,
    raw: BinaryBuilder,
    load_id: StringBuilder,
    attempt: StringBuilder,
    pub(super) rows: usize,
    /// What the rows take in memory.
    pub(super) bytes: usize,
}

/// What a row takes in a batch.
fn size(row: &QuarantinedRow) -> usize {
    let texts = [
        &row.source,
        &row.object,
        &row.reason,
        &row.detail,
        &row.load_id,
        &row.attempt,
    ];
    let texts: usize = texts.iter().map(|text| text.len()).sum();
    FIXED_BYTES + texts + row.raw.as_ref().map_or(0, Vec::len)
}

impl BatchBuilder {
    pub(super) fn push(&mut self, row: &QuarantinedRow) {
        self.source.append_value(&row.source);
        self.object.append_value(&row.object);
        self.line.append_value(row.line);
        self.lines.append_value(row.lines);
        self.offset.append_value(row.offset);
        self.reason.append_value(&row.reason);
        self.detail.append_value(&row.detail);
        self.raw.append_option(row.raw.as_deref());
        self.load_id.append_value(&row.load_id);
        self.attempt.append_value(&row.attempt);
        self.rows += 1;
        self.bytes += size(row);
    }

    /// The rows in the order of the schema.
    pub(super) fn finish(mut self) -> Result<RecordBatch, ArrowError> {
        RecordBatch::try_new(
            schema(),
            vec![
                Arc::new(self.source.finish()),
                Arc::new(self.object.finish()),
                Arc::new(self.line.finish()),
                Arc::new(self.offset.finish()),
                Arc::new(self.reason.finish()),
                Arc::new(self.detail.finish()),
                Arc::new(self.raw.finish()),
                Arc::new(self.load_id.finish()),
                Arc::new(self.attempt.finish()),
                Arc::new(self.lines.finish()),
            ],
        )
    }
}
