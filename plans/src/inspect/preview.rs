//! What a source makes of an object, without a load: no periods, no state, nothing
//! written. For authoring mappings and for the golden files of shipped sources.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::UInt64Type;
use arrow::json::LineDelimitedWriter;
use datafusion::common::{DataFusionError, Result};
use futures::TryStreamExt;
use futures::stream::BoxStream;

use super::verify::invalid_events;
use crate::decode::{LINE, RAW};
use crate::mapping::Program;
use crate::receipt::{Ledger, add_counts};
use crate::scan::reader::SplitReader;
use crate::scan::spec::ScanSpec;
use crate::scan::split::{InputObject, Split};
use crate::sink::{Key, PhysicalProgram, PhysicalRoute, Rejection, RowSteps, RowTerms, gather};
use crate::{session, spec};

/// A row's fate, in the order of the rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// It became an event, given as one JSON object without NULLs.
    Event {
        line: u64,
        /// Name of the route.
        event: String,
        class_uid: u32,
        json: String,
        /// What `verify` would find in it; empty for a valid event.
        invalid: Vec<String>,
    },
    /// It was rejected.
    Rejected {
        line: u64,
        reason: String,
        detail: String,
        raw: String,
    },
}

/// What to read, and where rows go whose columns do not say.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub objects: Vec<InputObject>,
    /// The account of rows that neither a column nor their object gives one.
    pub account: Option<String>,
    /// The region of every row, if it is overridden.
    pub region: Option<String>,
    /// The number of records to read. `None` reads all.
    pub limit: Option<u64>,
}

/// The counts of a preview.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    pub ledger: Ledger,
    /// The filtered rows by reason.
    pub filtered: BTreeMap<String, u64>,
    /// The objects that OCSF would refuse and that were left out, by dotted attribute.
    pub left_out: BTreeMap<String, u64>,
}

/// Sees rows on their way.
pub trait Observer {
    /// Sees rows as they were parsed.
    fn parsed(&mut self, _rows: &RecordBatch) {}

    /// Sees the events of one route.
    fn mapped(&mut self, _route: &PhysicalRoute, _events: &RecordBatch) {}

    /// Sees the fate of a row. Returns false to stop.
    fn fate(&mut self, fate: Fate) -> bool;
}

/// An observer of nothing but fates.
struct Fates<F>(F);

impl<F: FnMut(Fate) -> bool> Observer for Fates<F> {
    fn fate(&mut self, fate: Fate) -> bool {
        (self.0)(fate)
    }
}

/// Reads `objects` and gives every row's fate to `each` until that says to stop.
pub async fn preview(
    program: &Program,
    format: &spec::Format,
    objects: Vec<InputObject>,
    account: Option<String>,
    each: impl FnMut(Fate) -> bool,
) -> Result<Ledger> {
    let request = Request {
        objects,
        account,
        ..Request::default()
    };
    let summary = observe(program, format, request, &mut Fates(each)).await?;
    Ok(summary.ledger)
}

/// Reads the objects of `request` and shows every row to `observer` until that says to stop.
pub async fn observe(
    program: &Program,
    format: &spec::Format,
    request: Request,
    observer: &mut dyn Observer,
) -> Result<Summary> {
    let mut rows = Rows::open(program, format, request)?;
    while let Some(batch) = rows.next().await? {
        observer.parsed(&batch);
        for fate in fates(batch, &mut rows.steps, observer)? {
            if !observer.fate(fate) {
                return Ok(rows.summary());
            }
        }
    }
    Ok(rows.summary())
}

/// The rows of the objects of a request, and the steps that they go through.
pub(super) struct Rows {
    pub(super) steps: RowSteps,
    pub(super) program: Arc<PhysicalProgram>,
    batches: BoxStream<'static, Result<RecordBatch>>,
    /// Number of rows that may still be read.
    left: u64,
}

impl Rows {
    pub(super) fn open(program: &Program, format: &spec::Format, request: Request) -> Result<Self> {
        let scan = ScanSpec::new(format, program);
        let physical = PhysicalProgram::plan(program, &scan.schema(), &session::planning())?;
        let physical = Arc::new(physical);
        let split = Split {
            id: "0".to_owned(),
            objects: request.objects,
        };
        let terms = RowTerms {
            region: request.region,
            ..RowTerms::every_day(request.account)
        };
        Ok(Self {
            steps: RowSteps::new(physical.clone(), terms, &split),
            program: physical,
            batches: SplitReader::new(&scan, split)?.into_stream(),
            left: request.limit.unwrap_or(u64::MAX),
        })
    }

    /// The next rows; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>> {
        if self.left == 0 {
            return Ok(None);
        }
        let Some(batch) = self.batches.try_next().await? else {
            return Ok(None);
        };
        let rows =
            usize::try_from(self.left).map_or(batch.num_rows(), |left| left.min(batch.num_rows()));
        self.left -= rows as u64;
        Ok(Some(batch.slice(0, rows)))
    }

    fn summary(&self) -> Summary {
        let mut filtered: BTreeMap<String, u64> = BTreeMap::new();
        for counts in self.steps.counts() {
            add_counts(&mut filtered, &counts.filtered);
        }
        let mut left_out: BTreeMap<String, u64> = BTreeMap::new();
        for of_day in self.steps.left_out().values() {
            add_counts(&mut left_out, of_day);
        }
        Summary {
            ledger: self.steps.ledger(),
            filtered,
            left_out,
        }
    }
}

/// A row's index, whether it was rejected, and its fate.
type RowFate = (usize, bool, Fate);

/// The fates of a batch's rows, in the order of the rows; a row's events come first.
pub(super) fn fates(
    batch: RecordBatch,
    steps: &mut RowSteps,
    observer: &mut dyn Observer,
) -> Result<Vec<Fate>> {
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
            map(steps, route, &found.batch, &keys, observer, &mut fates)?;
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
    observer: &mut dyn Observer,
    fates: &mut Vec<RowFate>,
) -> Result<()> {
    let rows = gather(std::slice::from_ref(batch), keys)?;
    let mapped = steps.map(route, 0, &rows)?;
    let route = &steps.routes()[route];
    observer.mapped(route, &mapped.events);
    let mut invalid = invalid_events(&mapped.events)?;
    let mut rejections = mapped.rejections.iter().peekable();
    let mut events = json_rows(&mapped.events)?.into_iter().enumerate();
    for (index, key) in keys.iter().enumerate() {
        let row = key.row as usize;
        if let Some(rejection) = rejections.next_if(|rejection| rejection.row == index) {
            fates.push((row, true, rejected(batch, row, rejection)));
            continue;
        }
        let (event_row, json) = events.next().unwrap_or_default();
        let event = Fate::Event {
            line: line(batch, row),
            event: route.name.clone(),
            class_uid: route.class.uid,
            json,
            invalid: invalid.remove(&event_row).unwrap_or_default(),
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

/// The line (or record number) of a row.
pub(super) fn line(batch: &RecordBatch, row: usize) -> u64 {
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

#[cfg(test)]
mod tests;
