//! Reads an input object as it was listed. A local file is opened once and must keep the
//! identity, time and length of the listing. S3 gets `If-Match` with every range.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore};

use super::split::InputObject;
use crate::storage::{self, Cause, Located, StoreFailure};

/// Begins the message of [`InputChanged`], which engines pass on as text.
const MARK: &str = "input changed: ";

/// The object is not the one that was listed. A new listing is needed to read it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{MARK}{object} was {what} after it was listed")]
pub struct InputChanged {
    /// URI of the object.
    pub object: String,
    what: &'static str,
}

/// Whether the message of a failed plan comes from [`InputChanged`].
pub fn is_input_changed(message: &str) -> bool {
    message.contains(MARK)
}

/// Why a range of an input object could not be read.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    #[error(transparent)]
    Changed(#[from] InputChanged),
    #[error(transparent)]
    Store(#[from] object_store::Error),
}

/// An input object that is read in ranges. Clones share the open file.
#[derive(Clone, Debug)]
pub(crate) struct ListedObject(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    uri: String,
    size: u64,
    etag: Option<String>,
    /// Path in its store, as rows show it.
    key: String,
    /// When it was last modified, in milliseconds. Known after the first range.
    modified: OnceLock<i64>,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Stored(Arc<dyn ObjectStore>, Path),
    /// The file is opened when its first range is read.
    Local(PathBuf, Mutex<Option<File>>),
}

impl ListedObject {
    /// Finds the object's store. Nothing is opened or requested yet.
    pub(crate) fn new(
        object: &InputObject,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let Located { store, local, .. } = storage::open(&object.store)?;
        let path = Path::parse(&object.path)?;
        let place = match local {
            Some(root) => Place::Local(root.join(path.as_ref()), Mutex::new(None)),
            None => Place::Stored(store, path),
        };
        let about = object.about.as_ref();
        let key = about.map_or(&object.path, |about| &about.key);
        let modified = about.map(|about| OnceLock::from(about.modified));
        Ok(Self(Arc::new(Inner {
            uri: uri(object),
            size: object.size,
            etag: object.etag.clone(),
            key: key.clone(),
            modified: modified.unwrap_or_default(),
            place,
        })))
    }

    /// The length that was listed.
    pub(crate) fn size(&self) -> u64 {
        self.0.size
    }

    /// Its path in its store.
    pub(crate) fn key(&self) -> &str {
        &self.0.key
    }

    /// When it was last modified, in milliseconds since 1970. `None` before a range was read.
    pub(crate) fn modified(&self) -> Option<i64> {
        self.0.modified.get().copied()
    }

    /// Reads a range within the listed length.
    pub(crate) async fn range(&self, range: Range<u64>) -> Result<Bytes, InputError> {
        match &self.0.place {
            Place::Stored(store, path) => self.0.requested(store.as_ref(), path, range).await,
            Place::Local(..) => {
                let inner = self.0.clone();
                let read = tokio::task::spawn_blocking(move || inner.read(range)).await;
                read.map_err(|error| generic(io::Error::other(error)))?
            }
        }
    }
}

impl Inner {
    fn changed(&self, what: &'static str) -> InputError {
        InputError::Changed(InputChanged {
            object: self.uri.clone(),
            what,
        })
    }

    async fn requested(
        &self,
        store: &dyn ObjectStore,
        path: &Path,
        range: Range<u64>,
    ) -> Result<Bytes, InputError> {
        let options = GetOptions {
            range: Some(range.into()),
            if_match: self.entity_tag().map(str::to_owned),
            ..GetOptions::default()
        };
        let got = store.get_opts(path, options).await;
        let got = got.map_err(|error| self.explained(error))?;
        // A store may ignore the condition.
        let is_listed = |tag: &str| got.meta.e_tag.as_deref().is_none_or(|found| found == tag);
        if got.meta.size != self.size || !self.entity_tag().is_none_or(is_listed) {
            return Err(self.changed("replaced"));
        }
        let modified = got.meta.last_modified.timestamp_millis();
        self.modified.get_or_init(|| modified);
        got.bytes().await.map_err(|error| self.explained(error))
    }

    /// The entity tag of a store. The listing invents one, without quotes, where a store has none.
    fn entity_tag(&self) -> Option<&str> {
        self.etag.as_deref().filter(|tag| tag.starts_with('"'))
    }

    fn explained(&self, error: object_store::Error) -> InputError {
        let is_gone =
            |error: &object_store::Error| StoreFailure::of(error).cause == Cause::NotFound;
        match error {
            object_store::Error::Precondition { .. } => self.changed("replaced"),
            error if is_gone(&error) => self.changed("deleted"),
            // The object became shorter, in a store that ignores the condition.
            error if crate::reported::with_causes(&error).contains("InvalidRange") => {
                self.changed("replaced")
            }
            error => InputError::Store(error),
        }
    }

    /// Reads from the open file, and checks afterwards that it is as it was listed.
    fn read(&self, range: Range<u64>) -> Result<Bytes, InputError> {
        let Place::Local(path, opened) = &self.place else {
            return Ok(Bytes::new());
        };
        let mut opened = opened.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match opened.as_mut() {
            Some(file) => file,
            None => opened.insert(self.open(path)?),
        };
        let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap_or(usize::MAX)];
        file.seek(SeekFrom::Start(range.start)).map_err(generic)?;
        match file.read_exact(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(self.changed("shortened"));
            }
            read => read.map_err(generic)?,
        }
        self.check(&file.metadata().map_err(generic)?)?;
        Ok(bytes.into())
    }

    fn open(&self, path: &std::path::Path) -> Result<File, InputError> {
        let file = File::open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => self.changed("deleted"),
            _ => generic(error).into(),
        })?;
        let metadata = file.metadata().map_err(generic)?;
        self.check(&metadata)?;
        if let Ok(modified) = metadata.modified() {
            let modified = DateTime::<Utc>::from(modified).timestamp_millis();
            self.modified.get_or_init(|| modified);
        }
        Ok(file)
    }

    fn check(&self, metadata: &Metadata) -> Result<(), InputError> {
        if metadata.len() != self.size {
            return Err(self.changed("rewritten or appended to"));
        }
        match &self.etag {
            Some(listed) if *listed != storage::file_tag(metadata) => {
                Err(self.changed("rewritten"))
            }
            _ => Ok(()),
        }
    }
}

