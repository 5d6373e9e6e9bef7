//! Fills the columns that no format reads: the parts of composite columns, and what is known
//! about the object. Without such columns it costs nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringViewArray, StringViewBuilder,
    TimestampMillisecondArray, make_view, new_null_array,
};
use arrow::buffer::Buffer;
use arrow::compute::nullif;
use arrow::datatypes::DataType;
use datafusion::common::Result;

use super::listed::ListedObject;
use crate::decode::column::{ARENA, ColumnBuilder, Span};
use crate::decode::written::AnyKept;
use crate::decode::{DecoderRequest, WRITTEN, arrow_type, composite};
use crate::spec::{Column, ColumnKind, Composite, ValueFrom};

/// The columns to fill.
pub(super) struct Fill {
    wholes: Vec<Whole>,
    /// Columns about the object, with their indices in a batch.
    object: Vec<(usize, ValueFrom)>,
}

/// A composite column, with its index in a batch.
struct Whole {
    index: usize,
    composite: Composite,
    parts: Vec<Part>,
}

/// A part. All parts are parsed, so that the wanted ones do not depend on each other.
struct Part {
    column: Column,
    index: Option<usize>,
    is_written: bool,
}

/// The members that `_written` gets, by row.
type Members = BTreeMap<usize, Vec<u8>>;

impl Fill {
    pub(super) fn new(request: &DecoderRequest) -> Self {
        let mut fill = Self {
            wholes: Vec::new(),
            object: Vec::new(),
        };
        for (index, column) in request.parsed().enumerate() {
            if let Some(composite) = column.composite {
                fill.wholes
                    .push(Whole::new(index, column, composite, request));
            }
            if !column.is_of_record() {
                fill.object.push((index, column.from.clone()));
            }
        }
        fill
    }

    /// Returns the batch with the values of its columns.
    pub(super) fn fill(&self, batch: RecordBatch, object: &ListedObject) -> Result<RecordBatch> {
        if self.wholes.is_empty() && self.object.is_empty() {
            return Ok(batch);
        }
        let (schema, mut columns, rows) = batch.into_parts();
        let mut members = Members::new();
        for whole in &self.wholes {
            whole.cut(&mut columns, &mut members)?;
        }
        for (index, from) in &self.object {
            columns[*index] = about(object, from, rows)?;
        }
        if !members.is_empty() {
            let index = schema.index_of(WRITTEN)?;
            columns[index] = merged(columns[index].as_string_view(), &members);
        }
        Ok(RecordBatch::try_new(schema, columns)?)
    }
}

impl Whole {
    fn new(index: usize, column: &Column, composite: Composite, request: &DecoderRequest) -> Self {
        let part = |(name, kind): &(&str, ColumnKind)| {
            let part = Column {
                from: ValueFrom::Part(column.name.clone()),
                ..Column::new(format!("{}.{name}", column.name), kind.clone())
            };
            let is_it = |known: &Column| known.from == part.from && known.name == part.name;
            let index = request.parsed().position(is_it);
            let is_written = index.and_then(|index| request.written.get(index));
            Part {
                index,
                is_written: is_written.is_some_and(|written| *written),
                column: part,
            }
        };
        Self {
            index,
            composite,
            parts: composite.parts().iter().map(part).collect(),
        }
    }

    /// Cuts the texts of a batch. The column is NULL where its parts have the values.
    fn cut(&self, columns: &mut [ArrayRef], members: &mut Members) -> Result<()> {
        let texts = columns[self.index].as_string_view().clone();
        if texts.null_count() == texts.len() {
            return Ok(());
        }
        if self.composite == Composite::Pairs {
            columns[self.index] = pairs(&texts);
            return Ok(());
        }
        let none = Arc::from([]);
        let any = AnyKept::default();
        let builder = |part: &Part| {
            ColumnBuilder::guarded(&part.column, &none, part.is_written.then_some(&any))
        };
        let mut builders: Vec<ColumnBuilder> = self.parts.iter().map(builder).collect();
        let mut arena = Vec::new();
        let mut is_cut = vec![false; texts.len()];
        for (row, is_cut) in is_cut.iter_mut().enumerate() {
            *is_cut = texts.is_valid(row) && self.take(&texts, row, &mut builders, &mut arena);
            if any.take() && *is_cut {
                keep_written(row, &mut builders, members);
            }
        }
        let buffers = [Buffer::from(arena)].into_iter();
        let buffers: Arc<[Buffer]> = buffers
            .chain(texts.data_buffers().iter().cloned())
            .collect();
        for (part, builder) in self.parts.iter().zip(&mut builders) {
            if let Some(index) = part.index {
                let values = builder.take(texts.len(), &buffers);
                let none = || new_null_array(&arrow_type(&part.column.kind), texts.len());
                columns[index] = values.unwrap_or_else(none);
            }
        }
        columns[self.index] = nullif(&texts, &BooleanArray::from(is_cut))?;
        Ok(())
    }

