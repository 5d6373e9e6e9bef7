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

use super::program::{PhysicalProgram, schema_in};
use super::run;
use super::run::SinkContext;
use crate::attempt::AttemptSpec;
use crate::mapping::Program;
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
            .map(|route| format!("{}→{}", route.name, route.class.name))
            .collect();
        write!(
            f,
            "SinkExec: source={}, period={}, events=[{}]",
            self.spec.source,
            self.spec.shown_periods(),
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
        for expr in self.program.exprs() {
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

/// The program's expressions are indices into the message's.
#[derive(Serialize, Deserialize)]
struct Shape {
    spec: AttemptSpec,
    program: Program<usize>,
}

/// Encodes the node without its input.
pub(crate) fn encode(node: &SinkExec, codec: &dyn PhysicalExtensionCodec) -> Result<Vec<u8>> {
    let mut exprs = Vec::new();
    let program = node.program.as_ref().clone().try_map(|expr, _| {
        exprs.push(serialize_physical_expr(&expr, codec)?);
        Ok::<_, DataFusionError>(exprs.len() - 1)
    })?;
    let mut schemas = Vec::with_capacity(program.routes.len());
    for route in &program.routes {
        schemas.push(route.schema.as_ref().try_into()?);
    }
    let shape = Shape {
        spec: node.spec.as_ref().clone(),
        program,
    };
    let shape =
        serde_json::to_string(&shape).map_err(|error| DataFusionError::External(error.into()))?;
    let wire = Wire {
        shape,
        exprs,
        schemas,
    };
    Ok(wire.encode_to_vec())
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
    let mut program = shape.program.try_map(|index: usize, around| {
        let Some(expr) = wire.exprs.get(index) else {
            return plan_err!("the plan lacks expression {index}");
        };
        let schema = schema_in(&scan, around)?;
        parse_physical_expr(expr, context, &schema, codec)
    })?;
    if program.routes.len() != wire.schemas.len() {
        return plan_err!("the plan has no schema for each of its routes");
    }
    for (route, schema) in program.routes.iter_mut().zip(&wire.schemas) {
        route.schema = Arc::new(schema.try_into()?);
    }
    let spec = Arc::new(shape.spec);
    Ok(SinkExec::new(input, Arc::new(program), spec))
}
