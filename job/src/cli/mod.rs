//! The command line: its arguments and their help.

mod help;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::settings::{OutputFormat, ProgressKind, Settings};
use crate::values;

/// Turns months of raw security logs into OCSF Parquet.
#[derive(Debug, Parser)]
#[command(name = "lakebolt", version, about, propagate_version = true, max_term_width = 100,
          after_long_help = help::top())]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Log more to stderr; twice also logs the engine
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Print only errors to stderr, and no progress
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Loads the missing days of a range
    #[command(after_long_help = help::RUN)]
    Run(LoadArgs),
    /// Shows what run would do, and why; loads nothing
    #[command(after_long_help = help::PLAN)]
    Plan(LoadArgs),
    /// Maps a log file to OCSF JSON lines, to try out a mapping
    #[command(after_long_help = help::MAP)]
    Map(MapArgs),
    /// Lists periods with their states and row counts
    #[command(after_long_help = help::STATUS)]
    Status(StatusArgs),
    /// Follows a load of a cluster to its end
    #[command(after_long_help = help::WATCH)]
    Watch(WatchArgs),
    /// Stops a load of a cluster
    #[command(after_long_help = help::CANCEL)]
    Cancel(ClusterArgs),
    /// Runs the failed periods of a load again
    #[command(after_long_help = help::RETRY)]
    Retry(RetryArgs),
    /// Loads quarantined rows again, after a mapping was fixed
    #[command(after_long_help = help::REPLAY)]
    Replay(ReplayArgs),
    /// Takes over a target whose status was lost, or that another dataset owns
    #[command(after_long_help = help::ADOPT)]
    Adopt(AdoptArgs),
    /// Lists quarantined rows with their reasons and positions in the input
    #[command(after_long_help = help::QUARANTINE)]
    Quarantine(QuarantineArgs),
    /// Checks source folders against their grammar and OCSF
    #[command(after_long_help = help::LINT)]
    Lint(LintArgs),
    /// Maps the samples of sources and compares the rows with the expected ones
    #[command(after_long_help = help::TEST)]
    Test(TestArgs),
    /// Shows classes, objects and attributes of OCSF
    #[command(after_long_help = help::OCSF)]
    Ocsf(OcsfArgs),
    /// Lists the SQL functions for mappings
    Functions(ListArgs),
    /// Lists the wire formats that a source may name
    Formats(ListArgs),
    /// Prints a JSON Schema of source.toml or of an event's file, for editors
    #[command(after_long_help = help::SCHEMA)]
    Schema(SchemaArgs),
    /// Checks objects against Security Lake's rules and OCSF
    #[command(after_long_help = help::VERIFY)]
    Verify(VerifyArgs),
    /// Prints a few events of a Parquet object as JSON lines
    #[command(after_long_help = help::SHOW)]
    Show(ShowArgs),
    /// Lists sources with their formats, classes and aliases
    Sources(SourcesArgs),
    /// Loads bundled sample logs into ./lakebolt-demo
    #[command(after_long_help = help::DEMO)]
    Demo(DemoArgs),
    /// Removes unpublished uploads and work files that no live attempt owns
    #[command(after_long_help = help::SWEEP)]
    Sweep(SweepArgs),
    /// Checks every dependency of a run, and reports what is missing
    #[command(after_long_help = help::DOCTOR)]
    Doctor(DoctorArgs),
    /// Prepares the status store
    Config(ConfigArgs),
    /// Prints a completion script for a shell
    #[command(after_long_help = help::COMPLETIONS)]
    Completions(CompletionsArgs),
}

/// The arguments of run and plan.
#[derive(Args, Clone, Debug)]
pub(crate) struct LoadArgs {
    /// A shipped source, its alias, or a source folder
    #[arg(value_name = "SOURCE", required_unless_present = "request")]
    pub(crate) source: Option<String>,

