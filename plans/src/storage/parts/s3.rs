//! Parts on S3. A part is a multipart upload to the final key, which is invisible until it is
//! completed.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html>

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, TryStreamExt};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{MultipartId, ObjectStore, ObjectStoreExt, PutMode};

use super::{
    Level, PartError, PartHandle, PartStore, Pending, Staged, UnpublishedPart, UnpublishedWriter,
};
use crate::storage::s3::Bucket;
use crate::storage::{Access, Cause, StoreFailure};

/// Bytes of one part of an upload. S3 requires at least 5 MiB and allows 10,000 parts.
const PART: usize = 8 << 20;
/// Maximum number of concurrent requests for one upload.
const MAX_IN_FLIGHT: usize = 2;

/// Writes and publishes on S3 with the role of each URI.
#[derive(Debug)]
pub struct S3 {
    access: Access,
}

impl S3 {
    /// Creates a storage that uses the roles of `access`.
    pub fn new(access: &Access) -> Self {
        Self {
            access: access.clone(),
        }
    }

    fn locate(&self, uri: &str) -> Result<(Bucket, Path), PartError> {
        let located = Bucket::locate(uri, self.access.role(uri));
        located.map_err(|_| PartError::BadUri {
            uri: uri.to_owned(),
        })
    }
}

#[async_trait]
impl UnpublishedWriter for S3 {
    async fn create(&self, uri: &str, _: &str) -> Result<Box<dyn UnpublishedPart>, PartError> {
        let (bucket, path) = self.locate(uri)?;
        let id = bucket.create_multipart(&path).await;
        let id = id.map_err(|error| PartError::store(uri, error))?;
        Ok(Box::new(Upload {
            uri: uri.to_owned(),
            bucket,
            path,
            id,
            buffer: BytesMut::new(),
            size: 0,
            started: 0,
            in_flight: FuturesUnordered::new(),
            done: Vec::new(),
        }))
    }
}

/// An upload that is being written.
struct Upload {
    uri: String,
    bucket: Bucket,
    path: Path,
    id: MultipartId,
    buffer: BytesMut,
    size: u64,
    started: usize,
    in_flight: FuturesUnordered<BoxFuture<'static, object_store::Result<(usize, PartId)>>>,
    done: Vec<(usize, PartId)>,
}

impl Upload {
    async fn send(&mut self, bytes: Bytes) -> Result<(), PartError> {
        while self.in_flight.len() >= MAX_IN_FLIGHT {
            self.wait().await?;
        }
        let (bucket, path, id) = (self.bucket.clone(), self.path.clone(), self.id.clone());
        let index = self.started;
        self.started += 1;
        let sent = async move {
            let part = bucket.put_part(&path, &id, index, bytes.into()).await?;
            Ok((index, part))
        };
        // A separate task, so that it makes progress while the next rows are encoded.
        let sent = tokio::spawn(sent).map(|ended| ended.unwrap_or_else(|error| Err(error.into())));
        self.in_flight.push(sent.boxed());
        Ok(())
    }

    async fn wait(&mut self) -> Result<(), PartError> {
        let sent = self.in_flight.try_next().await;
        let sent = sent.map_err(|error| PartError::store(&self.uri, error))?;
        self.done.extend(sent);
        Ok(())
    }
}

#[async_trait]
impl UnpublishedPart for Upload {
    async fn write(&mut self, bytes: Bytes) -> Result<(), PartError> {
        self.size += bytes.len() as u64;
        self.buffer.extend_from_slice(&bytes);
        while self.buffer.len() >= PART {
            let full = self.buffer.split_to(PART).freeze();
            self.send(full).await?;
        }
        Ok(())
    }

    fn handle(&self) -> PartHandle {
        let parts = self.done.iter();
        PartHandle {
            uri: self.uri.clone(),
            size: self.size,
            staged: Staged::Upload {
                id: self.id.clone(),
                parts: parts.map(|(_, part)| part.content_id.clone()).collect(),
            },
        }
    }

    async fn finish(mut self: Box<Self>) -> Result<PartHandle, PartError> {
        let rest = std::mem::take(&mut self.buffer).freeze();
        if !rest.is_empty() || self.started == 0 {
            self.send(rest).await?;
        }
        while !self.in_flight.is_empty() {
            self.wait().await?;
        }
        self.done.sort_by_key(|(index, _)| *index);
        Ok(self.handle())
    }
}

#[async_trait]
impl PartStore for S3 {
    async fn complete(&self, part: &PartHandle) -> Result<(), PartError> {
        let (bucket, path) = self.locate(&part.uri)?;
        let Staged::Upload { id, parts } = &part.staged else {
            return Err(lost(part));
        };
        let ids = parts.iter().map(|id| PartId {
            content_id: id.clone(),
        });
        let failed = match bucket.complete_multipart(&path, id, ids.collect()).await {
            Ok(_) => return Ok(()),
            Err(error) => StoreFailure::from(error),
        };
        // If the upload is unknown and the complete object exists, it was completed before.
        match failed.cause {
            Cause::NotFound if self.size(&part.uri).await? == Some(part.size) => Ok(()),
            Cause::NotFound => Err(lost(part)),
            _ => Err(PartError::store_failed(&part.uri, failed)),
        }
    }

