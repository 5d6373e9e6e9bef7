//! Parts on a local filesystem. They are files in the work area that a rename publishes.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::fs;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::{Level, PartError, PartHandle, PartStore, Staged, UnpublishedPart, UnpublishedWriter};
use crate::lake;

/// Stages parts in the work area and publishes them by rename, so work area and target must be
/// on one filesystem.
#[derive(Debug)]
pub struct Local {
    work: PathBuf,
    staging: PathBuf,
}

impl Local {
    /// Stages parts below `work`, a `file:` URI or a path.
    pub fn new(work: &str) -> Result<Self, PartError> {
        let work = path_of(work)?;
        Ok(Self {
            staging: work.join(lake::STAGING),
            work,
        })
    }
}

/// Returns the path of a `file:` URI, or a plain path unchanged.
pub fn path_of(uri: &str) -> Result<PathBuf, PartError> {
    if !uri.contains("://") {
        return Ok(PathBuf::from(uri));
    }
    url::Url::parse(uri)
        .ok()
        .and_then(|url| url.to_file_path().ok())
        .ok_or_else(|| PartError::BadUri {
            uri: uri.to_owned(),
        })
}

#[async_trait]
impl UnpublishedWriter for Local {
    async fn create(
        &self,
        uri: &str,
        staging: &str,
    ) -> Result<Box<dyn UnpublishedPart>, PartError> {
        let path = self.staging.join(staging);
        let failed = |source| PartError::Io {
            uri: path.display().to_string(),
            source,
        };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).await.map_err(failed)?;
        }
        let file = File::create_new(&path).await.map_err(failed)?;
        Ok(Box::new(LocalPart {
            uri: uri.to_owned(),
            path,
            file,
            size: 0,
        }))
    }
}

struct LocalPart {
    uri: String,
    path: PathBuf,
    file: File,
    size: u64,
}

#[async_trait]
impl UnpublishedPart for LocalPart {
    async fn write(&mut self, bytes: Bytes) -> Result<(), PartError> {
        self.size += bytes.len() as u64;
        let written = self.file.write_all(&bytes).await;
        written.map_err(|source| PartError::Io {
            uri: self.path.display().to_string(),
            source,
        })
    }

    fn handle(&self) -> PartHandle {
        PartHandle {
            uri: self.uri.clone(),
            size: self.size,
            staged: Staged::File {
                path: self.path.to_string_lossy().into_owned(),
            },
        }
    }

    async fn finish(mut self: Box<Self>) -> Result<PartHandle, PartError> {
        let failed = |source| PartError::Io {
            uri: self.path.display().to_string(),
            source,
        };
        self.file.flush().await.map_err(failed)?;
        self.file.sync_data().await.map_err(failed)?;
        Ok(self.handle())
    }
}

#[async_trait]
impl PartStore for Local {
    async fn complete(&self, part: &PartHandle) -> Result<(), PartError> {
        let target = path_of(&part.uri)?;
        let failed = |source| PartError::Io {
            uri: part.uri.clone(),
            source,
        };
        let Staged::File { path: staged } = &part.staged else {
            return Err(PartError::PartLost {
                uri: part.uri.clone(),
            });
        };
        let folder = target.parent().unwrap_or(Path::new("/"));
        let changed = make_folder(folder).await.map_err(failed)?;
        match fs::rename(staged, &target).await {
            Ok(()) => {
                for folder in &changed {
                    sync_folder(folder).await.map_err(failed)?;
                }
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if self.size(&part.uri).await? == Some(part.size) {
                    return Ok(());
                }
                Err(PartError::PartLost {
                    uri: part.uri.clone(),
                })
            }
            Err(error) => Err(failed(error)),
        }
    }

    async fn abort(&self, part: &PartHandle) -> Result<(), PartError> {
        let Staged::File { path } = &part.staged else {
            return Ok(());
        };
        remove(Path::new(path)).await
    }

    async fn delete(&self, uri: &str) -> Result<(), PartError> {
        let path = path_of(uri)?;
        remove(&path).await?;
        // A deleted object must not reappear after a power failure.
        let folder = path.parent().unwrap_or(Path::new("/"));
        match sync_folder(folder).await {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(PartError::Io {
                uri: uri.to_owned(),
                source: error,
            }),
            _ => Ok(()),
        }
    }

    async fn size(&self, uri: &str) -> Result<Option<u64>, PartError> {
        match fs::metadata(path_of(uri)?).await {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(PartError::Io {
                uri: uri.to_owned(),
                source,
            }),
        }
    }

