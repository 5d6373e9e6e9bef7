//! Parquet parts as Security Lake wants them, written through `UnpublishedWriter`.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Fields, Schema, SchemaRef};
use bytes::Bytes;
use datafusion::common::{DataFusionError, Result, internal_err};
use futures::FutureExt;
use futures::future::BoxFuture;
use parquet::arrow::AsyncArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::async_writer::AsyncFileWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use crate::attempt::AttemptSpec;
use crate::lake::{AttemptFiles, PartName};
use crate::receipt::{Part, PartKind};
use crate::reported::Reported;
use crate::storage::parts::{PartError, PartHandle, UnpublishedPart, UnpublishedWriter};

/// Security Lake allows 1 MB a page and 256 MB a row group and an object.
const PAGE_BYTES: usize = 512 << 10;
const DICTIONARY_BYTES: usize = 512 << 10;
const ROW_GROUP_BYTES: usize = 48 << 20;
const PART_BYTES: usize = 256 << 20;

/// Names and opens the parts of one task attempt at one split.
pub(super) struct PartNames {
    pub spec: Arc<AttemptSpec>,
    /// Unique to this run of the split, so that no repeat reuses a name.
    pub run: String,
    pub next: u32,
}

impl PartNames {
    /// The final URI of the next part in `folder`, and its name while it is unpublished.
    fn next(&mut self, folder: &str, kind: PartKind, day: i32) -> Result<(String, String)> {
        let spec = self.spec.as_ref();
        let Some(period) = spec.period_of(day) else {
            return internal_err!("a part of day {day}, which no period of the attempt owns");
        };
        let number = format!("{}-{}", self.run, self.next);
        self.next += 1;
        let name = PartName {
            quarantined: kind == PartKind::Quarantine,
            source: &spec.source,
            period: &period.period,
            day,
            digest8: &period.digest8,
            number: &number,
        };
        let uri = format!("{folder}/{}", name.file());
        Ok((uri, AttemptFiles(&period.attempt).staged(&name.stem())))
    }
}

/// What a part is, besides its rows.
#[derive(Clone, Debug)]
pub(super) struct PartFacts {
    pub kind: PartKind,
    pub folder: String,
    pub class_uid: u32,
    pub region: String,
    pub account: String,
    pub day: i32,
}

/// A part while it is written.
pub(super) struct PartWriter {
    writer: AsyncArrowWriter<Forward>,
    facts: PartFacts,
    rows: u64,
    min_time: i64,
    max_time: i64,
}

impl PartWriter {
    pub(super) async fn create(
        sink: &dyn UnpublishedWriter,
        names: &mut PartNames,
        facts: PartFacts,
        schema: &SchemaRef,
    ) -> Result<Self> {
        let (uri, staging) = names.next(&facts.folder, facts.kind, facts.day)?;
        let part = sink.create(&uri, &staging).await.map_err(part_error)?;
        let writer = AsyncArrowWriter::try_new_with_options(
            Forward { part },
            schema.clone(),
            options(schema),
        )?;
        Ok(Self {
            writer,
            facts,
            rows: 0,
            min_time: i64::MAX,
            max_time: i64::MIN,
        })
    }

    pub(super) async fn write(
        &mut self,
        batch: &RecordBatch,
        min_time: i64,
        max_time: i64,
    ) -> Result<()> {
        self.writer.write(batch).await.map_err(writer_error)?;
        self.rows += batch.num_rows() as u64;
        self.min_time = self.min_time.min(min_time);
        self.max_time = self.max_time.max(max_time);
        Ok(())
    }

    /// Whether the part has reached the size at which the next one starts.
    pub(super) fn is_full(&self) -> bool {
        self.writer.bytes_written() + self.writer.in_progress_size() >= PART_BYTES - ROW_GROUP_BYTES
    }

    pub(super) async fn finish(mut self) -> Result<Part> {
        self.writer.finish().await.map_err(writer_error)?;
        let handle = self
            .writer
            .into_inner()
            .part
            .finish()
            .await
            .map_err(part_error)?;
        Ok(self
            .facts
            .part(handle, self.rows, self.min_time, self.max_time))
    }
}

