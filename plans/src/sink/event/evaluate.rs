//! Evaluates expressions so that one row's failure concerns no other row.

use std::collections::BTreeMap;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::compute::concat;
use datafusion::common::{DataFusionError, Result};

use super::{Expr, type_of};
use crate::mapping::Placed;

/// The reason of rows whose expressions failed.
pub(in crate::sink) const EXPRESSION_FAILED: &str = "expression_failed";

/// Rows whose expressions failed, each with its first failure.
#[derive(Debug, Default)]
pub(in crate::sink) struct Failures {
    pub(in crate::sink) rows: BTreeMap<usize, String>,
}

impl Failures {
    pub(in crate::sink) fn of(&self, row: usize) -> Option<&str> {
        self.rows.get(&row).map(String::as_str)
    }
}

/// The values of the rows. A row whose evaluation fails has NULL, and is noted.
pub(in crate::sink) fn evaluate(
    placed: &Placed<Expr>,
    batch: &RecordBatch,
    failures: &mut Failures,
) -> Result<ArrayRef> {
    match whole(placed, batch) {
        Ok(array) => Ok(array),
        Err(error) => {
            let mut parts = Vec::new();
            halves(placed, batch, 0, &error, &mut parts, failures)?;
            let parts: Vec<&dyn arrow::array::Array> = parts.iter().map(AsRef::as_ref).collect();
            Ok(concat(&parts)?)
        }
    }
}

fn whole(placed: &Placed<Expr>, batch: &RecordBatch) -> Result<ArrayRef> {
    placed.expr.evaluate(batch)?.into_array(batch.num_rows())
}

/// Evaluates the halves of a batch that failed, until each failing row is found.
fn halves(
    placed: &Placed<Expr>,
    batch: &RecordBatch,
    first: usize,
    error: &DataFusionError,
    parts: &mut Vec<ArrayRef>,
    failures: &mut Failures,
) -> Result<()> {
    let rows = batch.num_rows();
    if rows <= 1 {
        parts.push(new_null_array(&type_of(placed, batch)?, rows));
        let detail = || format!("{}: {}", placed.at, described(error));
        failures.rows.entry(first).or_insert_with(detail);
        return Ok(());
    }
    let middle = rows / 2;
    for (start, length) in [(0, middle), (middle, rows - middle)] {
        let half = batch.slice(start, length);
        match whole(placed, &half) {
            Ok(array) => parts.push(array),
            Err(error) => halves(placed, &half, first + start, &error, parts, failures)?,
        }
    }
    Ok(())
}

/// The first line of an error. What it quotes may be a value of the row, and a credential.
fn described(error: &DataFusionError) -> String {
    let message = error.find_root().message().into_owned();
    let line = message.lines().next().unwrap_or_default();
    let is_quote = |character: char| matches!(character, '\'' | '"' | '`');
    match (line.find(is_quote), line.rfind(is_quote)) {
        (Some(first), Some(last)) => {
            let after = line.get(last + 1..).unwrap_or_default();
            format!("{}'…'{after}", &line[..first])
        }
        _ => line.to_owned(),
    }
}