    async fn read(&self, uri: &str) -> Result<Option<Bytes>, PartError> {
        match fs::read(path_of(uri)?).await {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(PartError::Io {
                uri: uri.to_owned(),
                source,
            }),
        }
    }

    /// The object gets its name by a link, which fails if the name is taken. It is never
    /// seen incomplete.
    async fn create_new(&self, uri: &str, bytes: Bytes) -> Result<bool, PartError> {
        let path = path_of(uri)?;
        let temporary = beside(&path);
        let written = async {
            write_synced(&temporary, &bytes).await?;
            let linked = match fs::hard_link(&temporary, &path).await {
                Err(error) if is_unsupported(&error) => create_in_place(&path, &bytes).await,
                linked => linked,
            };
            fs::remove_file(&temporary).await?;
            match linked {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(false),
                linked => linked?,
            }
            sync_folder(path.parent().unwrap_or(Path::new("/"))).await?;
            Ok(true)
        };
        written.await.map_err(|source| PartError::Io {
            uri: uri.to_owned(),
            source,
        })
    }

    async fn replace(&self, uri: &str, bytes: Bytes) -> Result<(), PartError> {
        let path = path_of(uri)?;
        let temporary = beside(&path);
        let written = async {
            write_synced(&temporary, &bytes).await?;
            fs::rename(&temporary, &path).await?;
            sync_folder(path.parent().unwrap_or(Path::new("/"))).await
        };
        written.await.map_err(|source| PartError::Io {
            uri: uri.to_owned(),
            source,
        })
    }

    async fn list(&self, folder: &str) -> Result<Level, PartError> {
        let failed = |source| PartError::Io {
            uri: folder.to_owned(),
            source,
        };
        let mut level = Level::default();
        let mut entries = match fs::read_dir(path_of(folder)?).await {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(level),
            entries => entries.map_err(failed)?,
        };
        while let Some(entry) = entries.next_entry().await.map_err(failed)? {
            let name = entry.file_name().to_string_lossy().into_owned();
            // The target of a link counts, since readers follow it.
            match fs::metadata(entry.path()).await {
                Ok(found) if found.is_dir() => level.folders.push(name),
                _ => level.objects.push(name),
            }
        }
        Ok(level)
    }

    /// Checks that the folder is writable and on the filesystem of the work area. Creates it.
    async fn probe(&self, folder: &str, name: &str) -> Result<Vec<String>, PartError> {
        let target = path_of(folder)?;
        let probe = target.join(format!(".{name}"));
        let probed = async {
            fs::create_dir_all(&probe).await?;
            fs::remove_dir(&probe).await?;
            same_filesystem(&self.work, &target)
        };
        let unwritable = |source| PartError::Unwritable {
            uri: folder.to_owned(),
            source,
        };
        match probed.await.map_err(unwritable)? {
            true => Ok(Vec::new()),
            false => Err(PartError::OtherFilesystem {
                uri: folder.to_owned(),
                work: self.work.display().to_string(),
            }),
        }
    }
}

#[cfg(unix)]
fn same_filesystem(a: &Path, b: &Path) -> std::io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    Ok(std::fs::metadata(a)?.dev() == std::fs::metadata(b)?.dev())
}

#[cfg(not(unix))]
fn same_filesystem(_: &Path, _: &Path) -> std::io::Result<bool> {
    Ok(true)
}

/// A name beside `path` that readers skip and no other process uses.
fn beside(path: &Path) -> PathBuf {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let process = std::process::id();
    path.with_file_name(format!(".{name}.{process}.{number}.tmp"))
}

async fn write_synced(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(path).await?;
    file.write_all(bytes).await?;
    file.flush().await?;
    file.sync_all().await
}

/// For filesystems without hard links. A reader may see the object incomplete.
async fn create_in_place(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create_new(path).await?;
    file.write_all(bytes).await?;
    file.flush().await?;
    file.sync_all().await
}

fn is_unsupported(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unsupported | ErrorKind::PermissionDenied
    )
}

async fn remove(path: &Path) -> Result<(), PartError> {
    match fs::remove_file(path).await {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(source) => Err(PartError::Io {
            uri: path.display().to_string(),
            source,
        }),
    }
}

/// Creates `folder` and its parents. Returns the folders that must be synced after a file was
/// added.
async fn make_folder(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut changed = vec![folder.to_path_buf()];
    let mut made = folder;
    while let Some(above) = made.parent()
        && !fs::try_exists(made).await?
    {
        changed.push(above.to_path_buf());
        made = above;
    }
    fs::create_dir_all(folder).await?;
    Ok(changed)
}

/// Makes a rename durable. POSIX requires a sync of the folder.
async fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder).await?.sync_all().await
}
