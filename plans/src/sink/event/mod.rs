//! Makes OCSF events of rows: evaluates a route's expressions, leaves out the objects that
//! OCSF would refuse, and keeps in `unmapped` what no attribute holds.

mod each;
mod evaluate;
mod flatten;
mod leftover;
mod mask;
mod object;
mod widen;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::nullif;
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};
use datafusion::physical_expr::PhysicalExpr;

pub(super) use self::each::inner_schema;
pub(super) use self::evaluate::{EXPRESSION_FAILED, Failures, evaluate};
use self::leftover::Unmapped;
use self::object::{Build, Missed};
pub(super) use self::widen::{class_schemas, widened};
use crate::functions;
use crate::mapping::{Layout, Leftover, Observable, Placed, Route};
use crate::spec::Column;

type Expr = Arc<dyn PhysicalExpr>;

/// The events of a batch of rows.
pub(super) struct Events {
    /// One event for each row. Those of rejected rows are incomplete.
    pub batch: RecordBatch,
    /// Why rows become no event: reason and detail.
    pub rejected: BTreeMap<usize, (Cow<'static, str>, String)>,
    /// The objects that were left out, by their dotted attributes.
    pub left_out: BTreeMap<String, u64>,
}

/// Why an expression fails for the first row, with its place.
pub(crate) fn failure(placed: &Placed<Expr>, batch: &RecordBatch) -> Result<Option<String>> {
    let mut failures = Failures::default();
    evaluate(placed, batch, &mut failures)?;
    Ok(failures.rows.into_values().next())
}

/// Why expressions of a route's attributes fail, each with its place.
pub(crate) fn failures(
    route: &Route<Expr>,
    columns: &[Column],
    batch: &RecordBatch,
) -> Result<Vec<String>> {
    let made = events(route, columns, batch)?;
    let failed = made.rejected.into_values();
    let failed = failed.filter(|(reason, _)| reason == EXPRESSION_FAILED);
    Ok(failed.map(|(_, detail)| detail).collect())
}

/// The events that the rows of `batch` become.
pub(super) fn events(
    route: &Route<Expr>,
    columns: &[Column],
    batch: &RecordBatch,
) -> Result<Events> {
    let mut build = Build::new(&route.keys);
    let rows = batch.num_rows();
    let mut members = build.members(&route.event, route.schema.fields(), batch)?;
    let missed = build.missed(&route.event, &members, rows);
    for (index, layout) in route.event.members.iter().enumerate() {
        let made = match layout {
            Layout::Observables(observables) => {
                let arrays: Vec<&ArrayRef> = members.iter().map(|built| &built.array).collect();
                observed(observables, &arrays, rows)?
            }
            Layout::Unmapped(leftover) => {
                unmapped(leftover, route, columns, batch, &members, &build)?
            }
            _ => continue,
        };
        members[index].array = made;
    }
    let arrays = members.into_iter().map(|built| built.array).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(route.schema.clone(), arrays, &options)?;
    Ok(finished(batch, build, missed))
}

fn finished(batch: RecordBatch, build: Build<'_>, missed: Vec<Missed>) -> Events {
    let mut rejected: BTreeMap<usize, (Cow<'static, str>, String)> = BTreeMap::new();
    for (row, detail) in build.failures.rows {
        rejected.insert(row, (EXPRESSION_FAILED.into(), detail));
    }
    for missed in missed {
        rejected
            .entry(missed.row)
            .or_insert((missed.reason, missed.detail));
    }
    let mut left_out = BTreeMap::new();
    for object in build.left_out {
        let count = object.count(|row| !rejected.contains_key(&row));
        if count > 0 {
            *left_out.entry(object.path).or_default() += count;
        }
    }
    Events {
        batch,
        rejected,
        left_out,
    }
}

fn unmapped(
    leftover: &Leftover,
    route: &Route<Expr>,
    columns: &[Column],
    batch: &RecordBatch,
    members: &[object::Built],
    build: &Build<'_>,
) -> Result<ArrayRef> {
    let arrived: Vec<&object::Arrived> = members.iter().flat_map(|built| &built.arrived).collect();
    let unmapped = Unmapped {
        leftover,
        keys: &route.keys,
        arrived: &arrived,
        frames: &build.frames,
    };
    unmapped.array(columns, batch)
}

/// The list of observables of each event.
fn observed(observables: &[Observable], arrays: &[&ArrayRef], rows: usize) -> Result<ArrayRef> {
    let mut values = Vec::with_capacity(observables.len());
    let mut facts = Vec::with_capacity(observables.len());
    for observable in observables {
        values.push(at(&observable.path, arrays)?);
        facts.push(&observable.observed);
    }
    functions::observables(&facts, &values, rows)
}

/// The field at a path, NULL where an object around it is.
fn at(path: &[usize], arrays: &[&ArrayRef]) -> Result<ArrayRef> {
    let Some((first, rest)) = path.split_first() else {
        return exec_err!("an observable has a path");
    };
    let mut array: ArrayRef = Arc::clone(arrays[*first]);
    let mut around: Option<NullBuffer> = None;
    for index in rest {
        let Some(object) = array.as_struct_opt() else {
            return exec_err!("an observable is in an object");
        };
        around = NullBuffer::union(around.as_ref(), object.nulls());
        let inner = Arc::clone(object.column(*index));
        array = inner;
    }
    match around.filter(|around| around.null_count() > 0) {
        Some(around) => {
            let absent: BooleanBuffer = !around.inner();
            Ok(nullif(&array, &absent.into())?)
        }
        None => Ok(array),
    }
}

/// The type of an expression over a batch.
fn type_of(placed: &Placed<Expr>, batch: &RecordBatch) -> Result<DataType> {
    placed.expr.data_type(batch.schema_ref())
}
