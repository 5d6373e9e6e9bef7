//! The layers below the flags: `LAKEBOLT_*` and `lakebolt.toml`. Only this module reads the
//! environment.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser};

use crate::failure::Failure;
use crate::settings::Settings;

const FILE: &str = "lakebolt.toml";
const PREFIX: &str = "LAKEBOLT_";

/// The variables and the current folder of this process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    /// The variables `LAKEBOLT_*`, without the prefix.
    variables: Vec<(String, String)>,
    pub(crate) folder: PathBuf,
}

/// One setting, parsed as a flag, so that all layers share one grammar.
#[derive(Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
struct OneSetting {
    #[command(flatten)]
    settings: Settings,
}

impl Environment {
    /// Reads the process's environment and its current folder.
    pub(crate) fn of_process() -> Result<Self, Failure> {
        let folder = std::env::current_dir().map_err(|error| {
            Failure::usage(
                format!("cannot read the current folder: {error}"),
                "change to a folder that exists",
            )
        })?;
        let variables = std::env::vars_os().filter_map(own_variable).collect();
        Ok(Self { variables, folder })
    }

    /// The settings of `LAKEBOLT_*`, which override those of `lakebolt.toml`.
    pub(crate) fn settings(&self) -> Result<Settings, Failure> {
        let file = read_file(&self.folder.join(FILE))?;
        Ok(self.variable_settings()?.over(file))
    }

    /// The log filter in tracing's syntax, `LAKEBOLT_LOG`.
    pub(crate) fn log_filter(&self) -> Option<&str> {
        self.variable("LOG")
    }

    /// The point at which a test kills this process, `LAKEBOLT_CRASH_AT`.
    pub(crate) fn crash_at(&self) -> Option<&str> {
        self.variable("CRASH_AT")
    }

    fn variable(&self, name: &str) -> Option<&str> {
        let mut found = self.variables.iter().filter(|(key, _)| key == name);
        found.next().map(|(_, value)| value.as_str())
    }

    /// Skips variables that name no setting: other programs read them, such as an executor.
    fn variable_settings(&self) -> Result<Settings, Failure> {
        let mut settings = Settings::default();
        for (name, value) in &self.variables {
            let key = name.to_ascii_lowercase().replace('_', "-");
            if !is_setting(&key) {
                continue;
            }
            let read = parse(&key, std::slice::from_ref(value));
            let read = read.map_err(|invalid| invalid.at(&format!("{PREFIX}{name}")))?;
            settings = settings.beside(read);
        }
        Ok(settings)
    }
}

fn own_variable((name, value): (OsString, OsString)) -> Option<(String, String)> {
    let name = name.to_str()?.strip_prefix(PREFIX)?.to_owned();
    Some((name, value.to_string_lossy().into_owned()))
}

fn is_setting(key: &str) -> bool {
    let command = OneSetting::command();
    let mut flags = command.get_arguments().filter_map(clap::Arg::get_long);
    flags.any(|flag| flag == key)
}

/// The error in one setting, before its place is known.
#[derive(Debug)]
struct Invalid {
    message: String,
    remedy: String,
}

impl Invalid {
    fn at(self, place: &str) -> Failure {
        Failure::usage(format!("{place}: {}", self.message), self.remedy)
    }
}

/// Reads `key` with `values` as if they were flags.
fn parse(key: &str, values: &[String]) -> Result<Settings, Invalid> {
    let flags = values.iter().map(|value| format!("--{key}={value}"));
    OneSetting::try_parse_from(flags)
        .map(|one| one.settings)
        .map_err(|error| explain(key, &error))
}

fn explain(key: &str, error: &clap::Error) -> Invalid {
    let nearest = match error.get(ContextKind::SuggestedArg) {
        Some(ContextValue::String(flag)) => Some(flag.trim_start_matches('-').to_owned()),
        _ => None,
    };
    if error.kind() == ErrorKind::UnknownArgument {
        return Invalid {
            message: format!("`{key}` is not a setting"),
            remedy: match nearest {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => "a key is a flag of `lakebolt run --help` without its dashes".into(),
            },
        };
    }
    let (message, remedy) = explain_text(&error.to_string());
    Invalid { message, remedy }
}

/// Splits clap's text: the first line is the error, a later line in brackets or with a tip
/// is the remedy.
pub(crate) fn explain_text(text: &str) -> (String, String) {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let message = lines.next().unwrap_or_default();
    let message = message.trim_start_matches("error: ").to_owned();
    let useful = |line: &&str| line.starts_with('[') || line.starts_with("tip: ");
    let remedy = lines.find(useful).unwrap_or_default();
    let remedy = remedy.trim_start_matches("tip: ");
    (message, remedy.trim_matches(['[', ']']).to_owned())
}

/// The settings of the file at `path`; none if it does not exist.
fn read_file(path: &Path) -> Result<Settings, Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) => read_text(&text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Settings::default()),
        Err(error) => Err(Failure::usage(
            format!("cannot read {FILE}: {error}"),
            "fix its permissions, or remove it",
        )),
    }
}

