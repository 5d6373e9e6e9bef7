//! What a source makes of an object, without a load: no periods, no state, nothing
//! written. For authoring mappings and for the golden files of shipped sources.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::UInt64Type;
use arrow::json::LineDelimitedWriter;
use datafusion::common::{DataFusionError, Result};
use futures::TryStreamExt;

use crate::decode::{LINE, RAW};
use crate::mapping::Program;
use crate::receipt::Ledger;
use crate::scan::reader::SplitReader;
use crate::scan::spec::ScanSpec;
use crate::scan::split::{InputObject, Split};
use crate::sink::{Key, PhysicalProgram, Rejection, RowSteps, RowTerms, gather};
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
    /// It was rejected.
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
    let physical = PhysicalProgram::plan(program, &scan.schema(), &session::planning())?;
    let split = Split {
        id: "0".to_owned(),
        objects,
    };
    let terms = RowTerms::every_day(account);
    let mut steps = RowSteps::new(Arc::new(physical), terms, &split);
    let mut batches = SplitReader::new(&scan, split)?.into_stream();
    while let Some(batch) = batches.try_next().await? {
        for fate in fates(batch, &mut steps)? {
            if !each(fate) {
                return Ok(steps.ledger());
            }
        }
    }
    Ok(steps.ledger())
}

/// A row's index, whether it was rejected, and its fate.
type RowFate = (usize, bool, Fate);

/// The fates of a batch's rows, in the order of the rows; a row's events come first.
fn fates(batch: RecordBatch, steps: &mut RowSteps) -> Result<Vec<Fate>> {
    let mut keys = Vec::new();
    let found = steps.classify(batch, 0, &mut keys)?;
    let mut fates: Vec<RowFate> = Vec::new();
    for rejection in &found.rejections {
        let row = rejection.row;
        fates.push((row, true, rejected(&found.batch, row, rejection)));
    }
    for route in 0..steps.routes().len() {
        let of_route = |key: &&Key| steps.group(key.group).route == route;
        let keys: Vec<Key> = keys.iter().filter(of_route).copied().collect();
        if !keys.is_empty() {
            map(steps, route, &found.batch, &keys, &mut fates)?;
        }
    }
    fates.sort_by_key(|(row, is_rejected, _)| (*row, *is_rejected));
    Ok(fates.into_iter().map(|(_, _, fate)| fate).collect())
}

/// Maps the rows of one route.
fn map(
    steps: &mut RowSteps,
    route: usize,
    batch: &RecordBatch,
    keys: &[Key],
    fates: &mut Vec<RowFate>,
) -> Result<()> {
    let rows = gather(std::slice::from_ref(batch), keys)?;
    let mapped = steps.map(route, 0, &rows)?;
    let mut rejections = mapped.rejections.iter().peekable();
    let mut events = json_rows(&mapped.events)?.into_iter();
    for (index, key) in keys.iter().enumerate() {
        let row = key.row as usize;
        if let Some(rejection) = rejections.next_if(|rejection| rejection.row == index) {
            fates.push((row, true, rejected(batch, row, rejection)));
            continue;
        }
        let event = Fate::Event {
            line: line(batch, row),
            class_uid: steps.routes()[route].class.uid,
            json: events.next().unwrap_or_default(),
        };
        fates.push((row, false, event));
    }
    Ok(())
}

fn rejected(batch: &RecordBatch, row: usize, rejection: &Rejection) -> Fate {
    let raw = batch
        .column_by_name(RAW)
        .and_then(|raw| raw.as_binary_view_opt());
    let raw = raw
        .filter(|raw| raw.is_valid(row))
        .map(|raw| String::from_utf8_lossy(raw.value(row)));
    Fate::Rejected {
        line: line(batch, row),
        reason: rejection.reason.clone(),
        detail: rejection.detail.clone(),
        raw: raw.unwrap_or_default().into_owned(),
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
