//! Checks one object: its footer, its pages, and its events batch by batch.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::{Compression, Type as Physical};
use parquet::column::page::{Page, PageReader};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::serialized_reader::SerializedPageReader;

use super::events::Events;
use super::findings::Findings;
use super::path;
use super::rules::Rule;
use crate::inspect::objects::{Object, ObjectError};

const LARGEST_PAGE: usize = 1 << 20;
const LARGEST_ROW_GROUP: i64 = 256 << 20;
const LARGEST_OBJECT: u64 = 256 << 20;
const BATCH_ROWS: usize = 8192;

/// The findings of one object, and the values that are compared between objects.
#[derive(Debug)]
pub(super) struct Examined {
    pub(super) findings: Findings,
    pub(super) rows: u64,
    /// The folder above `region=`.
    pub(super) target: String,
    /// The partition folder of the object.
    pub(super) folder: String,
    /// The class of the object, if it has only one.
    pub(super) class: Option<i64>,
    /// Digest of the physical schema.
    pub(super) schema: Option<u64>,
}

/// Runs all checks that need only one object. `file` has its bytes.
pub(super) fn examine(object: &Object, file: Result<File, ObjectError>, limit: usize) -> Examined {
    let mut findings = Findings::new(&object.name, limit);
    let address = path::judge(&object.name, &mut findings);
    let large = (object.size > LARGEST_OBJECT).then(|| format!("{} bytes", object.size));
    findings.judge(Rule::ObjectSize, large);
    let folder = object.name.rsplit_once('/');
    let mut examined = Examined {
        findings,
        rows: 0,
        target: address.source_folder.clone(),
        folder: folder.map_or("", |(folder, _)| folder).to_owned(),
        class: None,
        schema: None,
    };
    let unreadable = match file {
        Ok(file) => read(file, address.day, &mut examined).err(),
        Err(error) => Some(ParquetError::External(Box::new(error))),
    };
    let unreadable = unreadable.map(|error| error.to_string());
    examined.findings.judge(Rule::Readable, unreadable);
    examined
}

fn read(file: File, day: Option<i32>, examined: &mut Examined) -> Result<(), ParquetError> {
    // The Arrow schema of the writer is ignored, because other readers do not use it.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let metadata = ArrowReaderMetadata::load(&file, options)?;
    let footer = metadata.metadata().clone();
    examined.schema = Some(digest(&footer));
    examined.rows = u64::try_from(footer.file_metadata().num_rows()).unwrap_or(0);
    judge_footer(&footer, &mut examined.findings);
    judge_pages(
        &Arc::new(file.try_clone()?),
        &footer,
        &mut examined.findings,
    )?;

    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
    let mut events = Events::new(builder.schema(), day);
    events.judge_columns(&mut examined.findings);
    for batch in builder.with_batch_size(BATCH_ROWS).build()? {
        events.judge(&batch?, &mut examined.findings);
    }
    examined.class = events.finish(&mut examined.findings);
    Ok(())
}

fn judge_footer(footer: &ParquetMetaData, findings: &mut Findings) {
    let empty = footer.file_metadata().num_rows() == 0;
    findings.judge(Rule::NotEmpty, empty.then(|| "no rows".to_owned()));
    findings.judge(Rule::TimeType, wrong_time_type(footer));
    for (index, group) in footer.row_groups().iter().enumerate() {
        let size = group.compressed_size();
        let large = size > LARGEST_ROW_GROUP;
        let message = large.then(|| format!("row group {index} has {size} bytes"));
        findings.judge(Rule::RowGroupSize, message);
        for column in group.columns() {
            findings.judge(Rule::Compression, wrong_compression(column));
        }
    }
}

fn wrong_compression(column: &ColumnChunkMetaData) -> Option<String> {
    match column.compression() {
        Compression::ZSTD(_) => None,
        other => Some(format!("{} is {other:?}", column.column_path().string())),
    }
}

fn wrong_time_type(footer: &ParquetMetaData) -> Option<String> {
    let schema = footer.file_metadata().schema_descr();
    let time = schema
        .columns()
        .iter()
        .find(|column| column.path().string() == "time");
    match time {
        None => Some("no column `time`".to_owned()),
        Some(time) if time.physical_type() != Physical::INT64 => {
            Some(format!("time is {}", time.physical_type()))
        }
        // A logical timestamp is int64, too, but readers return another type.
        Some(time) if time.logical_type_ref().is_some() => Some(format!(
            "time is int64 with logical type {:?}",
            time.logical_type_ref()
        )),
        Some(_) => None,
    }
}

fn judge_pages(
    file: &Arc<File>,
    footer: &ParquetMetaData,
    findings: &mut Findings,
) -> Result<(), ParquetError> {
    for group in footer.row_groups() {
        let rows = usize::try_from(group.num_rows()).unwrap_or(0);
        for column in group.columns() {
            let pages = SerializedPageReader::new(file.clone(), column, rows, None)?;
            judge_column_pages(pages, column, findings)?;
        }
    }
    Ok(())
}

fn judge_column_pages(
    mut pages: SerializedPageReader<File>,
    column: &ColumnChunkMetaData,
    findings: &mut Findings,
) -> Result<(), ParquetError> {
    while let Some(page) = pages.get_next_page()? {
        if matches!(page, Page::DictionaryPage { .. }) {
            continue;
        }
        let size = page.buffer().len();
        let large = size > LARGEST_PAGE;
        let message = large.then(|| {
            format!(
                "a page of {} has {size} bytes",
                column.column_path().string()
            )
        });
        findings.judge(Rule::PageSize, message);
    }
    Ok(())
}

fn digest(footer: &ParquetMetaData) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{:?}", footer.file_metadata().schema()).hash(&mut hasher);
    hasher.finish()
}
