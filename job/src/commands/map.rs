//! `lakebolt map`: the authoring loop.

use crate::cli::MapArgs;
use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;

pub(super) fn run(_: &MapArgs, _: &Context) -> Result<ExitCode, Failure> {
    Err(Failure::bug("map is not there yet"))
}
