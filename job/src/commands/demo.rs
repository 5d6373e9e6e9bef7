//! `lakebolt demo`: the main job on bundled sample logs.

use crate::cli::DemoArgs;
use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;

pub(super) fn run(_: &DemoArgs, _: &Context) -> Result<ExitCode, Failure> {
    Err(Failure::bug("demo is not there yet"))
}
