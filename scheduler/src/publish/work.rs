//! The work area: stores split lists, receipts and manifests as JSON objects under the names
//! that [`plans::lake`] defines.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use plans::lake::AttemptFiles;
use plans::storage::{Cause, StoreError, StoreFailure};
use plans::{lake, storage};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::load::failure::{Failure, Kind};

/// Why the work area cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    #[error("{uri}: cannot be a work area")]
    BadUri {
        uri: String,
        #[source]
        source: StoreError,
    },
    #[error("{uri}: cannot be read or written")]
    Io {
        uri: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{uri}: cannot be read or written")]
    Store {
        uri: String,
        #[source]
        source: StoreFailure,
    },
    #[error("{uri}: not what this version writes: {what}")]
    Unreadable { uri: String, what: String },
}

impl WorkError {
    /// Returns true if the object does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Store { source, .. } if source.cause == Cause::NotFound)
    }

    /// Returns true if the same call may succeed later with the same input.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Io { .. } => true,
            Self::Store { source, .. } => source.cause.retryable(),
            Self::BadUri { .. } | Self::Unreadable { .. } => false,
        }
    }
}

/// A work area. Its objects are addressed by name.
#[derive(Clone, Debug)]
pub struct Work {
    uri: String,
    store: Arc<dyn ObjectStore>,
    root: Path,
    /// The work area as a local folder, if it is one.
    folder: Option<PathBuf>,
}

impl Work {
    /// Opens the work area at a URI or path. Creates nothing.
    pub fn open(uri: &str) -> Result<Self, WorkError> {
        let located = storage::open(uri).map_err(|source| WorkError::BadUri {
            uri: uri.to_owned(),
            source,
        })?;
        Ok(Self {
            uri: uri.trim_end_matches('/').to_owned(),
            store: located.store,
            root: located.path,
            folder: located.local,
        })
    }

    /// Creates the folder with access for its owner only, since quarantined rows pass through
    /// it. In an object store, checks that an object can be written.
    pub async fn prepare(&self) -> Result<(), WorkError> {
        let Some(folder) = &self.folder else {
            let name = lake::probe_file(&probe_name());
            self.put(&name, &()).await?;
            return self.remove(&name).await;
        };
        let mut builder = tokio::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        builder.mode(0o700);
        let made = builder.create(folder).await;
        made.map_err(|source| Self::io(folder, source))
    }

    /// Returns true if the work area is a local folder.
    pub fn is_local(&self) -> bool {
        self.folder.is_some()
    }

    /// Returns the URI of the work area.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Returns the path of `name` in the work area's store, as plans use it.
    pub fn path(&self, name: &str) -> Path {
        lake::path_below(&self.root, name)
    }

    /// Writes `value` as JSON in one step and returns its size.
    pub async fn put<T: Serialize + Sync>(&self, name: &str, value: &T) -> Result<u64, WorkError> {
        let bytes = self.encode(name, value)?;
        let size = bytes.len() as u64;
        self.put_bytes(name, bytes).await?;
        Ok(size)
    }

    /// Does the same as [`Work::put`], but survives a power loss once it returns. Returns what
    /// was written.
    pub async fn put_durable<T: Serialize + Sync>(
        &self,
        name: &str,
        value: &T,
    ) -> Result<Bytes, WorkError> {
        let bytes = self.encode(name, value)?;
        self.put_bytes_durable(name, bytes.clone()).await?;
        Ok(bytes)
    }

    /// Does the same as [`Work::put_bytes`], but survives a power loss once it returns.
    pub async fn put_bytes_durable(&self, name: &str, bytes: Bytes) -> Result<(), WorkError> {
        self.put_bytes(name, bytes).await?;
        let Some(top) = self.folder.clone() else {
            return Ok(());
        };
        let file = top.join(name);
        let synced = tokio::task::spawn_blocking(move || synced(&file, &top));
        let synced = synced.await.unwrap_or_else(|error| Err(error.into()));
        synced.map_err(|source| WorkError::Io {
            uri: self.uri_of(name),
            source,
        })
    }

    /// Writes bytes unchanged.
    pub async fn put_bytes(&self, name: &str, bytes: Bytes) -> Result<(), WorkError> {
        let put = self.store.put(&self.path(name), bytes.into()).await;
        put.map(drop).map_err(|source| self.failed(name, source))
    }

