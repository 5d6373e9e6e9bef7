//! Lists the objects below a URI and gives access to their bytes. Local files are opened
//! directly. Objects of other stores are copied or read by ranges.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::{fs, io};

use futures::{StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use tokio::io::{AsyncSeekExt, AsyncWriteExt};

use crate::lake;
use crate::scan::parquet::StoredFile;
use crate::storage;
use crate::storage::{Cause, Located, StoreError, StoreFailure};

/// A file or an object.
#[derive(Clone, Debug)]
pub struct Object {
    /// Absolute path with `/`, or the URI, as shown to users.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// Index in `name` of the part below the listed URI. It is the end if `name` is that URI.
    below: usize,
    at: Location,
}

#[derive(Clone, Debug)]
enum Location {
    File(PathBuf),
    Stored(Arc<dyn ObjectStore>, Path),
}

/// An object that cannot be listed or read.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// The URI is invalid.
    #[error(transparent)]
    BadUri(#[from] StoreError),
    /// The local folder is unreadable.
    #[error("{name}: cannot be listed")]
    Unlisted {
        name: String,
        #[source]
        source: io::Error,
    },
    /// The store failed.
    #[error("{name}: cannot be reached")]
    Unreached {
        name: String,
        #[source]
        source: StoreFailure,
    },
    /// The object no longer exists.
    #[error("{name}: no longer exists")]
    Gone { name: String },
    /// The local file is unreadable.
    #[error("{name}: cannot be opened")]
    Unopened {
        name: String,
        #[source]
        source: io::Error,
    },
    /// The copy cannot be written.
    #[error("{name}: no space for a copy in the folder for temporary files")]
    NoCopy {
        name: String,
        #[source]
        source: io::Error,
    },
}

impl ObjectError {
    /// Whether the same call may succeed later.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Unlisted { .. } | Self::NoCopy { .. } => true,
            Self::Unreached { source, .. } => source.cause.retryable(),
            Self::BadUri(_) | Self::Gone { .. } | Self::Unopened { .. } => false,
        }
    }

    /// Whether the error is about the object itself, and not about access to its store.
    pub fn is_of_object(&self) -> bool {
        matches!(self, Self::Gone { .. } | Self::Unopened { .. })
    }
}

/// Lists all objects below `uri`, or the object at `uri`, sorted by name. A local path must
/// exist. An empty prefix of another store is an empty list.
pub async fn list(uri: &str) -> Result<Vec<Object>, ObjectError> {
    let located = storage::open(uri)?;
    let mut objects = match located.local.clone() {
        Some(root) => walk(root).await?,
        None => stored(&located).await?,
    };
    objects.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(objects)
}

/// Lists at most `most` objects below `uri`, in any order. A local path must exist.
pub async fn first(uri: &str, most: usize) -> Result<Vec<Object>, ObjectError> {
    let located = storage::open(uri)?;
    if let Some(path) = &located.local {
        fs::metadata(path).map_err(unlisted(path))?;
    }
    some(&located, most).await
}

impl Object {
    /// Returns the part of the name below the listed URI. It is empty for that URI itself.
    pub fn below(&self) -> &str {
        &self.name[self.below..]
    }

    /// Whether it was found by listing a whole bucket, and is in the bucket's work area or
    /// quarantine, which are beside the lake.
    pub(crate) fn is_beside_lake(&self) -> bool {
        let key = match &self.at {
            Location::Stored(_, path) => path.as_ref(),
            Location::File(_) => return false,
        };
        key == self.below() && lake::is_beside(key)
    }

    /// Opens the object as a file. An object of another store is copied to an unnamed temporary
    /// file.
    pub async fn file(&self) -> Result<File, ObjectError> {
        let (store, path) = match &self.at {
            Location::File(path) => {
                return File::open(path).map_err(|source| ObjectError::Unopened {
                    name: self.name.clone(),
                    source,
                });
            }
            Location::Stored(store, path) => (store, path),
        };
        let no_copy = |source| ObjectError::NoCopy {
            name: self.name.clone(),
            source,
        };
        let got = store.get(path).await.map_err(|error| self.failed(error))?;
        let mut bytes = got.into_stream();
        let mut copy = tokio::fs::File::from_std(tempfile::tempfile().map_err(no_copy)?);
        while let Some(piece) = bytes.try_next().await.map_err(|error| self.failed(error))? {
            copy.write_all(&piece).await.map_err(no_copy)?;
        }
        copy.flush().await.map_err(no_copy)?;
        copy.rewind().await.map_err(no_copy)?;
        Ok(copy.into_std().await)
    }

