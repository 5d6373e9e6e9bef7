//! What a load is asked for. `Terms` is serialised as it is, for the protocol and for the load's
//! record, so that each setting is spelled once.
//!
//! A new flag `--example` touches four places:
//!
//! 1. `job/src/settings.rs`: a field of `Settings`. Flags, environment and `lakebolt.toml` then
//!    have it, and its comment is the help.
//! 2. Here: a field of `Terms`, with `#[serde(default)]`, since older clients do not send it and
//!    older records do not have it.
//! 3. `job/src/request.rs`: a line of `terms`, which gives the field its value or its default.
//! 4. `scheduler/src/load/check.rs`: a line of `check`, unless every value of its type is right.
//!
//! The driver reads `request.terms.example`. Tasks do not see terms: what they need is also a
//! field of `AttemptSpec` in `plans/src/attempt.rs`, which `spec` in
//! `scheduler/src/drive/attempt.rs` fills. A place or a role is also checked in
//! `scheduler/src/service/policy.rs`.

use std::time::Duration;

use plans::compiled::Compiled;
use plans::mapping::Program;
use plans::spec::Format;
use plans::storage::Role;
use serde::{Deserialize, Serialize};

use super::days::Day;

/// One request for a dataset over a range of days: a compiled source, and the terms. Flags,
/// environment and files are merged, and URIs are absolute.
#[derive(Clone, Debug)]
pub struct LoadRequest {
    pub source: CompiledSource,
    pub terms: Terms,
}

/// A source, compiled for a load.
#[derive(Clone, Debug)]
pub struct CompiledSource {
    /// The source's name.
    pub name: String,
    /// The compiled mappings. Its digest names the configuration.
    pub program: Program,
    /// Format name and options, for the scan.
    pub format: Format,
}

/// Everything that a load is asked for except its source. The default is an empty form to fill:
/// `check` refuses it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// Folder, object or prefix URIs (`file:///…`, `s3://…`).
    pub inputs: Vec<String>,
    /// Target URI (`file:///…`, `s3://…`), as given.
    pub output: String,
    /// The role that writes the target, if it is not the process's own identity.
    #[serde(default)]
    pub role: Option<Role>,
    /// `--as`
    pub name: String,
    pub shape: Shape,
    pub range: Range,
    pub full_load: bool,
    pub on_stale: OnStale,
    /// `--on-vanished`
    #[serde(default)]
    pub on_vanished: OnVanished,
    /// `--accept-broken`
    #[serde(default)]
    pub accept_broken: bool,
    /// Days.
    pub margin: u32,
    pub lateness: Duration,
    pub region: Option<String>,
    pub account: Option<String>,
    pub quarantine: String,
    pub work: String,
    /// Per cent of the rows read.
    pub max_quarantine: f64,
    pub max_attempts: u32,
    /// Periods at once; 0 leaves it to the engine.
    pub parallel: usize,
    /// How long to wait for another load's lease.
    pub wait: Duration,
    pub allow_empty: bool,
    /// The memory that each sink partition may use.
    pub memory_bytes: u64,
}

/// The days asked for, before "today" is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Range {
    /// Every day found in the input, to yesterday.
    #[default]
    Everything,
    /// Both inclusive.
    Between { from: Day, to: Day },
    /// The last days up to and including today.
    LastDays(u32),
    /// Day periods for the last days before today.
    Daily(u32),
}

/// What is written: OCSF events, or the parsed columns as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    #[default]
    Ocsf,
    Raw,
}

/// What happens to days that were loaded with another configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnStale {
    /// They are reported and left.
    #[default]
    Report,
    /// They are loaded again.
    Reload,
}

/// What happens to a day when new objects hold rows of it while objects that gave it rows are
/// gone. Nobody can know whether the new objects hold the old rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnVanished {
    /// The day is kept as it is and reported as rewritten.
    #[default]
    Report,
    /// The day is published again from the objects that exist.
    Replace,
    /// The rows of the new objects are published beside the others.
    Add,
}

impl Terms {
    /// How long after its end a day stays open: the lateness, but never less than the margin,
    /// since objects of the days after it hold events of a day too.
    pub fn closing_delay(&self) -> Duration {
        self.lateness.max(MARGIN_DAY * self.margin)
    }
}

const MARGIN_DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl From<Compiled> for CompiledSource {
    fn from(compiled: Compiled) -> Self {
        Self {
            name: compiled.source.name,
            program: compiled.program,
            format: compiled.source.format,
        }
    }
}

/// Terms that `check` accepts.
#[cfg(test)]
pub(crate) fn example() -> Terms {
    Terms {
        inputs: vec!["file:///in".to_owned()],
        output: "s3://lake/a".to_owned(),
        name: "default".to_owned(),
        range: Range::Daily(3),
        margin: 1,
        lateness: Duration::from_secs(48 * 60 * 60),
        quarantine: "s3://lake/q/".to_owned(),
        work: "s3://lake/w/".to_owned(),
        max_quarantine: 5.0,
        max_attempts: 3,
        memory_bytes: 128 << 20,
        ..Terms::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json() -> serde_json::Value {
        serde_json::to_value(example()).expect("terms are JSON")
    }

    #[test]
    fn terms_are_read_as_they_were_written() {
        let read: Terms = serde_json::from_value(json()).expect("they are terms");
        assert_eq!(read, example());
    }

    #[test]
    fn a_field_of_a_newer_program_is_refused_by_its_name() {
        let mut newer = json();
        newer["example"] = true.into();
        let error = serde_json::from_value::<Terms>(newer).expect_err("it is unknown");
        assert!(error.to_string().contains("unknown field `example`"));
    }

    #[test]
    fn a_day_is_not_closed_before_its_margin_has_passed() {
        let mut terms = example();
        let day = Duration::from_secs(24 * 60 * 60);
        assert_eq!(terms.closing_delay(), day * 2);
        terms.margin = 3;
        assert_eq!(terms.closing_delay(), day * 3);
    }
}
