//! Reads the objects of a split one after the other, from compressed bytes to Arrow columns
//! in one pass. Memory is bounded by the read window, the blocks of the decompressor and one
//! batch. It does not depend on the size or number of objects.

use std::collections::VecDeque;
use std::ops::Range;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use datafusion::common::{DataFusionError, Result};
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::task::JoinHandle;

use super::error::{input_error, io_error};
use super::fill::Fill;
use super::listed::{InputError, ListedObject};
use super::parquet::ParquetReader;
use super::spec::ScanSpec;
use super::split::{InputObject, Split};
use crate::decode::decompress::Decompressor;
use crate::decode::{Decoder, DecoderRequest, Reading};
use crate::formats;

/// Number of rows of a full batch.
pub const BATCH_ROWS: usize = 8192;
/// Bytes of one request. The next window is fetched while one is decoded.
const WINDOW: u64 = 2 << 20;
/// Maximum number of objects that are prefetched.
const OBJECTS_AHEAD: usize = 8;
/// No further object is prefetched while more bytes than this are in flight.
const BYTES_AHEAD: u64 = 3 << 20;

/// Reads the split list at `location` of the work area.
pub async fn load_split(work: &dyn ObjectStore, location: &Path) -> Result<Split> {
    let bytes = work
        .get(location)
        .await
        .map_err(io_error)?
        .bytes()
        .await
        .map_err(io_error)?;
    serde_json::from_slice(&bytes).map_err(|error| DataFusionError::External(error.into()))
}

/// Reads the objects of a split in their order.
pub struct SplitReader {
    request: DecoderRequest,
    fill: Fill,
    reading: Reading,
    objects: std::vec::IntoIter<InputObject>,
    /// Objects that are being prefetched.
    ahead: VecDeque<ObjectReader>,
    opened: u32,
    current: Option<ObjectReader>,
}

impl SplitReader {
    /// Creates a reader of one split.
    pub fn new(spec: &ScanSpec, split: Split) -> Result<Self> {
        let format =
            formats::find(&spec.format).map_err(|error| DataFusionError::External(error.into()))?;
        let request = spec.request(BATCH_ROWS);
        let fill = Fill::new(&request);
        Ok(Self {
            request,
            fill,
            reading: format.reading(),
            objects: split.objects.into_iter(),
            ahead: VecDeque::new(),
            opened: 0,
            current: None,
        })
    }

    /// Returns the rows of the split.
    pub fn into_stream(self) -> BoxStream<'static, Result<RecordBatch>> {
        stream::try_unfold(self, |mut reader| async move {
            Ok(reader.next_batch().await?.map(|batch| (batch, reader)))
        })
        .boxed()
    }

    async fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(object) = &mut self.current {
                if let Some(batch) = object.next_batch().await? {
                    return self.fill.fill(batch, &object.listed).map(Some);
                }
                self.current = None;
            }
            self.open_ahead()?;
            self.current = self.ahead.pop_front();
            if self.current.is_none() {
                return Ok(None);
            }
        }
    }

    /// Prefetches the next objects. Without it every small object would cost a round trip.
    fn open_ahead(&mut self) -> Result<()> {
        while self.ahead.len() < OBJECTS_AHEAD {
            let in_flight: u64 = self.ahead.iter().map(ObjectReader::in_flight).sum();
            if in_flight > BYTES_AHEAD {
                return Ok(());
            }
            let Some(object) = self.objects.next() else {
                return Ok(());
            };
            let request = DecoderRequest {
                object: self.opened,
                ..self.request.clone()
            };
            self.opened += 1;
            let reader = ObjectReader::open(&object, &self.reading, request)?;
            self.ahead.push_back(reader);
        }
        Ok(())
    }
}

/// Reads one object.
struct ObjectReader {
    listed: ListedObject,
    rows: RowReader,
}

enum RowReader {
    Blocks(Box<BlockReader>),
    Parquet(Box<ParquetReader>),
}

impl ObjectReader {
    fn open(object: &InputObject, reading: &Reading, request: DecoderRequest) -> Result<Self> {
        let listed = ListedObject::new(object).map_err(DataFusionError::External)?;
        let rows = match reading {
            Reading::Blocks(new_decoder) => {
                let windows = Windows::start(listed.clone());
                let (decompressor, decoder) = (Decompressor::new(), new_decoder(request));
                RowReader::Blocks(Box::new(BlockReader {
                    windows,
                    decompressor,
                    decoder,
                    drained: false,
                    finished: false,
                }))
            }
            Reading::Parquet => {
                RowReader::Parquet(Box::new(ParquetReader::new(listed.clone(), request)))
            }
        };
        Ok(Self { listed, rows })
    }

    /// Returns the bytes that were requested before the first batch is read.
    fn in_flight(&self) -> u64 {
        match &self.rows {
            RowReader::Blocks(reader) => reader.windows.next,
            RowReader::Parquet(_) => 0,
        }
    }

    async fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        match &mut self.rows {
            RowReader::Blocks(reader) => reader.next_batch().await,
            RowReader::Parquet(reader) => reader.next_batch().await,
        }
    }
}

/// Reads one object as a stream of bytes: fetch, decompress, decode.
struct BlockReader {
    windows: Windows,
    decompressor: Decompressor,
    decoder: Box<dyn Decoder>,
    /// Whether the decompressor has received the entire object.
    drained: bool,
    finished: bool,
}

impl BlockReader {
    async fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.decoder.next_batch() {
                return Ok(Some(batch));
            }
            if self.finished {
                return Ok(None);
            }
            match self.decompressor.next_block() {
                Some(block) => self.decoder.push(block),
                None if self.drained || self.decompressor.broken().is_some() => self.finish(),
                None => self.feed().await?,
            }
        }
    }

    async fn feed(&mut self) -> Result<()> {
        match self.windows.next().await? {
            Some(bytes) => self.decompressor.push(bytes),
            None => {
                self.decompressor.finish();
                self.drained = true;
            }
        }
        Ok(())
    }

    fn finish(&mut self) {
        self.decoder.finish(self.decompressor.broken().cloned());
        self.finished = true;
    }
}

/// Reads an object in windows and prefetches the next one.
struct Windows {
    object: ListedObject,
    next: u64,
    ahead: Option<JoinHandle<Result<Bytes, InputError>>>,
}

impl Windows {
    /// Requests the first window immediately.
    fn start(object: ListedObject) -> Self {
        let mut windows = Self {
            object,
            next: 0,
            ahead: None,
        };
        windows.ahead = windows.fetch();
        windows
    }

    async fn next(&mut self) -> Result<Option<Bytes>> {
        let Some(current) = self.ahead.take().or_else(|| self.fetch()) else {
            return Ok(None);
        };
        self.ahead = self.fetch();
        let bytes = current
            .await
            .map_err(|error| DataFusionError::External(error.into()))?;
        bytes.map(Some).map_err(input_error)
    }

    fn fetch(&mut self) -> Option<JoinHandle<Result<Bytes, InputError>>> {
        let range = self.take_range()?;
        let object = self.object.clone();
        Some(tokio::spawn(async move { object.range(range).await }))
    }

    fn take_range(&mut self) -> Option<Range<u64>> {
        let (start, size) = (self.next, self.object.size());
        self.next = (start + WINDOW).min(size);
        (start < size).then_some(start..self.next)
    }
}

impl Drop for Windows {
    fn drop(&mut self) {
        if let Some(ahead) = &self.ahead {
            ahead.abort();
        }
    }
}
