//! Implements `ObjectStore` and `MultipartStore` for a bucket. It uses the client of
//! `object_store`, connects at the first request, and retries failed pages of a listing.

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::list::{PaginatedListOptions, PaginatedListResult, PaginatedListStore};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartId, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::Bucket;
use crate::storage::StoreFailure;

/// Tries of a page. The client retries requests, but not a response that ends early.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(100);

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
        self.pages(Listing::below(prefix, None))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.pages(Listing::below(prefix, Some(offset)))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut listing = Listing::below(prefix, None);
        listing.delimited = true;
        let mut whole = ListResult {
            common_prefixes: Vec::new(),
            objects: Vec::new(),
        };
        while let Some(page) = self.page(&mut listing).await? {
            whole.common_prefixes.extend(page.common_prefixes);
            whole.objects.extend(page.objects);
        }
        Ok(whole)
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

/// The state of a listing between two pages.
struct Listing {
    prefix: Option<String>,
    offset: Option<String>,
    delimited: bool,
    token: Option<String>,
    ended: bool,
}

impl Listing {
    fn below(prefix: Option<&Path>, offset: Option<&Path>) -> Self {
        let folder = prefix.map(Path::as_ref).filter(|folder| !folder.is_empty());
        Self {
            prefix: folder.map(|folder| format!("{folder}/")),
            offset: offset.map(ToString::to_string),
            delimited: false,
            token: None,
            ended: false,
        }
    }

    fn options(&self) -> PaginatedListOptions {
        PaginatedListOptions {
            offset: self.offset.clone(),
            delimiter: self.delimited.then(|| "/".into()),
            page_token: self.token.clone(),
            ..PaginatedListOptions::default()
        }
    }
}

impl Bucket {
    fn pages(&self, listing: Listing) -> BoxStream<'static, Result<ObjectMeta>> {
        let pages = stream::try_unfold((self.clone(), listing), |(bucket, mut listing)| async {
            let page = bucket.page(&mut listing).await?;
            let objects = page.map(|page| stream::iter(page.objects.into_iter().map(Ok)));
            Ok::<_, object_store::Error>(objects.map(|objects| (objects, (bucket, listing))))
        });
        pages.try_flatten().boxed()
    }

    /// Returns the next page, without the key of the folder itself.
    async fn page(&self, listing: &mut Listing) -> Result<Option<ListResult>> {
        if listing.ended {
            return Ok(None);
        }
        let PaginatedListResult {
            mut result,
            page_token,
        } = self.retried_page(listing).await?;
        listing.ended = page_token.is_none();
        listing.token = page_token;
        if let Some(prefix) = &listing.prefix {
            let is_inside = |object: &ObjectMeta| object.location.as_ref().len() > prefix.len();
            result.objects.retain(is_inside);
        }
        Ok(Some(result))
    }

    async fn retried_page(&self, listing: &Listing) -> Result<PaginatedListResult> {
        let store = &self.client().await?.store;
        let mut tries = 1;
        loop {
            let page = store
                .list_paginated(listing.prefix.as_deref(), listing.options())
                .await;
            match page {
                Err(error) if tries < TRIES && StoreFailure::of(&error).cause.retryable() => {
                    tokio::time::sleep(PAUSE * 2u32.pow(tries)).await;
                    tries += 1;
                }
                ended => return ended,
            }
        }
    }
}
