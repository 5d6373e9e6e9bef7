//! Quarantined rows, read from their objects and written to new ones.

use bytes::Bytes;
use datafusion::arrow::array::{
    Array, AsArray, BinaryBuilder, RecordBatch, StringBuilder, UInt64Builder,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, UInt64Type};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::properties::WriterProperties;
use plans::sink::quarantine_schema;

/// A row that was rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rejected {
    pub source: String,
    pub object: String,
    pub line: u64,
    pub offset: u64,
    pub reason: String,
    pub detail: String,
    /// `None` where the format keeps no bytes. Such a row cannot be mapped again.
    pub raw: Option<Vec<u8>>,
    pub load_id: String,
    pub attempt: String,
}

pub(crate) type RowsError = Box<dyn std::error::Error + Send + Sync>;

/// Reads every row of a quarantine object.
pub(crate) fn read(object: Bytes) -> Result<Vec<Rejected>, RowsError> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(object)?.build()?;
    let mut rows = Vec::new();
    for batch in reader {
        append(&batch?, &mut rows)?;
    }
    Ok(rows)
}

fn append(batch: &RecordBatch, rows: &mut Vec<Rejected>) -> Result<(), RowsError> {
    let column = |name: &str, as_type: &DataType| {
        let column = batch.column_by_name(name).ok_or("a column is missing")?;
        Ok::<_, RowsError>(cast(column, as_type)?)
    };
    let texts = ["source", "object", "reason", "detail", "load_id", "attempt"];
    let texts: Result<Vec<_>, _> = texts
        .map(|name| column(name, &DataType::Utf8))
        .into_iter()
        .collect();
    let texts = texts?;
    let (line, offset) = (
        column("line", &DataType::UInt64)?,
        column("offset", &DataType::UInt64)?,
    );
    let raw = column("raw", &DataType::Binary)?;
    for row in 0..batch.num_rows() {
        let text = |index: usize| texts[index].as_string::<i32>().value(row).to_owned();
        rows.push(Rejected {
            source: text(0),
            object: text(1),
            line: line.as_primitive::<UInt64Type>().value(row),
            offset: offset.as_primitive::<UInt64Type>().value(row),
            reason: text(2),
            detail: text(3),
            raw: raw
                .is_valid(row)
                .then(|| raw.as_binary::<i32>().value(row).to_vec()),
            load_id: text(4),
            attempt: text(5),
        });
    }
    Ok(())
}

/// Encodes rows as a quarantine object.
pub(crate) fn encode(rows: &[Rejected]) -> Result<Bytes, RowsError> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), quarantine_schema(), Some(properties))?;
    for rows in rows.chunks(8192) {
        writer.write(&batch(rows)?)?;
    }
    Ok(writer.into_inner()?.into())
}

fn batch(rows: &[Rejected]) -> Result<RecordBatch, RowsError> {
    let text = |of: fn(&Rejected) -> &str| {
        let mut builder = StringBuilder::new();
        rows.iter().for_each(|row| builder.append_value(of(row)));
        std::sync::Arc::new(builder.finish())
    };
    let number = |of: fn(&Rejected) -> u64| {
        let mut builder = UInt64Builder::new();
        rows.iter().for_each(|row| builder.append_value(of(row)));
        std::sync::Arc::new(builder.finish())
    };
    let mut raw = BinaryBuilder::new();
    rows.iter()
        .for_each(|row| raw.append_option(row.raw.as_deref()));
    let columns: Vec<datafusion::arrow::array::ArrayRef> = vec![
        text(|row| &row.source),
        text(|row| &row.object),
        number(|row| row.line),
        number(|row| row.offset),
        text(|row| &row.reason),
        text(|row| &row.detail),
        std::sync::Arc::new(raw.finish()),
        text(|row| &row.load_id),
        text(|row| &row.attempt),
    ];
    Ok(RecordBatch::try_new(quarantine_schema(), columns)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_as_they_were_written() {
        let row = |raw: Option<&[u8]>| Rejected {
            source: "vpc".to_owned(),
            object: "file:///a".to_owned(),
            line: 3,
            offset: 70,
            reason: "bad".to_owned(),
            detail: String::new(),
            raw: raw.map(<[u8]>::to_vec),
            load_id: "l".to_owned(),
            attempt: "a".to_owned(),
        };
        let rows = [row(Some(b"x\xff")), row(None)];
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), encode(&rows).unwrap()).unwrap();
        assert_eq!(
            read(std::fs::read(file.path()).unwrap().into()).unwrap(),
            rows
        );
    }
}
