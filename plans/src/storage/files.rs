//! Names of the local filesystem. `object_store` would fail at a name that is not UTF-8, and
//! leave out names that end in `#` and digits.

use std::collections::VecDeque;
use std::fs::Metadata;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::time::SystemTime;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, Result};
use walkdir::{DirEntry, WalkDir};

use super::names::{Entry, Level, Names, Unaddressable, exact};

/// Names that are read from folders at once.
const CHUNK: usize = 1024;

/// The local filesystem. Paths are absolute paths without the first slash.
#[derive(Clone, Copy, Debug)]
pub(super) struct Files;

/// Returns the entity tag of a file: a text that changes when the file changes. It equals that
/// of `object_store`, which digests of earlier loads contain.
pub fn file_tag(metadata: &Metadata) -> String {
    let modified = metadata.modified().ok();
    let since = modified.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    let micros = since.unwrap_or_default().as_micros();
    format!("{:x}-{micros:x}-{:x}", inode(metadata), metadata.len())
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> u64 {
    0
}

#[async_trait]
impl Names for Files {
    fn below(&self, folder: &Path) -> BoxStream<'static, Result<Entry>> {
        let entries = walk(folder, usize::MAX).filter_map(|found| file(found).transpose());
        let state = (entries, VecDeque::new());
        let entries = stream::try_unfold(state, |(mut entries, mut read)| async move {
            if read.is_empty() {
                (entries, read) = blocking(move || {
                    read.extend(entries.by_ref().take(CHUNK));
                    Ok((entries, read))
                })
                .await?;
            }
            let next = read.pop_front().transpose()?;
            Ok(next.map(|next| (next, (entries, read))))
        });
        entries.boxed()
    }

    async fn level(&self, folder: &Path) -> Result<Level> {
        let folder = folder.clone();
        blocking(move || {
            let mut level = Level::default();
            for found in walk(&folder, 1) {
                let is_folder = found.as_ref().is_ok_and(|entry| entry.file_type().is_dir());
                if !is_folder {
                    level.entries.extend(file(found)?);
                } else if let Ok(entry) = found {
                    match address(&entry) {
                        Ok(path) => level.folders.push(path),
                        Err(bad) => level.entries.push(Entry::Unaddressable(bad)),
                    }
                }
            }
            level.folders.sort();
            Ok(level)
        })
        .await
    }

    async fn object(&self, path: &Path) -> Result<Option<ObjectMeta>> {
        let path = path.clone();
        blocking(move || match std::fs::metadata(on_disk(&path)) {
            Ok(metadata) if metadata.is_file() => Ok(Some(meta(path, &metadata))),
            Ok(_) => Ok(None),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(failed(error)),
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await?
}

fn on_disk(path: &Path) -> PathBuf {
    PathBuf::from(format!("/{path}"))
}

fn walk(folder: &Path, depth: usize) -> walkdir::IntoIter {
    let walk = WalkDir::new(on_disk(folder)).follow_links(true);
    walk.min_depth(1).max_depth(depth).into_iter()
}

/// Returns the entry of a file. Folders, sockets and links to nothing are none, as are files
/// that were deleted meanwhile.
fn file(found: walkdir::Result<DirEntry>) -> Result<Option<Entry>> {
    let read = found.and_then(|entry| {
        let is_file = entry.file_type().is_file();
        let metadata = is_file.then(|| entry.metadata()).transpose()?;
        Ok(metadata.map(|metadata| (entry, metadata)))
    });
    let (entry, metadata) = match read {
        Ok(Some(read)) => read,
        Ok(None) => return Ok(None),
        Err(error) if error.io_error().is_some_and(is_missing) => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    Ok(Some(match address(&entry) {
        Ok(path) if !is_staged(&path) => Entry::Object(meta(path, &metadata)),
        Ok(path) => Entry::Unaddressable(Unaddressable {
            path: path.to_string(),
            is_empty: metadata.len() == 0,
        }),
        Err(bad) => Entry::Unaddressable(Unaddressable {
            is_empty: metadata.len() == 0,
            ..bad
        }),
    }))
}

fn address(entry: &DirEntry) -> std::result::Result<Path, Unaddressable> {
    let path = entry.path();
    let text = path.to_str().and_then(|text| text.strip_prefix('/'));
    text.and_then(exact).ok_or_else(|| Unaddressable {
        path: path.to_string_lossy().trim_start_matches('/').to_owned(),
        is_empty: false,
    })
}

/// Whether `object_store` takes the file for one that is still being written: its name ends
/// in `#` and digits. Such a file may be a part of another one.
fn is_staged(path: &Path) -> bool {
    let name = path.filename().unwrap_or_default();
    let suffix = name.split_once('#').map(|(_, suffix)| suffix);
    suffix.is_some_and(|suffix| {
        !suffix.is_empty() && suffix.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn meta(location: Path, metadata: &Metadata) -> ObjectMeta {
    let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    ObjectMeta {
        location,
        last_modified: modified.into(),
        size: metadata.len(),
        e_tag: Some(file_tag(metadata)),
        version: None,
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> object_store::Error {
    object_store::Error::Generic {
        store: "LocalFileSystem",
        source: Box::new(error),
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;
    use object_store::ObjectStoreExt;
    use object_store::local::LocalFileSystem;

    use super::*;

    fn path_of(folder: &std::path::Path) -> Path {
        Path::from_absolute_path(folder).expect("absolute")
    }

    async fn shown(folder: &std::path::Path) -> Vec<String> {
        let entries: Vec<Entry> = Files
            .below(&path_of(folder))
            .try_collect()
            .await
            .expect("listable");
        let mut shown: Vec<String> = entries.iter().map(|entry| show(entry, folder)).collect();
        shown.sort();
        shown
    }

    fn show(entry: &Entry, folder: &std::path::Path) -> String {
        let prefix = path_of(folder);
        let below = |path: &str| path.trim_start_matches(prefix.as_ref()).to_owned();
        match entry {
            Entry::Object(object) => format!("{} {}", below(object.location.as_ref()), object.size),
            Entry::Unaddressable(bad) => format!("! {:?}", below(&bad.path)),
        }
    }

    #[tokio::test]
    async fn a_bad_name_is_an_entry_and_hides_no_other() {
        let root = tempfile::tempdir().expect("a folder");
        for name in ["a", "x.log#1", "sub/b é%20+", "c\u{1}d", "x#y1"] {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
            std::fs::write(path, "12").expect("written");
        }
        std::os::unix::fs::symlink("nothing", root.path().join("link")).expect("a link");
        let bad: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"bad\xff");
        std::fs::create_dir(root.path().join(bad)).expect("a folder");
        std::fs::write(root.path().join(bad).join("e"), "12").expect("written");
        let found = shown(root.path()).await;
        let expected = [
            "! \"/bad\u{fffd}/e\"",
            "! \"/c\\u{1}d\"",
            "! \"/x.log#1\"",
            "/a 2",
            "/sub/b é%20+ 2",
            "/x#y1 2",
        ];
        assert_eq!(found, expected);
        let level = Files.level(&path_of(root.path())).await.expect("listable");
        assert_eq!(level.folders, [path_of(root.path()).join("sub")]);
        assert_eq!(level.entries.len(), 5, "{:?}", level.entries);
    }

    #[tokio::test]
    async fn tags_are_those_of_object_store() {
        let root = tempfile::tempdir().expect("a folder");
        let file = root.path().join("a");
        std::fs::write(&file, "12").expect("written");
        let path = path_of(&file);
        let theirs = LocalFileSystem::new().head(&path).await.expect("a file");
        let ours = Files
            .object(&path)
            .await
            .expect("readable")
            .expect("a file");
        assert_eq!(ours, theirs);
        let below = path.join("b");
        assert_eq!(Files.object(&below).await.expect("readable"), None);
        assert_eq!(
            Files.object(&path_of(root.path())).await.expect("readable"),
            None
        );
    }
}
