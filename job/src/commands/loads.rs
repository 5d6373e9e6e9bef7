//! Shared by run, retry and replay: merges settings, starts a driver, prints the outcome.

use std::sync::Arc;

use scheduler::drive::context::Driver;
use scheduler::load::days::Moment;
use scheduler::load::failure::{Failure as LoadFailure, Kind};
use scheduler::load::outcome::{LoadState, Outcome};
use scheduler::load::terms::LoadRequest;

use crate::cli::LoadArgs;
use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::progress::Reporter;
use crate::request::Places;
use crate::scratch::Scratch;
use crate::settings::{OutputFormat, Settings};
use crate::sources::{Compiled, SourceIndex};
use crate::{output, render, request, request_file, wire};

/// A load that is ready to run.
pub(crate) struct Prepared {
    /// The source as the user named it.
    pub(crate) asked: String,
    pub(crate) request: LoadRequest,
    pub(crate) places: Places,
    pub(crate) settings: Settings,
}

/// Merges the layers of settings and compiles the source. It writes nothing.
pub(crate) fn prepare(args: LoadArgs, context: &Context) -> Result<Prepared, Failure> {
    let file = match &args.request {
        Some(path) => request_file::read(&context.folder().join(path))?,
        None => request_file::RequestFile::default(),
    };
    let source = args.source.or(file.source).ok_or_else(|| {
        Failure::usage(
            "no source is given",
            "add SOURCE, or `source_log_type` to the request file",
        )
    })?;
    let settings = args
        .settings
        .over(file.settings)
        .over(context.defaults.clone());
    of_source(&source, settings, context)
}

/// Prepares a load of `source` with these settings.
pub(crate) fn of_source(
    source: &str,
    settings: Settings,
    context: &Context,
) -> Result<Prepared, Failure> {
    // Check the range before the slower work of compiling the source.
    settings.range()?;
    let compiled = compile(source, &settings, context)?;
    let settings = settings.over(request::hinted(compiled.source.load.as_ref())?);
    let (request, places) = request::resolve(compiled, &settings, context.folder())?;
    Ok(Prepared {
        asked: source.to_owned(),
        request,
        places,
        settings,
    })
}

/// Compiles the source; warnings go to the log.
pub(crate) fn compile(
    source: &str,
    settings: &Settings,
    context: &Context,
) -> Result<Compiled, Failure> {
    let source_index = source_index(settings, context)?;
    let compiled = source_index.compile(source, request::is_raw(settings))?;
    for warning in &compiled.warnings {
        tracing::warn!("{warning}");
    }
    Ok(compiled)
}

/// The index of the shipped sources and the user's own.
pub(crate) fn source_index(settings: &Settings, context: &Context) -> Result<SourceIndex, Failure> {
    Ok(SourceIndex {
        own: context.config(settings.config.as_deref())?,
        ocsf: context.ocsf(settings.ocsf.as_deref()),
    })
}

/// Rejects a command that a scheduler cannot run.
pub(crate) fn refuse_cluster(settings: &Settings, command: &str) -> Result<(), Failure> {
    match settings.cluster.is_some() && settings.state.is_none() {
        true => Err(Failure::usage(
            format!("{command} does not run on a cluster"),
            "give the scheduler's status store with --state",
        )),
        false => Ok(()),
    }
}

/// Starts a driver, runs `drive` with it, prints the outcome and returns the exit code.
pub(crate) fn run_and_print(
    prepared: &Prepared,
    context: &Context,
    drive: impl AsyncFnOnce(&Driver) -> Result<Outcome, Failure>,
) -> Result<ExitCode, Failure> {
    with_driver(prepared, context, async |driver, interrupt| {
        finish(drive(driver).await?, prepared, interrupt)
    })
}

/// Runs `work` with a driver for the prepared load's target and engine.
pub(crate) fn with_driver<T>(
    prepared: &Prepared,
    context: &Context,
    work: impl AsyncFnOnce(&Driver, &Interrupt) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let settings = &prepared.settings;
    wire::block_on(async {
        let interrupt = Interrupt::listen()?;
        let scratch = Scratch::make(&prepared.places.work)?;
        let status = wire::open_status(&prepared.places.state, false)?;
        let cores = request::cores(settings);
        let engine = wire::start_engine(settings.engine, cores, scratch.folder()).await?;
        let quiet = context.verbosity.quiet;
        let kind = settings.progress.unwrap_or_default();
        let reporter = Arc::new(Reporter::new(kind, quiet, context.bars.clone()));
        let driver = wire::driver(status, engine.clone(), reporter, interrupt.cancel.clone());
        let result = work(&driver, &interrupt).await;
        engine.close().await;
        result
    })
}

fn finish(
    mut outcome: Outcome,
    prepared: &Prepared,
    interrupt: &Interrupt,
) -> Result<ExitCode, Failure> {
    let code = interrupt.code(ExitCode::from_number(outcome.exit_code.into()));
    outcome.exit_code = code.number();
    let place = format!("--state {}", prepared.places.state);
    print(&outcome, &place, prepared.settings.output_format())
}

/// Prints the outcome and returns the exit code. `place` is the flag that names the store of
/// the load's record.
pub(crate) fn print(
    outcome: &Outcome,
    place: &str,
    format: OutputFormat,
) -> Result<ExitCode, Failure> {
    match format {
        OutputFormat::Human => output::print(&render::outcome(outcome, place))?,
        OutputFormat::Json => output::print_json(outcome)?,
    }
    Ok(ExitCode::from_number(outcome.exit_code.into()))
}

/// Whether a load's source is the one that was asked for, by name or by an alias.
pub(super) fn same_source(stored: &str, asked: &str) -> bool {
    let shipped = plans::sources::find(asked).map(|shipped| shipped.name);
    stored == asked || shipped.is_ok_and(|name| name == stored)
}

/// The outcome of a load that failed before it started.
pub(crate) fn refused(failure: &Failure) -> Outcome {
    let now = Moment(wire::now());
    let mut outcome = Outcome::started("", "", "", now);
    let kind = match failure.code {
        ExitCode::Usage => Kind::Usage,
        ExitCode::Refused => Kind::Refused,
        ExitCode::Unavailable => Kind::Dependency,
        _ => Kind::Bug,
    };
    let code = failure.name.as_deref().unwrap_or(failure.code.word());
    let message = failure.message.clone();
    outcome.error = Some(LoadFailure::new(kind, code, message, &failure.remedy));
    let mut outcome = outcome.finished(now);
    outcome.state = LoadState::Refused;
    outcome.exit_code = failure.code.number();
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_load_has_every_key_of_an_outcome() {
        let failure = Failure::usage("no target is given", "add --output");
        let json = serde_json::to_value(refused(&failure)).expect("it serialises");
        assert_eq!(json["schema_version"], 1);
        assert_eq!(json["exit_code"], 2);
        assert_eq!(json["state"], "refused");
        assert_eq!(json["error"]["code"], "usage");
        assert_eq!(json["error"]["remedy"], "add --output");
        for key in [
            "load_id",
            "dataset",
            "source",
            "started_at",
            "ended_at",
            "periods",
            "rows",
            "input",
            "output",
            "warnings",
        ] {
            assert!(json.get(key).is_some(), "{key}");
        }
    }
}
