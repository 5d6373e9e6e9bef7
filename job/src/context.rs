//! The input of every command besides its arguments.

use std::path::{Path, PathBuf};

use indicatif::MultiProgress;

use crate::config::Environment;
use crate::failure::Failure;
use crate::logs::Verbosity;
use crate::settings::{OutputFormat, Settings};

/// The environment and the settings of this process, read once.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) environment: Environment,
    /// The settings of `LAKEBOLT_*` and `lakebolt.toml`.
    pub(crate) defaults: Settings,
    pub(crate) verbosity: Verbosity,
    /// Shared by progress and logs, so that they do not write over each other.
    pub(crate) bars: MultiProgress,
}

impl Context {
    pub(crate) fn new(environment: Environment, defaults: Settings, verbosity: Verbosity) -> Self {
        Self {
            environment,
            defaults,
            verbosity,
            bars: MultiProgress::new(),
        }
    }

    /// The folder that relative paths start in.
    pub(crate) fn folder(&self) -> &Path {
        &self.environment.folder
    }

    /// The flag's value, else that of the environment or `lakebolt.toml`.
    pub(crate) fn format(&self, flag: Option<OutputFormat>) -> OutputFormat {
        flag.or(self.defaults.format).unwrap_or_default()
    }

    /// The folder of the user's own sources.
    pub(crate) fn config(&self, flag: Option<&str>) -> Result<Option<PathBuf>, Failure> {
        let config = flag.or(self.defaults.config.as_deref());
        config
            .map(|config| crate::uris::local("--config", config, self.folder()))
            .transpose()
    }

    /// The requested OCSF version.
    pub(crate) fn ocsf(&self, flag: Option<&str>) -> String {
        let version = flag.or(self.defaults.ocsf.as_deref());
        version.unwrap_or(plans::ocsf::DEFAULT_VERSION).to_owned()
    }
}
