//! The command line: what may be typed, and its help. It decides nothing.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::settings::{OutputFormat, Settings};
use crate::values;

/// Turns months of raw security logs into OCSF Parquet.
#[derive(Debug, Parser)]
#[command(name = "lakebolt", version, about, propagate_version = true, max_term_width = 100,
          after_long_help = TOP_HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// More log lines on stderr; twice for the engine's too
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Only errors on stderr, and no progress
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Loads what is missing of a range of days
    #[command(after_long_help = RUN_HELP)]
    Run(LoadArgs),
    /// Says what run would do, and why; runs nothing
    #[command(after_long_help = PLAN_HELP)]
    Plan(LoadArgs),
    /// Maps a log file to OCSF JSON lines, to try a mapping out
    #[command(after_long_help = MAP_HELP)]
    Map(MapArgs),
    /// Shows periods, their states and row counts
    #[command(after_long_help = STATUS_HELP)]
    Status(StatusArgs),
    /// Runs the failed periods of a load again
    #[command(after_long_help = RETRY_HELP)]
    Retry(RetryArgs),
    /// Maps quarantined rows again, after a mapping was mended
    #[command(after_long_help = REPLAY_HELP)]
    Replay(ReplayArgs),
    /// Lists quarantined rows: how many for which reason, and where they stood
    #[command(after_long_help = QUARANTINE_HELP)]
    Quarantine(QuarantineArgs),
    /// Checks configuration against its grammar and against OCSF
    #[command(after_long_help = LINT_HELP)]
    Lint(LintArgs),
    /// Reads objects back: Security Lake's rules and OCSF validity
    #[command(after_long_help = VERIFY_HELP)]
    Verify(VerifyArgs),
    /// Prints a few events of a Parquet object as JSON lines
    #[command(after_long_help = SHOW_HELP)]
    Show(ShowArgs),
    /// Lists the sources that ship, with formats, classes and aliases
    Sources(SourcesArgs),
    /// Runs the main job on bundled sample logs, into ./lakebolt-demo
    #[command(after_long_help = DEMO_HELP)]
    Demo(DemoArgs),
    /// Removes unpublished uploads and work files that no live attempt owns
    #[command(after_long_help = SWEEP_HELP)]
    Sweep(SweepArgs),
    /// Prints a completion script for a shell
    #[command(after_long_help = COMPLETIONS_HELP)]
    Completions(CompletionsArgs),
}

/// What run and plan take.
#[derive(Args, Clone, Debug)]
pub(crate) struct LoadArgs {
    /// A source that ships or its alias, or a source folder
    #[arg(value_name = "SOURCE", required_unless_present = "request")]
    pub(crate) source: Option<String>,

    /// The ETL framework's run input, a JSON file; flags outrank it
    #[arg(long, value_name = "FILE", help_heading = "What is read")]
    pub(crate) request: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) settings: Settings,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct MapArgs {
    /// A source that ships or its alias, or a source folder
    pub(crate) source: String,
    /// The log, compressed or not; `-` is stdin
    #[arg(default_value = "-")]
    pub(crate) file: PathBuf,
    /// Stop after this many records
    #[arg(long, value_name = "N", value_parser = values::positive)]
    pub(crate) limit: Option<u32>,
    #[command(flatten)]
    pub(crate) sources: SourceArgs,
}

/// Where sources come from and which OCSF they map to.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct SourceArgs {
    /// Folder of sources of your own; they hide shipped ones of the same name
    #[arg(long, value_name = "DIR")]
    pub(crate) config: Option<String>,
    /// OCSF version, 1.1.0 or 1.3.0 [default: 1.1.0]
    #[arg(long, value_name = "VERSION")]
    pub(crate) ocsf: Option<String>,
}

