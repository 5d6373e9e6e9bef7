//! The settings of a load, which come in layers: flags, a request file, the environment,
//! `lakebolt.toml`, a source's own hints. Each layer fills the same struct; a higher layer's value
//! hides a lower one's.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use scheduler::load::days::Day;
use scheduler::load::terms::{OnStale, OnVanished, Range, Shape};

use crate::failure::Failure;
use crate::values;

/// The format of results on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// Text.
    #[default]
    Human,
    /// One JSON object.
    Json,
}

/// How progress is printed to stderr.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressKind {
    /// Bars on a terminal, else plain lines.
    #[default]
    Auto,
    /// One line for each change of state.
    Plain,
    /// Nothing.
    None,
}

/// The shape of the written rows: OCSF events, or the parsed columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ShapeName {
    Ocsf,
    Raw,
}

/// The rule for days that were loaded with a different configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StaleRule {
    /// Report them and keep them.
    Report,
    /// Load them again.
    Reload,
}

/// The rule for days with new rows while objects that gave them rows are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum VanishedRule {
    /// Report them and keep them.
    Report,
    /// Publish them from the objects that exist.
    Replace,
    /// Publish the rows of the new objects beside the others.
    Add,
}

/// The engine that runs the plans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EngineName {
    Ballista,
    Datafusion,
}

