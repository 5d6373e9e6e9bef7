//! `lakebolt run`: loads the missing days of a range.

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
    loads::run_and_print(&prepared, context, async |driver| {
        Ok(driver.run(&prepared.request).await)
    })
}