    /// Returns the object for a Parquet reader that reads ranges.
    pub(crate) fn ranges(&self) -> Result<StoredFile, ObjectError> {
        let (store, path) = match &self.at {
            Location::Stored(store, path) => (store.clone(), path.clone()),
            Location::File(path) => {
                let store: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new());
                let path =
                    Path::from_absolute_path(path).map_err(|error| self.failed(error.into()));
                (store, path?)
            }
        };
        Ok(StoredFile {
            store,
            path,
            size: self.size,
        })
    }

    /// Checks that the object is readable by reading its first byte.
    pub async fn touch(&self) -> Result<(), ObjectError> {
        match &self.at {
            Location::File(_) => self.file().await.map(drop),
            Location::Stored(store, path) => {
                let byte = store.get_range(path, 0..1).await;
                byte.map(drop).map_err(|error| self.failed(error))
            }
        }
    }

    fn failed(&self, error: object_store::Error) -> ObjectError {
        let name = self.name.clone();
        match StoreFailure::from(error) {
            failure if failure.cause == Cause::NotFound => ObjectError::Gone { name },
            source => ObjectError::Unreached { name, source },
        }
    }
}

async fn walk(root: PathBuf) -> Result<Vec<Object>, ObjectError> {
    let walked = tokio::task::spawn_blocking(move || files(root));
    walked.await.unwrap_or_else(|error| {
        Err(ObjectError::Unlisted {
            name: String::new(),
            source: error.into(),
        })
    })
}

fn files(root: PathBuf) -> Result<Vec<Object>, ObjectError> {
    let start = slashed(&root).len();
    let root = std::path::absolute(&root).unwrap_or(root);
    let about = fs::metadata(&root).map_err(unlisted(&root))?;
    if about.is_file() {
        return Ok(vec![file(root, about.len(), start)]);
    }
    let mut found = Vec::new();
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Err(error) if is_gone(&error) => continue,
            entries => entries.map_err(unlisted(&folder))?,
        };
        for entry in entries {
            let path = entry.map_err(unlisted(&folder))?.path();
            match fs::metadata(&path) {
                // A running load may delete objects at the same time.
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(unlisted(&path)(error)),
                Ok(about) if about.is_dir() => folders.push(path),
                Ok(about) => found.push(file(path, about.len(), start)),
            }
        }
    }
    Ok(found)
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

fn unlisted(path: &std::path::Path) -> impl Fn(io::Error) -> ObjectError + use<> {
    let name = path.display().to_string();
    move |source| ObjectError::Unlisted {
        name: name.clone(),
        source,
    }
}

fn file(path: PathBuf, size: u64, start: usize) -> Object {
    let name = slashed(&path);
    Object {
        below: below(&name, start),
        size,
        name,
        at: Location::File(path),
    }
}

/// Returns the path with `/` as separator.
fn slashed(path: &std::path::Path) -> String {
    let segments: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    segments.join("/").replacen("//", "/", 1)
}

/// Returns the index after the slash at `start`, or the end.
fn below(name: &str, start: usize) -> usize {
    let rest = name.get(start..).unwrap_or_default();
    name.len() - rest.trim_start_matches('/').len()
}

/// Lists the object at the URI, or the objects below it as a prefix.
async fn stored(located: &Located) -> Result<Vec<Object>, ObjectError> {
    // A folder may have such a name, too.
    if located.path.as_ref().ends_with(".parquet")
        && let Some(object) = named(located).await?
    {
        return Ok(vec![object]);
    }
    let listed = located.store.list(Some(&located.path));
    let listed = listed.map_ok(|meta| object(located, meta)).try_collect();
    listed.await.map_err(|error| unreached(located, error))
}

/// Lists at most `most` objects below `located`, in the store's order.
async fn some(located: &Located, most: usize) -> Result<Vec<Object>, ObjectError> {
    let listed = located.store.list(Some(&located.path)).take(most);
    let listed = listed.map_ok(|meta| object(located, meta)).try_collect();
    let found: Vec<Object> = listed.await.map_err(|error| unreached(located, error))?;
    if found.is_empty() && !located.path.as_ref().is_empty() {
        return Ok(named(located).await?.into_iter().collect());
    }
    Ok(found)
}