/// Defines a struct of options, and a method that fills missing fields from another value.
macro_rules! layered {
    (
        $(#[$of_struct:meta])*
        $visibility:vis struct $name:ident {
            $($(#[$of_field:meta])* $field_visibility:vis $field:ident: $option:ty,)+
        }
    ) => {
        $(#[$of_struct])*
        $visibility struct $name {
            $($(#[$of_field])* $field_visibility $field: $option,)+
        }

        impl $name {
            /// Fills missing settings with those of `low`, which is of the same layer.
            $visibility fn beside(self, low: Self) -> Self {
                Self { $($field: self.$field.or(low.$field),)+ }
            }
        }
    };
}

layered! {
    /// Every setting of a load. Flags, keys of `lakebolt.toml` and `LAKEBOLT_*` variables are
    /// named after the fields.
    #[derive(Args, Clone, Debug, Default, PartialEq)]
    #[group(id = "settings")]
    pub(crate) struct Settings {
        /// Input: a folder, an object or s3://BUCKET/PREFIX; can be repeated
        #[arg(long, value_name = "URI", help_heading = "Input")]
        pub(crate) input: Option<Vec<String>>,

        /// First UTC day to load, yyyy-MM-dd; needs --to
        #[arg(long, value_name = "DAY", value_parser = values::day, help_heading = "Days",
              conflicts_with_all = ["days", "daily"])]
        pub(crate) from: Option<Day>,

        /// Last UTC day to load, inclusive; needs --from
        #[arg(long, value_name = "DAY", value_parser = values::day, help_heading = "Days",
              conflicts_with_all = ["days", "daily"])]
        pub(crate) to: Option<Day>,

        /// Load the last N days up to today, month by month
        #[arg(long, value_name = "N", value_parser = values::some_days, help_heading = "Days",
              conflicts_with = "daily")]
        pub(crate) days: Option<u32>,

        /// Load the last N days before today (default 1: yesterday), day by day
        ///
        /// Also revisits earlier days that were left incomplete.
        #[arg(long, value_name = "N", value_parser = values::some_days, help_heading = "Days",
              num_args = 0..=1, require_equals = true, default_missing_value = "1")]
        pub(crate) daily: Option<u32>,

        /// Load every selected day again, and replace its objects
        #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
              default_missing_value = "true", hide_possible_values = true, help_heading = "Days")]
        pub(crate) full_load: Option<bool>,

        /// Target: a folder or s3://BUCKET[/PREFIX]
        ///
        /// Objects are written below ext/SOURCE/region=…/accountId=…/eventDay=…/.
        #[arg(long, value_name = "URI", help_heading = "Output")]
        pub(crate) output: Option<String>,

        /// OCSF version of the events, 1.1.0 or 1.3.0 [default: 1.1.0]
        #[arg(long, value_name = "VERSION", help_heading = "Output")]
        pub(crate) ocsf: Option<String>,

        /// Write OCSF events, or the parsed columns [default: ocsf]
        #[arg(long, value_enum, help_heading = "Output")]
        pub(crate) shape: Option<ShapeName>,

        /// Region in the path of objects [default: the row's, else the input path's]
        #[arg(long, value_name = "REGION", value_parser = values::region,
              help_heading = "Output")]
        pub(crate) region: Option<String>,

        /// Account for rows without one in row or input path [default: external_SOURCE]
        #[arg(long, value_name = "ACCOUNT", help_heading = "Output")]
        pub(crate) account: Option<String>,

        /// IAM role that writes the target, instead of the process's own identity
        #[arg(long, value_name = "ARN", help_heading = "Output")]
        pub(crate) role_arn: Option<String>,

        /// External id that the role's trust policy requires
        #[arg(long, value_name = "ID", help_heading = "Output")]
        pub(crate) external_id: Option<String>,

        /// Folder or prefix for rejected rows, outside the target
        /// [default: OUTPUT.quarantine/, on S3 s3://BUCKET/lakebolt-quarantine/]
        #[arg(long, value_name = "URI", help_heading = "Output")]
        pub(crate) quarantine: Option<String>,

        /// Fail a period if more than this share of its lines is rejected [default: 5%]
        #[arg(long, value_name = "PERCENT", value_parser = values::percent,
              help_heading = "Output")]
        pub(crate) max_quarantine: Option<f64>,

        /// Name of the dataset [default: default]
        #[arg(long = "as", value_name = "NAME", help_heading = "State")]
        pub(crate) name: Option<String>,

        /// Status store, sqlite:PATH or dynamodb:TABLE_PREFIX [default: sqlite:OUTPUT/.lakebolt/state.db]
        #[arg(long, value_name = "URI", help_heading = "State")]
        pub(crate) state: Option<String>,

        /// Work area for receipts, manifests and unpublished parts
        /// [default: OUTPUT/.lakebolt/, on S3 s3://BUCKET/lakebolt-work/]
        #[arg(long, value_name = "URI", help_heading = "State")]
        pub(crate) work: Option<String>,

        /// Report days loaded with a different configuration, or load them again [default: report]
        #[arg(long, value_enum, value_name = "RULE", help_heading = "State")]
        pub(crate) on_stale: Option<StaleRule>,

        /// Report days with new rows while objects that gave them rows are gone, publish them
        /// from what exists (replace), or add the new rows [default: report]
        #[arg(long, value_enum, value_name = "RULE", help_heading = "State")]
        pub(crate) on_vanished: Option<VanishedRule>,

        /// Complete days whose input has damaged objects, with what could be read of them
        #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
              default_missing_value = "true", hide_possible_values = true,
              help_heading = "State")]
        pub(crate) accept_broken: Option<bool>,

        /// How long to wait for a period that another load is loading, such as 30s [default: 0]
        #[arg(long, value_name = "DURATION", value_parser = values::duration, help_heading = "State")]
        pub(crate) wait: Option<Duration>,

        /// Folder of your own sources; they hide shipped ones of the same name
        #[arg(long, value_name = "DIR", help_heading = "Input")]
        pub(crate) config: Option<String>,

        /// Days by which an event's time may differ from its object's day [default: 1]
        #[arg(long, value_name = "DAYS", value_parser = values::days, help_heading = "Input")]
        pub(crate) margin: Option<u32>,

        /// How long after a day's end its input may arrive, such as 48h or 2d [default: 48h]
        #[arg(long, value_name = "DURATION", value_parser = values::duration,
              help_heading = "Input")]
        pub(crate) lateness: Option<Duration>,

        /// Exit with 0 instead of 4 if the input has no objects
        #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
              default_missing_value = "true", hide_possible_values = true,
              help_heading = "Input")]
        pub(crate) allow_empty: Option<bool>,

        /// Attempts of a period before it fails [default: 3]
        #[arg(long, value_name = "N", value_parser = values::positive, help_heading = "Running")]
        pub(crate) max_attempts: Option<u32>,

        /// Periods that run at once [default: 2]
        #[arg(long, value_name = "N", value_parser = values::positive, help_heading = "Running")]
        pub(crate) parallel: Option<u32>,

        /// Format of the result on stdout [default: human]
        #[arg(long, value_enum, help_heading = "Running")]
        pub(crate) format: Option<OutputFormat>,

        /// How to print progress to stderr [default: auto]
        #[arg(long, value_enum, value_name = "KIND", help_heading = "Running")]
        pub(crate) progress: Option<ProgressKind>,

        /// Scheduler of a cluster that runs the load instead of this process
        #[arg(long, value_name = "HOST:PORT", help_heading = "Running")]
        pub(crate) cluster: Option<String>,

        /// PEM file of the authority that signed the scheduler's certificate
        #[arg(long, value_name = "FILE", help_heading = "Running")]
        pub(crate) tls_ca: Option<PathBuf>,

        /// PEM file of the certificate to show to the scheduler
        #[arg(long, value_name = "FILE", help_heading = "Running")]
        pub(crate) tls_cert: Option<PathBuf>,

        /// PEM file of that certificate's key
        #[arg(long, value_name = "FILE", help_heading = "Running")]
        pub(crate) tls_key: Option<PathBuf>,

        /// File with the token of a scheduler without TLS [default: ~/.config/lakebolt/token]
        #[arg(long, value_name = "FILE", help_heading = "Running")]
        pub(crate) token_file: Option<PathBuf>,

        /// Connect to a scheduler on another machine without TLS
        #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
              default_missing_value = "true", hide_possible_values = true,
              help_heading = "Running")]
        pub(crate) plain_tcp: Option<bool>,

        /// Engine that runs the plans
        #[arg(long, value_enum, hide = true)]
        pub(crate) engine: Option<EngineName>,

        /// Tasks that run at once
        #[arg(long, value_name = "N", value_parser = values::positive, hide = true)]
        pub(crate) cores: Option<u32>,

        /// Bytes of parsed rows that each task may hold
        #[arg(long, value_name = "BYTES", value_parser = values::bytes, hide = true)]
        pub(crate) memory: Option<u64>,
    }
}

