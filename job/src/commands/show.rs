//! `lakebolt show`: a few events of a Parquet object as JSON lines.

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
        let objects = objects.map_err(|error| unreached(&error))?;
        if objects.is_empty() {
            let message = format!("no Parquet object stands below {}", args.uri);
            let remedy = "give an object, or a folder that holds some";
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
        shown.await.map_err(|error| unreadable(&error))
    })?;
    match failure {
        Some(failure) => Err(failure),
        None => Ok(ExitCode::Done),
    }
}

/// What an object that cannot be read means for the process.
pub(super) fn unreadable(error: &ShowError) -> Failure {
    match error {
        ShowError::Object(error) => unreached(error),
        ShowError::Unreadable { .. } => Failure::unavailable(with_causes(error), CHECK),
    }
}

/// What a store that cannot be listed or read means for the process.
pub(super) fn unreached(error: &ObjectError) -> Failure {
    let remedy = match error {
        ObjectError::Unreached { source, .. } => source.cause.remedy(),
        ObjectError::NoCopy { .. } => Some("set TMPDIR to a folder with room"),
        _ => None,
    };
    Failure::unavailable(with_causes(error), remedy.unwrap_or(CHECK))
}

const CHECK: &str = "check the path, and that it can be read";
