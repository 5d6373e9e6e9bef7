//! The work area: listing shards, receipts and manifests. No name in it ends in
//! `.parquet`, since a reader of the target might list them.
//!
//! ```text
//! attempts/{attempt}/owner.json            attempts/{attempt}/shards/{shard}.json
//! attempts/{attempt}/receipts/{…}.json     manifests/{dataset8}/{month}-{attempt}.json
//! staging/{attempt}/…                      (parts, made by the sink)
//! ```

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload};
use plans::sinks::local::path_of;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::days::Month;

#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    #[error("{uri}: no store of that kind can hold a work area; known are file")]
    NoStore { uri: String },
    #[error("{uri}: cannot be read or written")]
    Io {
        uri: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{uri}: cannot be reached")]
    Store {
        uri: String,
        #[source]
        source: Box<object_store::Error>,
    },
    #[error("{uri}: cannot be written to")]
    Unwritable {
        uri: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{uri}: is on another filesystem than the work area {work}")]
    Apart { uri: String, work: String },
    #[error("{uri}: not what this version writes: {what}")]
    Unreadable { uri: String, what: String },
}

impl WorkError {
    /// Whether the same call may succeed later without a change to the input.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Store { .. } | Self::Io { .. } => true,
            Self::NoStore { .. }
            | Self::Unreadable { .. }
            | Self::Unwritable { .. }
            | Self::Apart { .. } => false,
        }
    }
}

/// A work area, by the names of what it holds.
#[derive(Clone, Debug)]
pub struct Work {
    uri: String,
    store: Arc<dyn ObjectStore>,
    root: Path,
    folder: PathBuf,
}

impl Work {
    /// The work area at `uri`, a `file:` URI or a path; nothing is made yet.
    pub fn open(uri: &str) -> Result<Self, WorkError> {
        let no_store = || WorkError::NoStore {
            uri: uri.to_owned(),
        };
        if uri.contains("://") && !uri.starts_with("file://") {
            return Err(no_store());
        }
        let folder = path_of(uri).map_err(|_| no_store())?;
        let folder = std::path::absolute(folder).map_err(|_| no_store())?;
        Ok(Self {
            uri: uri.trim_end_matches('/').to_owned(),
            store: Arc::new(LocalFileSystem::new()),
            root: Path::from_absolute_path(&folder).map_err(|_| no_store())?,
            folder,
        })
    }

    /// Makes the folder, for its owner alone: receipts and quarantined rows pass through it.
    pub async fn prepare(&self) -> Result<(), WorkError> {
        let mut builder = tokio::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        builder.mode(0o700);
        let made = builder.create(&self.folder).await;
        made.map_err(|source| Self::io(&self.folder, source))
    }

    /// Makes a target's folder, unless it could not be written or a rename could not reach it.
    pub async fn reaches(&self, target: &str) -> Result<(), WorkError> {
        let Ok(folder) = path_of(target) else {
            return Err(WorkError::NoStore {
                uri: target.to_owned(),
            });
        };
        let probe = folder.join(format!(".lakebolt-{}", uuid::Uuid::new_v4().simple()));
        let probed = async {
            tokio::fs::create_dir_all(&probe).await?;
            tokio::fs::remove_dir(&probe).await?;
            same_filesystem(&self.folder, &folder)
        };
        let unwritable = |source| WorkError::Unwritable {
            uri: target.to_owned(),
            source,
        };
        match probed.await.map_err(unwritable)? {
            true => Ok(()),
            false => Err(WorkError::Apart {
                uri: target.to_owned(),
                work: self.uri.clone(),
            }),
        }
    }

    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The path of `name` in the work area's store, as plans name it.
    pub fn path(&self, name: &str) -> Path {
        let parts = name.split('/').filter(|part| !part.is_empty());
        parts.fold(self.root.clone(), |path, part| path.join(part))
    }

    /// Writes `value` as JSON in one step and returns its size.
    pub async fn put<T: Serialize + Sync>(&self, name: &str, value: &T) -> Result<u64, WorkError> {
        let bytes = self.encode(name, value)?;
        let size = bytes.len() as u64;
        let payload = PutPayload::from_bytes(bytes);
        let put = self.store.put(&self.path(name), payload).await;
        put.map_err(|source| self.failed(name, source))?;
        Ok(size)
    }

    /// The same, and it survives a loss of power once this returns.
    pub async fn put_durable<T: Serialize + Sync>(
        &self,
        name: &str,
        value: &T,
    ) -> Result<(), WorkError> {
        self.put(name, value).await?;
        let (file, top) = (self.folder.join(name), self.folder.clone());
        let synced = tokio::task::spawn_blocking(move || {
            std::fs::File::open(&file)?.sync_all()?;
            for folder in file.ancestors().skip(1) {
                std::fs::File::open(folder)?.sync_all()?;
                if folder == top {
                    break;
                }
            }
            Ok(())
        });
        let synced = synced.await.unwrap_or_else(|error| Err(error.into()));
        synced.map_err(|source| Self::io(&self.folder.join(name), source))
    }

