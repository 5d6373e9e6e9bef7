//! `lakebolt config init`: makes the tables that a status store needs, where they are absent.

use std::fmt::Write;

use scheduler::status::Prepared;

use crate::cli::ConfigInitArgs;
use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::settings::{OutputFormat, Settings};
use crate::{output, request, wire};

pub(super) fn run(args: &ConfigInitArgs, context: &Context) -> Result<ExitCode, Failure> {
    let flags = Settings {
        state: args.state.clone(),
        ..Settings::default()
    };
    let settings = flags.over(context.defaults.clone());
    if settings.state.is_none() && settings.output.is_none() {
        return Err(Failure::usage(
            "no status store is named",
            "add --state dynamodb:TABLE_PREFIX",
        ));
    }
    let state = request::state_uri(&settings, context.folder())?;
    let prepared = wire::block_on(async {
        let status = wire::open_status(&state, false)?;
        let prepared = status.prepare().await;
        prepared.map_err(|error| wire::status_failure(&error))
    })?;
    match context.format(args.format) {
        OutputFormat::Human => output::print(&human(&state, &prepared))?,
        OutputFormat::Json => output::print_json(&json(&state, &prepared))?,
    }
    Ok(ExitCode::Done)
}

fn human(state: &str, prepared: &[Prepared]) -> String {
    let mut text = String::new();
    for Prepared { name, made } in prepared {
        let what = if *made { "made" } else { "stands already" };
        // Writing to text does not fail.
        let _ = writeln!(text, "{name}: {what}");
    }
    let _ = writeln!(text, "{state} is ready");
    text
}

fn json(state: &str, prepared: &[Prepared]) -> serde_json::Value {
    serde_json::json!({
        "schema_version": 1,
        "exit_code": ExitCode::Done.number(),
        "state": state,
        "prepared": prepared,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_was_made_and_what_stood() {
        let prepared = [("x-run-status", false), ("x-loads", true)].map(|(name, made)| Prepared {
            name: name.to_owned(),
            made,
        });
        assert_eq!(
            human("dynamodb:x", &prepared),
            "x-run-status: stands already\nx-loads: made\ndynamodb:x is ready\n"
        );
        assert_eq!(json("dynamodb:x", &prepared)["prepared"][1]["made"], true);
    }
}