    async fn abort(&self, part: &PartHandle) -> Result<(), PartError> {
        let (bucket, path) = self.locate(&part.uri)?;
        let Staged::Upload { id, .. } = &part.staged else {
            return Ok(());
        };
        ignore_missing(&part.uri, bucket.abort_multipart(&path, id).await)
    }

    async fn delete(&self, uri: &str) -> Result<(), PartError> {
        let (bucket, path) = self.locate(uri)?;
        ignore_missing(uri, bucket.delete(&path).await)
    }

    async fn size(&self, uri: &str) -> Result<Option<u64>, PartError> {
        let (bucket, path) = self.locate(uri)?;
        match bucket.head(&path).await.map_err(StoreFailure::from) {
            Ok(object) => Ok(Some(object.size)),
            Err(failure) if failure.cause == Cause::NotFound => Ok(None),
            Err(failure) => Err(PartError::store_failed(uri, failure)),
        }
    }

    async fn read(&self, uri: &str) -> Result<Option<Bytes>, PartError> {
        let (bucket, path) = self.locate(uri)?;
        let read = async { bucket.get(&path).await?.bytes().await };
        match read.await.map_err(StoreFailure::from) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(failure) if failure.cause == Cause::NotFound => Ok(None),
            Err(failure) => Err(PartError::store_failed(uri, failure)),
        }
    }

    async fn create_new(&self, uri: &str, bytes: Bytes) -> Result<bool, PartError> {
        let (bucket, path) = self.locate(uri)?;
        let put = bucket.put_opts(&path, bytes.into(), PutMode::Create.into());
        match put.await {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(PartError::store(uri, error)),
        }
    }

    async fn replace(&self, uri: &str, bytes: Bytes) -> Result<(), PartError> {
        let (bucket, path) = self.locate(uri)?;
        let put = bucket.put(&path, bytes.into()).await;
        put.map(drop).map_err(|error| PartError::store(uri, error))
    }

    async fn list(&self, folder: &str) -> Result<Level, PartError> {
        let (bucket, path) = self.locate(folder)?;
        let listed = bucket.list_with_delimiter(Some(&path)).await;
        let listed = listed.map_err(|error| PartError::store(folder, error))?;
        let name = |path: &Path| path.filename().unwrap_or_default().to_owned();
        let objects = listed.objects.iter();
        Ok(Level {
            folders: listed.common_prefixes.iter().map(name).collect(),
            objects: objects.map(|object| name(&object.location)).collect(),
        })
    }

    async fn pending(&self, folder: &str) -> Result<Vec<Pending>, PartError> {
        let (bucket, path) = self.locate(folder)?;
        let uploads = bucket.pending_uploads(&path).await;
        let uploads = uploads.map_err(|error| PartError::store(folder, error))?;
        let pending = uploads.into_iter().map(|upload| Pending {
            since: upload.since,
            handle: PartHandle {
                uri: format!("{}/{}", bucket.uri(), upload.key),
                size: 0,
                staged: Staged::Upload {
                    id: upload.id,
                    parts: Vec::new(),
                },
            },
        });
        Ok(pending.collect())
    }

    /// Starts an upload and aborts it. This needs the permissions of a part, but writes nothing.
    async fn probe(&self, folder: &str, name: &str) -> Result<Vec<String>, PartError> {
        let uri = format!("{}/{name}", folder.trim_end_matches('/'));
        let (bucket, path) = self.locate(&uri)?;
        let failed = |error| PartError::store(folder, error);
        let id = bucket.create_multipart(&path).await.map_err(failed)?;
        bucket.abort_multipart(&path, &id).await.map_err(failed)?;
        Ok(warning(&bucket, folder, &path).await.into_iter().collect())
    }
}

/// Returns a warning if a lifecycle rule aborts uploads too early. Parts are incomplete uploads
/// until their commit.
async fn warning(bucket: &Bucket, folder: &str, path: &Path) -> Option<String> {
    /// A load that fails on a Friday may be resumed on a Monday.
    const ENOUGH_DAYS: u32 = 4;
    // A role without permission to read the rules gets no warning.
    let rule = bucket.lifecycle(path).await.ok().flatten()?;
    let (name, days) = (&rule.rule, rule.days);
    (days < ENOUGH_DAYS).then(|| {
        format!(
            "{folder}: the bucket's lifecycle rule `{name}` aborts uploads {days}d after they start; \
             a load that is interrupted for longer must be repeated (7 days are usual)"
        )
    })
}

fn ignore_missing(uri: &str, ended: object_store::Result<()>) -> Result<(), PartError> {
    match ended.map_err(StoreFailure::from) {
        Err(failure) if failure.cause != Cause::NotFound => {
            Err(PartError::store_failed(uri, failure))
        }
        _ => Ok(()),
    }
}

fn lost(part: &PartHandle) -> PartError {
    PartError::PartLost {
        uri: part.uri.clone(),
    }
}
