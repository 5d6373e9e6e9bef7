//! `lakebolt replay`: quarantined rows again, after a mapping was mended.

use super::loads;
use crate::cli::ReplayArgs;
use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;

pub(super) fn run(args: ReplayArgs, context: &Context) -> Result<ExitCode, Failure> {
    let settings = args.settings.over(context.defaults.clone());
    let prepared = loads::of_source(&args.source, settings, context)?;
    loads::carry_out(&prepared, context, async |driver| {
        Ok(driver.replay(&prepared.request).await)
    })
}
