//! What a source makes of an object, without a load: no periods, no state, nothing
//! written. For authoring mappings and for the golden files of shipped sources.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::UInt64Type;
use arrow::json::LineDelimitedWriter;
use datafusion::common::{DataFusionError, Result};
use futures::TryStreamExt;

use crate::attempt::AttemptSpec;
use crate::decode::{LINE, RAW};
use crate::mapping::Program;
use crate::receipt::Ledger;
use crate::scan::reader::SplitReader;
use crate::scan::spec::ScanSpec;
use crate::scan::split::{InputObject, Split};
use crate::sink::{Classifier, Key, PhysicalProgram, Rejection, gather};
use crate::storage::Access;
use crate::{session, spec};

/// A row's fate, in the order of the rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// It became an event, given as one JSON object without NULLs.
    Event {
        line: u64,
        class_uid: u32,
        json: String,
    },
    /// It was set aside.
    Rejected {
        line: u64,
        reason: String,
        detail: String,
        raw: String,
    },
}

/// Reads `objects` and gives every row's fate to `each` until that says to stop.
pub async fn preview(
    program: &Program,
    format: &spec::Format,
    objects: Vec<InputObject>,
    account: Option<String>,
    mut each: impl FnMut(Fate) -> bool,
) -> Result<Ledger> {
    let scan = ScanSpec::new(format, program);
    let physical = Arc::new(PhysicalProgram::plan(
        program,
        &scan.schema(),
        &session::planning(),
    )?);
    let split = Split {
        id: "0".to_owned(),
        objects,
    };
    let mut classifier =
        Classifier::new(physical.clone(), Arc::new(spec(program, account)), &split);
    classifier.own_every_day();
    let mut batches = SplitReader::new(&scan, split)?.into_stream();
    while let Some(batch) = batches.try_next().await? {
        for fate in fates(&batch, &physical, &mut classifier)? {
            if !each(fate) {
                return Ok(classifier.ledger);
            }
        }
    }
    Ok(classifier.ledger)
}

fn spec(program: &Program, account: Option<String>) -> AttemptSpec {
    AttemptSpec {
        attempt: String::new(),
        digest8: String::new(),
        source: program.source.clone(),
        period: String::new(),
        work: String::new(),
        splits: Vec::new(),
        targets: BTreeMap::new(),
        quarantine: String::new(),
        access: Access::default(),
        load_id: String::new(),
        days: Vec::new(),
        margin: u32::MAX,
        undated_day: 0,
        region: None,
        account,
        memory_bytes: 0,
    }
}

fn fates(
    batch: &RecordBatch,
    program: &PhysicalProgram,
    classifier: &mut Classifier,
) -> Result<Vec<Fate>> {
    let (mut keys, mut rejections) = (Vec::new(), Vec::new());
    classifier.classify(batch, 0, &mut keys, &mut rejections)?;
    let mut fates: Vec<(u32, Fate)> = Vec::new();
    for (index, route) in program.routes.iter().enumerate() {
        let keys: Vec<Key> = keys
            .iter()
            .filter(|key| classifier.group(key.group).route == index)
            .copied()
            .collect();
        if keys.is_empty() {
            continue;
        }
        let mapped = route.map(&gather(std::slice::from_ref(batch), &keys)?)?;
        let missing: BTreeMap<usize, _> = route.missing(&mapped)?.into_iter().collect();
        for (row, json) in json_rows(&mapped)?.into_iter().enumerate() {
            let source_row = keys[row].row;
            match missing.get(&row) {
                None => {
                    let line = line(batch, source_row as usize);
                    fates.push((
                        source_row,
                        Fate::Event {
                            line,
                            class_uid: route.class.uid,
                            json,
                        },
                    ));
                }
                Some(required) => rejections.push(Rejection {
                    row: source_row as usize,
                    day: 0,
                    reason: required.reason.to_string(),
                    detail: required.detail.clone(),
                }),
            }
        }
    }
    fates.extend(
        rejections
            .into_iter()
            .map(|rejection| (rejection.row as u32, rejected(batch, rejection))),
    );
    fates.sort_by_key(|(row, _)| *row);
    Ok(fates.into_iter().map(|(_, fate)| fate).collect())
}

fn rejected(batch: &RecordBatch, rejection: Rejection) -> Fate {
    let raw = batch
        .column_by_name(RAW)
        .and_then(|raw| raw.as_binary_view_opt());
    let raw = raw
        .filter(|raw| raw.is_valid(rejection.row))
        .map(|raw| String::from_utf8_lossy(raw.value(rejection.row)));
    let (line, raw) = (
        line(batch, rejection.row),
        raw.unwrap_or_default().into_owned(),
    );
    Fate::Rejected {
        line,
        reason: rejection.reason,
        detail: rejection.detail,
        raw,
    }
}

fn line(batch: &RecordBatch, row: usize) -> u64 {
    batch
        .column_by_name(LINE)
        .map_or(0, |lines| lines.as_primitive::<UInt64Type>().value(row))
}

/// Each row as one JSON object; what is NULL is left out.
pub fn json_rows(batch: &RecordBatch) -> Result<Vec<String>> {
    let mut writer = LineDelimitedWriter::new(Vec::new());
    writer.write(batch)?;
    writer.finish()?;
    let text = String::from_utf8(writer.into_inner())
        .map_err(|error| DataFusionError::External(error.into()))?;
    Ok(text.lines().map(str::to_owned).collect())
}
