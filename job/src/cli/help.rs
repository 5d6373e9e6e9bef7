//! The text of long help below the flags: rules and examples.

use scheduler::load::exit::{EXIT_CODES, ExitCode};

/// Below the flags of `lakebolt` itself.
pub(super) fn top() -> String {
    format!(
        "{SETTINGS}\n\n{}\nStart with `lakebolt demo`.",
        exit_codes()
    )
}

const SETTINGS: &str = "\
Settings: a flag, else LAKEBOLT_NAME from the environment (LAKEBOLT_MAX_ATTEMPTS), else the key
`name` of ./lakebolt.toml (max-attempts = 3), else its default.";

/// A line for each exit code, with a star where a retry may help.
fn exit_codes() -> String {
    let mut lines = String::from("Exit codes (*: the same command may succeed later):\n");
    for row in EXIT_CODES {
        let star = if row.retry_may_help { " *" } else { "" };
        lines.push_str(&format!("  {:<4} {}{star}\n", row.code, row.meaning));
    }
    let failed = ExitCode::PeriodsFailed.number();
    lines.push_str(&format!(
        "After {failed}, `lakebolt retry LOAD` runs the failed periods again.\n"
    ));
    lines
}

pub(super) const RUN: &str = "\
Days are UTC. Without a range, run loads every day of the input up to yesterday. It skips days
that are loaded already: repeat the command to finish an interrupted load.

Examples:
  lakebolt run vpc_flow --input ./AWSLogs --output ./lake --from 2024-01-22 --to 2024-02-21
  lakebolt run s3_access --input ./access-logs --output ./lake --days 35
  lakebolt run vpc_flow --daily=3                       # input and output from lakebolt.toml
  lakebolt run ./my_source --input ./logs --output ./lake --full-load --format json
  lakebolt run --request run-input.json --input ./logs --output ./lake
  lakebolt run vpc_flow --input s3://logs --output s3://lake --days 35 --cluster scheduler:50050";

pub(super) const PLAN: &str = "\
Examples:
  lakebolt plan vpc_flow --input ./AWSLogs --output ./lake --from 2024-01-22 --to 2024-02-21
  lakebolt plan vpc_flow --days 35 --format json";

pub(super) const MAP: &str = "\
Events go to stdout, one JSON object a line; rejected records go to stderr with their reason.
Nothing is stored. Exits 6 if `verify` would refuse an event, and 0 even if records were rejected.

Examples:
  lakebolt map vpc_flow flows.log.gz --limit 10
  zcat flows.log.gz | lakebolt map ./my_source - | jq .time
  lakebolt map ./my_source sample.log --report        # columns that are lost, missing or unknown
  lakebolt map ./my_source sample.log --explain 12    # the record at line 12, value by value
  lakebolt map ./my_source sample.log --watch";

pub(super) const STATUS: &str = "\
Examples:
  lakebolt status --output ./lake
  lakebolt status vpc_flow --output ./lake --format json";

pub(super) const WATCH: &str = "\
Prints the same as `run --cluster` and exits with the load's own code. Ctrl-C stops watching, not
the load.

Example:
  lakebolt watch 0b6e9d6c --cluster scheduler:50050";

pub(super) const CANCEL: &str = "\
Published objects stay. Exits 5 if the load is not running.

Example:
  lakebolt cancel 0b6e9d6c --cluster scheduler:50050";

pub(super) const RETRY: &str = "\
Runs the load's own request again for the periods that failed. --output or --state names the
status store of the load.

Example:
  lakebolt retry 0b6e9d6c --output ./lake";

pub(super) const REPLAY: &str = "\
Rows that the fixed mapping accepts are published and removed from the quarantine.

Example:
  lakebolt replay vpc_flow --output ./lake";

pub(super) const ADOPT: &str = "\
Rebuilds the status from the manifests in the work area and writes the new owner into the target.
No load of the former owner may run. Refused if the target holds parts that no manifest names.

Examples:
  lakebolt adopt vpc_flow --output ./lake
  lakebolt adopt vpc_flow --output s3://lake --state dynamodb:lakebolt --format json";

pub(super) const QUARANTINE: &str = "\
Examples:
  lakebolt quarantine vpc_flow --output ./lake
  lakebolt quarantine vpc_flow --output ./lake --reason unparsable --limit 100";

pub(super) const LINT: &str = "\
Prints every error as file:line:column: key: message (remedy). Exits 2 if there is an error.

Examples:
  lakebolt lint ./my_source
  lakebolt lint ./sources ./config/metadata/vpc-metadata.csv --format json";

pub(super) const TEST: &str = "\
Maps each file of samples/ and compares the rows with those of expected/. Records without an
account get 111122223333. Exits 6 if a row differs, or if `verify` would refuse an event.

Examples:
  lakebolt test ./my_source
  lakebolt test ./sources --format json
  lakebolt test ./my_source --bless                   # writes expected/; review it like code";

pub(super) const OCSF: &str = "\
Reads no network. The column `mapped by` names the shipped sources that map an attribute.

Examples:
  lakebolt ocsf                                       # every class
  lakebolt ocsf authentication
  lakebolt ocsf authentication.activity_id
  lakebolt ocsf src_endpoint --format json
  lakebolt ocsf --search logon";

pub(super) const SCHEMA: &str = "\
Editors with taplo, such as Even Better TOML, complete and check keys, attributes and captions
with it. Name the printed file in the first line of the TOML: #:schema ./source.schema.json

Examples:
  lakebolt schema source > source.schema.json
  lakebolt schema event authentication > authentication.schema.json";

pub(super) const VERIFY: &str = "\
Exits 6 if a rule fails.

Examples:
  lakebolt verify ./lake
  lakebolt verify ./lake/ext/vpc_flow/region=eu-central-1 --format json";

pub(super) const SHOW: &str = "\
Example:
  lakebolt show ./lake -n 3 | jq .";

pub(super) const DEMO: &str = "\
Writes sample logs to FOLDER/input, and their events and state to FOLDER/lake. When it runs again,
it skips what is loaded already.";

pub(super) const SWEEP: &str = "\
Example:
  lakebolt sweep ./lake --min-age 2h";

pub(super) const DOCTOR: &str = "\
Takes the settings of run. It loads nothing and leaves no files behind. Exits 4 if a check fails.

Examples:
  lakebolt doctor vpc_flow --input ./AWSLogs --output ./lake
  lakebolt doctor --input s3://logs/AWSLogs --output s3://lake --state dynamodb:lakebolt
  lakebolt doctor vpc_flow --format json | jq '.checks[] | select(.state != \"ok\")'";

pub(super) const CONFIG_INIT: &str = "\
Creates missing tables, which are billed on demand. Existing tables are checked and not changed.

Example:
  lakebolt config init --state dynamodb:asl-etl-framework";

pub(super) const COMPLETIONS: &str = "\
Examples:
  lakebolt completions bash > ~/.local/share/bash-completion/completions/lakebolt
  lakebolt completions zsh > ~/.zfunc/_lakebolt";
