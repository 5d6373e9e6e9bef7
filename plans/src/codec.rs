//! Serialises our plan nodes: a magic prefix, a tag, then the node's own message.
//! The wrapped codec (Ballista's, in a cluster) handles all other nodes.

use std::sync::Arc;

use datafusion::common::{DataFusionError, Result, plan_err};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::ScalarUDF;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::from_proto::parse_protobuf_file_scan_config;
use datafusion_proto::physical_plan::to_proto::serialize_file_scan_config;
use datafusion_proto::physical_plan::{
    PhysicalExtensionCodec, PhysicalPlanDecodeContext, PhysicalProtoConverterExtension,
};
use datafusion_proto::protobuf;
use prost::Message;

use crate::scan::node;
use crate::sink;
use crate::sink::SinkExec;

/// Prefix of our messages. No protobuf message of the wrapped codec starts with it.
const MAGIC: &[u8] = b"\xfflakebolt";
const SCAN: u8 = 1;
const SINK: u8 = 2;

/// Encodes our nodes and passes all others to `inner`.
#[derive(Debug)]
pub struct Codec {
    inner: Arc<dyn PhysicalExtensionCodec>,
}

impl Codec {
    /// Wraps the codec that handles all nodes except ours.
    pub fn new(inner: Arc<dyn PhysicalExtensionCodec>) -> Self {
        Self { inner }
    }

    fn decode_ours(
        &self,
        tag: u8,
        body: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        context: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match (tag, inputs) {
            (SCAN, []) => {
                let wire = ScanWire::decode(body)
                    .map_err(|error| DataFusionError::External(error.into()))?;
                let source = Arc::new(node::decode_spec(&wire.spec)?);
                let Some(config) = &wire.config else {
                    return plan_err!("the scan has no configuration");
                };
                let context = PhysicalPlanDecodeContext::new(context, self);
                let config = parse_protobuf_file_scan_config(config, &context, converter, source)?;
                Ok(DataSourceExec::from_data_source(config))
            }
            (SINK, [input]) => Ok(Arc::new(sink::decode(body, input.clone(), context, self)?)),
            _ => plan_err!("no lakebolt node has tag {tag} and {} inputs", inputs.len()),
        }
    }
}

/// A serialised scan.
#[derive(Clone, PartialEq, Message)]
struct ScanWire {
    #[prost(bytes = "vec", tag = "1")]
    spec: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    config: Option<protobuf::FileScanExecConf>,
}

impl PhysicalExtensionCodec for Codec {
    fn try_decode(
        &self,
        buf: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        context: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match buf.strip_prefix(MAGIC) {
            Some([tag, body @ ..]) => self.decode_ours(*tag, body, inputs, context, converter),
            _ => self.inner.try_decode(buf, inputs, context, converter),
        }
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        buf: &mut Vec<u8>,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        let (tag, body) = if let Some((config, source)) = node::split_scan(&node) {
            let config = Some(serialize_file_scan_config(config, self, converter)?);
            (
                SCAN,
                ScanWire {
                    spec: node::encode_spec(source)?,
                    config,
                }
                .encode_to_vec(),
            )
        } else if let Some(sink) = node.downcast_ref::<SinkExec>() {
            (SINK, sink::encode(sink, self)?)
        } else {
            return self.inner.try_encode(node, buf, converter);
        };
        buf.extend_from_slice(MAGIC);
        buf.push(tag);
        buf.extend_from_slice(&body);
        Ok(())
    }

    fn try_decode_udf(&self, name: &str, buf: &[u8]) -> Result<Arc<ScalarUDF>> {
        self.inner.try_decode_udf(name, buf)
    }

    fn try_encode_udf(&self, node: &ScalarUDF, buf: &mut Vec<u8>) -> Result<()> {
        self.inner.try_encode_udf(node, buf)
    }
}