fn uri(object: &InputObject) -> String {
    format!("{}/{}", object.store.trim_end_matches('/'), object.path)
}

fn generic(error: io::Error) -> object_store::Error {
    object_store::Error::Generic {
        store: "LocalFileSystem",
        source: Box::new(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of ten bytes, listed as it is.
    fn listed() -> (tempfile::TempDir, PathBuf, InputObject) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.log");
        std::fs::write(&path, "0123456789").expect("written");
        let metadata = path.metadata().expect("a file");
        let object = InputObject {
            store: "file:///".to_owned(),
            path: path.to_string_lossy().trim_start_matches('/').to_owned(),
            size: metadata.len(),
            etag: Some(storage::file_tag(&metadata)),
            ..InputObject::default()
        };
        (folder, path, object)
    }

    fn open(object: &InputObject) -> ListedObject {
        ListedObject::new(object).expect("a store")
    }

    async fn what(object: &ListedObject) -> &'static str {
        match object.range(4..10).await {
            Err(InputError::Changed(changed)) => {
                assert!(is_input_changed(&changed.to_string()), "{changed}");
                assert!(changed.to_string().contains("a.log"), "{changed}");
                changed.what
            }
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn an_unchanged_file_is_read_in_any_order() {
        let (_folder, _, object) = listed();
        let file = open(&object);
        assert_eq!(file.range(4..10).await.expect("its end"), "456789");
        assert_eq!(file.range(0..4).await.expect("its start"), "0123");
        let unknown = InputObject {
            etag: None,
            ..object
        };
        assert_eq!(open(&unknown).range(0..1).await.expect("a byte"), "0");
    }

    #[tokio::test]
    async fn the_time_is_known_after_a_range_unless_it_is_given() {
        let (_folder, _, object) = listed();
        let file = open(&object);
        assert_eq!(file.modified(), None);
        file.range(0..1).await.expect("a byte");
        assert!(file.modified().is_some_and(|time| time > 1_600_000_000_000));
        assert_eq!(file.key(), object.path);
        let about = crate::scan::split::About {
            key: "another".to_owned(),
            modified: 7,
        };
        let about = Some(about);
        let file = open(&InputObject { about, ..object });
        file.range(0..1).await.expect("a byte");
        assert_eq!((file.key(), file.modified()), ("another", Some(7)));
    }

    #[tokio::test]
    async fn a_file_that_is_renamed_or_deleted_while_it_is_read_is_read_to_its_end() {
        let (_folder, path, object) = listed();
        let file = open(&object);
        assert_eq!(file.range(0..4).await.expect("its start"), "0123");
        std::fs::remove_file(&path).expect("deleted");
        std::fs::write(&path, "another").expect("written");
        assert_eq!(file.range(4..10).await.expect("its end"), "456789");
    }

    #[tokio::test]
    async fn a_file_that_changes_between_two_ranges_is_refused() {
        for (change, expected) in [
            ("0123456789more", "rewritten or appended to"),
            ("01234", "shortened"),
            ("9876543210", "rewritten"),
        ] {
            let (_folder, path, object) = listed();
            let file = open(&object);
            file.range(0..4).await.expect("its start");
            std::fs::write(&path, change).expect("written");
            let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
            let opened = File::options().write(true).open(&path).expect("a file");
            opened.set_modified(later).expect("its time is set");
            assert_eq!(what(&file).await, expected);
        }
    }

    #[tokio::test]
    async fn another_file_under_the_listed_name_is_refused() {
        let (_folder, path, object) = listed();
        std::fs::rename(&path, path.with_extension("old")).expect("renamed");
        assert_eq!(what(&open(&object)).await, "deleted");
        std::fs::write(&path, "0123456789").expect("written");
        assert_eq!(what(&open(&object)).await, "rewritten");
    }
}
