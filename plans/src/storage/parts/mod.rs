//! Writing parts so that no reader sees them until they are published.
//!
//! `object_store` has no port for this: its writers publish when they close.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Access, StoreFailure};
use crate::storage;

pub mod local;
pub mod s3;

/// What is needed to publish a part, or to abort it, from another process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartHandle {
    /// URI of the object once it is published.
    pub uri: String,
    pub size: u64,
    /// Where its bytes are until then.
    pub staged: Staged,
}

/// Where the bytes of an unpublished part are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Staged {
    /// A file on the target's filesystem, outside what readers list.
    File { path: String },
    /// A multipart upload to the final key that is not completed.
    Upload { id: String, parts: Vec<String> },
}

#[derive(Debug, thiserror::Error)]
pub enum PartError {
    #[error("{uri}: cannot be written")]
    Io {
        uri: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{uri}: {failure}")]
    Store { uri: String, failure: StoreFailure },
    #[error("{uri}: cannot be written to")]
    Unwritable {
        uri: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{uri}: is on another filesystem than the work area {work}")]
    Apart { uri: String, work: String },
    #[error("{uri}: the unpublished part is gone")]
    PartLost { uri: String },
    #[error("{uri}: no sink writes there; known are {known}")]
    NoStorage { uri: String, known: String },
    #[error("{uri}: not a URI")]
    BadUri { uri: String },
}

impl PartError {
    /// A store's answer about `uri`.
    pub fn store(uri: &str, error: object_store::Error) -> Self {
        Self::store_failed(uri, error.into())
    }

    fn store_failed(uri: &str, failure: StoreFailure) -> Self {
        Self::Store {
            uri: uri.to_owned(),
            failure,
        }
    }

    /// Whether the same call may succeed later without a change to the input.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Io { .. } => true,
            Self::Store { failure, .. } => failure.cause.retryable(),
            Self::Unwritable { .. }
            | Self::Apart { .. }
            | Self::PartLost { .. }
            | Self::NoStorage { .. }
            | Self::BadUri { .. } => false,
        }
    }
}

/// The writing side, used by executors.
#[async_trait]
pub trait UnpublishedWriter: Send + Sync + Debug {
    /// Starts a part that will stand at `uri`; `staging` is a name unique to the task attempt.
    async fn create(&self, uri: &str, staging: &str)
    -> Result<Box<dyn UnpublishedPart>, PartError>;
}

/// A part while it is written. Dropping it leaves debris that `sweep` removes.
#[async_trait]
pub trait UnpublishedPart: Send {
    async fn write(&mut self, bytes: Bytes) -> Result<(), PartError>;
    /// The part as far as it is: what aborts it.
    fn handle(&self) -> PartHandle;
    /// Makes the bytes durable, still unseen by readers.
    async fn finish(self: Box<Self>) -> Result<PartHandle, PartError>;
}

/// The publishing side, used by the driver. Every call may be repeated.
#[async_trait]
pub trait PartStore: Send + Sync + Debug {
    /// Makes the part visible at its URI; done already is success.
    async fn complete(&self, part: &PartHandle) -> Result<(), PartError>;
    /// Throws away an unpublished part; gone already is success.
    async fn abort(&self, part: &PartHandle) -> Result<(), PartError>;
    /// Removes a published object; gone already is success.
    async fn delete(&self, uri: &str) -> Result<(), PartError>;
    /// The size of the object at `uri`, if there is one.
    async fn size(&self, uri: &str) -> Result<Option<u64>, PartError>;

    /// Unpublished parts below the folder `folder` that stand in the target's own store;
    /// none where parts wait in the work area.
    async fn pending(&self, folder: &str) -> Result<Vec<Pending>, PartError> {
        let _ = folder;
        Ok(Vec::new())
    }

    /// Finds out whether parts can be written below `folder`, and what a user should know
    /// about it. Leaves nothing behind; `name` is unique.
    async fn probe(&self, folder: &str, name: &str) -> Result<Vec<String>, PartError>;
}

/// An unpublished part as the target's store lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    pub handle: PartHandle,
    pub since: DateTime<Utc>,
}

/// Both sides of a sink.
pub struct PartStorage {
    pub writer: Arc<dyn UnpublishedWriter>,
    pub part_store: Arc<dyn PartStore>,
}

type Open = fn(&str, &Access) -> Result<PartStorage, PartError>;

/// Every kind of sink, by the scheme of its URIs, in alphabetical order.
static SINKS: &[(&str, Open)] = &[
    ("file", |work, _| {
        Ok(PartStorage::of(local::Local::new(work)?))
    }),
    ("s3", |_, access| Ok(PartStorage::of(s3::S3::new(access)))),
];

/// Opens the sink that writes to `target`, by its URI's scheme.
pub fn open(target: &str, work: &str, access: &Access) -> Result<PartStorage, PartError> {
    let scheme = storage::scheme(target);
    match SINKS.iter().find(|(known, _)| *known == scheme) {
        Some((_, open)) => open(work, access),
        None => Err(PartError::NoStorage {
            uri: target.to_owned(),
            known: known_sinks(),
        }),
    }
}

fn known_sinks() -> String {
    let schemes: Vec<_> = SINKS.iter().map(|(scheme, _)| *scheme).collect();
    schemes.join(", ")
}

impl PartStorage {
    fn of(both: impl UnpublishedWriter + PartStore + 'static) -> Self {
        let sink = Arc::new(both);
        Self {
            writer: sink.clone(),
            part_store: sink,
        }
    }
}
