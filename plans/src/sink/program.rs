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
use datafusion::execution::SessionState;
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::prelude::SessionContext;

use crate::mapping::{Class, Layout, Program, Quarantined, Route};
use crate::session;

/// `mapping::Program` with physical expressions.
#[derive(Clone, Debug)]
pub struct PhysicalProgram {
    pub filters: Vec<(Arc<dyn PhysicalExpr>, String)>,
    pub routes: Vec<PhysicalRoute>,
}

/// `mapping::Route` with physical expressions.
#[derive(Clone, Debug)]
pub struct PhysicalRoute {
    pub event: String,
    pub class: Class,
    pub when: Option<Arc<dyn PhysicalExpr>>,
    pub also: bool,
    pub time: Arc<dyn PhysicalExpr>,
    pub account: Option<Arc<dyn PhysicalExpr>>,
    pub region: Option<Arc<dyn PhysicalExpr>>,
    pub schema: SchemaRef,
    pub layout: Vec<PhysicalLayout>,
    pub required: Vec<Quarantined>,
}

/// `mapping::Layout` with physical expressions.
#[derive(Clone, Debug)]
pub enum PhysicalLayout {
    Leaf(Arc<dyn PhysicalExpr>),
    Struct(Vec<PhysicalLayout>),
}

impl PhysicalProgram {
    /// Plans every expression of `program` over the scan's `schema`.
    pub fn plan(program: &Program, schema: &SchemaRef, session: &SessionContext) -> Result<Self> {
        let schema = DFSchema::try_from(schema.as_ref().clone())?;
        let planner = Planner {
            schema: &schema,
            session: session.state(),
        };
        let filters = program
            .filters
            .iter()
            .map(|(when, reason)| Ok((planner.expr(when)?, reason.clone())));
        Ok(Self {
            filters: filters.collect::<Result<_>>()?,
            routes: program
                .routes
                .iter()
                .map(|route| planner.route(route))
                .collect::<Result<_>>()?,
        })
    }
}

struct Planner<'a> {
    schema: &'a DFSchema,
    session: SessionState,
}

impl Planner<'_> {
    fn expr(&self, expr: &Expr) -> Result<Arc<dyn PhysicalExpr>> {
        session::plan_expr(&self.session, expr, self.schema)
    }

    fn optional(&self, expr: Option<&Expr>) -> Result<Option<Arc<dyn PhysicalExpr>>> {
        expr.map(|expr| self.expr(expr)).transpose()
    }

    fn route(&self, route: &Route) -> Result<PhysicalRoute> {
        Ok(PhysicalRoute {
            event: route.event.clone(),
            class: route.class.clone(),
            when: self.optional(route.when.as_ref())?,
            also: route.also,
            time: self.expr(&route.time)?,
            account: self.optional(route.account.as_ref())?,
            region: self.optional(route.region.as_ref())?,
            schema: route.schema.clone(),
            layout: route
                .layout
                .iter()
                .map(|layout| self.layout(layout))
                .collect::<Result<_>>()?,
            required: route.required.clone(),
        })
    }

    fn layout(&self, layout: &Layout) -> Result<PhysicalLayout> {
        Ok(match layout {
            Layout::Leaf(expr) => PhysicalLayout::Leaf(self.expr(expr)?),
            Layout::Struct(members) => {
                let members = members.iter().map(|member| self.layout(member));
                PhysicalLayout::Struct(members.collect::<Result<_>>()?)
            }
        })
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
        (PhysicalLayout::Leaf(expr), expected) => {
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
        (PhysicalLayout::Struct(members), DataType::Struct(fields)) => {
            let arrays = build_all(members, fields, batch)?;
            let nulls = union_of_validity(&arrays);
            Ok(Arc::new(StructArray::try_new(
                fields.clone(),
                arrays,
                nulls,
            )?))
        }
        (PhysicalLayout::Struct(_), other) => {
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