    /// The ETL framework's run input, a JSON file; flags override it
    #[arg(long, value_name = "FILE", help_heading = "Input")]
    pub(crate) request: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) settings: Settings,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct MapArgs {
    /// A shipped source, its alias, or a source folder
    pub(crate) source: String,
    /// The log file, plain or compressed; `-` is stdin
    #[arg(default_value = "-")]
    pub(crate) file: PathBuf,
    /// Stop after this many records
    #[arg(long, value_name = "N", value_parser = values::positive)]
    pub(crate) limit: Option<u32>,
    /// Region of every record, as run takes it [default: the record's]
    #[arg(long, value_name = "REGION", value_parser = values::region)]
    pub(crate) region: Option<String>,
    /// Account of records without one [default: external_SOURCE]
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) account: Option<String>,
    /// Print no events, but what became of records and columns
    #[arg(long)]
    pub(crate) report: bool,
    /// Show how the record at this line is routed, and where each value comes from
    #[arg(long, value_name = "LINE", conflicts_with = "report")]
    pub(crate) explain: Option<u64>,
    /// Repeat when a file of the source or the log is saved; Ctrl-C ends it
    #[arg(long)]
    pub(crate) watch: bool,
    /// Format of --report and --explain on stdout [default: human]
    #[arg(long, value_enum)]
    pub(crate) format: Option<OutputFormat>,
    #[command(flatten)]
    pub(crate) sources: SourceArgs,
}

/// The folder of the user's own sources, and the OCSF version.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct SourceArgs {
    /// Folder of your own sources; they hide shipped ones of the same name
    #[arg(long, value_name = "DIR")]
    pub(crate) config: Option<String>,
    /// OCSF version, 1.1.0 or 1.3.0 [default: 1.1.0]
    #[arg(long, value_name = "VERSION")]
    pub(crate) ocsf: Option<String>,
}

/// Selects the status store and the dataset.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct StateArgs {
    /// Target of the loads; it also sets the default of --state
    #[arg(long, value_name = "URI")]
    pub(crate) output: Option<String>,
    /// Status store, sqlite:PATH or dynamodb:TABLE_PREFIX [default: sqlite:OUTPUT/.lakebolt/state.db]
    #[arg(long, value_name = "URI")]
    pub(crate) state: Option<String>,
    /// Name of the dataset [default: default]
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Format of the result on stdout [default: human]
    #[arg(long, value_enum)]
    pub(crate) format: Option<OutputFormat>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct StatusArgs {
    /// List only datasets of this source
    pub(crate) source: Option<String>,
    /// List only the periods of this load
    #[arg(long, value_name = "ID")]
    pub(crate) load: Option<String>,
    #[command(flatten)]
    pub(crate) cluster: ClusterFlags,
    #[command(flatten)]
    pub(crate) state: StateArgs,
}

/// The address of a cluster and its certificates.
#[derive(Args, Clone, Debug)]
pub(crate) struct ClusterFlags {
    /// The cluster's scheduler
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) cluster: Option<String>,
    /// PEM file of the authority that signed the scheduler's certificate
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_ca: Option<PathBuf>,
    /// PEM file of the certificate to show to the scheduler
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// PEM file of that certificate's key
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_key: Option<PathBuf>,
    /// File with the token of a scheduler without TLS [default: ~/.config/lakebolt/token]
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Connect to another machine without TLS
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", hide_possible_values = true)]
    pub(crate) plain_tcp: Option<bool>,
}

