//! `lakebolt show`: prints a few events of a Parquet object as JSON lines.

use std::io;

use plans::inspect::objects::ObjectError;
use plans::inspect::show;
use plans::inspect::show::ShowError;

use crate::cli::ShowArgs;
use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::{Failure, with_causes};
use crate::{output, uris, wire};

pub(super) fn run(args: &ShowArgs, context: &Context) -> Result<ExitCode, Failure> {
    let uri = uris::absolute("URI", &args.uri, context.folder())?;
    let mut out = io::stdout().lock();
    let mut failure = None;
    wire::block_on(async {
        let objects = show::objects(&uri).await;
        let objects = objects.map_err(|error| object_failure(&error))?;
        if objects.is_empty() {
            let message = format!("there is no Parquet object below {}", args.uri);
            let remedy = "give a Parquet object, or a folder that contains some";
            return Err(Failure::unavailable(message, remedy));
        }
        let shown = show::events(&objects, args.limit, |event| {
            match output::line(&mut out, event) {
                Ok(more) => more,
                Err(failed) => {
                    failure = Some(failed);
                    false
                }
            }
        });
        shown.await.map_err(|error| show_failure(&error))
    })?;
    match failure {
        Some(failure) => Err(failure),
        None => Ok(ExitCode::Done),
    }
}

/// The failure of a command that could not show an object.
pub(super) fn show_failure(error: &ShowError) -> Failure {
    match error {
        ShowError::Object(error) => object_failure(error),
        ShowError::Unreadable { .. } => Failure::unavailable(with_causes(error), CHECK),
    }
}

/// The failure of a command that could not list or read objects.
pub(super) fn object_failure(error: &ObjectError) -> Failure {
    let remedy = match error {
        ObjectError::Unreached { source, .. } => source.cause.remedy(),
        ObjectError::NoCopy { .. } => Some("set TMPDIR to a folder with free space"),
        _ => None,
    };
    Failure::unavailable(with_causes(error), remedy.unwrap_or(CHECK))
}

const CHECK: &str = "check the path and its permissions";