/// Which dataset's state.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct StateArgs {
    /// Target of the loads; names the dataset, and where its state is by default
    #[arg(long, value_name = "URI")]
    pub(crate) output: Option<String>,
    /// Status store, sqlite:PATH [default: sqlite:OUTPUT/.lakebolt/state.db]
    #[arg(long, value_name = "URI")]
    pub(crate) state: Option<String>,
    /// Name of the dataset [default: default]
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// How the result is printed to stdout [default: human]
    #[arg(long, value_enum)]
    pub(crate) format: Option<OutputFormat>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct StatusArgs {
    /// Only datasets of this source
    pub(crate) source: Option<String>,
    /// Only the periods of this load
    #[arg(long, value_name = "ID")]
    pub(crate) load: Option<String>,
    #[command(flatten)]
    pub(crate) state: StateArgs,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct RetryArgs {
    /// The load's id, as run and status print it
    pub(crate) load: String,
    #[command(flatten)]
    pub(crate) settings: Settings,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ReplayArgs {
    /// A source that ships or its alias, or a source folder
    pub(crate) source: String,
    #[command(flatten)]
    pub(crate) settings: Settings,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct QuarantineArgs {
    /// A source that ships or its alias, or a source folder
    pub(crate) source: String,
    /// Rows to print
    #[arg(long, value_name = "N", default_value = "20")]
    pub(crate) limit: usize,
    /// Only rows with this reason, such as time_outside_margin
    #[arg(long, value_name = "REASON")]
    pub(crate) reason: Option<String>,
    /// Where rejected rows went [default: OUTPUT.quarantine/]
    #[arg(long, value_name = "URI")]
    pub(crate) quarantine: Option<String>,
    #[command(flatten)]
    pub(crate) state: StateArgs,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct LintArgs {
    /// Source folders, folders of sources, or files [default: --config, else the current folder]
    #[arg(value_name = "DIR|FILE")]
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) sources: SourceArgs,
    /// How the result is printed to stdout [default: human]
    #[arg(long, value_enum)]
    pub(crate) format: Option<OutputFormat>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct VerifyArgs {
    /// A target, any folder below it, or one object
    pub(crate) uri: String,
    /// Findings to print for each rule
    #[arg(long, value_name = "N", default_value = "5")]
    pub(crate) limit: usize,
    /// How the result is printed to stdout [default: human]
    #[arg(long, value_enum)]
    pub(crate) format: Option<OutputFormat>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ShowArgs {
    /// A Parquet object, or a folder: its first objects
    pub(crate) uri: String,
    /// Events to print
    #[arg(long, short = 'n', value_name = "N", default_value = "5")]
    pub(crate) limit: usize,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct SourcesArgs {
    #[command(flatten)]
    pub(crate) sources: SourceArgs,
    /// How the result is printed to stdout [default: human]
    #[arg(long, value_enum)]
    pub(crate) format: Option<OutputFormat>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct DemoArgs {
    /// Folder for input, lake and state
    #[arg(default_value = "./lakebolt-demo")]
    pub(crate) folder: PathBuf,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct SweepArgs {
    /// The target whose work area is swept
    pub(crate) uri: String,
    /// Leave what is younger than this, such as 24h
    #[arg(long, value_name = "DURATION", value_parser = values::duration, default_value = "24h")]
    pub(crate) min_age: Duration,
    /// Only say what would be removed
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Status store, sqlite:PATH [default: sqlite:URI/.lakebolt/state.db]
    #[arg(long, value_name = "URI")]
    pub(crate) state: Option<String>,
    /// Work area [default: URI/.lakebolt/]
    #[arg(long, value_name = "URI")]
    pub(crate) work: Option<String>,
    /// How the result is printed to stdout [default: human]
    #[arg(long, value_enum)]
    pub(crate) format: Option<OutputFormat>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct CompletionsArgs {
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

const TOP_HELP: &str = "\
Settings: a flag, else LAKEBOLT_NAME from the environment (LAKEBOLT_MAX_ATTEMPTS), else the key
`name` of ./lakebolt.toml (max-attempts = 3), else its default.

Exit codes:
  0    done, or nothing to do
  1    a bug
  2    the command line or the configuration is wrong
  3    some periods failed; `lakebolt retry LOAD` may help
  4    a dependency cannot be reached, or no input object was found
  5    refused: another load holds the period, or the target cannot be written
  6    verify found objects that break a rule
  7    cancelled by somebody else
  130  interrupted

Start with `lakebolt demo`.";

const RUN_HELP: &str = "\
Days are UTC. Without a range: every day found in the input, to yesterday. Days that are loaded
already are skipped, so the same command may be repeated, and finishes what was interrupted.

Examples:
  lakebolt run vpc_flow --input ./AWSLogs --output ./lake --from 2024-01-22 --to 2024-02-21
  lakebolt run s3_access --input ./access-logs --output ./lake --days 35
  lakebolt run vpc_flow --daily=3                       # input and output from lakebolt.toml
  lakebolt run ./my_source --input ./logs --output ./lake --full-load --format json
  lakebolt run --request run-input.json --input ./logs --output ./lake";

const PLAN_HELP: &str = "\
Examples:
  lakebolt plan vpc_flow --input ./AWSLogs --output ./lake --from 2024-01-22 --to 2024-02-21
  lakebolt plan vpc_flow --days 35 --format json";

const MAP_HELP: &str = "\
Events go to stdout, one JSON object a line; rejected records go to stderr with their reason.
No state is kept. Exits 0 also when records were rejected.

Examples:
  lakebolt map vpc_flow flows.log.gz --limit 10
  zcat flows.log.gz | lakebolt map ./my_source - | jq .time";

const STATUS_HELP: &str = "\
Examples:
  lakebolt status --output ./lake
  lakebolt status vpc_flow --output ./lake --format json";

const RETRY_HELP: &str = "\
The load's own request is run again for the periods that failed; --output or --state tells where
its state is kept.

Example:
  lakebolt retry 0b6e9d6c --output ./lake";

const REPLAY_HELP: &str = "\
Rows that the mended mapping takes are published with their period and leave the quarantine.

Example:
  lakebolt replay vpc_flow --output ./lake";

const QUARANTINE_HELP: &str = "\
Examples:
  lakebolt quarantine vpc_flow --output ./lake
  lakebolt quarantine vpc_flow --output ./lake --reason unparsable --limit 100";

const LINT_HELP: &str = "\
Every error at once, as file:line:column: key: message (remedy). Exits 2 if there is one.

Examples:
  lakebolt lint ./my_source
  lakebolt lint ./sources ./config/metadata/vpc-metadata.csv --format json";

const VERIFY_HELP: &str = "\
Exits 6 if a rule fails.

Examples:
  lakebolt verify ./lake
  lakebolt verify ./lake/ext/vpc_flow/region=eu-central-1 --format json";

const SHOW_HELP: &str = "\
Example:
  lakebolt show ./lake -n 3 | jq .";

const DEMO_HELP: &str = "\
Writes sample logs to FOLDER/input and their events to FOLDER/lake, where the state stands too.
May be run again: what is loaded is then skipped.";

const SWEEP_HELP: &str = "\
Example:
  lakebolt sweep ./lake --min-age 2h";

const COMPLETIONS_HELP: &str = "\
Examples:
  lakebolt completions bash > ~/.local/share/bash-completion/completions/lakebolt
  lakebolt completions zsh > ~/.zfunc/_lakebolt";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    fn run_settings(line: &str) -> Option<Settings> {
        match parse(line).ok()?.command {
            Command::Run(args) => Some(args.settings),
            _ => None,
        }
    }

    fn refused(line: &str) -> Option<ErrorKind> {
        parse(line).err().map(|error| error.kind())
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_run_takes_every_flag_of_the_contract() {
        let line = "lakebolt run vpc_flow --input a --input b --output c --from 2024-01-22 \
            --to 2024-02-21 --full-load --as x --region r --account 123456789012 --state sqlite:s \
            --config d --ocsf 1.3.0 --shape raw --margin 2 --lateness 2d --on-stale reload \
            --quarantine q --work w --max-quarantine 1% --max-attempts 5 --parallel 4 --wait 30s \
            --allow-empty --format json --progress plain -v";
        let settings = run_settings(line).expect("the line is well formed");
        assert_eq!(settings.input.as_deref().map(<[String]>::len), Some(2));
        assert_eq!(settings.full_load, Some(true));
        assert_eq!(settings.max_quarantine, Some(1.0));
        assert_eq!(settings.lateness, Some(Duration::from_secs(172_800)));
    }

    #[test]
    fn daily_without_a_number_is_yesterday() {
        let daily = |line| run_settings(line).and_then(|settings| settings.daily);
        assert_eq!(daily("lakebolt run vpc_flow --daily"), Some(1));
        assert_eq!(daily("lakebolt run vpc_flow --daily=3"), Some(3));
        assert_eq!(daily("lakebolt run vpc_flow"), None);
    }

    #[test]
    fn daily_does_not_take_the_word_after_it() {
        let line = "lakebolt run --daily vpc_flow";
        let settings = run_settings(line).and_then(|settings| settings.daily);
        assert_eq!(settings, Some(1));
    }

    #[test]
    fn two_ways_to_name_the_days_are_refused() {
        let conflict = Some(ErrorKind::ArgumentConflict);
        assert_eq!(
            refused("lakebolt run s --from 2024-01-01 --days 3"),
            conflict
        );
        assert_eq!(refused("lakebolt run s --to 2024-01-01 --daily"), conflict);
        assert_eq!(refused("lakebolt run s --days 3 --daily"), conflict);
    }

    #[test]
    fn a_run_needs_a_source_or_a_request_file() {
        let missing = Some(ErrorKind::MissingRequiredArgument);
        assert_eq!(refused("lakebolt run"), missing);
        assert_eq!(refused("lakebolt run --request r.json"), None);
    }

    #[test]
    fn a_value_without_its_unit_is_refused() {
        let kind = refused("lakebolt run s --lateness 48");
        assert_eq!(kind, Some(ErrorKind::ValueValidation));
    }
}
