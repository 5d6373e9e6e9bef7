//! Errors of a status store, and their remedies.

use super::PeriodRecord;
use crate::load::failure::{self, Failure, Kind};

/// Why a status store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    #[error("another process has changed the item")]
    Conflict { current: Option<Box<PeriodRecord>> },
    #[error("the status store at {uri} cannot be reached")]
    Unreachable {
        uri: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the status store at {uri} holds data that this version cannot read: {what}")]
    Unreadable { uri: String, what: String },
    #[error("{uri}: unknown kind of status store; known are {known}")]
    NoStore { uri: String, known: String },
    #[error("{uri}: {what}")]
    BadUri { uri: String, what: String },
    #[error("the status store at {uri} has no table {table} in region {region}")]
    NoTable {
        uri: String,
        table: String,
        region: String,
    },
    #[error("the status store at {uri} has two run-status tables, {first} and {second}")]
    TwoTables {
        uri: String,
        first: String,
        second: String,
    },
    #[error("the status store at {uri} has a table {table} of another shape: {wanted}")]
    OtherShape {
        uri: String,
        table: String,
        wanted: &'static str,
    },
    #[error("the status store at {uri} denies {action} on table {table}")]
    Denied {
        uri: String,
        action: String,
        table: String,
    },
    #[error("the status store at {uri} needs valid AWS credentials: {what}")]
    NoCredentials { uri: String, what: String },
    #[error("the status store at {uri} needs an AWS region, and none is set")]
    NoRegion { uri: String },
    #[error("the status store at {uri} refuses requests because this machine's clock is wrong")]
    Skewed { uri: String },
    #[error("the status store at {uri}: an item of table {table} would be larger than 400 KB")]
    TooLarge { uri: String, table: String },
    #[error("the status store at {uri} rejected {what}")]
    Rejected { uri: String, what: String },
}

impl StatusError {
    /// Returns true if the same call may succeed later with the same input.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Conflict { .. }
            | Self::Unreadable { .. }
            | Self::NoStore { .. }
            | Self::BadUri { .. }
            | Self::NoTable { .. }
            | Self::TwoTables { .. }
            | Self::OtherShape { .. }
            | Self::Denied { .. }
            | Self::NoCredentials { .. }
            | Self::NoRegion { .. }
            | Self::Skewed { .. }
            | Self::TooLarge { .. }
            | Self::Rejected { .. } => false,
        }
    }

    /// Returns advice for the user.
    pub fn remedy(&self) -> String {
        let remedy = match self {
            Self::Conflict { .. } => "another load changed the same period: run it again",
            Self::Unreachable { uri, .. } if uri.starts_with("dynamodb:") => {
                "check the network, the region and AWS_ENDPOINT_URL, and run it again"
            }
            Self::Unreachable { .. } => "check --state, and that it can be written",
            Self::NoStore { .. } => "give --state as sqlite:PATH or dynamodb:TABLE_PREFIX",
            Self::BadUri { .. } => "give --state as dynamodb:TABLE_PREFIX",
            Self::Unreadable { .. } => {
                "the state was written by another version: use that one, or another --state"
            }
            Self::NoTable { uri, .. } => {
                return format!("check the region, or run `lakebolt config init --state {uri}`");
            }
            Self::TwoTables { .. } => "delete the one that is not used, or give another prefix",
            Self::OtherShape { .. } => "give --state with another prefix, or delete that table",
            Self::Denied { action, .. } => {
                return format!("allow this role {action} on that table and its indexes");
            }
            Self::NoCredentials { .. } => {
                "set AWS_PROFILE or AWS_ACCESS_KEY_ID, or log in again, and check the role"
            }
            Self::NoRegion { .. } => "set AWS_REGION, or a region in the AWS profile",
            Self::Skewed { .. } => "set this machine's clock",
            Self::TooLarge { .. } => "load fewer periods at once",
            Self::Rejected { .. } => "see the message, and check the table in the AWS console",
        };
        remedy.to_owned()
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
            StatusError::Unreachable { .. } => (Kind::Dependency, failure::UNREACHABLE),
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
