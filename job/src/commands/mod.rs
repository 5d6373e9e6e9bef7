//! One file per command. Each passes its arguments to a library and prints the result.

mod adopt;
mod cancel;
mod cluster;
mod cluster_status;
mod completions;
mod config;
mod demo;
mod doctor;
mod formats;
mod functions;
mod lint;
mod loads;
mod map;
mod ocsf;
mod plan;
mod quarantine;
mod replay;
mod retry;
mod run;
mod schema;
mod show;
mod sources;
mod status;
mod sweep;
mod test;
mod verify;
mod watch;

use std::ffi::OsString;
use std::io;
use std::io::Write;

use clap::error::ErrorKind;

use crate::cli::{Cli, Command, ConfigCommand};
use crate::config::{Environment, explain_text};
use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::logs::Verbosity;
use crate::settings::OutputFormat;
use crate::{logs, output, render};

/// Names of the commands whose result is a load's outcome.
const LOADS: [&str; 4] = ["run", "retry", "replay", "watch"];

/// Runs the command and reports why it failed, if it did.
pub(crate) fn dispatch(cli: Cli) -> ExitCode {
    let flag = format_flag(&cli.command);
    let verbosity = Verbosity {
        verbose: cli.verbose,
        quiet: cli.quiet,
    };
    let is_load = matches!(
        cli.command,
        Command::Run(_) | Command::Retry(_) | Command::Replay(_) | Command::Watch(_)
    );
    let mut format = flag.unwrap_or_default();
    let result = prepare(verbosity).and_then(|context| {
        format = context.format(flag);
        run(cli.command, &context)
    });
    result.unwrap_or_else(|failure| report(&failure, format, is_load))
}

fn prepare(verbosity: Verbosity) -> Result<Context, Failure> {
    let environment = Environment::of_process()?;
    if let Some(point) = environment.crash_at() {
        plans::crash_point::arm(point)
            .map_err(|error| Failure::usage(format!("LAKEBOLT_CRASH_AT: {error}"), ""))?;
    }
    let defaults = environment.settings()?;
    let context = Context::new(environment, defaults, verbosity);
    logs::start(verbosity, context.environment.log_filter(), &context.bars);
    Ok(context)
}

fn run(command: Command, context: &Context) -> Result<ExitCode, Failure> {
    match command {
        Command::Run(args) => run::run(args, context),
        Command::Plan(args) => plan::run(args, context),
        Command::Map(args) => map::run(&args, context),
        Command::Status(args) => status::run(&args, context),
        Command::Watch(args) => watch::run(&args, context),
        Command::Cancel(args) => cancel::run(&args, context),
        Command::Retry(args) => retry::run(args, context),
        Command::Replay(args) => replay::run(args, context),
        Command::Adopt(args) => adopt::run(args, context),
        Command::Quarantine(args) => quarantine::run(&args, context),
        Command::Lint(args) => lint::run(&args, context),
        Command::Test(args) => test::run(&args, context),
        Command::Verify(args) => verify::run(&args, context),
        Command::Show(args) => show::run(&args, context),
        Command::Sources(args) => sources::run(&args, context),
        Command::Ocsf(args) => ocsf::run(&args, context),
        Command::Schema(args) => schema::run(&args, context),
        Command::Functions(args) => functions::run(&args, context),
        Command::Formats(args) => formats::run(&args, context),
        Command::Demo(args) => demo::run(&args, context),
        Command::Sweep(args) => sweep::run(&args, context),
        Command::Doctor(args) => doctor::run(args, context),
        Command::Config(args) => match args.command {
            ConfigCommand::Init(args) => config::run(&args, context),
        },
        Command::Completions(args) => completions::run(&args),
    }
}

fn format_flag(command: &Command) -> Option<OutputFormat> {
    match command {
        Command::Run(args) | Command::Plan(args) => args.settings.format,
        Command::Watch(args) => args.of.format,
        Command::Cancel(args) => args.format,
        Command::Retry(args) => args.settings.format,
        Command::Replay(args) => args.settings.format,
        Command::Adopt(args) => args.settings.format,
        Command::Status(args) => args.state.format,
        Command::Quarantine(args) => args.state.format,
        Command::Map(args) => args.format,
        Command::Lint(args) => args.format,
        Command::Test(args) => args.format,
        Command::Ocsf(args) => args.format,
        Command::Functions(args) | Command::Formats(args) => args.format,
        Command::Verify(args) => args.format,
        Command::Sources(args) => args.format,
        Command::Sweep(args) => args.format,
        Command::Doctor(args) => args.settings.format,
        Command::Config(args) => match &args.command {
            ConfigCommand::Init(args) => args.format,
        },
        // These have no `--format`.
        Command::Schema(_) | Command::Show(_) | Command::Demo(_) | Command::Completions(_) => {
            Some(OutputFormat::Human)
        }
    }
}

/// Prints help, the version, or the error of an invalid command line.
pub(crate) fn usage_error(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        // The reader may have closed the pipe.
        let _ = error.print();
        return ExitCode::Done;
    }
    let _ = error.print();
    let (message, mut remedy) = explain_text(&error.to_string());
    if remedy.is_empty() {
        remedy = remedy_of(error.kind()).to_owned();
        let _ = writeln!(io::stderr(), " help: {remedy}");
    }
    if wants_json(arguments) {
        let is_load = arguments
            .iter()
            .any(|word| LOADS.iter().any(|load| word == load));
        print_refusal(&Failure::usage(message, remedy), is_load);
    }
    ExitCode::Usage
}

/// The remedy for a command line about which clap proposes nothing.
fn remedy_of(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::ArgumentConflict => {
            "give only one of them; for days use --from and --to, --days, or --daily"
        }
        ErrorKind::MissingRequiredArgument => "add the missing arguments, as in the usage line",
        _ => "see `lakebolt COMMAND --help` for examples",
    }
}

/// Whether a command line that cannot be parsed asks for JSON.
fn wants_json(arguments: &[OsString]) -> bool {
    let words: Vec<_> = arguments
        .iter()
        .map(|word| word.to_string_lossy())
        .collect();
    let apart = words
        .windows(2)
        .any(|pair| pair[0] == "--format" && pair[1] == "json");
    apart || words.iter().any(|word| word == "--format=json")
}

fn report(failure: &Failure, format: OutputFormat, is_load: bool) -> ExitCode {
    // stderr may be closed; the exit code still reports the failure.
    let _ = writeln!(io::stderr(), "{failure}");
    if format == OutputFormat::Json {
        print_refusal(failure, is_load);
    }
    failure.code
}

fn print_refusal(failure: &Failure, is_load: bool) {
    let printed = match is_load {
        true => output::print_json(&loads::refused(failure)),
        false => output::print_json(&render::failure_json(failure)),
    };
    // The exit code is that of the failure itself, even if printing it fails.
    drop(printed);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn an_invalid_command_line_may_ask_for_json() {
        assert!(wants_json(&words(
            "lakebolt run x --format json --nonsense"
        )));
        assert!(wants_json(&words("lakebolt run --format=json")));
        assert!(!wants_json(&words("lakebolt run json --format human")));
    }
}
