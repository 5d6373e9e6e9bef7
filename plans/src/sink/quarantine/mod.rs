//! The quarantine file: rejected rows with their reason and origin, so that they can be
//! counted, read and replayed.
//!
//! The format is defined here. Only `writer` and `reader` depend on it: a new column is
//! added to the row, the schema and these two.

mod collector;
mod reader;
mod writer;

use std::borrow::Cow;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use memchr::memchr_iter;
use serde::{Serialize, Serializer};

use crate::decode::is_damage;

pub(super) use collector::Quarantine;
pub(crate) use reader::Columns;
pub use reader::{ReadError, RowStream, read};
pub use writer::{RowWriter, WriteError, encode};

/// Bytes of a day's rows that are held before they are encoded.
const HELD_BYTES: usize = 4 << 20;

const SOURCE: &str = "source";
const OBJECT: &str = "object";
const LINE: &str = "line";
const OFFSET: &str = "offset";
const LINES: &str = "lines";
const REASON: &str = "reason";
const DETAIL: &str = "detail";
const RAW: &str = "raw";
const LOAD_ID: &str = "load_id";
const ATTEMPT: &str = "attempt";

/// A rejected row. As JSON it is what people are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct QuarantinedRow {
    pub source: String,
    /// The URI of the input object.
    pub object: String,
    /// Line (or record) in the object, from 1.
    pub line: u64,
    /// Byte in the uncompressed object at which the row begins.
    #[serde(skip)]
    pub offset: u64,
    pub reason: String,
    pub detail: String,
    /// None where the format keeps no bytes: such a row cannot be read again.
    #[serde(serialize_with = "as_text")]
    pub raw: Option<Vec<u8>>,
    pub load_id: String,
    #[serde(skip)]
    pub attempt: String,
    /// Physical lines that the record has in the object. Older files do not say.
    pub lines: u64,
}

impl QuarantinedRow {
    /// The raw bytes as text; empty if there are none.
    pub fn text(&self) -> Cow<'_, str> {
        text(self.raw.as_deref())
    }

    /// Whether the row holds a whole record, which can be mapped again.
    pub fn is_whole(&self) -> bool {
        let has_bytes = self.raw.as_ref().is_some_and(|raw| !raw.is_empty());
        has_bytes && !is_damage(&self.reason)
    }
}

fn text(raw: Option<&[u8]>) -> Cow<'_, str> {
    String::from_utf8_lossy(raw.unwrap_or_default())
}

fn as_text<S: Serializer>(raw: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&text(raw.as_deref()))
}

/// The physical lines of a record with these bytes. The last line needs no line end.
pub(super) fn lines_of(raw: Option<&[u8]>) -> u64 {
    let raw = raw.unwrap_or_default();
    let unended = u64::from(!raw.ends_with(b"\n"));
    memchr_iter(b'\n', raw).count() as u64 + unended
}

/// The columns of a quarantine file.
fn schema() -> SchemaRef {
    let text = |name| Field::new(name, DataType::Utf8, false);
    let number = |name| Field::new(name, DataType::UInt64, false);
    Arc::new(Schema::new(vec![
        text(SOURCE),
        text(OBJECT),
        number(LINE),
        number(OFFSET),
        text(REASON),
        text(DETAIL),
        Field::new(RAW, DataType::Binary, true),
        text(LOAD_ID),
        text(ATTEMPT),
        number(LINES),
    ]))
}

#[cfg(test)]
mod tests {
    use arrow::array::RecordBatch;
    use parquet::arrow::ArrowWriter;

    use super::*;

    fn row(raw: Option<&[u8]>) -> QuarantinedRow {
        QuarantinedRow {
            source: "vpc_flow".to_owned(),
            object: "file:///a".to_owned(),
            line: 3,
            offset: 70,
            reason: "unparsable".to_owned(),
            detail: String::new(),
            raw: raw.map(<[u8]>::to_vec),
            load_id: "l".to_owned(),
            attempt: "a".to_owned(),
            lines: 1,
        }
    }

    #[test]
    fn rows_are_read_as_they_were_written() {
        let rows = [row(Some(b"x\xff")), row(None), row(Some(b""))];
        let file = encode(&rows).expect("rows can be written");
        assert_eq!(read(file).expect("rows can be read"), rows);
        let many = vec![row(Some(b"x")); 20_000];
        let file = encode(&many).expect("rows can be written");
        assert_eq!(read(file).expect("rows can be read").len(), many.len());
    }