impl Settings {
    /// Fills missing settings with those of `lower`.
    pub(crate) fn over(self, mut lower: Self) -> Self {
        // The four flags select one range together, so a range is never mixed from two layers.
        if self.names_days() {
            (lower.from, lower.to, lower.days, lower.daily) = (None, None, None, None);
        }
        self.beside(lower)
    }

    fn names_days(&self) -> bool {
        self.from.is_some() || self.to.is_some() || self.days.is_some() || self.daily.is_some()
    }

    /// The selected days.
    pub(crate) fn range(&self) -> Result<Range, Failure> {
        match (self.from, self.to, self.days, self.daily) {
            (None, None, None, None) => Ok(Range::Everything),
            (Some(from), Some(to), None, None) => between(from, to),
            (Some(from), None, None, None) => Err(half_a_range("--from", from, "--to")),
            (None, Some(to), None, None) => Err(half_a_range("--to", to, "--from")),
            (None, None, Some(days), None) => Ok(Range::LastDays(days)),
            (None, None, None, Some(days)) => Ok(Range::Daily(days)),
            _ => Err(Failure::usage(
                "--from and --to, --days and --daily exclude each other",
                "give only one of the three",
            )),
        }
    }

    pub(crate) fn shape(&self) -> Shape {
        match self.shape {
            None | Some(ShapeName::Ocsf) => Shape::Ocsf,
            Some(ShapeName::Raw) => Shape::Raw,
        }
    }

    pub(crate) fn on_stale(&self) -> OnStale {
        match self.on_stale {
            None | Some(StaleRule::Report) => OnStale::Report,
            Some(StaleRule::Reload) => OnStale::Reload,
        }
    }

    pub(crate) fn on_vanished(&self) -> OnVanished {
        match self.on_vanished {
            None | Some(VanishedRule::Report) => OnVanished::Report,
            Some(VanishedRule::Replace) => OnVanished::Replace,
            Some(VanishedRule::Add) => OnVanished::Add,
        }
    }

    pub(crate) fn output_format(&self) -> OutputFormat {
        self.format.unwrap_or_default()
    }
}

fn between(from: Day, to: Day) -> Result<Range, Failure> {
    if from > to {
        return Err(Failure::usage(
            format!("--from {from} is after --to {to}"),
            "give a --to that is not before --from; both days are included",
        ));
    }
    Ok(Range::Between { from, to })
}

fn half_a_range(given: &str, day: Day, missing: &str) -> Failure {
    Failure::usage(
        format!("{given} {day} needs {missing}"),
        format!("add {missing} DAY, or use --days N for the last days"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Option<Day> {
        values::day(text).ok()
    }

    #[test]
    fn a_higher_layer_overrides_single_values_of_a_lower_one() {
        let flags = Settings {
            margin: Some(2),
            ..Settings::default()
        };
        let file = Settings {
            margin: Some(1),
            region: Some("eu-central-1".to_owned()),
            full_load: Some(true),
            ..Settings::default()
        };
        let merged = flags.over(file);
        assert_eq!(merged.margin, Some(2));
        assert_eq!(merged.region.as_deref(), Some("eu-central-1"));
        assert_eq!(merged.full_load, Some(true));
    }

    #[test]
    fn a_false_flag_overrides_a_true_value_of_a_file() {
        let (mut flags, mut file) = (Settings::default(), Settings::default());
        flags.full_load = Some(false);
        file.full_load = Some(true);
        assert_eq!(flags.over(file).full_load, Some(false));
    }

    #[test]
    fn days_of_a_higher_layer_override_the_whole_range_of_a_lower_one() {
        let (mut flags, mut file) = (Settings::default(), Settings::default());
        flags.days = Some(35);
        (file.from, file.to) = (day("2024-01-01"), day("2024-01-31"));
        let merged = flags.over(file);
        assert!(matches!(merged.range(), Ok(Range::LastDays(35))));
    }

    #[test]
    fn half_a_range_is_rejected_with_the_missing_flag() {
        let settings = Settings {
            from: day("2024-01-01"),
            ..Settings::default()
        };
        assert!(settings.range().is_err_and(|failure| {
            failure.message.contains("needs --to") && failure.remedy.contains("--to DAY")
        }));
    }

    #[test]
    fn a_range_that_ends_before_it_starts_is_rejected() {
        let settings = Settings {
            from: day("2024-02-01"),
            to: day("2024-01-01"),
            ..Settings::default()
        };
        assert!(settings.range().is_err());
    }
}
