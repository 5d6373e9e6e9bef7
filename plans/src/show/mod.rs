//! Reads published objects for people: a few events as JSON, and what stands in
//! the quarantine. It decides nothing and judges nothing.

mod json;
mod quarantine;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;

pub use json::{row, write_rows};
pub use quarantine::{Quarantined, Summary, quarantined};

#[derive(Debug, thiserror::Error)]
pub enum ShowError {
    #[error("{path}: cannot be listed")]
    Unlisted {
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("{path}: cannot be read as Parquet")]
    Unreadable {
        path: String,
        #[source]
        source: ParquetError,
    },
}

/// The Parquet objects below `root` (a folder or an object), in the order of their
/// names; work areas and other hidden folders are left out.
pub fn objects(root: &Path) -> Result<Vec<PathBuf>, ShowError> {
    let mut found = Vec::new();
    let unlisted = |path: &Path| {
        let path = path.display().to_string();
        move |source| ShowError::Unlisted { path, source }
    };
    if fs::metadata(root).map_err(unlisted(root))?.is_file() {
        return Ok(vec![root.to_path_buf()]);
    }
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(unlisted(&folder))? {
            let path = entry.map_err(unlisted(&folder))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(['.', '_']) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".parquet") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The batches of one object.
fn batches(
    path: &Path,
    rows: usize,
) -> Result<impl Iterator<Item = Result<RecordBatch, ShowError>> + use<>, ShowError> {
    let name = path.display().to_string();
    let unreadable = move |source| ShowError::Unreadable {
        path: name.clone(),
        source,
    };
    let file = File::open(path).map_err(|error| unreadable(error.into()))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(&unreadable)?;
    let reader = builder.with_batch_size(rows.max(1)).build();
    let reader = reader.map_err(&unreadable)?;
    Ok(reader.map(move |batch| batch.map_err(|error| unreadable(error.into()))))
}

/// Hands the first `limit` events of `paths` to `take`, as one line of JSON each;
/// `take` says whether it wants more. Returns how many it got.
pub fn events(
    paths: &[PathBuf],
    limit: usize,
    mut take: impl FnMut(&str) -> bool,
) -> Result<usize, ShowError> {
    let mut shown = 0;
    for path in paths {
        for batch in batches(path, limit.clamp(1, 1024))? {
            let batch = batch?;
            for index in 0..batch.num_rows() {
                if shown == limit || !take(&row(&batch, index)) {
                    return Ok(shown);
                }
                shown += 1;
            }
        }
    }
    Ok(shown)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array};
    use parquet::arrow::ArrowWriter;

    use super::*;

    fn write(path: &Path, values: &[i64]) {
        fs::create_dir_all(path.parent().expect("it has one")).expect("writable");
        let column: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
        let batch = RecordBatch::try_from_iter([("time", column)]).expect("one column");
        let file = File::create(path).expect("writable");
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("writable");
        writer.write(&batch).expect("writable");
        writer.close().expect("writable");
    }

    #[test]
    fn the_first_events_of_a_folder_come_in_the_order_of_its_objects() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        write(&folder.path().join("ext/b.parquet"), &[3]);
        write(&folder.path().join("ext/a.parquet"), &[1, 2]);
        write(&folder.path().join(".lakebolt/x.parquet"), &[0]);
        let paths = objects(folder.path()).expect("listable");
        let mut lines = Vec::new();
        let shown = events(&paths, 5, |line| {
            lines.push(line.to_owned());
            true
        });
        assert_eq!(shown.ok(), Some(3));
        assert_eq!(lines, [r#"{"time":1}"#, r#"{"time":2}"#, r#"{"time":3}"#]);
        assert_eq!(events(&paths, 2, |_| true).ok(), Some(2));
        assert_eq!(events(&paths, 5, |_| false).ok(), Some(0));
    }

    #[test]
    fn what_is_no_parquet_is_an_error_with_its_path() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("a.parquet");
        fs::write(&path, "no").expect("writable");
        let error = events(&[path], 1, |_| true).expect_err("it is no Parquet");
        assert!(error.to_string().contains("a.parquet"));
        assert!(objects(&folder.path().join("none")).is_err());
    }
}
