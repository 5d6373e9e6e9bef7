//! GO: the command line and batch entry point. It parses, calls one command and
//! turns what comes back into an exit code.

mod cli;
mod config;
mod exit_code;
mod failure;
mod request_file;
mod settings;
mod values;

use clap::Parser;

fn main() {
    let cli = cli::Cli::parse();
    let _ = cli;
}
