//! What is asked for: one load, fully resolved (flags, environment and files have
//! been merged, URIs are absolute, the source is compiled).

use std::time::Duration;

use plans::mapping::Program;
use plans::storage::Role;
use serde::{Deserialize, Serialize};

use super::days::Day;

/// One request for a dataset over a range of days.
#[derive(Clone, Debug)]
pub struct LoadRequest {
    /// The source's name.
    pub source: String,
    pub program: Program,
    /// Format name and options, for the scan.
    pub format: plans::spec::Format,
    /// Folder, object or prefix URIs (`file:///…`, `s3://…`).
    pub inputs: Vec<String>,
    /// Target URI (`file:///…`, `s3://…`), as given.
    pub output: String,
    /// Who writes it, when not this process itself.
    pub role: Option<Role>,
    /// `--as`
    pub name: String,
    pub shape: Shape,
    pub range: Range,
    pub full_load: bool,
    pub on_stale: OnStale,
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
    /// How long to wait for another's lease.
    pub wait: Duration,
    pub allow_empty: bool,
    /// Sink partitions that run at once, and the memory each may use.
    pub cores: usize,
    pub memory_bytes: u64,
}

impl LoadRequest {
    /// How long after its end a day stays open: the lateness, but never less than the margin,
    /// since events of a day stand in objects of the days after it too.
    pub fn closing_delay(&self) -> Duration {
        self.lateness.max(MARGIN_DAY * self.margin)
    }
}

const MARGIN_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The days asked for, before "today" is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Range {
    /// Every day found in the input, to yesterday.
    Everything,
    /// Both inclusive.
    Between { from: Day, to: Day },
    /// The last days up to and including today.
    LastDays(u32),
    /// Day tasks for the last days before today.
    Daily(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    Ocsf,
    Raw,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnStale {
    Report,
    Reload,
}
