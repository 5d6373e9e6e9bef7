//! The scan: one partition for each shard, over an ordinary `FileScanConfig`,
//! because Ballista slices that per task and no leaf of our own.
//!
//! A shard must be neither split nor moved, so the source refuses repartitioning
//! and the session switches work stealing off.

use std::collections::BTreeMap;
use std::fmt::{Debug, Formatter};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use chrono::DateTime;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, plan_err};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{
    FileGroup, FileOpenFuture, FileOpener, FileScanConfig, FileScanConfigBuilder, FileSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{DisplayFormatType, ExecutionPlan};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};
use serde::{Deserialize, Serialize};

use super::reader::ShardReader;
use super::split::ShardRef;
use crate::decode::schema_of;
use crate::mapping::Program;
use crate::spec;
use crate::spec::Column;

/// What a scan reads from each shard, and how. Travels with the plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScanSpec {
    pub format: String,
    pub options: BTreeMap<String, String>,
    /// Every column of the log, since files without names are read by position.
    pub columns: Vec<Column>,
    /// The indices of those that are parsed.
    pub wanted: Vec<usize>,
}

impl ScanSpec {
    pub fn new(format: &spec::Format, program: &Program) -> Self {
        Self {
            format: format.name.clone(),
            options: format.options.clone(),
            columns: program.columns.clone(),
            wanted: program.wanted.clone(),
        }
    }

    /// The schema of the scan's batches: the columns wanted, then the system columns.
    pub fn schema(&self) -> SchemaRef {
        schema_of(self.wanted.iter().map(|index| &self.columns[*index]))
    }
}

/// A `FileSource` whose files are shard lists.
#[derive(Clone)]
pub struct ShardSource {
    pub spec: Arc<ScanSpec>,
    table: TableSchema,
    metrics: ExecutionPlanMetricsSet,
}

impl ShardSource {
    pub fn new(spec: ScanSpec) -> Self {
        let table = TableSchema::from(spec.schema());
        Self {
            spec: Arc::new(spec),
            table,
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }
}

/// A scan of `shards`, whose lists stand in the store at `work`: one partition each.
pub fn scan(
    spec: ScanSpec,
    work: ObjectStoreUrl,
    shards: &[ShardRef],
) -> Result<Arc<dyn ExecutionPlan>> {
    let groups: Result<Vec<_>> = shards.iter().map(group).collect();
    let config = FileScanConfigBuilder::new(work, Arc::new(ShardSource::new(spec)))
        .with_file_groups(groups?)
        .build();
    Ok(DataSourceExec::from_data_source(config))
}

/// A shard's list as a group of its own. Its path is taken as it is, not encoded again.
fn group(shard: &ShardRef) -> Result<FileGroup> {
    let location =
        Path::parse(&shard.path).map_err(|error| DataFusionError::External(error.into()))?;
    let list = ObjectMeta {
        location,
        last_modified: DateTime::UNIX_EPOCH,
        size: shard.size,
        e_tag: None,
        version: None,
    };
    Ok(FileGroup::new(vec![PartitionedFile::from(list)]))
}

/// The configuration of a scan of ours, if `plan` is one.
pub fn shard_scan(plan: &Arc<dyn ExecutionPlan>) -> Option<(&FileScanConfig, &ShardSource)> {
    let exec = plan.downcast_ref::<DataSourceExec>()?;
    let config =
        (exec.data_source().as_ref() as &dyn std::any::Any).downcast_ref::<FileScanConfig>()?;
    let source = config
        .file_source()
        .as_ref()
        .downcast_ref::<ShardSource>()?;
    Some((config, source))
}

/// The path of the shard list that partition `partition` of `plan` reads.
///
/// Ballista re-indexes the partitions of a task, so the index alone names no shard.
pub fn shard_path(plan: &Arc<dyn ExecutionPlan>, partition: usize) -> Result<String> {
    if let Some((config, _)) = shard_scan(plan) {
        return match config.file_groups.get(partition).map(FileGroup::files) {
            Some([shard]) => Ok(shard.object_meta.location.to_string()),
            Some(files) => plan_err!("partition {partition} has {} shards, not one", files.len()),
            None => plan_err!("partition {partition} has no shard"),
        };
    }
    match plan.children().as_slice() {
        [child] => shard_path(child, partition),
        _ => plan_err!("no shard scan below {}", plan.name()),
    }
}

impl FileSource for ShardSource {
    fn create_file_opener(
        &self,
        object_store: Arc<dyn ObjectStore>,
        _base_config: &FileScanConfig,
        _partition: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        Ok(Arc::new(ShardOpener {
            spec: self.spec.clone(),
            work: object_store,
        }))
    }

    fn table_schema(&self) -> &TableSchema {
        &self.table
    }

    fn with_batch_size(&self, _batch_size: usize) -> Arc<dyn FileSource> {
        Arc::new(self.clone())
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        &self.metrics
    }

    fn file_type(&self) -> &str {
        "shard"
    }

    fn fmt_extra(&self, _t: DisplayFormatType, f: &mut Formatter) -> std::fmt::Result {
        write!(f, ", format={}", self.spec.format)
    }

    fn supports_repartitioning(&self) -> bool {
        false
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }
}

struct ShardOpener {
    spec: Arc<ScanSpec>,
    work: Arc<dyn ObjectStore>,
}

impl FileOpener for ShardOpener {
    fn open(&self, file: PartitionedFile) -> Result<FileOpenFuture> {
        let (spec, work) = (self.spec.clone(), self.work.clone());
        Ok(Box::pin(async move {
            let shard =
                crate::scan::reader::load_shard(work.as_ref(), &file.object_meta.location).await?;
            let reader = ShardReader::new(&spec, shard)?;
            Ok(reader.into_stream())
        }))
    }
}

/// Encodes the part of a scan that `FileScanConfig`'s own wire form leaves out.
pub fn encode_spec(source: &ShardSource) -> Result<Vec<u8>> {
    serde_json::to_vec(source.spec.as_ref())
        .map_err(|error| DataFusionError::External(error.into()))
}

/// The source that `encode_spec` wrote.
pub fn decode_spec(bytes: &[u8]) -> Result<ShardSource> {
    let spec =
        serde_json::from_slice(bytes).map_err(|error| DataFusionError::External(error.into()))?;
    Ok(ShardSource::new(spec))
}
