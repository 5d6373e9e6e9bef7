//! The project's own chores. It may start cargo, git and python; it never edits a
//! source file except through `bless`.

mod bless;
mod circles;
mod docs;
mod documented;
mod gate;
mod graph;
mod imports;
mod links;
mod modules;
mod prose;
mod rooms;
mod shape;
mod shell;
mod sources;
mod suite;
mod tokens;
mod word_list;
mod words;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask COMMAND

  gate            checks crates, rooms, style, format, lints and generated docs; changes nothing
  test [ARGS…]    sets up what the tests need, builds, and runs every test; ARGS go to cargo test
  bless           rewrites golden files, snapshots and the generated parts of docs for review
  rooms [--files] prints each crate's size, and imports and circles between its rooms (and files)
  words [PATH…]   prints the words that are not to be written, below PATH or everywhere
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.first().map(String::as_str) {
        Some("gate") => gate::run(),
        Some("test") => suite::run(&arguments[1..]),
        Some("bless") => bless::run(),
        Some("rooms") => rooms::run(&arguments[1..]),
        Some("words") => words::run(&arguments[1..]),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
