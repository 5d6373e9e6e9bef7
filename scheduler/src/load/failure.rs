//! Why a period or a load came to nothing, as it is reported: a code, a message, and
//! what to do about it.

use serde::{Deserialize, Serialize};

use super::exit::ExitCode;
pub use plans::reported::with_causes;

/// Codes of failures that say nothing about the work.
pub(crate) const HELD: &str = "lease_held";
pub(crate) const LOST: &str = "lease_lost";
pub(crate) const UNREACHABLE: &str = "status_unreachable";

/// What kind of failure it is, which decides the exit code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Bug,
    Usage,
    /// The work itself failed.
    #[default]
    Work,
    /// Something outside cannot be reached, or holds nothing.
    Dependency,
    /// Somebody else works on it, or it must not be written.
    Refused,
    Cancelled,
}

impl Kind {
    /// The exit code of a process that fails with this kind.
    pub fn exit_code(self) -> ExitCode {
        match self {
            Self::Bug => ExitCode::Bug,
            Self::Usage => ExitCode::Usage,
            Self::Work => ExitCode::PeriodsFailed,
            Self::Dependency => ExitCode::Unavailable,
            Self::Refused => ExitCode::Refused,
            Self::Cancelled => ExitCode::Cancelled,
        }
    }
}

/// A failure as `--format json` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub code: String,
    pub message: String,
    pub remedy: String,
    #[serde(skip, default)]
    pub kind: Kind,
    /// Whether another attempt may succeed without a change to the input.
    #[serde(skip, default)]
    pub retryable: bool,
}

impl Failure {
    pub fn new(kind: Kind, code: &str, message: impl Into<String>, remedy: &str) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            remedy: remedy.to_owned(),
            kind,
            retryable: false,
        }
    }

    /// The same failure, retryable or not.
    pub(crate) fn retryable(mut self, retryable: bool) -> Self {
        self.retryable = retryable;
        self
    }

    /// Whether the load was cut off from the status store: what stands there by now says
    /// how to go on.
    pub fn is_cut_off(&self) -> bool {
        self.code == LOST || self.code == UNREACHABLE
    }

    /// Whether another holds the period's lease.
    pub fn is_held(&self) -> bool {
        self.code == HELD
    }

    /// Whether another works on what this was about.
    pub fn is_elsewhere(&self) -> bool {
        self.code == HELD || self.code == LOST
    }

    /// The load was stopped on purpose.
    pub fn cancelled() -> Self {
        Self::new(
            Kind::Cancelled,
            "cancelled",
            "the load was cancelled",
            "run it again: what was published stays, the rest is loaded",
        )
    }

    /// A report of `error` with everything it says about its causes.
    pub fn of(kind: Kind, code: &str, error: &dyn std::error::Error, remedy: &str) -> Self {
        Self::new(kind, code, with_causes(error), remedy)
    }
}