    /// Parses the parts of one text. Returns false, and keeps none, if one is not a value.
    fn take(
        &self,
        texts: &StringViewArray,
        row: usize,
        builders: &mut [ColumnBuilder],
        arena: &mut Vec<u8>,
    ) -> bool {
        let text = texts.value(row);
        let Some(parts) = composite::parts(self.composite, text) else {
            return false;
        };
        let (buffer, start) = place(texts.views()[row]);
        let mut is_value = true;
        for (builder, part) in builders.iter_mut().zip(parts) {
            let Some(part) = part else { continue };
            let offset = part.as_ptr() as usize - text.as_ptr() as usize;
            let span = Span {
                bytes: part.as_bytes(),
                buffer,
                offset: start + offset as u32,
            };
            is_value &= builder.set(row, span, arena).is_ok();
        }
        if !is_value {
            builders.iter_mut().for_each(|builder| builder.unset(row));
        }
        is_value
    }
}

/// The place of a view's text, with the arena before the buffers. Short texts have none, and
/// their parts need none.
fn place(view: u128) -> (u32, u32) {
    let is_short = view as u32 <= 12;
    match is_short {
        true => (ARENA, 0),
        false => ((view >> 64) as u32 + 1, (view >> 96) as u32),
    }
}

fn keep_written(row: usize, builders: &mut [ColumnBuilder], members: &mut Members) {
    let mut of_row = Vec::new();
    for builder in builders {
        builder.take_written(&mut of_row);
    }
    if of_row.is_empty() {
        return;
    }
    let known = members.entry(row).or_default();
    if !known.is_empty() {
        known.push(b',');
    }
    known.append(&mut of_row);
}

fn pairs(texts: &StringViewArray) -> ArrayRef {
    let mut objects = StringViewBuilder::with_capacity(texts.len());
    let mut object = Vec::new();
    for text in texts {
        let Some(text) = text else {
            objects.append_null();
            continue;
        };
        object.clear();
        composite::pairs(text, &mut object);
        objects.append_value(String::from_utf8_lossy(&object));
    }
    Arc::new(objects.finish())
}

/// The objects of `_written` with more members.
fn merged(known: &StringViewArray, members: &Members) -> ArrayRef {
    let mut objects = StringViewBuilder::with_capacity(known.len());
    for (row, object) in known.iter().enumerate() {
        let more = members.get(&row).map(|more| String::from_utf8_lossy(more));
        match (object.and_then(|object| object.strip_suffix('}')), more) {
            (Some(object), Some(more)) => objects.append_value(format!("{object},{more}}}")),
            (None, Some(more)) => objects.append_value(format!("{{{more}}}")),
            (_, None) => objects.append_option(object),
        }
    }
    Arc::new(objects.finish())
}

