//! Reads Apache Parquet. Columns are found by name and cast to their declared types. A value
//! that cannot be cast becomes NULL. An object that cannot be read becomes one rejected row.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BinaryViewArray, BooleanArray, RecordBatch, StringViewArray,
    TimestampMillisecondArray, UInt32Array, UInt64Array, new_null_array,
};
use arrow::compute::kernels::zip::zip;
use arrow::compute::{CastOptions, cast_with_options, is_not_null, nullif};
use arrow::datatypes::{DataType, Field, SchemaRef, TimeUnit};
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
use crate::decode::time::TimeFormat;
use crate::decode::{DecoderRequest, SYSTEM_FIELDS, arrow_type};
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
            .map(|column| cast_column(column, batch, &self.request.null))
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

/// Whether a field of the file belongs to a column.
fn names(column: &Column, field: &str) -> bool {
    column.is_read() && column.spellings().any(|name| is_named(column, name, field))
}

/// Whether a field has one of a column's names. Hyphens in files are underscores in columns.
fn is_named(column: &Column, name: &str, field: &str) -> bool {
    field == name || (field.replace('-', "_") == column.name && column.names.len() < 2)
}

/// Returns the values of a column. If several of its names are in the file, the first with a
/// value in a row is used.
fn cast_column(column: &Column, batch: &RecordBatch, null: &[String]) -> Result<ArrayRef> {
    let schema = batch.schema();
    let mut values: Option<ArrayRef> = None;
    for name in column.spellings().filter(|_| column.is_read()) {
        let is_it = |field: &Arc<Field>| is_named(column, name, field.name());
        let Some(index) = schema.fields().iter().position(is_it) else {
            continue;
        };
        let next = without(null, cast_to(&column.kind, batch.column(index))?)?;
        values = Some(match values {
            None => next,
            Some(first) => zip(&is_not_null(&first)?, &first, &next)?,
        });
    }
    Ok(values.unwrap_or_else(|| new_null_array(&arrow_type(&column.kind), batch.num_rows())))
}

/// Returns texts with NULL for those in `null`.
fn without(null: &[String], values: ArrayRef) -> Result<ArrayRef> {
    let Some(texts) = values.as_string_view_opt().filter(|_| !null.is_empty()) else {
        return Ok(values);
    };
    let is_null = |text: Option<&str>| text.map(|text| null.iter().any(|null| null == text));
    let mask: BooleanArray = texts.iter().map(is_null).collect();
    Ok(nullif(texts, &mask)?)
}

fn cast_to(kind: &ColumnKind, array: &ArrayRef) -> Result<ArrayRef> {
    let is_text = matches!(
        array.data_type(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    );
    let array = match epoch_unit(kind) {
        Some(unit) if array.data_type().is_integer() => epoch(array, unit)?,
        _ if is_text && *kind != ColumnKind::Rfc3339 => match TimeFormat::of(kind) {
            Some(format) => return times(array, &format),
            None => Arc::clone(array),
        },
        _ => Arc::clone(array),
    };
    let options = CastOptions {
        safe: true,
        ..Default::default()
    };
    Ok(cast_with_options(&array, &arrow_type(kind), &options)?)
}

/// The unit of a column's epoch numbers, if it has any.
fn epoch_unit(kind: &ColumnKind) -> Option<Unit> {
    match kind {
        ColumnKind::Epoch(unit) => Some(*unit),
        ColumnKind::Times(kinds) => kinds.iter().find_map(epoch_unit),
        _ => None,
    }
}

/// Parses texts as times. A text in another format is NULL.
fn times(texts: &ArrayRef, format: &TimeFormat) -> Result<ArrayRef> {
    let texts = arrow::compute::cast(texts, &DataType::Utf8View)?;
    let texts = texts.as_string_view().iter();
    let times = texts.map(|text| text.and_then(|text| format.read(text.as_bytes())));
    let times: TimestampMillisecondArray = times.collect();
    Ok(Arc::new(times.with_timezone("UTC")))
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

fn system_columns(
    object: u32,
    first: u64,
    rows: usize,
    broken: Option<&str>,
) -> [ArrayRef; SYSTEM_FIELDS] {
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
        text(None),
    ]
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;
    use serde_json::json;

    use super::*;
    use crate::inspect::preview::json_rows;

    fn texts(values: &[Option<&str>]) -> ArrayRef {
        Arc::new(arrow::array::StringArray::from(values.to_vec()))
    }

    fn named(name: &str, kind: ColumnKind, names: &[&str]) -> Column {
        Column {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Column::new(name, kind)
        }
    }

    fn read(columns: &[Column], file: Vec<(&str, ArrayRef)>, null: &[&str]) -> serde_json::Value {
        let file = RecordBatch::try_from_iter(file).unwrap();
        let null: Vec<String> = null.iter().map(|text| (*text).to_owned()).collect();
        let column = |column: &Column| {
            let values = cast_column(column, &file, &null).unwrap();
            assert_eq!(*values.data_type(), arrow_type(&column.kind));
            (column.name.clone(), values, true)
        };
        let batch = RecordBatch::try_from_iter_with_nullable(columns.iter().map(column)).unwrap();
        let rows = json_rows(&batch).unwrap();
        rows.iter()
            .map(|row| serde_json::from_str::<serde_json::Value>(row).unwrap())
            .collect()
    }

    #[test]
    fn the_first_name_with_a_value_wins() {
        let file = vec![
            ("b", texts(&[Some("b1"), Some("b2"), None])),
            ("a", texts(&[Some("a1"), Some("-"), None])),
        ];
        let columns = [named("x", ColumnKind::Text, &["a", "b", "c"])];
        assert_eq!(
            read(&columns, file, &["-"]),
            json!([{"x": "a1"}, {"x": "b2"}, {}])
        );
    }

    #[test]
    fn a_part_of_another_column_is_never_read() {
        let part = Column {
            from: crate::spec::ValueFrom::Part("peer".to_owned()),
            ..Column::new("peer.ip", ColumnKind::Ip)
        };
        let file = vec![("peer.ip", texts(&[Some("10.0.0.1")]))];
        assert_eq!(read(&[part], file, &[]), json!([{}]));
    }

    #[test]
    fn times_are_read_in_their_formats() {
        let seconds = ColumnKind::Epoch(Unit::Second);
        let day = ColumnKind::Strftime("%Y/%m/%d".to_owned());
        let both = ColumnKind::Times(vec![seconds.clone(), day.clone()]);
        let file = || {
            vec![
                (
                    "n",
                    Arc::new(Int64Array::from(vec![1_549_411_238; 3])) as ArrayRef,
                ),
                (
                    "t",
                    texts(&[Some("1549411238"), Some("2019/02/06"), Some("x")]),
                ),
            ]
        };
        let second = "2019-02-06T00:00:38Z";
        let columns = [
            named("a", seconds, &["n"]),
            named("b", both.clone(), &["n"]),
            named("c", both, &["t"]),
            named("d", day, &["t"]),
        ];
        assert_eq!(
            read(&columns, file(), &[]),
            json!([
                {"a": second, "b": second, "c": second},
                {"a": second, "b": second, "c": "2019-02-06T00:00:00Z", "d": "2019-02-06T00:00:00Z"},
                {"a": second, "b": second},
            ])
        );
    }
}
