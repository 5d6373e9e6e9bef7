//! The sink as a plan node, and its wire form.

use std::fmt::{Debug, Formatter};
use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, plan_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning,
    PlanProperties,
};
use datafusion_proto::physical_plan::PhysicalExtensionCodec;
use datafusion_proto::physical_plan::from_proto::parse_physical_expr;
use datafusion_proto::physical_plan::to_proto::serialize_physical_expr;
use datafusion_proto::protobuf;
use futures::stream;
use prost::Message;
use serde::{Deserialize, Serialize};

use super::program::{PhysicalLayout, PhysicalProgram, PhysicalRoute};
use super::run;
use super::run::SinkContext;
use crate::attempt::AttemptSpec;
use crate::mapping::{Class, Quarantined};
use crate::receipt::Receipt;
use crate::scan::node::split_path;

/// Writes the rows of its input, a split for each partition.
pub struct SinkExec {
    input: Arc<dyn ExecutionPlan>,
    program: Arc<PhysicalProgram>,
    spec: Arc<AttemptSpec>,
    properties: Arc<PlanProperties>,
}

impl SinkExec {
    pub fn new(
        input: Arc<dyn ExecutionPlan>,
        program: Arc<PhysicalProgram>,
        spec: Arc<AttemptSpec>,
    ) -> Self {
        let partitions = input.output_partitioning().partition_count();
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema()),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self {
            input,
            program,
            spec,
            properties: Arc::new(properties),
        }
    }
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("split", DataType::Utf8, false),
        Field::new("written", DataType::UInt64, false),
    ]))
}

impl Debug for SinkExec {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SinkExec")
            .field("spec", &self.spec)
            .finish_non_exhaustive()
    }
}

impl DisplayAs for SinkExec {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut Formatter<'_>) -> std::fmt::Result {
        let events: Vec<String> = self
            .program
            .routes
            .iter()
            .map(|route| format!("{}→{}", route.event, route.class.name))
            .collect();
        write!(
            f,
            "SinkExec: source={}, period={}, events=[{}]",
            self.spec.source,
            self.spec.period,
            events.join(", ")
        )
    }
}

impl ExecutionPlan for SinkExec {
    fn name(&self) -> &str {
        "SinkExec"
    }

    fn schema(&self) -> SchemaRef {
        schema()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for expr in expressions(&self.program) {
            if f(expr)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    /// A split is the unit of a receipt: its rows stay together.
    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (Some(input), true) = (children.pop(), children.is_empty()) else {
            return plan_err!("SinkExec has one input");
        };
        Ok(Arc::new(Self::new(
            input,
            self.program.clone(),
            self.spec.clone(),
        )))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context.clone())?;
        let sink_context = SinkContext {
            program: self.program.clone(),
            spec: self.spec.clone(),
            split: split_path(&self.input, partition)?,
            context,
            partition,
        };
        let done = stream::once(async move { summary(&run::run(sink_context, input).await?) });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema(), done)))
    }
}

fn summary(receipt: &Receipt) -> Result<RecordBatch> {
    let split = StringArray::from(vec![receipt.split.clone()]);
    let written = UInt64Array::from(vec![receipt.ledger.written]);
    Ok(RecordBatch::try_new(
        schema(),
        vec![Arc::new(split), Arc::new(written)],
    )?)
}

fn expressions(program: &PhysicalProgram) -> Vec<&Arc<dyn PhysicalExpr>> {
    let mut all: Vec<_> = program.filters.iter().map(|(when, _)| when).collect();
    for route in &program.routes {
        all.extend(
            route
                .when
                .iter()
                .chain([&route.time])
                .chain(&route.account)
                .chain(&route.region),
        );
        route
            .layout
            .iter()
            .for_each(|layout| leaves(layout, &mut all));
    }
    all
}

fn leaves<'a>(layout: &'a PhysicalLayout, all: &mut Vec<&'a Arc<dyn PhysicalExpr>>) {
    match layout {
        PhysicalLayout::Leaf(expr) => all.push(expr),
        PhysicalLayout::Struct(members) => members.iter().for_each(|member| leaves(member, all)),
    }
}

/// The node on the wire: its shape as JSON, its expressions and schemas as DataFusion's messages.
#[derive(Clone, PartialEq, Message)]
struct Wire {
    #[prost(string, tag = "1")]
    shape: String,
    #[prost(message, repeated, tag = "2")]
    exprs: Vec<protobuf::PhysicalExprNode>,
    #[prost(message, repeated, tag = "3")]
    schemas: Vec<protobuf::Schema>,
}

#[derive(Serialize, Deserialize)]
struct Shape {
    spec: AttemptSpec,
    filters: Vec<(usize, String)>,
    routes: Vec<RouteShape>,
}

/// A route whose expressions are indices into the message's.
#[derive(Serialize, Deserialize)]
struct RouteShape {
    event: String,
    class: (u32, String, String),
    when: Option<usize>,
    also: bool,
    time: usize,
    account: Option<usize>,
    region: Option<usize>,
    layout: Vec<LayoutShape>,
    required: Vec<(Vec<Vec<usize>>, String, String)>,
}

#[derive(Serialize, Deserialize)]
enum LayoutShape {
    #[serde(rename = "l")]
    Leaf(usize),
    #[serde(rename = "s")]
    Struct(Vec<LayoutShape>),
}