fn read_text(text: &str) -> Result<Settings, Failure> {
    let table = toml::de::DeTable::parse(text).map_err(|error| {
        let place = place(text, error.span().map_or(0, |span| span.start));
        Failure::usage(format!("{place}: {}", error.message()), "")
    })?;
    let mut settings = Settings::default();
    for (key, value) in table.get_ref() {
        let at = place(text, key.span().start);
        let values = flag_values(value.get_ref()).ok_or_else(|| {
            let message = format!("{at}: `{}` has a value of the wrong type", key.get_ref());
            Failure::usage(
                message,
                "write a string, a number, true, false, a date or a list of strings",
            )
        })?;
        let read = parse(key.get_ref(), &values).map_err(|invalid| invalid.at(&at))?;
        settings = settings.beside(read);
    }
    Ok(settings)
}

/// `lakebolt.toml:LINE`.
fn place(text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or(text);
    format!("{FILE}:{}", before.matches('\n').count() + 1)
}

/// The value as flags would give it.
fn flag_values(value: &toml::de::DeValue<'_>) -> Option<Vec<String>> {
    use toml::de::DeValue;
    match value {
        DeValue::String(text) => Some(vec![text.to_string()]),
        DeValue::Integer(number) => Some(vec![number.to_string()]),
        DeValue::Float(number) => Some(vec![number.to_string()]),
        DeValue::Boolean(flag) => Some(vec![flag.to_string()]),
        DeValue::Datetime(time) => Some(vec![time.to_string()]),
        DeValue::Array(items) => {
            let mut values = Vec::new();
            for item in items {
                match item.get_ref() {
                    DeValue::String(text) => values.push(text.to_string()),
                    _ => return None,
                }
            }
            Some(values)
        }
        DeValue::Table(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Environment {
            variables: variables.iter().map(own).collect(),
            folder: PathBuf::from("/nonexistent"),
        }
    }

    fn refused(text: &str) -> Failure {
        read_text(text).expect_err("the file is invalid")
    }

    #[test]
    fn keys_of_a_file_are_named_like_flags() {
        let text =
            "input = [\"a\", \"b\"]\nmax-attempts = 5\nfull-load = true\nlateness = \"2d\"\n";
        let settings = read_text(text).expect("the file is valid");
        assert_eq!(settings.input.map(|input| input.len()), Some(2));
        assert_eq!(settings.max_attempts, Some(5));
        assert_eq!(settings.full_load, Some(true));
    }

    #[test]
    fn a_day_may_be_a_toml_date() {
        let settings = read_text("from = 2024-01-22\nto = \"2024-01-23\"\n");
        let settings = settings.expect("the file is valid");
        assert!(settings.from.is_some() && settings.to.is_some());
    }

    #[test]
    fn an_unknown_key_is_reported_with_its_line_and_the_nearest_key() {
        let failure = refused("margin = 1\n\nlatenes = \"2d\"\n");
        assert!(
            failure.message.starts_with("lakebolt.toml:3: `latenes`"),
            "{failure}"
        );
        assert!(failure.remedy.contains("lateness"), "{failure}");
    }

    #[test]
    fn an_invalid_value_is_reported_with_its_line_and_the_possible_values() {
        let failure = refused("shape = \"raw\"\nlateness = \"48\"\n");
        assert!(
            failure.message.starts_with("lakebolt.toml:2: "),
            "{failure}"
        );
        assert!(failure.message.contains("48h"), "{failure}");
        let failure = refused("shape = \"cooked\"");
        assert!(failure.remedy.contains("ocsf, raw"), "{failure}");
    }

    #[test]
    fn invalid_toml_is_reported_with_its_line() {
        let failure = refused("margin = 1\nregion = \n");
        assert!(
            failure.message.starts_with("lakebolt.toml:2: "),
            "{failure}"
        );
    }

    #[test]
    fn a_table_is_rejected() {
        assert!(refused("[region]\n").message.contains("wrong type"));
    }

    #[test]
    fn variables_are_named_like_flags_in_capitals() {
        let environment = environment(&[("MAX_ATTEMPTS", "7"), ("FULL_LOAD", "false")]);
        let settings = environment.settings().expect("both are valid");
        assert_eq!(settings.max_attempts, Some(7));
        assert_eq!(settings.full_load, Some(false));
    }

    #[test]
    fn an_invalid_variable_is_named() {
        let failure = environment(&[("MARGIN", "far")]).settings();
        assert!(failure.is_err_and(|failure| failure.message.starts_with("LAKEBOLT_MARGIN: ")));
    }

    #[test]
    fn variables_that_are_not_settings_are_ignored() {
        let environment = environment(&[("CRASH_AT", "after-lease"), ("NONSENSE", "1")]);
        assert_eq!(environment.settings().ok(), Some(Settings::default()));
        assert_eq!(environment.crash_at(), Some("after-lease"));
    }
}