    /// Reads the object `name`.
    pub async fn get_bytes(&self, name: &str) -> Result<Bytes, WorkError> {
        let read = async { self.store.get(&self.path(name)).await?.bytes().await };
        read.await.map_err(|source| self.failed(name, source))
    }

    /// Reads and parses the JSON object `name`.
    pub async fn get<T: DeserializeOwned>(&self, name: &str) -> Result<T, WorkError> {
        let bytes = self.get_bytes(name).await?;
        self.parse(name, &bytes)
    }

    /// Parses what was read from `name`.
    pub fn parse<T: DeserializeOwned>(&self, name: &str, bytes: &[u8]) -> Result<T, WorkError> {
        serde_json::from_slice(bytes).map_err(|error| WorkError::Unreadable {
            uri: self.uri_of(name),
            what: error.to_string(),
        })
    }

    /// Lists the objects below a folder by name, sorted.
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

    /// Removes one object. Succeeds if it does not exist.
    pub async fn remove(&self, name: &str) -> Result<(), WorkError> {
        let removed = self.store.delete(&self.path(name)).await;
        match removed.map_err(StoreFailure::from) {
            Err(failure) if failure.cause != Cause::NotFound => {
                Err(self.store_failed(name, failure))
            }
            _ => Ok(()),
        }
    }

    /// Removes all files of an attempt from the work area.
    pub async fn remove_attempt(&self, attempt: &str) -> Result<(), WorkError> {
        for name in AttemptFiles(attempt).folders() {
            match &self.folder {
                Some(folder) => remove_folder(&folder.join(name)).await?,
                None => self.remove_all(&name).await?,
            }
        }
        Ok(())
    }

    async fn remove_all(&self, name: &str) -> Result<(), WorkError> {
        let listed = self.store.list(Some(&self.path(name)));
        let paths = listed.map_ok(|object| object.location).boxed();
        let removed = self.store.delete_stream(paths);
        let removed = removed.try_for_each(|_| async { Ok(()) }).await;
        removed.map_err(|error| self.failed(name, error))
    }

    /// Returns the URI of `name`.
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

    fn failed(&self, name: &str, error: object_store::Error) -> WorkError {
        self.store_failed(name, error.into())
    }

    fn store_failed(&self, name: &str, source: StoreFailure) -> WorkError {
        WorkError::Store {
            uri: self.uri_of(name),
            source,
        }
    }
}

async fn remove_folder(folder: &std::path::Path) -> Result<(), WorkError> {
    match tokio::fs::remove_dir_all(folder).await {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Work::io(folder, error)),
        _ => Ok(()),
    }
}

/// A new file is only durable once its parent folders are synced too.
fn synced(file: &std::path::Path, top: &std::path::Path) -> std::io::Result<()> {
    std::fs::File::open(file)?.sync_all()?;
    for folder in file.ancestors().skip(1) {
        std::fs::File::open(folder)?.sync_all()?;
        if folder == top {
            break;
        }
    }
    Ok(())
}

/// Returns a unique name for an object that is never published.
pub fn probe_name() -> String {
    lake::probe_name(uuid::Uuid::new_v4().simple())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_put_is_listed_by_its_name_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let work = Work::open(folder.path().to_str().unwrap()).unwrap();
        work.put("attempts/a/splits/1.json", &7).await.unwrap();
        work.put_durable("manifests/x/y.json", &8).await.unwrap();
        let listed = work.list("attempts").await.unwrap();
        assert_eq!(listed[0].0, "attempts/a/splits/1.json");
        assert_eq!(work.get::<i32>("manifests/x/y.json").await.unwrap(), 8);
        work.remove_attempt("a").await.unwrap();
        work.remove_attempt("a").await.unwrap();
        assert!(work.list("attempts").await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn an_absent_object_differs_from_a_failing_store() {
        let folder = tempfile::tempdir().unwrap();
        let work = Work::open(folder.path().to_str().unwrap()).unwrap();
        let error = work.get::<i32>("nothing.json").await.unwrap_err();
        let WorkError::Store { source, .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!(source.cause, Cause::NotFound);
    }
}
