//! Implements `ObjectStore`, `MultipartStore` and `Names` for a bucket. It uses the client of
//! `object_store` and connects at the first request. It lists with its own requests: that
//! client fails a page, and with it all that follows, at a key that is no `Path`.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartId, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tracing::warn;

use super::Bucket;
use super::listing::Listing;
use crate::storage::{Entry, Level, Names};

#[async_trait]
impl ObjectStore for Bucket {
    async fn put_opts(
        &self,
        path: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        self.client()
            .await?
            .store
            .put_opts(path, payload, opts)
            .await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.client()
            .await?
            .store
            .put_multipart_opts(path, opts)
            .await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.client().await?.store.get_opts(path, options).await
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.client().await?.store.get_ranges(path, ranges).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let bucket = self.clone();
        let deleted = async move {
            let client = bucket.client().await?;
            Ok::<_, object_store::Error>(client.store.delete_stream(paths))
        };
        stream::once(deleted).try_flatten().boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        objects(self.entries(Listing::below(prefix)))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        objects(self.entries(Listing::below(prefix).after(offset)))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let level = self.whole_level(Listing::below(prefix).delimited()).await?;
        Ok(ListResult {
            common_prefixes: level.folders,
            objects: level.entries.into_iter().filter_map(object).collect(),
        })
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.client()
            .await?
            .store
            .copy_opts(from, to, options)
            .await
    }
}

#[async_trait]
impl MultipartStore for Bucket {
    async fn create_multipart(&self, path: &Path) -> Result<MultipartId> {
        self.client().await?.store.create_multipart(path).await
    }

    async fn put_part(
        &self,
        path: &Path,
        id: &MultipartId,
        part_idx: usize,
        data: PutPayload,
    ) -> Result<PartId> {
        self.client()
            .await?
            .store
            .put_part(path, id, part_idx, data)
            .await
    }

    async fn complete_multipart(
        &self,
        path: &Path,
        id: &MultipartId,
        parts: Vec<PartId>,
    ) -> Result<PutResult> {
        self.client()
            .await?
            .store
            .complete_multipart(path, id, parts)
            .await
    }

    async fn abort_multipart(&self, path: &Path, id: &MultipartId) -> Result<()> {
        self.client().await?.store.abort_multipart(path, id).await
    }
}

#[async_trait]
impl Names for Bucket {
    fn below(&self, folder: &Path) -> BoxStream<'static, Result<Entry>> {
        self.entries(Listing::below(Some(folder)))
    }

    async fn level(&self, folder: &Path) -> Result<Level> {
        let listing = Listing::below(Some(folder)).delimited();
        self.whole_level(listing).await
    }

    async fn object(&self, path: &Path) -> Result<Option<ObjectMeta>> {
        match self.head(path).await {
            Ok(object) => Ok(Some(object)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Bucket {
    fn entries(&self, listing: Listing) -> BoxStream<'static, Result<Entry>> {
        let pages = stream::try_unfold((self.clone(), listing), |(bucket, mut listing)| async {
            let page = bucket.page(&mut listing).await?;
            let entries = page.map(|page| stream::iter(page.entries.into_iter().map(Ok)));
            Ok::<_, object_store::Error>(entries.map(|entries| (entries, (bucket, listing))))
        });
        pages.try_flatten().boxed()
    }

    async fn whole_level(&self, mut listing: Listing) -> Result<Level> {
        let mut whole = Level::default();
        while let Some(page) = self.page(&mut listing).await? {
            whole.folders.extend(page.folders);
            whole.entries.extend(page.entries);
        }
        Ok(whole)
    }

    async fn page(&self, listing: &mut Listing) -> Result<Option<Level>> {
        self.client().await?.requests.page(listing).await
    }
}

/// Leaves out what cannot be addressed. Only listings of input name it.
fn objects(entries: BoxStream<'static, Result<Entry>>) -> BoxStream<'static, Result<ObjectMeta>> {
    let objects = entries.try_filter_map(|entry| async { Ok(object(entry)) });
    objects.boxed()
}

fn object(entry: Entry) -> Option<ObjectMeta> {
    match entry {
        Entry::Object(object) => Some(object),
        Entry::Unaddressable(bad) => {
            if !bad.is_empty {
                warn!("a key that cannot be addressed is left out: {:?}", bad.path);
            }
            None
        }
    }
}
