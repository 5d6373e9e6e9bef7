//! The scan node. It is a `FileScanConfig` with one partition for each split, because Ballista
//! slices a `FileScanConfig` for each task, but no custom leaf node.
//!
//! A split must not be divided or moved, so the source rejects repartitioning and the
//! session disables work stealing.

use std::fmt::Formatter;
use std::sync::Arc;

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

use super::reader::SplitReader;
use super::spec::ScanSpec;
use super::split::SplitRef;

/// A `FileSource` whose files are split lists.
#[derive(Clone)]
pub struct SplitSource {
    /// Format and columns.
    pub spec: Arc<ScanSpec>,
    table: TableSchema,
    metrics: ExecutionPlanMetricsSet,
}

impl SplitSource {
    /// Creates a source that reads splits of one format.
    pub fn new(spec: ScanSpec) -> Self {
        let table = TableSchema::from(spec.schema());
        Self {
            spec: Arc::new(spec),
            table,
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }
}

/// Returns a scan with one partition for each of `splits`. Their lists are in the store `work`.
pub fn scan(
    spec: ScanSpec,
    work: ObjectStoreUrl,
    splits: &[SplitRef],
) -> Result<Arc<dyn ExecutionPlan>> {
    let groups: Result<Vec<_>> = splits.iter().map(group).collect();
    let config = FileScanConfigBuilder::new(work, Arc::new(SplitSource::new(spec)))
        .with_file_groups(groups?)
        .build();
    Ok(DataSourceExec::from_data_source(config))
}

/// Returns a group with the list of one split. Its path is already encoded.
fn group(split: &SplitRef) -> Result<FileGroup> {
    let location =
        Path::parse(&split.path).map_err(|error| DataFusionError::External(error.into()))?;
    let list = ObjectMeta {
        location,
        last_modified: DateTime::UNIX_EPOCH,
        size: split.size,
        e_tag: None,
        version: None,
    };
    Ok(FileGroup::new(vec![PartitionedFile::from(list)]))
}

/// Returns the configuration of `plan`, if it is a scan of splits.
pub fn split_scan(plan: &Arc<dyn ExecutionPlan>) -> Option<(&FileScanConfig, &SplitSource)> {
    let exec = plan.downcast_ref::<DataSourceExec>()?;
    let config =
        (exec.data_source().as_ref() as &dyn std::any::Any).downcast_ref::<FileScanConfig>()?;
    let source = config
        .file_source()
        .as_ref()
        .downcast_ref::<SplitSource>()?;
    Some((config, source))
}

/// Returns the path of the split list that a partition of `plan` reads.
///
/// Ballista renumbers the partitions of a task, so the index does not identify a split.
pub fn split_path(plan: &Arc<dyn ExecutionPlan>, partition: usize) -> Result<String> {
    if let Some((config, _)) = split_scan(plan) {
        return match config.file_groups.get(partition).map(FileGroup::files) {
            Some([split]) => Ok(split.object_meta.location.to_string()),
            Some(files) => plan_err!("partition {partition} has {} splits, not one", files.len()),
            None => plan_err!("partition {partition} has no split"),
        };
    }
    match plan.children().as_slice() {
        [child] => split_path(child, partition),
        _ => plan_err!("no split scan below {}", plan.name()),
    }
}

impl FileSource for SplitSource {
    fn create_file_opener(
        &self,
        object_store: Arc<dyn ObjectStore>,
        _base_config: &FileScanConfig,
        _partition: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        Ok(Arc::new(SplitOpener {
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
        "split"
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

struct SplitOpener {
    spec: Arc<ScanSpec>,
    work: Arc<dyn ObjectStore>,
}

impl FileOpener for SplitOpener {
    fn open(&self, file: PartitionedFile) -> Result<FileOpenFuture> {
        let (spec, work) = (self.spec.clone(), self.work.clone());
        Ok(Box::pin(async move {
            let split =
                crate::scan::reader::load_split(work.as_ref(), &file.object_meta.location).await?;
            let reader = SplitReader::new(&spec, split)?;
            Ok(reader.into_stream())
        }))
    }
}

/// Encodes the part of a scan that the serialised `FileScanConfig` does not contain.
pub fn encode_spec(source: &SplitSource) -> Result<Vec<u8>> {
    serde_json::to_vec(source.spec.as_ref())
        .map_err(|error| DataFusionError::External(error.into()))
}

/// Decodes the output of `encode_spec`.
pub fn decode_spec(bytes: &[u8]) -> Result<SplitSource> {
    let spec =
        serde_json::from_slice(bytes).map_err(|error| DataFusionError::External(error.into()))?;
    Ok(SplitSource::new(spec))
}
