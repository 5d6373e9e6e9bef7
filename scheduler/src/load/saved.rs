//! A request as its load's record keeps it: everything but the compiled source, which
//! is compiled again from its configuration.

use std::time::Duration;

use plans::mapping::Program;
use plans::spec::Format;
use plans::storage::Role;
use serde::{Deserialize, Serialize};

use super::request::{LoadRequest, OnStale, Range, Shape};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedRequest {
    pub source: String,
    pub config_digest: String,
    pub inputs: Vec<String>,
    pub output: String,
    #[serde(default)]
    pub role: Option<Role>,
    pub name: String,
    pub shape: Shape,
    pub range: Range,
    pub full_load: bool,
    pub on_stale: OnStale,
    pub margin: u32,
    pub lateness: Duration,
    pub region: Option<String>,
    pub account: Option<String>,
    pub quarantine: String,
    pub work: String,
    pub max_quarantine: f64,
    pub max_attempts: u32,
    pub parallel: usize,
    pub wait: Duration,
    pub allow_empty: bool,
    pub cores: usize,
    pub memory_bytes: u64,
}

impl SavedRequest {
    pub fn of(request: &LoadRequest) -> Self {
        let request = request.clone();
        Self {
            source: request.source,
            config_digest: request.program.digest,
            inputs: request.inputs,
            output: request.output,
            role: request.role,
            name: request.name,
            shape: request.shape,
            range: request.range,
            full_load: request.full_load,
            on_stale: request.on_stale,
            margin: request.margin,
            lateness: request.lateness,
            region: request.region,
            account: request.account,
            quarantine: request.quarantine,
            work: request.work,
            max_quarantine: request.max_quarantine,
            max_attempts: request.max_attempts,
            parallel: request.parallel,
            wait: request.wait,
            allow_empty: request.allow_empty,
            cores: request.cores,
            memory_bytes: request.memory_bytes,
        }
    }

    /// The request again, with the source as it is compiled now.
    pub fn with(self, program: Program, format: Format) -> LoadRequest {
        LoadRequest {
            source: self.source,
            program,
            format,
            inputs: self.inputs,
            output: self.output,
            role: self.role,
            name: self.name,
            shape: self.shape,
            range: self.range,
            full_load: self.full_load,
            on_stale: self.on_stale,
            margin: self.margin,
            lateness: self.lateness,
            region: self.region,
            account: self.account,
            quarantine: self.quarantine,
            work: self.work,
            max_quarantine: self.max_quarantine,
            max_attempts: self.max_attempts,
            parallel: self.parallel,
            wait: self.wait,
            allow_empty: self.allow_empty,
            cores: self.cores,
            memory_bytes: self.memory_bytes,
        }
    }
}
