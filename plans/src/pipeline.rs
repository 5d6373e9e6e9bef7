//! The physical plan of an attempt: read the splits, map the rows, write a part for each
//! class. Start reading here.

use std::sync::Arc;

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::physical_plan::ExecutionPlan;

use crate::attempt::AttemptSpec;
use crate::mapping::Program;
use crate::scan::node::scan;
use crate::scan::spec::ScanSpec;
use crate::sink::{PhysicalProgram, SinkExec};
use crate::{session, spec, storage};

/// Returns the plan of an attempt: a scan of its splits below the sink that writes them.
///
/// The plan is self-contained: executors read no mapping, no request and no status table.
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
