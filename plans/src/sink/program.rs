//! A program whose expressions are physical: what the sink evaluates.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, StructArray,
    TimestampMillisecondArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use datafusion::common::cast::{as_boolean_array, as_struct_array, as_timestamp_millisecond_array};
use datafusion::common::{DFSchema, Result, exec_err};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::prelude::SessionContext;

use crate::mapping::{Layout, Program, Quarantined, Route};
use crate::session;

/// A program that the sink can evaluate.
pub type PhysicalProgram = Program<Arc<dyn PhysicalExpr>>;

/// A route that the sink can evaluate.
pub type PhysicalRoute = Route<Arc<dyn PhysicalExpr>>;

type PhysicalLayout = Layout<Arc<dyn PhysicalExpr>>;

impl PhysicalProgram {
    /// Plans every expression of `program` over the scan's `schema`.
    pub fn plan(program: &Program, schema: &SchemaRef, session: &SessionContext) -> Result<Self> {
        let schema = DFSchema::try_from(schema.as_ref().clone())?;
        let state = session.state();
        let plan = |expr| session::plan_expr(&state, &expr, &schema);
        program.clone().try_map(plan)
    }
}

impl PhysicalRoute {
    /// The rows that `when` takes; NULL is false.
    pub fn takes(&self, batch: &RecordBatch) -> Result<Option<BooleanArray>> {
        let Some(when) = &self.when else {
            return Ok(None);
        };
        let mask = when.evaluate(batch)?.into_array(batch.num_rows())?;
        Ok(Some(as_boolean_array(&mask)?.clone()))
    }

    /// The events' times.
    pub fn times(&self, batch: &RecordBatch) -> Result<TimestampMillisecondArray> {
        let times = self.time.evaluate(batch)?.into_array(batch.num_rows())?;
        Ok(as_timestamp_millisecond_array(&times)?.clone())
    }

    /// The OCSF events that the rows of `batch` become.
    pub fn map(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let columns = build_all(&self.layout, self.schema.fields(), batch)?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(
            self.schema.clone(),
            columns,
            &options,
        )?)
    }

    /// For each row of a mapped batch the first requirement it misses.
    pub fn missing(&self, mapped: &RecordBatch) -> Result<Vec<(usize, &Quarantined)>> {
        let mut missing: Vec<(usize, &Quarantined)> = Vec::new();
        for required in &self.required {
            let Some(rows) = rows_missing(required, mapped)? else {
                continue;
            };
            missing.extend(rows.set_indices().map(|row| (row, required)));
        }
        missing.sort_by_key(|(row, _)| *row);
        missing.dedup_by_key(|(row, _)| *row);
        Ok(missing)
    }
}

fn build_all(
    layout: &[PhysicalLayout],
    fields: &[FieldRef],
    batch: &RecordBatch,
) -> Result<Vec<ArrayRef>> {
    layout
        .iter()
        .zip(fields)
        .map(|(layout, field)| build(layout, field, batch))
        .collect()
}

fn build(layout: &PhysicalLayout, field: &FieldRef, batch: &RecordBatch) -> Result<ArrayRef> {
    match (layout, field.data_type()) {
        (Layout::Leaf(expr), expected) => {
            let array = expr.evaluate(batch)?.into_array(batch.num_rows())?;
            if array.data_type() == expected {
                return Ok(array);
            }
            exec_err!(
                "{} is {} where {expected} was planned",
                field.name(),
                array.data_type()
            )
        }
        (Layout::Struct(members), DataType::Struct(fields)) => {
            let arrays = build_all(members, fields, batch)?;
            let nulls = union_of_validity(&arrays);
            Ok(Arc::new(StructArray::try_new(
                fields.clone(),
                arrays,
                nulls,
            )?))
        }
        (Layout::Struct(_), other) => {
            exec_err!("{} is no struct but {other}", field.name())
        }
    }
}

/// Valid where any member is, so that an object without content is NULL.
fn union_of_validity(arrays: &[ArrayRef]) -> Option<NullBuffer> {
    let mut union: Option<BooleanBuffer> = None;
    for array in arrays {
        let validity = array
            .logical_nulls()
            .filter(|nulls| nulls.null_count() > 0)?;
        union = Some(match union {
            None => validity.into_inner(),
            Some(union) => &union | validity.inner(),
        });
    }
    union.map(NullBuffer::new)
}

/// Rows whose parent is there and whose required members are all NULL.
fn rows_missing(required: &Quarantined, mapped: &RecordBatch) -> Result<Option<BooleanBuffer>> {
    let rows = mapped.num_rows();
    let mut missing = BooleanBuffer::new_set(rows);
    for path in &required.any_of {
        let Some(absent) = absent_at(path, mapped)? else {
            return Ok(None);
        };
        missing = &missing & &absent;
    }
    Ok((missing.count_set_bits() > 0).then_some(missing))
}

/// Where the field at `path` is NULL in a parent that is not; `None` if nowhere.
fn absent_at(path: &[usize], mapped: &RecordBatch) -> Result<Option<BooleanBuffer>> {
    let Some((first, rest)) = path.split_first() else {
        return Ok(None);
    };
    let mut array = mapped.column(*first).clone();
    let mut parent: Option<NullBuffer> = None;
    for index in rest {
        let inner = as_struct_array(&array)?;
        parent = NullBuffer::union(parent.as_ref(), inner.nulls());
        let next = inner.column(*index).clone();
        array = next;
    }
    let Some(nulls) = array.logical_nulls().filter(|nulls| nulls.null_count() > 0) else {
        return Ok(None);
    };
    let absent = !nulls.inner();
    let absent = match &parent {
        Some(parent) => &absent & parent.inner(),
        None => absent,
    };
    Ok((absent.count_set_bits() > 0).then_some(absent))
}
