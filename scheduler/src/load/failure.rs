//! Why a period or a load came to nothing, as it is reported: a code, a message, and
//! what to do about it.

use serde::{Deserialize, Serialize};

use super::exit::ExitCode;
use crate::publish::commit::PublishError;
use crate::publish::lease::LeaseError;
use crate::publish::receipts::ReceiptError;
use crate::publish::work::WorkError;
use crate::status::StatusError;
use crate::submit::SubmitError;
pub use plans::reported::with_causes;
use plans::storage::parts::PartError;

/// Codes of failures that say nothing about the work.
const HELD: &str = "lease_held";
const LOST: &str = "lease_lost";
const UNREACHABLE: &str = "status_unreachable";

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

    fn retryable(mut self, retryable: bool) -> Self {
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

impl From<StatusError> for Failure {
    fn from(error: StatusError) -> Self {
        Self::from(&error)
    }
}

impl From<&StatusError> for Failure {
    fn from(error: &StatusError) -> Self {
        let (kind, code) = match error {
            StatusError::Conflict { .. } => (Kind::Refused, "status_conflict"),
            StatusError::Unreachable { .. } => (Kind::Dependency, UNREACHABLE),
            StatusError::Denied { .. }
            | StatusError::NoCredentials { .. }
            | StatusError::Skewed { .. } => (Kind::Dependency, "status_denied"),
            StatusError::NoStore { .. } | StatusError::BadUri { .. } => {
                (Kind::Usage, "bad_state_uri")
            }
            StatusError::NoTable { .. } => (Kind::Usage, "status_table_missing"),
            StatusError::NoRegion { .. } => (Kind::Usage, "no_region"),
            StatusError::Unreadable { .. }
            | StatusError::TwoTables { .. }
            | StatusError::OtherShape { .. } => (Kind::Usage, "status_unreadable"),
            StatusError::TooLarge { .. } => (Kind::Work, "status_item_too_large"),
            StatusError::Rejected { .. } => (Kind::Dependency, "status_rejected"),
        };
        Self::of(kind, code, error, &error.remedy()).retryable(error.retryable())
    }
}

impl From<LeaseError> for Failure {
    fn from(error: LeaseError) -> Self {
        let retryable = error.retryable();
        match error {
            LeaseError::Held { .. } => Self::of(
                Kind::Refused,
                HELD,
                &error,
                "wait for the other load, or let this one wait with --wait",
            ),
            LeaseError::Lost { .. } => Self::of(
                Kind::Refused,
                LOST,
                &error,
                "another load took over and finishes the period: see `lakebolt status`",
            )
            .retryable(retryable),
            LeaseError::Unanswered(_) => Self::of(
                Kind::Dependency,
                UNREACHABLE,
                &error,
                "run the load again when the status store answers: it takes up what is there",
            ),
            LeaseError::Status(error) => error.into(),
            LeaseError::Illegal(_) => Self::of(
                Kind::Bug,
                "illegal_step",
                &error,
                "this should not happen: please report it",
            ),
        }
    }
}

impl From<WorkError> for Failure {
    fn from(error: WorkError) -> Self {
        let retryable = error.retryable();
        let (kind, code) = match &error {
            WorkError::BadUri { .. } => (Kind::Usage, "work_area_unusable"),
            WorkError::Io { .. } | WorkError::Store { .. } => {
                (Kind::Dependency, "work_area_unreachable")
            }
            WorkError::Unreadable { .. } => (Kind::Work, "work_area_unreadable"),
        };
        let remedy = match &error {
            WorkError::Store { source, .. } => source.cause.remedy(),
            _ => None,
        };
        let remedy = remedy.unwrap_or("check --work, and that it can be read and written");
        Self::of(kind, code, &error, remedy).retryable(retryable)
    }
}

impl From<PartError> for Failure {
    fn from(error: PartError) -> Self {
        let retryable = error.retryable();
        let (kind, code) = match &error {
            PartError::Io { .. } | PartError::Unwritable { .. } => {
                (Kind::Refused, "target_not_writable")
            }
            PartError::Store { .. } => (Kind::Dependency, "target_unreachable"),
            PartError::Apart { .. } => (Kind::Usage, "work_area_apart"),
            PartError::PartLost { .. } => (Kind::Work, "parts_lost"),
            PartError::NoStorage { .. } | PartError::BadUri { .. } => (Kind::Usage, "bad_target"),
        };
        let remedy = match &error {
            PartError::Store { failure, .. } => failure.cause.remedy(),
            PartError::Unwritable { .. } => {
                Some("check the target's permissions, and that it is mounted")
            }
            PartError::Apart { .. } => Some("put --work on the filesystem of the target"),
            _ => None,
        };
        let remedy =
            remedy.unwrap_or("check --output, that it can be written and that there is room");
        Self::of(kind, code, &error, remedy).retryable(retryable)
    }
}

impl From<PublishError> for Failure {
    fn from(error: PublishError) -> Self {
        let retryable = error.retryable();
        match error {
            PublishError::Lease(error) => error.into(),
            PublishError::Work(error) => error.into(),
            PublishError::Part(error) => error.into(),
            PublishError::PartsLost { .. } => Self::of(
                Kind::Work,
                "parts_lost",
                &error,
                "run the load again: it loads the days once more and replaces what is there",
            )
            .retryable(retryable),
            PublishError::NoManifest { .. } => Self::of(
                Kind::Bug,
                "manifest_missing",
                &error,
                "load the period again with --full-load",
            ),
        }
    }
}

impl From<ReceiptError> for Failure {
    fn from(error: ReceiptError) -> Self {
        let retryable = error.retryable();
        match error {
            ReceiptError::Work(error) => error.into(),
            ReceiptError::Missing { .. } => Self::of(
                Kind::Work,
                "receipt_missing",
                &error,
                "run the load again; if it stays, look into the executors' logs",
            )
            .retryable(retryable),
            ReceiptError::Foreign { .. }
            | ReceiptError::UnknownSplit { .. }
            | ReceiptError::DoesNotAddUp { .. } => Self::of(
                Kind::Work,
                "ledger_does_not_add_up",
                &error,
                "nothing was published: please report it with the source and its format",
            ),
        }
    }
}

impl From<SubmitError> for Failure {
    fn from(error: SubmitError) -> Self {
        let retryable = error.retryable();
        match error {
            SubmitError::Failed { .. } => Self::of(
                Kind::Work,
                "engine_failed",
                &error,
                "see the message; `lakebolt retry` tries the failed periods again",
            )
            .retryable(retryable),
            SubmitError::Unreachable { .. } => Self::of(
                Kind::Dependency,
                "engine_unreachable",
                &error,
                "check --cluster and that its scheduler runs",
            )
            .retryable(retryable),
            SubmitError::Cancelled => Self::cancelled(),
        }
    }
}