    /// Writes bytes as they are.
    pub async fn put_bytes(&self, name: &str, bytes: Bytes) -> Result<(), WorkError> {
        let put = self.store.put(&self.path(name), bytes.into()).await;
        put.map(drop).map_err(|source| self.failed(name, source))
    }

    pub async fn get<T: DeserializeOwned>(&self, name: &str) -> Result<T, WorkError> {
        let read = async { self.store.get(&self.path(name)).await?.bytes().await };
        let bytes = read.await.map_err(|source| self.failed(name, source))?;
        serde_json::from_slice(&bytes).map_err(|error| WorkError::Unreadable {
            uri: self.uri_of(name),
            what: error.to_string(),
        })
    }

    /// What stands below a folder, by its name in the work area, in order.
    pub async fn list(&self, folder: &str) -> Result<Vec<(String, ObjectMeta)>, WorkError> {
        let listed = self.store.list(Some(&self.path(folder)));
        let found: Vec<ObjectMeta> = listed
            .try_collect()
            .await
            .map_err(|source| self.failed(folder, source))?;
        let mut found: Vec<_> = found
            .into_iter()
            .filter_map(|meta| Some((self.name_of(&meta.location)?, meta)))
            .collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }

    /// Removes one object; gone already is success.
    pub async fn remove(&self, name: &str) -> Result<(), WorkError> {
        match self.store.delete(&self.path(name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(self.failed(name, source)),
        }
    }

    /// Removes everything that an attempt left here, its unpublished parts included.
    pub async fn remove_attempt(&self, attempt: &str) -> Result<(), WorkError> {
        for folder in ["attempts", "staging"] {
            let folder = self.folder.join(folder).join(attempt);
            match tokio::fs::remove_dir_all(&folder).await {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(Self::io(&folder, source)),
            }
        }
        Ok(())
    }

    pub fn uri_of(&self, name: &str) -> String {
        format!("{}/{name}", self.uri)
    }

    fn name_of(&self, location: &Path) -> Option<String> {
        let parts: Vec<_> = location.prefix_match(&self.root)?.collect();
        let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
        Some(parts.join("/"))
    }

    fn encode<T: Serialize>(&self, name: &str, value: &T) -> Result<Bytes, WorkError> {
        let encoded = serde_json::to_vec(value).map_err(|error| WorkError::Unreadable {
            uri: self.uri_of(name),
            what: error.to_string(),
        })?;
        Ok(encoded.into())
    }

    fn io(path: &std::path::Path, source: std::io::Error) -> WorkError {
        WorkError::Io {
            uri: path.display().to_string(),
            source,
        }
    }

    fn failed(&self, name: &str, source: object_store::Error) -> WorkError {
        WorkError::Store {
            uri: self.uri_of(name),
            source: Box::new(source),
        }
    }
}

#[cfg(unix)]
fn same_filesystem(a: &std::path::Path, b: &std::path::Path) -> std::io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    Ok(std::fs::metadata(a)?.dev() == std::fs::metadata(b)?.dev())
}

#[cfg(not(unix))]
fn same_filesystem(_: &std::path::Path, _: &std::path::Path) -> std::io::Result<bool> {
    Ok(true)
}

/// The name of an attempt: from what a period's record says, so that `sweep` can tell
/// whose debris it sees.
pub fn attempt_name(load_id: &str, period: Month, attempt: u64) -> String {
    format!("{load_id}-{period}-{attempt}")
}

/// The first eight hex digits of a text's SHA-256.
pub fn digest8(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(4).map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_put_is_listed_by_its_name_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let work = Work::open(folder.path().to_str().unwrap()).unwrap();
        work.put("attempts/a/shards/1.json", &7).await.unwrap();
        work.put_durable("manifests/x/y.json", &8).await.unwrap();
        let listed = work.list("attempts").await.unwrap();
        assert_eq!(listed[0].0, "attempts/a/shards/1.json");
        assert_eq!(work.get::<i32>("manifests/x/y.json").await.unwrap(), 8);
        work.remove_attempt("a").await.unwrap();
        work.remove_attempt("a").await.unwrap();
        assert!(work.list("attempts").await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn an_absent_object_is_told_from_a_store_that_fails() {
        let folder = tempfile::tempdir().unwrap();
        let work = Work::open(folder.path().to_str().unwrap()).unwrap();
        let error = work.get::<i32>("nothing.json").await.unwrap_err();
        let WorkError::Store { source, .. } = error else {
            panic!("{error:?}");
        };
        assert!(matches!(*source, object_store::Error::NotFound { .. }));
    }
}
