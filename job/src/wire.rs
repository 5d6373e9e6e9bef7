//! The only module that chooses adapters: status store, engine, clock.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use datafusion::physical_plan::ExecutionPlan;
use scheduler::drive::activity::Activity;
use scheduler::drive::context::Planner;
use scheduler::drive::context::{Driver, Timing};
use scheduler::load::notification::Observer;
use scheduler::status;
use scheduler::status::memory::Memory;
use scheduler::status::{StatusError, StatusStore};
use scheduler::submit::ballista::Embedded;
use scheduler::submit::local::Local;
use scheduler::submit::{Submit, SubmitError};
use tokio::sync::watch;

use crate::exit_code::ExitCode;
use crate::failure::{Failure, with_causes};
use crate::settings::EngineName;

/// Runs `future` on a new runtime.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| {
        Failure::unavailable(
            format!("cannot start threads: {error}"),
            "check the process limits of this user",
        )
    })?;
    let result = runtime.block_on(future);
    // Work that never ends must not keep the process running.
    runtime.shutdown_background();
    result
}

/// Opens the status store. `must_exist` keeps a mistyped path from creating a new one.
/// Missing tables are reported at their first use.
pub(crate) fn open_status(uri: &str, must_exist: bool) -> Result<Arc<dyn StatusStore>, Failure> {
    if must_exist && state_file(uri).is_some_and(|file| !file.exists()) {
        let message = format!("there is no status store at {uri}");
        return Err(Failure::usage(
            message,
            "give the --output or --state of an earlier load",
        ));
    }
    status::open(uri).map_err(|error| status_failure(&error))
}

/// The status store for commands that write nothing. A missing file counts as empty.
pub(crate) fn peek_status(uri: &str) -> Result<Arc<dyn StatusStore>, Failure> {
    match state_file(uri).is_some_and(|file| !file.exists()) {
        true => Ok(Arc::new(Memory::default())),
        false => open_status(uri, true),
    }
}

/// The file of a status store, if it is stored in a file.
fn state_file(uri: &str) -> Option<&Path> {
    uri.strip_prefix("sqlite:").map(Path::new)
}

/// The failure of a command whose status store failed.
pub(crate) fn status_failure(error: &StatusError) -> Failure {
    scheduler::load::failure::Failure::from(error).into()
}

/// Starts the engine. It runs `cores` tasks at once and spills to `scratch`.
pub(crate) async fn start_engine(
    name: Option<EngineName>,
    cores: usize,
    scratch: &Path,
) -> Result<Arc<dyn Submit>, Failure> {
    let started: Result<Arc<dyn Submit>, SubmitError> = match name {
        None | Some(EngineName::Ballista) => Embedded::start(cores, scratch)
            .await
            .map(|engine| Arc::new(engine) as _),
        Some(EngineName::Datafusion) => {
            Local::start(cores, scratch).map(|engine| Arc::new(engine) as _)
        }
    };
    started.map_err(|error| {
        let message = format!("cannot start the engine: {}", with_causes(&error));
        Failure::new(
            ExitCode::Unavailable,
            message,
            "check that the work area is writable",
        )
    })
}

/// The driver that runs loads in this process.
pub(crate) fn driver(
    status: Arc<dyn StatusStore>,
    submit: Arc<dyn Submit>,
    observer: Arc<dyn Observer>,
    cancel: watch::Receiver<bool>,
) -> Driver {
    let planner: Arc<Planner> = Arc::new(|program, format, task| {
        plans::pipeline::attempt_plan(program, format, task.clone()).map_err(Into::into)
    });
    Driver {
        status,
        submit,
        planner,
        clock: now,
        observer,
        cancel,
        timing: Timing::default(),
        activity: Activity::default(),
        input_check: None,
    }
}

/// The engine of commands that execute no plan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoEngine;

#[async_trait]
impl Submit for NoEngine {
    async fn run(&self, _: &str, _: Arc<dyn ExecutionPlan>) -> Result<(), SubmitError> {
        Err(SubmitError::Cancelled)
    }

    async fn close(&self) {}
}

/// The clock of this process.
#[expect(
    clippy::disallowed_methods,
    reason = "the only clock; everything else gets its result"
)]
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}
