//! `unmapped`: the values of each record that no attribute of its event holds, by dotted key,
//! as the texts that they had in the source, without NULLs and credentials.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, MapArray, RecordBatch, StringArray, StringBuilder, StringViewArray,
    StringViewBuilder, StructArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimestampMillisecondType};
use datafusion::common::Result;

use super::each::Frame;
use super::flatten::{Entries, Flatten, Node};
use super::mask;
use super::object::Arrived;
use crate::decode::{EXTRA, WRITTEN};
use crate::functions::{self, REDACTED, Raw, dotted_key, without_credentials};
use crate::mapping::{Key, Leftover, Step};
use crate::spec::{Column, ColumnKind, TimeUnit, UnmappedStyle};

/// Makes `unmapped` of a batch.
pub(super) struct Unmapped<'a> {
    pub(super) leftover: &'a Leftover,
    pub(super) keys: &'a [Key],
    pub(super) arrived: &'a [&'a Arrived],
    pub(super) frames: &'a [Option<Frame>],
}

/// Reads what is left of one column.
struct Reader<'a> {
    column: &'a str,
    key: String,
    is_hidden: bool,
    kind: Option<&'a ColumnKind>,
    values: StringViewArray,
    /// The rows whose value is in an attribute.
    arrived: Option<BooleanBuffer>,
    /// What is in attributes of the values inside.
    root: Node<'a>,
}

impl<'a> Unmapped<'a> {
    /// The array of the attribute.
    pub(super) fn array(&self, columns: &'a [Column], batch: &RecordBatch) -> Result<ArrayRef> {
        let readers = self.readers(columns, batch)?;
        let written = batch
            .column_by_name(WRITTEN)
            .and_then(|written| written.as_string_view_opt());
        let rows = Rows {
            readers,
            written: written.filter(|written| written.null_count() < written.len()),
            unmapped: self,
            count: batch.num_rows(),
        };
        match self.leftover.style {
            UnmappedStyle::Map => rows.maps(),
            UnmappedStyle::Json => Ok(rows.json()),
        }
    }

    fn readers(&self, columns: &'a [Column], batch: &RecordBatch) -> Result<Vec<Reader<'a>>> {
        let mut readers = Vec::new();
        for column in columns.iter().filter(|column| column.is_of_record()) {
            let Some(values) = batch.column_by_name(&column.name) else {
                continue;
            };
            // Most columns of a wide format have no value in a file.
            if values.null_count() < values.len() {
                readers.extend(self.reader(column, values)?);
            }
        }
        if let Some(extra) = batch.column_by_name(EXTRA)
            && extra.null_count() < extra.len()
        {
            // Consumed by their names in the input, as no column takes these.
            let mut root = Node::default();
            for key in &self.leftover.consumed {
                root.consume(key);
            }
            readers.push(Reader {
                column: EXTRA,
                key: String::new(),
                is_hidden: false,
                kind: Some(&ColumnKind::Json),
                values: text(extra, &ColumnKind::Json)?,
                arrived: None,
                root,
            });
        }
        Ok(readers)
    }

    /// The reader of a column; `None` if nothing is left of it.
    fn reader(&self, column: &'a Column, values: &ArrayRef) -> Result<Option<Reader<'a>>> {
        let key = dotted_key(&column.segments());
        let own = dotted_key(&[&column.name]);
        let consumed = &self.leftover.consumed;
        let is_own = |name: &String| [&key, &own, &column.name].contains(&name);
        if consumed.iter().any(is_own) {
            return Ok(None);
        }
        let mut arrived = None;
        let mut root = Node::default();
        for value in self.arrived {
            let place = &self.keys[value.key];
            if place.column != column.name {
                continue;
            }
            match place.path.as_slice() {
                [] => {
                    arrived = Some(match (arrived, &value.rows) {
                        (_, None) => return Ok(None),
                        (None, Some(rows)) => rows.clone(),
                        (Some(known), Some(rows)) => &known | rows,
                    });
                }
                path => root.add(path, &value.rows),
            }
        }
        if let Some(arrived) = &arrived
            && mask::without(
                &mask::validity(values),
                &Some(arrived.clone()),
                values.len(),
            )
            .is_none()
        {
            return Ok(None);
        }
        if column.kind == ColumnKind::Json {
            let inside = format!("{key}.");
            for name in consumed {
                if let Some(rest) = name.strip_prefix(&inside) {
                    root.consume(rest);
                } else if let Some(rest) = name.strip_prefix(&key) {
                    root.consume(rest);
                }
            }
        }
        Ok(Some(Reader {
            column: &column.name,
            is_hidden: column.hidden,
            key,
            kind: Some(&column.kind),
            values: text(values, &column.kind)?,
            arrived,
            root,
        }))
    }
}

/// A column's values as they print.
fn text(values: &ArrayRef, kind: &ColumnKind) -> Result<StringViewArray> {
    let array: ArrayRef = match kind {
        ColumnKind::Epoch(unit) => match values.as_primitive_opt::<TimestampMillisecondType>() {
            Some(times) => {
                let printed = times.iter().map(|time| time.map(|time| epoch(time, *unit)));
                Arc::new(printed.collect::<StringViewArray>())
            }
            None => Arc::clone(values),
        },
        _ => Arc::clone(values),
    };
    if let Some(texts) = array.as_string_view_opt() {
        return Ok(texts.clone());
    }
    Ok(cast(&array, &DataType::Utf8View)?.as_string_view().clone())
}

/// A time as an epoch number.
fn epoch(millis: i64, unit: TimeUnit) -> String {
    match unit {
        TimeUnit::Second if millis % 1000 == 0 => (millis / 1000).to_string(),
        TimeUnit::Second => format!("{}.{:03}", millis.div_euclid(1000), millis.rem_euclid(1000)),
        TimeUnit::Millisecond => millis.to_string(),
        TimeUnit::Microsecond => format!("{millis}000"),
        TimeUnit::Nanosecond => format!("{millis}000000"),
    }
}

/// The rows of a batch with what is left of them.
struct Rows<'a> {
    readers: Vec<Reader<'a>>,
    written: Option<&'a StringViewArray>,
    unmapped: &'a Unmapped<'a>,
    count: usize,
}

impl Rows<'_> {
    /// Calls `each` with the entries of every row.
    fn each(&self, mut each: impl FnMut(&Entries)) {
        let mut entries = Entries::default();
        let mut key = String::new();
        for row in 0..self.count {
            entries.clear();
            let written = self.written.filter(|written| written.is_valid(row));
            let written: BTreeMap<String, String> = written
                .and_then(|written| serde_json::from_str(written.value(row)).ok())
                .unwrap_or_default();
            for reader in &self.readers {
                self.read(reader, row, &written, &mut key, &mut entries);
            }
            each(&entries);
        }
    }

