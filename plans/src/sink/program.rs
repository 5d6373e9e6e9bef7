//! A program whose expressions are physical: what the sink evaluates.

use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch, TimestampMillisecondArray};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::cast::{as_boolean_array, as_timestamp_millisecond_array};
use datafusion::common::{DFSchema, Result};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::prelude::SessionContext;

use super::event::{self, Failures, evaluate};
use crate::mapping::{Around, Placed, Program, Route};
use crate::session;

/// A program that the sink can evaluate.
pub type PhysicalProgram = Program<Arc<dyn PhysicalExpr>>;

/// A route that the sink can evaluate.
pub type PhysicalRoute = Route<Arc<dyn PhysicalExpr>>;

impl PhysicalProgram {
    /// Plans every expression of `program` over the scan's `schema`.
    pub fn plan(program: &Program, schema: &SchemaRef, session: &SessionContext) -> Result<Self> {
        let state = session.state();
        program.clone().try_map(|expr, around| {
            let schema = schema_in(schema, around)?;
            let schema = DFSchema::try_from(schema.as_ref().clone())?;
            session::plan_expr(&state, &expr, &schema)
        })
    }
}

/// The schema of expressions that these `each` tables are around.
pub(super) fn schema_in(scan: &SchemaRef, around: &Around<'_>) -> Result<SchemaRef> {
    let mut schema: Arc<Schema> = Arc::clone(scan);
    for outer in around {
        schema = Arc::new(event::inner_schema(outer, &schema)?);
    }
    Ok(schema)
}

impl PhysicalRoute {
    /// The rows that `when` takes; NULL is false.
    pub(super) fn takes(
        &self,
        batch: &RecordBatch,
        failures: &mut Failures,
    ) -> Result<Option<BooleanArray>> {
        let when = self.when.as_ref();
        when.map(|when| condition(when, batch, failures))
            .transpose()
    }

    /// The events' times.
    pub(super) fn times(
        &self,
        batch: &RecordBatch,
        failures: &mut Failures,
    ) -> Result<TimestampMillisecondArray> {
        let times = evaluate(&self.time, batch, failures)?;
        Ok(as_timestamp_millisecond_array(&times)?.clone())
    }
}

/// The truth of a condition in each row.
pub(super) fn condition(
    when: &Placed<Arc<dyn PhysicalExpr>>,
    batch: &RecordBatch,
    failures: &mut Failures,
) -> Result<BooleanArray> {
    let mask = evaluate(when, batch, failures)?;
    Ok(as_boolean_array(&mask)?.clone())
}
