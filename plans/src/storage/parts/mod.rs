//! Writes parts that readers do not see until they are published.
//!
//! `object_store` does not support this: its writers publish when they close.

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

/// Identifies an unpublished part. Any process can publish or abort it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartHandle {
    /// URI of the object once it is published.
    pub uri: String,
    /// Size in bytes.
    pub size: u64,
    /// Location of its bytes until then.
    pub staged: Staged,
}

/// The location of an unpublished part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Staged {
    /// A file on the target's filesystem, in a folder that readers do not list.
    File { path: String },
    /// An incomplete multipart upload to the final key.
    Upload { id: String, parts: Vec<String> },
}

/// A failure to write or publish a part.
#[derive(Debug, thiserror::Error)]
pub enum PartError {
    /// The filesystem failed.
    #[error("{uri}: cannot be written")]
    Io {
        uri: String,
        #[source]
        source: std::io::Error,
    },
    /// The object store failed.
    #[error("{uri}: {failure}")]
    Store { uri: String, failure: StoreFailure },
    /// The target folder is not writable.
    #[error("{uri}: cannot be written to")]
    Unwritable {
        uri: String,
        #[source]
        source: std::io::Error,
    },
    /// A rename cannot publish parts.
    #[error("{uri}: is on another filesystem than the work area {work}")]
    OtherFilesystem { uri: String, work: String },
    /// The part is neither staged nor published.
    #[error("{uri}: the unpublished part no longer exists")]
    PartLost { uri: String },
    /// No part storage has this scheme.
    #[error("{uri}: unknown kind of target; known: {known}")]
    NoStorage { uri: String, known: String },
    /// The URI is invalid.
    #[error("{uri}: not a URI")]
    BadUri { uri: String },
}

impl PartError {
    /// Converts an error of a store about `uri`.
    pub fn store(uri: &str, error: object_store::Error) -> Self {
        Self::store_failed(uri, error.into())
    }

    fn store_failed(uri: &str, failure: StoreFailure) -> Self {
        Self::Store {
            uri: uri.to_owned(),
            failure,
        }
    }

    /// Whether the same call may succeed later.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Io { .. } => true,
            Self::Store { failure, .. } => failure.cause.retryable(),
            Self::Unwritable { .. }
            | Self::OtherFilesystem { .. }
            | Self::PartLost { .. }
            | Self::NoStorage { .. }
            | Self::BadUri { .. } => false,
        }
    }
}

/// The writing side, used by executors.
#[async_trait]
pub trait UnpublishedWriter: Send + Sync + Debug {
    /// Starts a part that will be published at `uri`. `staging` is unique to the task attempt.
    async fn create(&self, uri: &str, staging: &str)
    -> Result<Box<dyn UnpublishedPart>, PartError>;
}

/// A part that is being written. If it is dropped, its bytes remain until a cleanup.
#[async_trait]
pub trait UnpublishedPart: Send {
    /// Appends bytes.
    async fn write(&mut self, bytes: Bytes) -> Result<(), PartError>;
    /// Returns the handle that aborts the part in its current state.
    fn handle(&self) -> PartHandle;
    /// Makes the bytes durable. Readers do not see them yet.
    async fn finish(self: Box<Self>) -> Result<PartHandle, PartError>;
}

/// The publishing side, used by the driver. Every call may be repeated.
#[async_trait]
pub trait PartStore: Send + Sync + Debug {
    /// Publishes the part. It is not an error if it is already published.
    async fn complete(&self, part: &PartHandle) -> Result<(), PartError>;
    /// Discards an unpublished part. It is not an error if it does not exist.
    async fn abort(&self, part: &PartHandle) -> Result<(), PartError>;
    /// Deletes a published object. It is not an error if it does not exist.
    async fn delete(&self, uri: &str) -> Result<(), PartError>;
    /// Returns the size of the object at `uri`, if it exists.
    async fn size(&self, uri: &str) -> Result<Option<u64>, PartError>;
    /// Returns the bytes of the object at `uri`, if it exists.
    async fn read(&self, uri: &str) -> Result<Option<Bytes>, PartError>;
    /// Writes a small object if there is none at `uri`. Returns false if there is one. Of
    /// several writers one succeeds.
    async fn create_new(&self, uri: &str, bytes: Bytes) -> Result<bool, PartError>;
    /// Writes a small object, in one step.
    async fn replace(&self, uri: &str, bytes: Bytes) -> Result<(), PartError>;
    /// Returns what is directly below `folder`. There is nothing below a missing folder.
    async fn list(&self, folder: &str) -> Result<Level, PartError>;

    /// Returns unpublished parts below `folder` that the target's store keeps. There are none if
    /// parts are staged in the work area.
    async fn pending(&self, folder: &str) -> Result<Vec<Pending>, PartError> {
        let _ = folder;
        Ok(Vec::new())
    }

    /// Checks that parts can be written below `folder`. Returns warnings for the user. `name`
    /// is a unique name for a test object, which is removed again.
    async fn probe(&self, folder: &str, name: &str) -> Result<Vec<String>, PartError>;
}

/// What is directly below a folder, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// The names of the folders.
    pub folders: Vec<String>,
    /// The names of the objects.
    pub objects: Vec<String>,
}

/// An unpublished part that the target's store lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Aborts the part.
    pub handle: PartHandle,
    /// Start of the upload.
    pub since: DateTime<Utc>,
}

/// The writing side and the publishing side of one target.
pub struct PartStorage {
    /// The writing side.
    pub writer: Arc<dyn UnpublishedWriter>,
    /// The publishing side.
    pub part_store: Arc<dyn PartStore>,
}

type Open = fn(&str, &Access) -> Result<PartStorage, PartError>;

/// Every kind of part storage by URI scheme, in alphabetical order.
static STORAGES: &[(&str, Open)] = &[
    ("file", |work, _| {
        Ok(PartStorage::of(local::Local::new(work)?))
    }),
    ("s3", |_, access| Ok(PartStorage::of(s3::S3::new(access)))),
];

/// Opens the part storage of `target` by the scheme of its URI.
pub fn open(target: &str, work: &str, access: &Access) -> Result<PartStorage, PartError> {
    let scheme = storage::scheme(target);
    match STORAGES.iter().find(|(known, _)| *known == scheme) {
        Some((_, open)) => open(work, access),
        None => Err(PartError::NoStorage {
            uri: target.to_owned(),
            known: known_schemes(),
        }),
    }
}

fn known_schemes() -> String {
    let schemes: Vec<_> = STORAGES.iter().map(|(scheme, _)| *scheme).collect();
    schemes.join(", ")
}

impl PartStorage {
    fn of(both: impl UnpublishedWriter + PartStore + 'static) -> Self {
        let both = Arc::new(both);
        Self {
            writer: both.clone(),
            part_store: both,
        }
    }
}