    fn read(
        &self,
        reader: &Reader<'_>,
        row: usize,
        written: &BTreeMap<String, String>,
        key: &mut String,
        entries: &mut Entries,
    ) {
        let has_arrived = reader.arrived.as_ref().is_some_and(|rows| rows.value(row));
        if reader.values.is_null(row) || has_arrived {
            return;
        }
        if reader.is_hidden {
            entries.push(&reader.key, REDACTED);
            return;
        }
        let value = match written.get(reader.column) {
            Some(text) => text.as_str(),
            None => reader.values.value(row),
        };
        let is_json = reader.kind == Some(&ColumnKind::Json);
        match is_json.then(|| Raw::parse(value)).flatten() {
            Some(json) => {
                let mut flatten = Flatten {
                    redaction: &self.unmapped.leftover.redaction,
                    frames: self.unmapped.frames,
                    entries,
                };
                key.clear();
                key.push_str(&reader.key);
                flatten.value(key, json, 0, &[(&reader.root, row)]);
            }
            // A text may be JSON too.
            None => {
                let redaction = &self.unmapped.leftover.redaction;
                let value = without_credentials(value, &reader.key, redaction);
                entries.push(&reader.key, &value);
            }
        }
    }

    fn maps(&self) -> Result<ArrayRef> {
        let mut keys = StringBuilder::new();
        let mut values = StringBuilder::new();
        let mut offsets = Vec::with_capacity(self.count + 1);
        offsets.push(0i32);
        let mut count = 0;
        self.each(|entries| {
            for (key, value) in entries.iter() {
                keys.append_value(key);
                values.append_value(value);
                count += 1;
            }
            offsets.push(count);
        });
        map_of(keys.finish(), values.finish(), offsets)
    }

    fn json(&self) -> ArrayRef {
        let mut texts = StringViewBuilder::with_capacity(self.count);
        let mut text = String::new();
        self.each(|entries| {
            text.clear();
            for (key, value) in entries.iter() {
                text.push(if text.is_empty() { '{' } else { ',' });
                functions::quote(key, &mut text);
                text.push(':');
                functions::quote(value, &mut text);
            }
            match text.is_empty() {
                true => texts.append_null(),
                false => {
                    text.push('}');
                    texts.append_value(&text);
                }
            }
        });
        Arc::new(texts.finish())
    }
}

fn map_of(keys: StringArray, values: StringArray, offsets: Vec<i32>) -> Result<ArrayRef> {
    let nulls: NullBuffer = offsets.windows(2).map(|pair| pair[0] < pair[1]).collect();
    let columns: Vec<ArrayRef> = vec![Arc::new(keys), Arc::new(values)];
    let entries = StructArray::try_new(functions::entry_fields(), columns, None)?;
    let offsets = OffsetBuffer::new(offsets.into());
    let field = Arc::new(functions::entries_field());
    let map = MapArray::try_new(field, offsets, entries, Some(nulls), false)?;
    Ok(Arc::new(map))
}

impl<'a> Node<'a> {
    /// Notes the rows in which the value at a path is in an attribute.
    fn add(&mut self, path: &[Step], rows: &'a mask::Mask) {
        let mut node = self;
        for step in path {
            node = match step {
                Step::Name(name) => node.names.entry(name.clone()).or_default(),
                Step::Each(number) => node.each(*number),
            };
        }
        node.arrived.push(rows);
    }

    /// Notes a dotted key whose value is never kept.
    fn consume(&mut self, key: &str) {
        let mut node = self;
        for segment in functions::segments(key) {
            let (name, lists) = functions::list_marks(&segment);
            if !name.is_empty() {
                node = node.names.entry(name.to_owned()).or_default();
            }
            for _ in 0..lists {
                node = node.any.get_or_insert_default();
            }
        }
        node.is_consumed = true;
    }
}
