//! Parts on S3: a multipart upload to the final key, which nobody sees until it is completed.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html>

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, TryStreamExt};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{MultipartId, ObjectStoreExt};

use super::{
    PartError, PartHandle, PartStore, Pending, Staged, UnpublishedPart, UnpublishedWriter,
};
use crate::storage::s3::Bucket;
use crate::storage::{Access, Cause, StoreFailure};

/// Bytes of an upload's part: S3 takes at least 5 MiB and at most 10,000 parts.
const PART: usize = 8 << 20;
/// Parts of one upload under way at once, beside the one that fills.
const UNDER_WAY: usize = 2;

/// Writes and publishes on S3, below each URI as the role that it was granted to.
#[derive(Debug)]
pub struct S3 {
    access: Access,
}

impl S3 {
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
            begun: 0,
            under_way: FuturesUnordered::new(),
            done: Vec::new(),
        }))
    }
}

/// An upload while it grows.
struct Upload {
    uri: String,
    bucket: Bucket,
    path: Path,
    id: MultipartId,
    buffer: BytesMut,
    size: u64,
    begun: usize,
    under_way: FuturesUnordered<BoxFuture<'static, object_store::Result<(usize, PartId)>>>,
    done: Vec<(usize, PartId)>,
}

impl Upload {
    async fn send(&mut self, bytes: Bytes) -> Result<(), PartError> {
        while self.under_way.len() >= UNDER_WAY {
            self.wait().await?;
        }
        let (bucket, path, id) = (self.bucket.clone(), self.path.clone(), self.id.clone());
        let index = self.begun;
        self.begun += 1;
        let sent = async move {
            let part = bucket.put_part(&path, &id, index, bytes.into()).await?;
            Ok((index, part))
        };
        // Its own task, so that it goes on while the next rows are encoded.
        let sent = tokio::spawn(sent).map(|ended| ended.unwrap_or_else(|error| Err(error.into())));
        self.under_way.push(sent.boxed());
        Ok(())
    }

    async fn wait(&mut self) -> Result<(), PartError> {
        let sent = self.under_way.try_next().await;
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
        if !rest.is_empty() || self.begun == 0 {
            self.send(rest).await?;
        }
        while !self.under_way.is_empty() {
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
        // An upload that is unknown was completed, if its object stands there whole.
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
        gone_is_well(&part.uri, bucket.abort_multipart(&path, id).await)
    }

    async fn delete(&self, uri: &str) -> Result<(), PartError> {
        let (bucket, path) = self.locate(uri)?;
        gone_is_well(uri, bucket.delete(&path).await)
    }

    async fn size(&self, uri: &str) -> Result<Option<u64>, PartError> {
        let (bucket, path) = self.locate(uri)?;
        match bucket.head(&path).await.map_err(StoreFailure::from) {
            Ok(object) => Ok(Some(object.size)),
            Err(failure) if failure.cause == Cause::NotFound => Ok(None),
            Err(failure) => Err(PartError::store_failed(uri, failure)),
        }
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

    /// Begins an upload and aborts it: nothing is written, and what a part needs was asked for.
    async fn probe(&self, folder: &str, name: &str) -> Result<Vec<String>, PartError> {
        let uri = format!("{}/{name}", folder.trim_end_matches('/'));
        let (bucket, path) = self.locate(&uri)?;
        let failed = |error| PartError::store(folder, error);
        let id = bucket.create_multipart(&path).await.map_err(failed)?;
        bucket.abort_multipart(&path, &id).await.map_err(failed)?;
        Ok(warning(&bucket, folder, &path).await.into_iter().collect())
    }
}

/// Parts wait for their commit as uploads: a rule that aborts them soon takes them away.
async fn warning(bucket: &Bucket, folder: &str, path: &Path) -> Option<String> {
    /// A load that died on a Friday is finished on a Monday.
    const ENOUGH_DAYS: u32 = 4;
    // Not every role may read the rules, and none needs to.
    let rule = bucket.lifecycle(path).await.ok().flatten()?;
    let (name, days) = (&rule.rule, rule.days);
    (days < ENOUGH_DAYS).then(|| {
        format!(
            "{folder}: the bucket's lifecycle rule `{name}` aborts uploads {days}d after they begin; \
             a load that is interrupted for longer has to be loaded again (7 days are usual)"
        )
    })
}

fn gone_is_well(uri: &str, ended: object_store::Result<()>) -> Result<(), PartError> {
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
