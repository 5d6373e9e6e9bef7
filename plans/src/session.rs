//! Builds sessions. Client, scheduler and executor must build theirs here: a plan can
//! only be decoded by a session with the same functions and settings.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use datafusion::common::{DFSchema, DataFusionError, Result};
use datafusion::execution::SessionState;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::prelude::{SessionConfig, SessionContext};
use object_store::ObjectStore;
use url::Url;

use crate::scan::reader::BATCH_ROWS;
use crate::{functions, storage};

/// Maximum bytes of spilled runs on disk.
const SCRATCH_BYTES: u64 = 100 << 30;

/// Returns the settings that our plans rely on.
pub fn config() -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_batch_size(BATCH_ROWS)
        .with_target_partitions(1)
        .with_information_schema(false)
        // A split is the unit of a receipt, so it must not be divided or moved.
        .with_repartition_file_scans(false)
        .with_round_robin_repartition(false);
    let options = config.options_mut();
    options.execution.enable_file_stream_work_stealing = false;
    options.execution.collect_statistics = false;
    // Column names are case-sensitive.
    options.sql_parser.enable_ident_normalization = false;
    config
}

/// Builds a runtime that spills to `scratch`. Tasks share `memory` bytes for rows; `None`
/// sets no limit.
pub fn runtime(scratch: &Path, memory: Option<usize>) -> Result<Arc<RuntimeEnv>> {
    let disk = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::Directories(vec![scratch.to_path_buf()]))
        .with_max_temp_directory_size(SCRATCH_BYTES);
    let mut builder = RuntimeEnvBuilder::new()
        .with_disk_manager_builder(disk)
        .with_object_store_registry(Arc::new(Stores));
    if let Some(bytes) = memory {
        builder = builder.with_memory_pool(Arc::new(FairSpillPool::new(bytes)));
    }
    builder.build_arc()
}

/// Opens stores by URI, without registration.
#[derive(Debug)]
struct Stores;

impl ObjectStoreRegistry for Stores {
    /// Ignores the store: stores are opened by their URIs alone.
    fn register_store(&self, _: &Url, _: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        None
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        let opened = storage::open(url.as_str());
        let opened = opened.map_err(|error| DataFusionError::External(error.into()))?;
        Ok(opened.store)
    }
}

/// Builds a session with all of our functions.
#[expect(
    clippy::disallowed_methods,
    reason = "only this module builds sessions"
)]
pub fn state(config: SessionConfig, runtime: Arc<RuntimeEnv>) -> SessionState {
    let mut state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features()
        .build();
    functions::register(&mut state);
    state
}

/// Plans an expression. It is simplified first, because some functions (such as
/// `coalesce`) can only run in their simplified form.
pub fn plan_expr(
    state: &SessionState,
    expr: &Expr,
    schema: &DFSchema,
) -> Result<Arc<dyn PhysicalExpr>> {
    let context = SimplifyContext::builder()
        .with_schema(Arc::new(schema.clone()))
        .build();
    let simplifier = ExprSimplifier::new(context);
    let expr = simplifier.simplify(simplifier.coerce(expr.clone(), schema)?)?;
    state.create_physical_expr(expr, schema)
}

/// The session that compiles mappings. It executes nothing.
pub(crate) fn compiling() -> &'static SessionState {
    static STATE: LazyLock<SessionState> =
        LazyLock::new(|| state(config(), Arc::new(RuntimeEnv::default())));
    &STATE
}

/// Builds a session for planning. It executes nothing and uses no disk.
pub fn planning() -> SessionContext {
    #[expect(
        clippy::disallowed_methods,
        reason = "only this module builds sessions"
    )]
    SessionContext::new_with_state(state(config(), Arc::new(RuntimeEnv::default())))
}