impl PartFacts {
    fn part(self, handle: PartHandle, rows: u64, min_time: i64, max_time: i64) -> Part {
        let Self {
            kind,
            class_uid,
            region,
            account,
            day,
            ..
        } = self;
        Part {
            kind,
            handle,
            rows,
            min_time,
            max_time,
            class_uid,
            region,
            account,
            day,
        }
    }
}

/// How every part is written.
pub(super) fn options(schema: &Schema) -> ArrowWriterOptions {
    // Readers take the types from Parquet; Arrow's own (views) would be forced on them.
    ArrowWriterOptions::new()
        .with_properties(properties(schema))
        .with_skip_arrow_metadata(true)
}

fn properties(schema: &Schema) -> WriterProperties {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(
            ZstdLevel::try_new(1).expect("zstd has a level 1"),
        ))
        .set_data_page_size_limit(PAGE_BYTES)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_max_row_group_row_count(None)
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .set_offset_index_disabled(true)
        // In the order of time, every row group holds nearly every text there is: bounds
        // of texts would skip nothing, and cost two comparisons a value.
        .set_statistics_enabled(EnabledStatistics::None);
    let numbers = numeric_leaves(schema.fields(), &mut Vec::new());
    let tuned = |properties, (path, width)| tune(properties, path, width);
    numbers.into_iter().fold(properties, tuned).build()
}

/// Bounds for every number. Times and counters are 64 bits wide: neighbours are close to
/// each other where a dictionary would hold nearly every value.
fn tune(
    properties: WriterPropertiesBuilder,
    path: ColumnPath,
    width: usize,
) -> WriterPropertiesBuilder {
    let properties =
        properties.set_column_statistics_enabled(path.clone(), EnabledStatistics::Chunk);
    if width < 8 {
        return properties;
    }
    properties
        .set_column_dictionary_enabled(path.clone(), false)
        .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED)
}

/// The paths and widths of the integer columns that are not repeated.
fn numeric_leaves(fields: &Fields, parents: &mut Vec<String>) -> Vec<(ColumnPath, usize)> {
    let mut leaves = Vec::new();
    for field in fields {
        parents.push(field.name().clone());
        match field.data_type() {
            DataType::Struct(members) => leaves.extend(numeric_leaves(members, parents)),
            DataType::Int32 | DataType::Int64 | DataType::Timestamp(..) => {
                let width = field.data_type().primitive_width().unwrap_or_default();
                leaves.push((ColumnPath::new(parents.clone()), width));
            }
            _ => {}
        }
        parents.pop();
    }
    leaves
}

/// Hands the encoder's bytes to the sink.
pub(super) struct Forward {
    pub(super) part: Box<dyn UnpublishedPart>,
}

impl AsyncFileWriter for Forward {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, parquet::errors::Result<()>> {
        let written = async move { self.part.write(bytes).await };
        written
            .map(|result| result.map_err(|error| ParquetError::External(Box::new(error))))
            .boxed()
    }

    /// The sink's own `finish` makes the bytes durable, and gives the handle.
    fn complete(&mut self) -> BoxFuture<'_, parquet::errors::Result<()>> {
        async { Ok(()) }.boxed()
    }
}

/// The sink's own error, which the encoder only passes on.
fn writer_error(error: ParquetError) -> DataFusionError {
    match error {
        ParquetError::External(source) => match source.downcast::<PartError>() {
            Ok(error) => part_error(*error),
            Err(source) => DataFusionError::External(source),
        },
        error => error.into(),
    }
}

/// Ballista runs a task again for an I/O error and for no other.
#[expect(
    clippy::needless_pass_by_value,
    reason = "`map_err` hands its error over"
)]
pub(super) fn part_error(error: PartError) -> DataFusionError {
    let reported = Reported::of(&error);
    match error.retryable() {
        true => DataFusionError::IoError(std::io::Error::other(reported)),
        false => DataFusionError::External(reported.into()),
    }
}
