//! `lakebolt run`: loads what is missing of a range of days.

use super::{cluster, loads};
use crate::cli::LoadArgs;
use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;

pub(super) fn run(args: LoadArgs, context: &Context) -> Result<ExitCode, Failure> {
    let prepared = loads::prepare(args, context)?;
    if prepared.settings.cluster.is_some() {
        return cluster::run(&prepared, context);
    }
    loads::carry_out(&prepared, context, async |driver| {
        Ok(driver.run(&prepared.request).await)
    })
}
