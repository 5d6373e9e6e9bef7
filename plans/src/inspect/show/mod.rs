//! Shows published objects: the first events as JSON, and a summary of the quarantine.

mod json;
mod quarantine;

use arrow::array::RecordBatch;
use futures::{Stream, StreamExt, TryStreamExt};
use parquet::arrow::ParquetRecordBatchStreamBuilder;
use parquet::errors::ParquetError;

pub use json::{row, write_rows};
pub use quarantine::{Summary, quarantined};

use super::objects;
use super::objects::{Object, ObjectError};
use crate::storage::StoreFailure;

/// An object that cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum ShowError {
    /// The object cannot be read.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The object is not Parquet.
    #[error("{name}: cannot be read as Parquet")]
    Unreadable {
        name: String,
        #[source]
        source: ParquetError,
    },
}

/// Lists the Parquet objects below `uri`, or the object at `uri`, sorted by name. Work areas
/// and other hidden folders are left out.
pub async fn objects(uri: &str) -> Result<Vec<Object>, ObjectError> {
    let mut objects = objects::list(uri).await?;
    objects.retain(|object| {
        let hidden = || {
            object
                .below()
                .split('/')
                .any(|name| name.starts_with(['.', '_']))
        };
        let is_parquet = || object.name.ends_with(".parquet");
        object.below().is_empty() || is_parquet() && !hidden() && !object.is_beside_lake()
    });
    Ok(objects)
}

/// Reads the first `limit` rows of one object. Only their row groups are fetched.
async fn batches(
    object: &Object,
    rows: usize,
    limit: Option<usize>,
) -> Result<impl Stream<Item = Result<RecordBatch, ShowError>> + Unpin + use<>, ShowError> {
    let name = object.name.clone();
    let unreadable = move |error| unreadable(&name, error);
    let builder = ParquetRecordBatchStreamBuilder::new(object.ranges()?).await;
    let mut builder = builder.map_err(&unreadable)?.with_batch_size(rows.max(1));
    if let Some(limit) = limit {
        builder = builder.with_limit(limit);
    }
    let stream = builder.build().map_err(&unreadable)?;
    Ok(stream.map(move |batch| batch.map_err(&unreadable)))
}

/// Distinguishes failures of the store from invalid Parquet.
fn unreadable(name: &str, error: ParquetError) -> ShowError {
    let name = name.to_owned();
    match error {
        ParquetError::External(source) if source.is::<object_store::Error>() => {
            let source = StoreFailure::of(source.as_ref());
            ShowError::Object(ObjectError::Unreached { name, source })
        }
        source => ShowError::Unreadable { name, source },
    }
}

/// Passes the first `limit` events of `objects` to `take`, each as one line of JSON. Stops
/// when `take` returns false. Returns the number of accepted events.
pub async fn events(
    objects: &[Object],
    limit: usize,
    mut take: impl FnMut(&str) -> bool,
) -> Result<usize, ShowError> {
    let mut shown = 0;
    for object in objects {
        if shown == limit {
            break;
        }
        let left = limit - shown;
        let mut batches = batches(object, left.min(BATCH_ROWS), Some(left)).await?;
        while let Some(batch) = batches.try_next().await? {
            for index in 0..batch.num_rows() {
                if !take(&row(&batch, index)) {
                    return Ok(shown);
                }
                shown += 1;
            }
        }
    }
    Ok(shown)
}

const BATCH_ROWS: usize = 1024;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::fs::File;
    use std::path::Path;
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

    #[tokio::test]
    async fn the_first_events_of_a_folder_are_in_the_order_of_objects() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        write(&folder.path().join("ext/b.parquet"), &[3]);
        write(&folder.path().join("ext/a.parquet"), &[1, 2]);
        write(&folder.path().join(".lakebolt/x.parquet"), &[0]);
        let uri = format!("file://{}", folder.path().display());
        let found = objects(&uri).await.expect("listable");
        let mut lines = Vec::new();
        let shown = events(&found, 5, |line| {
            lines.push(line.to_owned());
            true
        });
        assert_eq!(shown.await.ok(), Some(3));
        assert_eq!(lines, [r#"{"time":1}"#, r#"{"time":2}"#, r#"{"time":3}"#]);
        assert_eq!(events(&found, 2, |_| true).await.ok(), Some(2));
        assert_eq!(events(&found, 1, |_| true).await.ok(), Some(1));
        assert_eq!(events(&found, 5, |_| false).await.ok(), Some(0));
    }

    #[tokio::test]
    async fn invalid_parquet_is_an_error_with_its_path() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("a.parquet");
        fs::write(&path, "no").expect("writable");
        let found = objects(&path.display().to_string())
            .await
            .expect("it is there");
        let error = events(&found, 1, |_| true).await;
        let error = error.expect_err("it is no Parquet");
        assert!(error.to_string().contains("a.parquet"));
        let absent = folder.path().join("none").display().to_string();
        assert!(objects(&absent).await.is_err());
    }
}
