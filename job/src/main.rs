//! The `lakebolt` command: it parses the arguments, runs one command and exits with the
//! command's code.

mod cli;
mod commands;
mod config;
mod context;
mod exit_code;
mod failure;
mod interrupt;
mod logs;
mod output;
mod panics;
mod progress;
mod render;
mod request;
mod request_file;
mod scratch;
mod settings;
mod sources;
mod table;
mod uris;
mod values;
mod wire;

use std::process;

use clap::Parser;

use crate::cli::Cli;
use crate::exit_code::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> process::ExitCode {
    panics::install();
    let code = std::panic::catch_unwind(run).unwrap_or(ExitCode::Bug);
    code.into()
}

fn run() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    match Cli::try_parse_from(&arguments) {
        Ok(cli) => commands::dispatch(cli),
        Err(error) => commands::usage_error(&error, &arguments),
    }
}
