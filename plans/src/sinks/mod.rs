//! Writing parts so that no reader sees them until they are published.
//!
//! `object_store` has no port for this: its writers publish when they close.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub mod local;

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
pub enum SinkError {
    #[error("{uri}: cannot be written")]
    Io {
        uri: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{uri}: the unpublished part is gone")]
    PartLost { uri: String },
    #[error("{uri}: no sink writes there; known are {known}")]
    NoSink { uri: String, known: &'static str },
    #[error("{uri}: not a URI")]
    BadUri { uri: String },
}

impl SinkError {
    /// Whether the same call may succeed later without a change to the input.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Io { .. } => true,
            Self::PartLost { .. } | Self::NoSink { .. } | Self::BadUri { .. } => false,
        }
    }
}

/// The writing side, used by executors.
#[async_trait]
pub trait UnpublishedWriter: Send + Sync + Debug {
    /// Starts a part that will stand at `uri`; `staging` is a name unique to the task attempt.
    async fn create(&self, uri: &str, staging: &str)
    -> Result<Box<dyn UnpublishedPart>, SinkError>;
}

/// A part while it is written. Dropping it leaves debris that `sweep` removes.
#[async_trait]
pub trait UnpublishedPart: Send {
    async fn write(&mut self, bytes: Bytes) -> Result<(), SinkError>;
    /// Makes the bytes durable, still unseen by readers.
    async fn finish(self: Box<Self>) -> Result<PartHandle, SinkError>;
}

/// The publishing side, used by the driver. Every call may be repeated.
#[async_trait]
pub trait Publisher: Send + Sync + Debug {
    /// Makes the part visible at its URI; done already is success.
    async fn complete(&self, part: &PartHandle) -> Result<(), SinkError>;
    /// Throws away an unpublished part; gone already is success.
    async fn abort(&self, part: &PartHandle) -> Result<(), SinkError>;
    /// Removes a published object; gone already is success.
    async fn delete(&self, uri: &str) -> Result<(), SinkError>;
    /// The size of the object at `uri`, if there is one.
    async fn size(&self, uri: &str) -> Result<Option<u64>, SinkError>;
}

/// A sink for `target`; `work` is the URI of the work area.
pub struct Sink {
    pub writer: Arc<dyn UnpublishedWriter>,
    pub publisher: Arc<dyn Publisher>,
}

/// Opens the sink that writes to `target`, by its URI's scheme.
pub fn open(target: &str, work: &str) -> Result<Sink, SinkError> {
    let scheme = target
        .split_once("://")
        .map_or("file", |(scheme, _)| scheme);
    match scheme {
        "file" => {
            let sink = Arc::new(local::Local::new(work)?);
            Ok(Sink {
                writer: sink.clone(),
                publisher: sink,
            })
        }
        _ => Err(SinkError::NoSink {
            uri: target.to_owned(),
            known: "file",
        }),
    }
}