async fn named(located: &Located) -> Result<Option<Object>, ObjectError> {
    let head = located.store.head(&located.path).await;
    match head.map_err(|error| unreached(located, error)) {
        Ok(meta) => Ok(Some(object(located, meta))),
        Err(ObjectError::Unreached { source, .. }) if source.cause == Cause::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn object(located: &Located, meta: ObjectMeta) -> Object {
    let name = format!("{}/{}", located.uri.trim_end_matches('/'), meta.location);
    let start = name.len() - meta.location.as_ref().len() + located.path.as_ref().len();
    Object {
        below: below(&name, start),
        size: meta.size,
        name,
        at: Location::Stored(located.store.clone(), meta.location),
    }
}

fn unreached(located: &Located, error: object_store::Error) -> ObjectError {
    ObjectError::Unreached {
        name: format!("{}/{}", located.uri.trim_end_matches('/'), located.path),
        source: error.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use object_store::memory::InMemory;

    use super::*;

    async fn bucket(prefix: &str, names: &[&str]) -> Located {
        let store = Arc::new(InMemory::new());
        for name in names {
            let path = Path::parse(name).expect("a key");
            store
                .put(&path, name.as_bytes().to_vec().into())
                .await
                .expect("room");
        }
        let unused = storage::open("s3://lake").expect("a bucket");
        Located {
            store,
            path: Path::parse(prefix).expect("a key"),
            ..unused
        }
    }

    async fn below_of(prefix: &str, names: &[&str]) -> Vec<String> {
        let listed = stored(&bucket(prefix, names).await).await;
        let objects = listed.expect("memory is reachable");
        let below = objects.iter().map(|object| object.below().to_owned());
        below.collect()
    }

    #[tokio::test]
    async fn objects_are_named_by_uri_with_a_part_below_the_prefix() {
        let names = ["a/b/c d.parquet", "a/x", "ab/y"];
        assert_eq!(below_of("a", &names).await, ["b/c d.parquet", "x"]);
        assert_eq!(below_of("", &names).await, names);
        assert_eq!(below_of("a/b/c d.parquet", &names).await, [""]);
        let objects = stored(&bucket("a/b", &names).await).await;
        let objects = objects.expect("memory is reachable");
        assert_eq!(objects[0].name, "s3://lake/a/b/c d.parquet");
    }

    #[tokio::test]
    async fn a_folder_may_have_the_name_of_an_object_and_a_prefix_may_be_empty() {
        let names = ["t.parquet/part-0.parquet"];
        assert_eq!(below_of("t.parquet", &names).await, ["part-0.parquet"]);
        assert!(below_of("u.parquet", &names).await.is_empty());
    }

    #[tokio::test]
    async fn the_listing_of_a_bucket_contains_folders_beside_the_lake() {
        let names = ["ext/a.parquet", "lakebolt-quarantine/q.parquet"];
        let whole = stored(&bucket("", &names).await).await.expect("reachable");
        let beside = whole.iter().map(Object::is_beside_lake);
        assert_eq!(beside.collect::<Vec<_>>(), [false, true]);
        let asked = bucket("lakebolt-quarantine", &names).await;
        let asked = stored(&asked).await.expect("reachable");
        assert!(!asked[0].is_beside_lake());
    }

    #[tokio::test]
    async fn a_limited_listing_stops_early_and_finds_a_single_object() {
        let names = ["a/b.log", "a/c.log", "a/d.log"];
        let two = some(&bucket("a", &names).await, 2).await;
        assert_eq!(two.expect("reachable").len(), 2);
        let one = some(&bucket("a/c.log", &names).await, 2).await;
        let one = one.expect("reachable");
        assert_eq!(one[0].name, "s3://lake/a/c.log");
        assert!(one[0].touch().await.is_ok());
        let none = some(&bucket("b", &names).await, 2).await;
        assert!(none.expect("reachable").is_empty());
    }

    #[tokio::test]
    async fn a_stored_object_is_read_from_a_copy_and_a_missing_one_is_an_error() {
        let located = bucket("a", &["a/b.parquet"]).await;
        let object = stored(&located).await.expect("reachable").remove(0);
        let mut text = String::new();
        let mut file = object.file().await.expect("there is room");
        file.read_to_string(&mut text).expect("readable");
        assert_eq!(text, "a/b.parquet");
        let path = Path::from("a/b.parquet");
        located.store.delete(&path).await.expect("deletable");
        let error = object.file().await.expect_err("it is gone");
        assert!(error.is_of_object() && error.to_string().contains("s3://lake/a/b.parquet"));
    }

    #[tokio::test]
    async fn files_are_found_below_a_folder_and_a_missing_path_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        fs::create_dir(folder.path().join("a b")).expect("writable");
        fs::write(folder.path().join("a b/x.parquet"), "x").expect("writable");
        let root = folder.path().display().to_string();
        let found = list(&root).await.expect("listable");
        assert_eq!(found[0].below(), "a b/x.parquet");
        assert_eq!(found[0].name, format!("{root}/a b/x.parquet"));
        let one = list(&found[0].name).await.expect("a file");
        assert_eq!((one.len(), one[0].below()), (1, ""));
        assert!(list(&format!("{root}/none")).await.is_err());
    }
}
