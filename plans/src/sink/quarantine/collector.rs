//! Collects the rows that one split rejects, and writes them as parts.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{UInt32Type, UInt64Type};
use datafusion::common::Result;

use super::writer::BatchBuilder;
use super::{HELD_BYTES, QuarantinedRow, lines_of, schema};
use crate::attempt::AttemptSpec;
use crate::decode::{LINE, LINES, OBJECT, OFFSET, RAW};
use crate::lake::quarantine_folder;
use crate::receipt::{Part, PartKind};
use crate::scan::split::{InputObject, Split};
use crate::sink::classify::{Rejection, system};
use crate::sink::part::{PartFacts, PartNames, PartWriter};
use crate::storage::parts::UnpublishedWriter;

/// Collects a split's rejected rows, one part for each day that owns some.
pub(in crate::sink) struct Quarantine {
    folder: String,
    objects: Vec<String>,
    /// The row that was added last; its buffers are used again.
    row: QuarantinedRow,
    days: BTreeMap<i32, Day>,
    /// The numbers of rejected rows, by day and reason.
    pub reasons: BTreeMap<i32, BTreeMap<String, u64>>,
    /// The physical lines of the rejected rows, by day.
    pub lines: BTreeMap<i32, u64>,
    spec: Arc<AttemptSpec>,
}

#[derive(Default)]
struct Day {
    held: BatchBuilder,
    writer: Option<PartWriter>,
}

impl Quarantine {
    pub(in crate::sink) fn new(spec: &Arc<AttemptSpec>, split: &Split) -> Self {
        let row = QuarantinedRow {
            source: spec.source.clone(),
            load_id: spec.load_id.clone(),
            ..QuarantinedRow::default()
        };
        Self {
            folder: spec.quarantine.clone(),
            objects: split.objects.iter().map(uri).collect(),
            row,
            days: BTreeMap::new(),
            reasons: BTreeMap::new(),
            lines: BTreeMap::new(),
            spec: spec.clone(),
        }
    }

    /// Takes the rejected rows of `batch`.
    pub(in crate::sink) async fn add(
        &mut self,
        batch: &RecordBatch,
        rejections: &[Rejection],
        sink: &dyn UnpublishedWriter,
        names: &mut PartNames,
    ) -> Result<()> {
        for rejection in rejections {
            let reasons = self.reasons.entry(rejection.day).or_default();
            *reasons.entry(rejection.reason.clone()).or_default() += 1;
            self.read(batch, rejection);
            *self.lines.entry(rejection.day).or_default() += self.row.lines;
            let day = self.days.entry(rejection.day).or_default();
            day.held.push(&self.row);
        }
        let full: Vec<i32> = self
            .days
            .iter()
            .filter(|(_, day)| day.held.bytes > HELD_BYTES)
            .map(|(day, _)| *day)
            .collect();
        for day in full {
            self.flush(day, sink, names).await?;
        }
        Ok(())
    }

    /// Fills `self.row` with the rejected row.
    fn read(&mut self, batch: &RecordBatch, rejection: &Rejection) {
        let at = rejection.row;
        let number = |name| system(batch, name).as_primitive::<UInt64Type>().value(at);
        let object = system(batch, OBJECT).as_primitive::<UInt32Type>().value(at);
        let object = self.objects.get(object as usize);
        let raw = system(batch, RAW).as_binary_view();
        let row = &mut self.row;
        row.attempt.clear();
        let period = self.spec.period_of(rejection.day);
        row.attempt
            .push_str(period.map_or("", |period| &period.attempt));
        row.object.clear();
        row.object.push_str(object.map_or("", String::as_str));
        row.line = number(LINE);
        row.offset = number(OFFSET);
        row.reason.clone_from(&rejection.reason);
        row.detail.clone_from(&rejection.detail);
        let mut bytes = row.raw.take().unwrap_or_default();
        bytes.clear();
        row.raw = raw.is_valid(at).then(|| {
            bytes.extend_from_slice(raw.value(at));
            bytes
        });
        let cut = system(batch, LINES).as_primitive::<UInt64Type>();
        row.lines = match cut.is_valid(at) {
            true => cut.value(at),
            false => lines_of(row.raw.as_deref()),
        };
    }

    async fn flush(
        &mut self,
        day: i32,
        sink: &dyn UnpublishedWriter,
        names: &mut PartNames,
    ) -> Result<()> {
        let Some(of_day) = self.days.get_mut(&day) else {
            return Ok(());
        };
        let held = std::mem::take(&mut of_day.held);
        if held.rows == 0 {
            return Ok(());
        }
        let batch = held.finish()?;
        let mut writer = match of_day.writer.take() {
            Some(writer) => writer,
            None => PartWriter::create(sink, names, facts(&self.folder, day), &schema()).await?,
        };
        writer.write(&batch, 0, 0).await?;
        of_day.writer = Some(writer);
        Ok(())
    }

    /// Writes what is held and closes the parts.
    pub(in crate::sink) async fn finish(
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

fn facts(quarantine: &str, day: i32) -> PartFacts {
    PartFacts {
        kind: PartKind::Quarantine,
        folder: quarantine_folder(quarantine, day),
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
