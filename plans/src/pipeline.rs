//! The whole of a task as one physical plan: read splits → enrich → map, split by
//! class and write. Start reading here.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::physical_plan::ExecutionPlan;
use serde::{Deserialize, Serialize};

use crate::mapping::Program;
use crate::scan::node::{ScanSpec, scan};
use crate::scan::split::SplitRef;
use crate::sink::{PhysicalProgram, SinkExec};
use crate::storage::Access;
use crate::{session, spec, storage};

/// What a task writes and which rows are its own, besides the program and the splits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptSpec {
    /// Unique for every attempt of every task of every load; names are made from it.
    pub attempt: String,
    /// First eight hex digits of the attempt's digest, for part names.
    pub digest8: String,
    pub source: String,
    /// `2024-01` or `2024-01-15`, for part names.
    pub period: String,
    /// URI of the work area. Receipts go to `{work}/attempts/{attempt}/receipts/`.
    pub work: String,
    pub splits: Vec<SplitRef>,
    /// Folder URI for each class name (`raw` for the raw shape): the part of the
    /// path before `region=`.
    pub targets: BTreeMap<String, String>,
    /// Folder URI for quarantined rows.
    pub quarantine: String,
    /// In whose name they are written.
    #[serde(default)]
    pub access: Access,
    pub load_id: String,
    /// Days (since 1970-01-01) that the task owns: its period clipped to those asked for.
    pub days: Vec<i32>,
    /// Days an event may be away from the day of its object.
    pub margin: u32,
    /// The day that owns rows of undated objects whose time cannot be read.
    pub undated_day: i32,
    /// Overrides and fallbacks for a row's region and account.
    pub region: Option<String>,
    pub account: Option<String>,
    /// Bytes of parsed rows that a sink partition may hold before it spills.
    pub memory_bytes: u64,
}

/// The plan of a task: a scan of its splits below the sink that writes them.
///
/// The plan is self-contained: executors read no mapping, no request and no status.
pub fn attempt_plan(
    program: &Program,
    format: &spec::Format,
    spec: AttemptSpec,
) -> Result<Arc<dyn ExecutionPlan>> {
    let scan_spec = ScanSpec::new(format, program);
    let schema = scan_spec.schema();
    let physical = PhysicalProgram::plan(program, &schema, &session::planning())?;
    let work =
        storage::open(&spec.work).map_err(|error| DataFusionError::External(error.into()))?;
    let work = ObjectStoreUrl::parse(work.uri)?;
    let scan = scan(scan_spec, work, &spec.splits)?;
    Ok(Arc::new(SinkExec::new(
        scan,
        Arc::new(physical),
        Arc::new(spec),
    )))
}