    #[test]
    fn a_cut_record_a_marker_and_a_row_without_bytes_are_not_whole() {
        assert!(row(Some(b"x")).is_whole());
        assert!(!row(None).is_whole() && !row(Some(b"")).is_whole());
        for reason in ["line_too_long", "corrupt_gzip", "truncated_zstd"] {
            let reason = reason.to_owned();
            assert!(
                !QuarantinedRow {
                    reason,
                    ..row(Some(b"x"))
                }
                .is_whole()
            );
        }
    }

    #[tokio::test]
    async fn rows_are_written_and_read_in_batches() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("q.parquet");
        let uri = format!("file://{}", path.display());
        let work = folder.path().to_str().expect("text");
        let storage = crate::storage::parts::open(&uri, work, &crate::storage::Access::default());
        let storage = storage.expect("a storage");
        let part = storage
            .writer
            .create(&uri, "a/q.part")
            .await
            .expect("a part");
        let mut writer = RowWriter::new(part).expect("a writer");
        let long = vec![b'x'; 1 << 20];
        for number in 0..20_000 {
            let raw: &[u8] = if number % 2000 == 0 { &long } else { b"short" };
            let row = QuarantinedRow {
                line: number,
                ..row(Some(raw))
            };
            writer.push(&row).await.expect("written");
        }
        let (part, rows) = writer.finish().await.expect("finished");
        assert_eq!(rows, 20_000);
        storage.part_store.complete(&part).await.expect("published");
        let mut stream = RowStream::open(&uri).await.expect("readable");
        let mut next = 0;
        while let Some(rows) = stream.next().await.expect("readable") {
            assert!(rows.len() < 8192, "{} rows at once", rows.len());
            for row in rows {
                assert_eq!(row.line, next);
                next += 1;
            }
        }
        assert_eq!(next, 20_000);
    }

    #[test]
    fn the_columns_and_their_order_stay() {
        let schema = schema();
        let columns: Vec<_> = schema
            .fields()
            .iter()
            .map(|field| format!("{} {}", field.name(), field.data_type()))
            .collect();
        assert_eq!(
            columns,
            [
                "source Utf8",
                "object Utf8",
                "line UInt64",
                "offset UInt64",
                "reason Utf8",
                "detail Utf8",
                "raw Binary",
                "load_id Utf8",
                "attempt Utf8",
                "lines UInt64"
            ]
        );
    }

    #[test]
    fn a_file_without_one_of_the_columns_is_refused_and_its_batches_are_not() {
        let whole = writer::batch(&[row(None)]).expect("rows can be written");
        let some: Vec<usize> = (0..whole.num_columns()).filter(|at| *at != 3).collect();
        let batch: RecordBatch = whole.project(&some).expect("it has these columns");
        let mut file = ArrowWriter::try_new(Vec::new(), batch.schema(), None).expect("writable");
        file.write(&batch).expect("writable");
        let error = read(file.into_inner().expect("writable").into()).expect_err("it is refused");
        assert!(error.to_string().contains("`offset`"), "{error}");
        let columns = Columns::of(&batch);
        assert_eq!((columns.row(0).line, columns.row(0).offset), (3, 0));
    }

    #[test]
    fn the_lines_of_a_row_are_those_of_its_bytes_where_an_older_file_does_not_say() {
        let whole = writer::batch(&[row(Some(b"a\nb"))]).expect("rows can be written");
        let older: Vec<usize> = (0..whole.num_columns() - 1).collect();
        let batch = whole.project(&older).expect("it has these columns");
        assert_eq!(Columns::of(&batch).row(0).lines, 2);
    }

    #[test]
    fn people_are_shown_the_raw_row_as_text() {
        let json = serde_json::to_string(&row(Some(b"x\xff"))).expect("JSON");
        assert_eq!(
            json,
            "{\"source\":\"vpc_flow\",\"object\":\"file:///a\",\"line\":3,\"reason\":\"unparsable\",\
             \"detail\":\"\",\"raw\":\"x\u{fffd}\",\"load_id\":\"l\",\"lines\":1}"
        );
        assert_eq!(row(None).text(), "");
    }
}
