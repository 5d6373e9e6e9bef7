//! `lakebolt replay`: loads quarantined rows again, after a mapping was fixed.

use super::loads;
use crate::cli::ReplayArgs;
use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::request::Places;
use crate::settings::Settings;
use crate::{request, wire};

pub(super) fn run(args: ReplayArgs, context: &Context) -> Result<ExitCode, Failure> {
    let mut settings = args.settings.over(context.defaults.clone());
    loads::refuse_cluster(&settings, "replay")?;
    if settings.input.is_none() {
        settings.input = wire::block_on(earlier_input(&args.source, &settings, context))?;
    }
    let prepared = loads::of_source(&args.source, settings, context)?;
    loads::carry_out(&prepared, context, async |driver| {
        Ok(driver.replay(&prepared.request).await)
    })
}

/// The input of the newest load of the same dataset: quarantined rows came from there,
/// and the dataset stays the same only with it.
async fn earlier_input(
    source: &str,
    settings: &Settings,
    context: &Context,
) -> Result<Option<Vec<String>>, Failure> {
    let places = Places::of(settings, context.folder())?;
    let state = request::state_uri(settings, context.folder())?;
    let source = loads::compile(source, settings, context)?.source.name;
    let status = wire::open_status(&state, true)?;
    let loads = status
        .loads(usize::MAX)
        .await
        .map_err(|error| wire::status_failure(&error))?;
    let name = settings.name.as_deref().unwrap_or("default");
    let of_source = loads.into_iter().filter(|load| load.source == source);
    let mut terms = of_source.filter_map(|load| load.request.terms.ok());
    let same = terms.find(|terms| terms.output == places.output && terms.name == name);
    Ok(same.map(|terms| terms.inputs))
}