/// Encodes the node without its input.
pub(crate) fn encode(node: &SinkExec, codec: &dyn PhysicalExtensionCodec) -> Result<Vec<u8>> {
    let mut encoder = Encoder {
        codec,
        exprs: Vec::new(),
    };
    let filters = node
        .program
        .filters
        .iter()
        .map(|(when, reason)| Ok((encoder.expr(when)?, reason.clone())));
    let filters = filters.collect::<Result<_>>()?;
    let routes = node
        .program
        .routes
        .iter()
        .map(|route| encoder.route(route))
        .collect::<Result<_>>()?;
    let schemas = node
        .program
        .routes
        .iter()
        .map(|route| Ok(route.schema.as_ref().try_into()?));
    let shape = Shape {
        spec: node.spec.as_ref().clone(),
        filters,
        routes,
    };
    let shape =
        serde_json::to_string(&shape).map_err(|error| DataFusionError::External(error.into()))?;
    Ok(Wire {
        shape,
        schemas: schemas.collect::<Result<_>>()?,
        exprs: encoder.exprs,
    }
    .encode_to_vec())
}

struct Encoder<'a> {
    codec: &'a dyn PhysicalExtensionCodec,
    exprs: Vec<protobuf::PhysicalExprNode>,
}

impl Encoder<'_> {
    fn expr(&mut self, expr: &Arc<dyn PhysicalExpr>) -> Result<usize> {
        self.exprs.push(serialize_physical_expr(expr, self.codec)?);
        Ok(self.exprs.len() - 1)
    }

    fn optional(&mut self, expr: Option<&Arc<dyn PhysicalExpr>>) -> Result<Option<usize>> {
        expr.map(|expr| self.expr(expr)).transpose()
    }

    fn route(&mut self, route: &PhysicalRoute) -> Result<RouteShape> {
        let Class {
            uid, name, output, ..
        } = route.class.clone();
        let required = route.required.iter();
        Ok(RouteShape {
            event: route.event.clone(),
            class: (uid, name, output),
            when: self.optional(route.when.as_ref())?,
            also: route.also,
            time: self.expr(&route.time)?,
            account: self.optional(route.account.as_ref())?,
            region: self.optional(route.region.as_ref())?,
            layout: route
                .layout
                .iter()
                .map(|layout| self.layout(layout))
                .collect::<Result<_>>()?,
            required: required
                .map(|r| (r.any_of.clone(), r.reason.to_string(), r.detail.clone()))
                .collect(),
        })
    }

    fn layout(&mut self, layout: &PhysicalLayout) -> Result<LayoutShape> {
        Ok(match layout {
            PhysicalLayout::Leaf(expr) => LayoutShape::Leaf(self.expr(expr)?),
            PhysicalLayout::Struct(members) => LayoutShape::Struct(
                members
                    .iter()
                    .map(|member| self.layout(member))
                    .collect::<Result<_>>()?,
            ),
        })
    }
}

/// The node that `encode` wrote, over `input`.
pub(crate) fn decode(
    bytes: &[u8],
    input: Arc<dyn ExecutionPlan>,
    context: &TaskContext,
    codec: &dyn PhysicalExtensionCodec,
) -> Result<SinkExec> {
    let wire = Wire::decode(bytes).map_err(|error| DataFusionError::External(error.into()))?;
    let shape: Shape = serde_json::from_str(&wire.shape)
        .map_err(|error| DataFusionError::External(error.into()))?;
    let scan = input.schema();
    let exprs = wire
        .exprs
        .iter()
        .map(|expr| parse_physical_expr(expr, context, &scan, codec));
    let decoder = Decoder {
        exprs: exprs.collect::<Result<_>>()?,
    };
    let mut routes = Vec::new();
    for (route, schema) in shape.routes.into_iter().zip(&wire.schemas) {
        routes.push(decoder.route(route, Arc::new(schema.try_into()?))?);
    }
    let filters = shape
        .filters
        .into_iter()
        .map(|(when, reason)| Ok((decoder.expr(when)?, reason)));
    let program = PhysicalProgram {
        filters: filters.collect::<Result<_>>()?,
        routes,
    };
    Ok(SinkExec::new(
        input,
        Arc::new(program),
        Arc::new(shape.spec),
    ))
}

struct Decoder {
    exprs: Vec<Arc<dyn PhysicalExpr>>,
}

impl Decoder {
    fn expr(&self, index: usize) -> Result<Arc<dyn PhysicalExpr>> {
        self.exprs
            .get(index)
            .cloned()
            .map_or_else(|| plan_err!("the plan lacks expression {index}"), Ok)
    }

    fn optional(&self, index: Option<usize>) -> Result<Option<Arc<dyn PhysicalExpr>>> {
        index.map(|index| self.expr(index)).transpose()
    }

    fn route(&self, route: RouteShape, schema: SchemaRef) -> Result<PhysicalRoute> {
        let (uid, name, output) = route.class;
        let required = route.required.into_iter();
        Ok(PhysicalRoute {
            event: route.event,
            class: Class {
                uid,
                name,
                output,
                target: None,
                role: None,
            },
            when: self.optional(route.when)?,
            also: route.also,
            time: self.expr(route.time)?,
            account: self.optional(route.account)?,
            region: self.optional(route.region)?,
            schema,
            layout: route
                .layout
                .into_iter()
                .map(|layout| self.layout(layout))
                .collect::<Result<_>>()?,
            required: required
                .map(|(any_of, reason, detail)| Quarantined {
                    any_of,
                    reason: reason.into(),
                    detail,
                })
                .collect(),
        })
    }

    fn layout(&self, layout: LayoutShape) -> Result<PhysicalLayout> {
        Ok(match layout {
            LayoutShape::Leaf(index) => PhysicalLayout::Leaf(self.expr(index)?),
            LayoutShape::Struct(members) => PhysicalLayout::Struct(
                members
                    .into_iter()
                    .map(|member| self.layout(member))
                    .collect::<Result<_>>()?,
            ),
        })
    }
}
