//! `lakebolt show`: a few events of a Parquet object as JSON lines.

use std::io;

use plans::show::{self, ShowError};

use crate::cli::ShowArgs;
use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::{Failure, with_causes};
use crate::output;
use crate::uris;

pub(super) fn run(args: &ShowArgs, context: &Context) -> Result<ExitCode, Failure> {
    let root = uris::local("URI", &args.uri, context.folder())?;
    let paths = show::objects(&root).map_err(|error| unreadable(&error))?;
    if paths.is_empty() {
        let message = format!("no Parquet object stands below {}", args.uri);
        return Err(Failure::unavailable(
            message,
            "give an object, or a folder that holds some",
        ));
    }
    let mut out = io::stdout().lock();
    let mut failure = None;
    let shown = show::events(&paths, args.limit, |event| {
        match output::line(&mut out, event) {
            Ok(more) => more,
            Err(failed) => {
                failure = Some(failed);
                false
            }
        }
    });
    shown.map_err(|error| unreadable(&error))?;
    match failure {
        Some(failure) => Err(failure),
        None => Ok(ExitCode::Done),
    }
}

/// What an object that cannot be read means for the process.
pub(super) fn unreadable(error: &ShowError) -> Failure {
    Failure::unavailable(
        with_causes(error),
        "check the path, and that it can be read",
    )
}
