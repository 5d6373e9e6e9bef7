//! `lakebolt retry`: the failed periods of a load again, as it was asked for.

use scheduler::load::terms::{CompiledSource, LoadRequest, Shape};
use scheduler::status::LoadRecord;

use super::loads::Prepared;
use super::{cluster, loads};
use crate::cli::RetryArgs;
use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::request::Places;
use crate::settings::{Settings, ShapeName};
use crate::{request, wire};

pub(super) fn run(args: RetryArgs, context: &Context) -> Result<ExitCode, Failure> {
    let settings = args.settings.over(context.defaults.clone());
    if settings.cluster.is_some() {
        return cluster::retry(&args.load, &settings, context);
    }
    let state = request::state_uri(&settings, context.folder())?;
    let record = wire::block_on(find(&state, &args.load))?;
    let prepared = prepared(&record, settings, state, context)?;
    loads::carry_out(&prepared, context, async |driver| {
        Ok(driver.retry(&prepared.request, &record).await)
    })
}

/// The load whose id is, or starts with, `id`.
async fn find(state: &str, id: &str) -> Result<LoadRecord, Failure> {
    let status = wire::open_status(state, true)?;
    let failed = |error| wire::status_failure(&error);
    if let Some(record) = status.load(id).await.map_err(failed)? {
        return Ok(record);
    }
    let loads = status.loads(usize::MAX).await.map_err(failed)?;
    let mut matching = loads
        .into_iter()
        .filter(|load| load.load_id.starts_with(id));
    match (matching.next(), matching.next()) {
        (Some(record), None) => Ok(record),
        (None, _) => Err(Failure::usage(
            format!("no load {id} in {state}"),
            "see `lakebolt status`",
        )),
        (Some(_), Some(_)) => Err(Failure::usage(
            format!("several loads start with {id}"),
            "write more of the id",
        )),
    }
}

/// The request as it was, with the source as it is compiled now.
fn prepared(
    record: &LoadRecord,
    mut settings: Settings,
    state: String,
    context: &Context,
) -> Result<Prepared, Failure> {
    let mut terms = record.request.terms.clone().map_err(|why| {
        let message = format!(
            "the request of load {} cannot be read: {why}",
            record.load_id
        );
        Failure::usage(message, "run the load again with its own flags")
    })?;
    if terms.shape == Shape::Raw {
        settings.shape = Some(ShapeName::Raw);
    }
    if let Some(wait) = settings.wait {
        terms.wait = wait;
    }
    let compiled = loads::compile(&record.source, &settings, context)?;
    let places = Places {
        output: terms.output.clone(),
        work: terms.work.clone(),
        quarantine: terms.quarantine.clone(),
        state,
    };
    let request = LoadRequest {
        source: CompiledSource {
            name: record.source.clone(),
            ..compiled.into()
        },
        terms,
    };
    Ok(Prepared {
        asked: record.source.clone(),
        request,
        places,
        settings,
    })
}
