//! Rows that were set aside, with their origin and reason, so that they can be
//! counted, read and replayed.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BinaryBuilder, RecordBatch, StringBuilder, UInt64Builder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt32Type, UInt64Type};
use datafusion::common::Result;

use super::classify::{Rejection, system};
use super::part::{PartFacts, PartNames, PartWriter, compact_day};
use crate::attempt::AttemptSpec;
use crate::decode::{LINE, OBJECT, OFFSET, RAW};
use crate::receipt::{Part, PartKind};
use crate::scan::split::{InputObject, Split};
use crate::storage::parts::UnpublishedWriter;

/// Bytes of raw rows that are held before they are encoded.
const HELD_BYTES: usize = 4 << 20;

/// The columns of a quarantine object.
pub fn schema() -> SchemaRef {
    let text = |name| Field::new(name, DataType::Utf8, false);
    Arc::new(Schema::new(vec![
        text("source"),
        text("object"),
        Field::new("line", DataType::UInt64, false),
        Field::new("offset", DataType::UInt64, false),
        text("reason"),
        text("detail"),
        Field::new("raw", DataType::Binary, true),
        text("load_id"),
        text("attempt"),
    ]))
}

/// Collects a split's rejected rows, one part for each day that owns some.
pub(super) struct Quarantine {
    spec: Arc<AttemptSpec>,
    objects: Vec<String>,
    days: BTreeMap<i32, Day>,
    pub reasons: BTreeMap<String, u64>,
    pub rows: u64,
}

#[derive(Default)]
struct Day {
    rows: Rows,
    writer: Option<PartWriter>,
}

#[derive(Default)]
struct Rows {
    object: StringBuilder,
    line: UInt64Builder,
    offset: UInt64Builder,
    reason: StringBuilder,
    detail: StringBuilder,
    raw: BinaryBuilder,
    count: usize,
    bytes: usize,
}

impl Quarantine {
    pub(super) fn new(spec: Arc<AttemptSpec>, split: &Split) -> Self {
        let objects = split.objects.iter().map(uri).collect();
        Self {
            spec,
            objects,
            days: BTreeMap::new(),
            reasons: BTreeMap::new(),
            rows: 0,
        }
    }

    /// Takes the rejected rows of `batch`.
    pub(super) async fn add(
        &mut self,
        batch: &RecordBatch,
        rejections: &[Rejection],
        sink: &dyn UnpublishedWriter,
        names: &mut PartNames,
    ) -> Result<()> {
        for rejection in rejections {
            *self.reasons.entry(rejection.reason.clone()).or_default() += 1;
            self.rows += 1;
            let day = self.days.entry(rejection.day).or_default();
            day.rows.push(batch, rejection, &self.objects);
        }
        let full: Vec<i32> = self
            .days
            .iter()
            .filter(|(_, day)| day.rows.bytes > HELD_BYTES)
            .map(|(day, _)| *day)
            .collect();
        for day in full {
            self.flush(day, sink, names).await?;
        }
        Ok(())
    }

    async fn flush(
        &mut self,
        day: i32,
        sink: &dyn UnpublishedWriter,
        names: &mut PartNames,
    ) -> Result<()> {
        let Some(held) = self.days.get_mut(&day) else {
            return Ok(());
        };
        let rows = std::mem::take(&mut held.rows);
        if rows.count == 0 {
            return Ok(());
        }
        let batch = rows.finish(&self.spec)?;
        let mut writer = match held.writer.take() {
            Some(writer) => writer,
            None => PartWriter::create(sink, names, facts(&self.spec, day), &schema()).await?,
        };
        writer.write(&batch, 0, 0).await?;
        held.writer = Some(writer);
        Ok(())
    }

    /// Writes what is held and closes the parts.
    pub(super) async fn finish(
        &mut self,
        sink: &dyn UnpublishedWriter,
        names: &mut PartNames,
    ) -> Result<Vec<Part>> {
        let days: Vec<i32> = self.days.keys().copied().collect();
        for day in days {
            self.flush(day, sink, names).await?;
        }
        let mut parts = Vec::new();
        for (_, day) in std::mem::take(&mut self.days) {
            if let Some(writer) = day.writer {
                parts.push(writer.finish().await?);
            }
        }
        Ok(parts)
    }
}

impl Rows {
    fn push(&mut self, batch: &RecordBatch, rejection: &Rejection, objects: &[String]) {
        let row = rejection.row;
        let object = system(batch, OBJECT)
            .as_primitive::<UInt32Type>()
            .value(row);
        self.object
            .append_value(objects.get(object as usize).map_or("", String::as_str));
        self.line
            .append_value(system(batch, LINE).as_primitive::<UInt64Type>().value(row));
        self.offset.append_value(
            system(batch, OFFSET)
                .as_primitive::<UInt64Type>()
                .value(row),
        );
        self.reason.append_value(&rejection.reason);
        self.detail.append_value(&rejection.detail);
        let raw = system(batch, RAW).as_binary_view();
        self.raw
            .append_option(raw.is_valid(row).then(|| raw.value(row)));
        self.count += 1;
        self.bytes += 128
            + if raw.is_valid(row) {
                raw.value(row).len()
            } else {
                0
            };
    }

    fn finish(mut self, spec: &AttemptSpec) -> Result<RecordBatch> {
        let constant = |value: &str| {
            let mut builder = StringBuilder::new();
            (0..self.count).for_each(|_| builder.append_value(value));
            Arc::new(builder.finish())
        };
        let columns: Vec<arrow::array::ArrayRef> = vec![
            constant(&spec.source),
            Arc::new(self.object.finish()),
            Arc::new(self.line.finish()),
            Arc::new(self.offset.finish()),
            Arc::new(self.reason.finish()),
            Arc::new(self.detail.finish()),
            Arc::new(self.raw.finish()),
            constant(&spec.load_id),
            constant(&spec.attempt),
        ];
        Ok(RecordBatch::try_new(schema(), columns)?)
    }
}

fn facts(spec: &AttemptSpec, day: i32) -> PartFacts {
    PartFacts {
        kind: PartKind::Quarantine,
        folder: format!(
            "{}/eventDay={}",
            spec.quarantine.trim_end_matches('/'),
            compact_day(day)
        ),
        class_uid: 0,
        region: String::new(),
        account: String::new(),
        day,
    }
}

fn uri(object: &InputObject) -> String {
    let slash = if object.store.ends_with('/') { "" } else { "/" };
    format!("{}{slash}{}", object.store, object.path)
}
