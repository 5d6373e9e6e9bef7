//! Summarises a quarantine: the number of rows for each reason, and the first rows.

use std::collections::BTreeMap;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use futures::TryStreamExt;
use serde::Serialize;

use super::{ShowError, batches};
use crate::inspect::objects::Object;

/// A quarantined row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Quarantined {
    /// Name of the source.
    pub source: String,
    /// URI of the input object.
    pub object: String,
    /// Line (or record) in the object, from 1.
    pub line: u64,
    /// Code of the reason.
    pub reason: String,
    /// Details of the reason.
    pub detail: String,
    /// The row as text.
    pub raw: String,
    /// Id of the load that rejected it.
    pub load_id: String,
}

/// Rows by reason, most frequent first, and the first rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Number of rows.
    pub rows: u64,
    /// Number of rows for each reason.
    pub reasons: Vec<(String, u64)>,
    /// The first rows.
    pub first: Vec<Quarantined>,
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
                let kind = columns.text(&columns.reason, row);
                if columns.text(&columns.source, row) != source {
                    continue;
                }
                summary.rows += 1;
                if summary.first.len() < limit && reason.is_none_or(|wanted| wanted == kind) {
                    summary.first.push(columns.quarantined(row));
                }
                *reasons.entry(kind).or_default() += 1;
            }
        }
    }
    summary.reasons = reasons.into_iter().collect();
    summary
        .reasons
        .sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    Ok(summary)
}

/// The columns of a quarantine object. A missing column has no values.
struct Columns {
    rows: usize,
    source: Option<ArrayRef>,
    object: Option<ArrayRef>,
    line: Option<ArrayRef>,
    reason: Option<ArrayRef>,
    detail: Option<ArrayRef>,
    raw: Option<ArrayRef>,
    load_id: Option<ArrayRef>,
}

impl Columns {
    fn of(batch: &RecordBatch) -> Self {
        let column = |name: &str, kind: &DataType| cast(batch.column_by_name(name)?, kind).ok();
        let text = |name: &str| column(name, &DataType::Utf8);
        Self {
            rows: batch.num_rows(),
            source: text("source"),
            object: text("object"),
            line: column("line", &DataType::Int64),
            reason: text("reason"),
            detail: text("detail"),
            raw: column("raw", &DataType::Binary),
            load_id: text("load_id"),
        }
    }

    fn text(&self, column: &Option<ArrayRef>, row: usize) -> String {
        let column = column.as_ref().filter(|column| column.is_valid(row));
        column.map_or_else(String::new, |column| {
            column.as_string::<i32>().value(row).to_owned()
        })
    }

    fn quarantined(&self, row: usize) -> Quarantined {
        let line = self.line.as_ref().filter(|line| line.is_valid(row));
        let line = line.map_or(0, |line| line.as_primitive::<Int64Type>().value(row));
        let raw = self.raw.as_ref().filter(|raw| raw.is_valid(row));
        let raw =
            raw.map(|raw| String::from_utf8_lossy(raw.as_binary::<i32>().value(row)).into_owned());
        Quarantined {
            source: self.text(&self.source, row),
            object: self.text(&self.object, row),
            line: u64::try_from(line).unwrap_or(0),
            reason: self.text(&self.reason, row),
            detail: self.text(&self.detail, row),
            raw: raw.unwrap_or_default(),
            load_id: self.text(&self.load_id, row),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::sync::Arc;

    use arrow::array::{BinaryViewArray, StringViewArray, UInt64Array};
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
        assert_eq!(all.first[0].raw, "x");

        let some = quarantined(&found, "vpc_flow", Some("unrouted"), 9);
        let some = some.await.expect("readable");
        assert_eq!((some.rows, some.first.len()), (3, 1));
    }
}