/// The values of a column about the object.
fn about(object: &ListedObject, from: &ValueFrom, rows: usize) -> Result<ArrayRef> {
    if *from == ValueFrom::ObjectKey {
        let key = object.key().as_bytes();
        let views = vec![make_view(key, 0, 0); rows];
        let buffers = vec![Buffer::from(key)];
        return Ok(Arc::new(StringViewArray::try_new(
            views.into(),
            buffers,
            None,
        )?));
    }
    Ok(match object.modified() {
        Some(modified) => {
            let times = TimestampMillisecondArray::from_value(modified, rows);
            Arc::new(times.with_timezone("UTC"))
        }
        None => {
            let unit = arrow::datatypes::TimeUnit::Millisecond;
            new_null_array(&DataType::Timestamp(unit, Some("UTC".into())), rows)
        }
    })
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;
    use serde_json::{Value, json};

    use super::*;
    use crate::inspect::preview::json_rows;
    use crate::scan::reader::SplitReader;
    use crate::scan::spec::ScanSpec;
    use crate::scan::split::{InputObject, Split};

    fn composite(name: &str, composite: Composite) -> Vec<Column> {
        let whole = Column {
            composite: Some(composite),
            ..Column::new(name, composite.kind())
        };
        let part = |(part, kind): &(&str, ColumnKind)| Column {
            from: ValueFrom::Part(name.to_owned()),
            ..Column::new(format!("{name}.{part}"), kind.clone())
        };
        let parts: Vec<Column> = composite.parts().iter().map(part).collect();
        [vec![whole], parts].concat()
    }

    fn about(name: &str, kind: ColumnKind, from: ValueFrom) -> Column {
        Column {
            from,
            ..Column::new(name, kind)
        }
    }

    /// Reads a file as a scan does. Returns the rows without the columns of their origin.
    async fn read(format: &str, columns: Vec<Column>, text: &str) -> Vec<Value> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        std::fs::write(&path, text).unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(1_549_411_238_000);
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(time).unwrap();
        let object = InputObject {
            store: "file:///".to_owned(),
            path: path.to_string_lossy().trim_start_matches('/').to_owned(),
            size: text.len() as u64,
            ..InputObject::default()
        };
        let spec = ScanSpec {
            format: format.to_owned(),
            options: BTreeMap::from([("delimiter".to_owned(), "|".to_owned())]),
            wanted: (0..columns.len()).collect(),
            written: (0..columns.len()).collect(),
            columns,
            null: Vec::new(),
        };
        let split = Split {
            id: "0".to_owned(),
            objects: vec![object],
        };
        let batches = SplitReader::new(&spec, split).unwrap().into_stream();
        let batches: Vec<RecordBatch> = batches.try_collect().await.unwrap();
        let rows = batches.iter().flat_map(|batch| json_rows(batch).unwrap());
        let rows = rows.map(|row| {
            let mut row: serde_json::Map<String, Value> = serde_json::from_str(&row).unwrap();
            let key = row
                .get_mut("key")
                .and_then(|key| key.as_str().map(str::to_owned));
            if key.is_some_and(|key| key.ends_with("/a.log") && !key.starts_with('/')) {
                row.insert("key".to_owned(), json!("a.log"));
            }
            for name in ["_object", "_line", "_offset", "_raw"] {
                row.remove(name);
            }
            Value::Object(row)
        });
        rows.collect()
    }

    #[tokio::test]
    async fn parts_have_the_values_of_texts_that_parse() {
        let columns = [
            composite("peer", Composite::IpPort),
            composite("user", Composite::WindowsUser),
        ]
        .concat();
        let text = "10.20.30.40:443|CORP\\a user with a long name\n\
                    [2001:DB8::1]:0443|alice\n\
                    ::1:443|\n\
                    host:80|CORP\\bob\n";
        assert_eq!(
            read("csv", columns, text).await,
            [
                json!({
                    "peer.ip": "10.20.30.40", "peer.port": 443,
                    "user.domain": "CORP", "user.name": "a user with a long name",
                }),
                json!({
                    "peer.ip": "2001:db8::1", "peer.port": 443, "user": "alice",
                    "_written": r#"{"peer.ip":"2001:DB8::1","peer.port":"0443"}"#,
                }),
                json!({"peer": "::1:443"}),
                json!({"peer": "host:80", "user.domain": "CORP", "user.name": "bob"}),
            ]
        );
    }

    #[tokio::test]
    async fn parts_are_cut_from_json_too() {
        let columns = [
            composite("request", Composite::RequestLine),
            composite("kv", Composite::Pairs),
            vec![Column::new("n", ColumnKind::Int32)],
        ]
        .concat();
        let text = r#"{"request":"GET /a-path-that-is-long HTTP\/1.1","kv":"a=1 b=2","n":1e1}
{"request":null,"kv":"none","request.method":"x"}"#;
        assert_eq!(
            read("json_lines", columns, text).await,
            [
                json!({
                    "request.method": "GET", "request.path": "/a-path-that-is-long",
                    "request.version": "HTTP/1.1", "kv": r#"{"a":"1","b":"2"}"#, "n": 10,
                    "_written": r#"{"n":"1e1"}"#,
                }),
                json!({"kv": "\"none\"", "_extra": r#"{"request.method":"x"}"#}),
            ]
        );
    }

    #[test]
    fn the_bytes_of_a_record_are_text_by_a_cast() {
        use arrow::array::BinaryViewArray;
        use datafusion::common::DFSchema;

        let field = |name: &str| crate::decode::schema_of([]).field_with_name(name).cloned();
        let schema = arrow::datatypes::Schema::new(vec![field(crate::decode::RAW).unwrap()]);
        let raw =
            BinaryViewArray::from_iter([Some(&b"a longer text than a view"[..]), Some(b"\xff")]);
        let batch = RecordBatch::try_new(Arc::new(schema.clone()), vec![Arc::new(raw)]).unwrap();
        let schema = DFSchema::try_from(schema).unwrap();
        let state = crate::session::compiling();
        let sql = "TRY_CAST(_raw AS VARCHAR)";
        let expr = state.create_logical_expr(sql, &schema).unwrap();
        let expr = crate::session::plan_expr(state, &expr, &schema).unwrap();
        let texts = expr.evaluate(&batch).unwrap().into_array(2).unwrap();
        let texts: Vec<_> = texts.as_string_view().iter().collect();
        assert_eq!(texts, [Some("a longer text than a view"), None]);
    }

    #[tokio::test]
    async fn columns_about_the_object_are_no_fields_of_the_record() {
        let columns = vec![
            about("key", ColumnKind::Text, ValueFrom::ObjectKey),
            Column::new("n", ColumnKind::Int32),
            about("time", ColumnKind::Rfc3339, ValueFrom::ObjectTime),
        ];
        let found = read("csv", columns.clone(), "7\n8|x\n").await;
        let time = "2019-02-06T00:00:38Z";
        assert_eq!(
            found,
            [
                json!({"key": "a.log", "n": 7, "time": time}),
                json!({"key": "a.log", "n": 8, "time": time, "_extra": r#"{"field_2":"x"}"#}),
            ]
        );
        let found = read("json_lines", columns, r#"{"key":"k","n":1}"#).await;
        assert_eq!(
            found,
            [json!({"key": "a.log", "n": 1, "time": time, "_extra": r#"{"key":"k"}"#})]
        );
    }
}
