//! `lakebolt config init`: creates the missing tables of a status store.

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
            "no status store is configured",
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
        let state = if *made { "created" } else { "exists already" };
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name}: {state}");
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
    fn the_result_lists_created_and_existing_tables() {
        let prepared = [("x-run-status", false), ("x-loads", true)].map(|(name, made)| Prepared {
            name: name.to_owned(),
            made,
        });
        assert_eq!(
            human("dynamodb:x", &prepared),
            "x-run-status: exists already\nx-loads: created\ndynamodb:x is ready\n"
        );
        assert_eq!(json("dynamodb:x", &prepared)["prepared"][1]["made"], true);
    }
}
