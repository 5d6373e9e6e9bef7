//! Why a period or a load failed, as it is reported: a code, a message and a remedy.

use serde::{Deserialize, Serialize};

use super::exit::ExitCode;
pub use plans::reported::with_causes;

/// Codes of failures that are about the lease or the status store, not about the work.
pub(crate) const HELD: &str = "lease_held";
pub(crate) const LOST: &str = "lease_lost";
pub(crate) const UNREACHABLE: &str = "status_unreachable";
/// Code of a failure to read an object that is not the one that was listed.
pub(crate) const INPUT_CHANGED: &str = "input_changed";

/// The kind of a failure. It decides the exit code.
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
    /// Another load holds the lease, or the target must not be written.
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
    /// A failure that is not retryable.
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

    /// Whether the load lost contact with the status store. Its present content then says how
    /// to go on.
    pub fn is_cut_off(&self) -> bool {
        self.code == LOST || self.code == UNREACHABLE
    }

    /// Whether another holds the period's lease.
    pub fn is_held(&self) -> bool {
        self.code == HELD
    }

    /// Whether another load holds or took the lease.
    pub fn is_held_by_another(&self) -> bool {
        self.code == HELD || self.code == LOST
    }

    /// Whether the next attempt has to list the input again.
    pub fn needs_listing(&self) -> bool {
        self.code == INPUT_CHANGED
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

    /// A failure whose message is that of `error` and its causes.
    pub fn of(kind: Kind, code: &str, error: &dyn std::error::Error, remedy: &str) -> Self {
        Self::new(kind, code, with_causes(error), remedy)
    }
}
