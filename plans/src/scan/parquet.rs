//! Reads Apache Parquet. Columns are found by name and cast to their declared types. A value
//! that cannot be cast becomes NULL. An object that cannot be read becomes one rejected row.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryViewArray, RecordBatch, StringViewArray, UInt32Array, UInt64Array,
    new_null_array,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use bytes::Bytes;
use datafusion::common::{DataFusionError, Result};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStream};
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use super::error::input_error;
use super::listed::{InputError, ListedObject};
use crate::decode::damage::CORRUPT_PARQUET;
use crate::decode::{DecoderRequest, arrow_type};
use crate::spec::{Column, ColumnKind, TimeUnit as Unit};

/// Reads one Parquet object in batches of the scan's schema.
pub struct ParquetReader {
    request: DecoderRequest,
    state: State,
    rows: u64,
}

enum State {
    Closed(ListedObject),
    Open(Box<ParquetRecordBatchStream<ListedObject>>),
    Ended,
}

impl ParquetReader {
    /// Creates a reader of one object. Nothing is read yet.
    pub(crate) fn new(object: ListedObject, request: DecoderRequest) -> Self {
        Self {
            request,
            state: State::Closed(object),
            rows: 0,
        }
    }

    /// Returns the next batch, or `None` at the end.
    pub async fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            match std::mem::replace(&mut self.state, State::Ended) {
                State::Ended => return Ok(None),
                State::Closed(object) => match open(object, self.request.clone()).await {
                    Ok(stream) => self.state = State::Open(Box::new(stream)),
                    Err(error) => return self.broken(error).map(Some),
                },
                State::Open(mut stream) => match stream.next().await {
                    None => return Ok(None),
                    Some(Err(error)) => return self.broken(error).map(Some),
                    Some(Ok(batch)) => {
                        self.state = State::Open(stream);
                        return self.adapt(&batch).map(Some);
                    }
                },
            }
        }
    }

    fn adapt(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let mut columns = self
            .request
            .parsed()
            .map(|column| cast_column(column, batch))
            .collect::<Result<Vec<_>>>()?;
        columns.extend(system_columns(self.request.object, self.rows, rows, None));
        self.rows += rows as u64;
        Ok(RecordBatch::try_new(self.request.schema.clone(), columns)?)
    }

    /// Returns the rejected row for an unreadable object. Failures of the store fail the task,
    /// because the object may be intact.
    fn broken(&mut self, error: ParquetError) -> Result<RecordBatch> {
        if let ParquetError::External(source) = error {
            return Err(match source.downcast::<InputError>() {
                Ok(error) => input_error(*error),
                Err(source) => DataFusionError::IoError(std::io::Error::other(source)),
            });
        }
        let schema: SchemaRef = self.request.schema.clone();
        let parsed = self
            .request
            .parsed()
            .map(|column| new_null_array(&arrow_type(&column.kind), 1));
        let mut columns: Vec<ArrayRef> = parsed.collect();
        columns.extend(system_columns(
            self.request.object,
            self.rows,
            1,
            Some(&error.to_string()),
        ));
        Ok(RecordBatch::try_new(schema, columns)?)
    }
}

impl AsyncFileReader for ListedObject {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        async move {
            let bytes = self.range(range).await;
            bytes.map_err(|error| ParquetError::External(Box::new(error)))
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        let size = self.size();
        metadata(self, size).boxed()
    }
}

async fn metadata(
    file: &mut impl AsyncFileReader,
    size: u64,
) -> Result<Arc<ParquetMetaData>, ParquetError> {
    let read = ParquetMetaDataReader::new().load_and_finish(file, size);
    read.await.map(Arc::new)
}

/// Gives the Parquet reader access to an object of a lake.
pub(crate) struct StoredFile {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) path: Path,
    pub(crate) size: u64,
}

impl AsyncFileReader for StoredFile {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        async move {
            let bytes = self.store.get_range(&self.path, range).await;
            bytes.map_err(|error| ParquetError::External(Box::new(error)))
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        let size = self.size;
        metadata(self, size).boxed()
    }
}

async fn open(
    file: ListedObject,
    request: DecoderRequest,
) -> Result<ParquetRecordBatchStream<ListedObject>, ParquetError> {
    let builder = ParquetRecordBatchStreamBuilder::new(file).await?;
    let wanted = builder.schema().fields().iter().enumerate();
    let wanted =
        wanted.filter(|(_, field)| request.parsed().any(|column| names(column, field.name())));
    let roots: Vec<usize> = wanted.map(|(index, _)| index).collect();
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
    builder
        .with_projection(mask)
        .with_batch_size(request.batch_rows)
        .build()
}

/// Whether a field of the file belongs to a column. Hyphens in files are underscores in columns.
fn names(column: &Column, field: &str) -> bool {
    let name = column.source_name.as_deref().unwrap_or(&column.name);
    field == name || field.replace('-', "_") == column.name
}

fn cast_column(column: &Column, batch: &RecordBatch) -> Result<ArrayRef> {
    let wanted = arrow_type(&column.kind);
    let schema = batch.schema();
    let Some(index) = schema
        .fields()
        .iter()
        .position(|field| names(column, field.name()))
    else {
        return Ok(new_null_array(&wanted, batch.num_rows()));
    };
    let array = match &column.kind {
        ColumnKind::Epoch(unit) if batch.column(index).data_type().is_integer() => {
            epoch(batch.column(index), *unit)?
        }
        _ => batch.column(index).clone(),
    };
    Ok(cast_with_options(
        &array,
        &wanted,
        &CastOptions {
            safe: true,
            ..Default::default()
        },
    )?)
}

fn epoch(array: &ArrayRef, unit: Unit) -> Result<ArrayRef> {
    let unit = match unit {
        Unit::Second => TimeUnit::Second,
        Unit::Millisecond => TimeUnit::Millisecond,
        Unit::Microsecond => TimeUnit::Microsecond,
        Unit::Nanosecond => TimeUnit::Nanosecond,
    };
    let numbers = arrow::compute::cast(array, &DataType::Int64)?;
    Ok(arrow::compute::cast(
        &numbers,
        &DataType::Timestamp(unit, Some("UTC".into())),
    )?)
}

fn system_columns(object: u32, first: u64, rows: usize, broken: Option<&str>) -> [ArrayRef; 8] {
    let text = |value: Option<&str>| Arc::new(StringViewArray::from(vec![value; rows])) as ArrayRef;
    [
        text(None),
        Arc::new(UInt32Array::from(vec![object; rows])),
        Arc::new(UInt64Array::from_iter_values(
            first + 1..=first + rows as u64,
        )),
        Arc::new(UInt64Array::from(vec![0; rows])),
        Arc::new(BinaryViewArray::from(vec![None; rows])),
        text(broken.map(|_| CORRUPT_PARQUET)),
        text(broken),
        Arc::new(UInt64Array::new_null(rows)),
    ]
}
