//! The content of a quarantine: how many rows for which reason, and the first of them.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use serde::Serialize;

use super::{ShowError, batches};
use crate::inspect::objects::Object;
use crate::sink::quarantine::{Columns, QuarantinedRow};

/// Rows by reason, most frequent first, and the first rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Number of rows.
    pub rows: u64,
    /// Number of rows for each reason.
    pub reasons: Vec<(String, u64)>,
    pub first: Vec<QuarantinedRow>,
}

const BATCH_ROWS: usize = 4096;

/// Summarises the rows of `source` in `objects`. Keeps the first `limit` rows, only those with
/// `reason` if one is given.
pub async fn quarantined(
    objects: &[Object],
    source: &str,
    reason: Option<&str>,
    limit: usize,
) -> Result<Summary, ShowError> {
    let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
    let mut summary = Summary::default();
    for object in objects {
        let mut batches = batches(object, BATCH_ROWS, None).await?;
        while let Some(batch) = batches.try_next().await? {
            let columns = Columns::of(&batch);
            for row in 0..columns.rows {
                if columns.source(row) != source {
                    continue;
                }
                let kind = columns.reason(row);
                summary.rows += 1;
                if summary.first.len() < limit && reason.is_none_or(|wanted| wanted == kind) {
                    summary.first.push(columns.row(row));
                }
                match reasons.get_mut(kind) {
                    Some(count) => *count += 1,
                    None => drop(reasons.insert(kind.to_owned(), 1)),
                }
            }
        }
    }
    summary.reasons = reasons.into_iter().collect();
    summary
        .reasons
        .sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    Ok(summary)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, BinaryViewArray, RecordBatch, StringViewArray, UInt64Array};
    use parquet::arrow::ArrowWriter;

    use super::*;
    use crate::inspect::show::objects;

    fn batch() -> RecordBatch {
        let texts =
            |values: &[&str]| -> ArrayRef { Arc::new(StringViewArray::from(values.to_vec())) };
        RecordBatch::try_from_iter([
            (
                "source",
                texts(&["vpc_flow", "vpc_flow", "other", "vpc_flow"]),
            ),
            ("object", texts(&["a.log.gz", "a.log.gz", "b", "c.log"])),
            (
                "line",
                Arc::new(UInt64Array::from(vec![3, 9, 1, 2])) as ArrayRef,
            ),
            (
                "reason",
                texts(&["unparsable", "unrouted", "unrouted", "unparsable"]),
            ),
            (
                "raw",
                Arc::new(BinaryViewArray::from(vec![b"x".as_slice(); 4])) as ArrayRef,
            ),
        ])
        .expect("same lengths")
    }

    #[tokio::test]
    async fn rows_are_counted_by_reason_and_the_first_are_kept() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("q.parquet");
        let file = File::create(&path).expect("writable");
        let mut writer = ArrowWriter::try_new(file, batch().schema(), None).expect("writable");
        writer.write(&batch()).expect("writable");
        writer.close().expect("writable");

        let found = objects(&path.display().to_string())
            .await
            .expect("it is there");
        let all = quarantined(&found, "vpc_flow", None, 2);
        let all = all.await.expect("readable");
        assert_eq!(all.rows, 3);
        assert_eq!(
            all.reasons,
            [("unparsable".to_owned(), 2), ("unrouted".to_owned(), 1)]
        );
        assert_eq!(all.first.len(), 2);
        assert_eq!(
            (all.first[0].object.as_str(), all.first[0].line),
            ("a.log.gz", 3)
        );
        assert_eq!(all.first[0].text(), "x");

        let some = quarantined(&found, "vpc_flow", Some("unrouted"), 9);
        let some = some.await.expect("readable");
        assert_eq!((some.rows, some.first.len()), (3, 1));
    }
}