/// A load of a cluster.
#[derive(Args, Clone, Debug)]
pub(crate) struct ClusterArgs {
    /// The load's id, or the start of it
    pub(crate) load: String,
    #[command(flatten)]
    pub(crate) cluster: ClusterFlags,
    /// Format of the result on stdout [default: human]
    #[arg(long, value_enum)]
    pub(crate) format: Option<OutputFormat>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    pub(crate) of: ClusterArgs,
    /// How to print progress to stderr [default: auto]
    #[arg(long, value_enum, value_name = "KIND")]
    pub(crate) progress: Option<ProgressKind>,
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
    /// A shipped source, its alias, or a source folder
    pub(crate) source: String,
    #[command(flatten)]
    pub(crate) settings: Settings,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct AdoptArgs {
    /// A shipped source, its alias, or a source folder
    pub(crate) source: String,
    #[command(flatten)]
    pub(crate) settings: Settings,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct QuarantineArgs {
    /// A shipped source, its alias, or a source folder
    pub(crate) source: String,
    /// Number of rows to print
    #[arg(long, value_name = "N", default_value = "20")]
    pub(crate) limit: usize,
    /// List only rows with this reason, such as time_outside_margin
    #[arg(long, value_name = "REASON")]
    pub(crate) reason: Option<String>,
    /// Where rejected rows are [default: that of run]
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
    /// Format of the result on stdout [default: human]
    #[arg(long, value_enum)]
    pub(crate) format: Option<OutputFormat>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct TestArgs {
    /// A source folder, or a folder of sources
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// Write the rows as the expected ones, for review
    #[arg(long)]
    pub(crate) bless: bool,
    /// OCSF version, 1.1.0 or 1.3.0 [default: 1.1.0]
    #[arg(long, value_name = "VERSION")]
    pub(crate) ocsf: Option<String>,
    /// Format of the result on stdout [default: human]
    #[arg(long, value_enum)]
    pub(crate) format: Option<OutputFormat>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct OcsfArgs {
    /// A class or its uid, an object, an attribute, or CLASS.ATTRIBUTE [default: all classes]
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// List the names and captions that contain this word, in any case
    #[arg(long, value_name = "WORD", conflicts_with = "name")]
    pub(crate) search: Option<String>,
    /// OCSF version, 1.1.0 or 1.3.0 [default: 1.1.0]
    #[arg(long, value_name = "VERSION")]
    pub(crate) ocsf: Option<String>,
    /// Format of the result on stdout [default: human]
    #[arg(long, value_enum)]
    pub(crate) format: Option<OutputFormat>,
}

/// The arguments of commands that list a table of the program.
#[derive(Args, Clone, Debug)]
pub(crate) struct ListArgs {
    /// Format of the result on stdout [default: human]
    #[arg(long, value_enum)]
    pub(crate) format: Option<OutputFormat>,
}

/// A file of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaKind {
    /// source.toml
    Source,
    /// The file of an event
    Event,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct SchemaArgs {
    /// The file that the schema is for
    #[arg(value_enum, default_value = "source")]
    pub(crate) of: SchemaKind,
    /// The class of the event
    pub(crate) class: Option<String>,
    /// OCSF version, 1.1.0 or 1.3.0 [default: 1.1.0]
    #[arg(long, value_name = "VERSION")]
    pub(crate) ocsf: Option<String>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct VerifyArgs {
    /// A target, any folder or prefix below it, or one object
    pub(crate) uri: String,
    /// Number of findings to print for each rule
    #[arg(long, value_name = "N", default_value = "5")]
    pub(crate) limit: usize,
    /// Format of the result on stdout [default: human]
    #[arg(long, value_enum)]
    pub(crate) format: Option<OutputFormat>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ShowArgs {
    /// A Parquet object, or a folder or prefix of objects
    pub(crate) uri: String,
    /// Number of events to print
    #[arg(long, short = 'n', value_name = "N", default_value = "5")]
    pub(crate) limit: usize,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct SourcesArgs {
    #[command(flatten)]
    pub(crate) sources: SourceArgs,
    /// Format of the result on stdout [default: human]
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
    /// The target; its work area is swept
    pub(crate) uri: String,
    /// Keep everything younger than this, such as 24h
    #[arg(long, value_name = "DURATION", value_parser = values::duration, default_value = "24h")]
    pub(crate) min_age: Duration,
    /// Only print what would be removed
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Status store, sqlite:PATH or dynamodb:TABLE_PREFIX [default: sqlite:URI/.lakebolt/state.db]
    #[arg(long, value_name = "URI")]
    pub(crate) state: Option<String>,
    /// Work area [default: that of run]
    #[arg(long, value_name = "URI")]
    pub(crate) work: Option<String>,
    /// Where rejected rows are [default: that of run]
    #[arg(long, value_name = "URI")]
    pub(crate) quarantine: Option<String>,
    /// IAM role that writes the target [default: that of run]
    #[arg(long, value_name = "ARN")]
    pub(crate) role_arn: Option<String>,
    /// External id that the role's trust policy requires
    #[arg(long, value_name = "ID")]
    pub(crate) external_id: Option<String>,
    /// Format of the result on stdout [default: human]
    #[arg(long, value_enum)]
    pub(crate) format: Option<OutputFormat>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct DoctorArgs {
    /// A shipped source, its alias, or a source folder; also checks its classes' targets
    pub(crate) source: Option<String>,
    /// Time limit of each check, such as 10s
    #[arg(long, value_name = "DURATION", value_parser = values::duration, default_value = "10s")]
    pub(crate) timeout: Duration,
    #[command(flatten)]
    pub(crate) settings: Settings,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

#[derive(Subcommand, Clone, Debug)]
pub(crate) enum ConfigCommand {
    /// Creates the missing tables of the status store
    #[command(after_long_help = help::CONFIG_INIT)]
    Init(ConfigInitArgs),
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ConfigInitArgs {
    /// Status store, dynamodb:TABLE_PREFIX or sqlite:PATH
    #[arg(long, value_name = "URI")]
    pub(crate) state: Option<String>,
    /// Format of the result on stdout [default: human]
    #[arg(long, value_enum)]
    pub(crate) format: Option<OutputFormat>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct CompletionsArgs {
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

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
    fn clap_accepts_the_definition() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_run_accepts_every_documented_flag() {
        let line = "lakebolt run vpc_flow --input a --input b --output c --from 2024-01-22 \
            --to 2024-02-21 --full-load --as x --region r --account 123456789012 --state sqlite:s \
            --config d --ocsf 1.3.0 --shape raw --margin 2 --lateness 2d --on-stale reload \
            --quarantine q --work w --max-quarantine 1% --max-attempts 5 --parallel 4 --wait 30s \
            --allow-empty --format json --progress plain --on-vanished replace --accept-broken \
            --role-arn arn:aws:iam::123456789012:role/r --external-id e --cluster h:1 --tls-ca a \
            --tls-cert c --tls-key k --token-file t --plain-tcp -v";
        let settings = run_settings(line).expect("the line is well formed");
        // They take the place of flags in the line.
        let others = ["days", "daily", "request"];
        let command = Cli::command();
        let run = command.find_subcommand("run").expect("it is a command");
        let shown = run.get_arguments().filter(|flag| !flag.is_hide_set());
        for name in shown.filter_map(clap::Arg::get_long) {
            let is_given = line.contains(&format!("--{name} "));
            assert!(is_given || others.contains(&name), "--{name}");
        }
        assert_eq!(settings.input.as_deref().map(<[String]>::len), Some(2));
        assert_eq!(settings.full_load, Some(true));
        assert_eq!(settings.max_quarantine, Some(1.0));
        assert_eq!(settings.lateness, Some(Duration::from_secs(172_800)));
        assert_eq!(settings.accept_broken, Some(true));
    }

    #[test]
    fn daily_without_a_number_is_yesterday() {
        let daily = |line| run_settings(line).and_then(|settings| settings.daily);
        assert_eq!(daily("lakebolt run vpc_flow --daily"), Some(1));
        assert_eq!(daily("lakebolt run vpc_flow --daily=3"), Some(3));
        assert_eq!(daily("lakebolt run vpc_flow"), None);
    }

    #[test]
    fn daily_does_not_take_the_next_argument() {
        let line = "lakebolt run --daily vpc_flow";
        let settings = run_settings(line).and_then(|settings| settings.daily);
        assert_eq!(settings, Some(1));
    }

    #[test]
    fn two_ways_to_select_days_are_rejected() {
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
    fn map_reports_or_explains_and_takes_the_places_of_run() {
        let line = "lakebolt map s a.log --region eu-central-1 --account 123456789012 --watch";
        let Ok(Command::Map(args)) = parse(line).map(|cli| cli.command) else {
            panic!("the line is well formed");
        };
        assert_eq!(args.region.as_deref(), Some("eu-central-1"));
        assert_eq!(args.account.as_deref(), Some("123456789012"));
        assert!(args.watch && !args.report);
        assert_eq!(
            refused("lakebolt map s a.log --report --explain 3"),
            Some(ErrorKind::ArgumentConflict)
        );
        assert_eq!(refused("lakebolt map s a.log --report --format json"), None);
    }

    #[test]
    fn a_schema_is_that_of_a_source_unless_an_event_is_named() {
        let of = |line| match parse(line).ok()?.command {
            Command::Schema(args) => Some((args.of, args.class)),
            _ => None,
        };
        assert_eq!(of("lakebolt schema"), Some((SchemaKind::Source, None)));
        assert_eq!(
            of("lakebolt schema event authentication"),
            Some((SchemaKind::Event, Some("authentication".to_owned())))
        );
        assert_eq!(of("lakebolt schema authentication"), None);
    }

    #[test]
    fn a_duration_without_a_unit_is_rejected() {
        let kind = refused("lakebolt run s --lateness 48");
        assert_eq!(kind, Some(ErrorKind::ValueValidation));
    }
}
