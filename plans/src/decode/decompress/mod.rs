//! Compressed chunks to blocks of plain bytes in bounded memory. The compression is
//! told by the first bytes, never by a name, and what could be read of a damaged
//! object is given out before the damage is reported.

mod gzip;
#[cfg(test)]
mod tests;
mod zstandard;

use std::collections::VecDeque;

use bytes::{Buf, Bytes};

use super::Broken;

/// Size of a block that is given out; the last one is smaller.
const BLOCK: usize = 512 << 10;
/// A block is never planned smaller than this.
const SMALLEST: usize = 32 << 10;
/// Plain chunks from this size on are passed on as they are.
const LARGE: usize = 128 << 10;
/// Bytes that tell the compression.
const MAGIC: usize = 4;

/// How an object is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    Plain,
    Gzip,
    Zstd,
}

/// The compression that the first bytes of an object tell; four are enough.
pub fn detect(head: &[u8]) -> Compression {
    match head {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
        // A zstd file may begin with a frame that readers skip.
        [first, 0x2a, 0x4d, 0x18, ..] if first & 0xf0 == 0x50 => Compression::Zstd,
        _ => Compression::Plain,
    }
}

/// Decompresses one object.
///
/// `push` chunks and ask for blocks until there is none; after `finish` the last
/// blocks come out, and then `broken` says whether the object was whole.
#[derive(Default)]
pub struct Decompressor {
    input: VecDeque<Bytes>,
    output: Vec<u8>,
    stream: Option<Stream>,
    ended: bool,
    broken: Option<Broken>,
}

enum Stream {
    Plain,
    Inflate(Box<dyn Inflate>),
}

/// One compressed format.
trait Inflate: Send {
    /// Reads from `input` and appends to `output` without growing it beyond its capacity.
    fn step(&mut self, input: &mut Bytes, output: &mut Vec<u8>) -> Result<(), Broken>;
    /// Says that the input has ended, and why that is too early.
    fn end(&self) -> Result<(), Broken>;
}

impl Decompressor {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next compressed chunk.
    pub fn push(&mut self, chunk: Bytes) {
        if self.broken.is_none() && !chunk.is_empty() {
            self.input.push_back(chunk);
        }
    }

    /// Says that the object has ended.
    pub fn finish(&mut self) {
        self.ended = true;
    }

    /// Why the object ends too early; known once `next_block` gives nothing after `finish`.
    pub fn broken(&self) -> Option<&Broken> {
        self.broken.as_ref()
    }

    /// The next block, or `None`: more chunks are needed, or after `finish` all is read.
    pub fn next_block(&mut self) -> Option<Bytes> {
        let mut stream = self.stream.take().or_else(|| self.detect())?;
        let block = match &mut stream {
            Stream::Plain => self.next_plain(),
            Stream::Inflate(inflate) => self.next_inflated(inflate.as_mut()),
        };
        self.stream = Some(stream);
        block
    }

    /// Decides once enough bytes are there.
    fn detect(&mut self) -> Option<Stream> {
        let mut head = [0; MAGIC];
        let mut length = 0;
        for byte in self.input.iter().flatten().take(MAGIC) {
            head[length] = *byte;
            length += 1;
        }
        if length < MAGIC && !self.ended {
            return None;
        }
        Some(match detect(&head[..length]) {
            Compression::Plain => Stream::Plain,
            Compression::Gzip => Stream::Inflate(Box::<gzip::Gzip>::default()),
            Compression::Zstd => match zstandard::Zstandard::new() {
                Ok(zstd) => Stream::Inflate(Box::new(zstd)),
                Err(broken) => {
                    self.fail(broken);
                    Stream::Plain
                }
            },
        })
    }

    /// Large chunks pass through; small ones are put together.
    fn next_plain(&mut self) -> Option<Bytes> {
        while let Some(chunk) = self.input.front() {
            if chunk.len() >= LARGE {
                if self.output.is_empty() {
                    return self.input.pop_front();
                }
                return self.take_output();
            }
            self.output.extend_from_slice(chunk);
            self.input.pop_front();
            if self.output.len() >= LARGE {
                return self.take_output();
            }
        }
        if self.ended { self.take_output() } else { None }
    }

    fn next_inflated(&mut self, inflate: &mut dyn Inflate) -> Option<Bytes> {
        while let Some(mut chunk) = self.input.pop_front() {
            self.make_room(chunk.len());
            let outcome = inflate.step(&mut chunk, &mut self.output);
            if chunk.has_remaining() {
                self.input.push_front(chunk);
            }
            if let Err(broken) = outcome {
                self.fail(broken);
            } else if self.output.len() == self.output.capacity() {
                return self.take_output();
            }
        }
        if !self.ended {
            return None;
        }
        self.drain(inflate)
    }

    /// A decoder may hold output back until it is asked without input.
    fn drain(&mut self, inflate: &mut dyn Inflate) -> Option<Bytes> {
        if self.broken.is_none() {
            self.make_room(0);
            let outcome = inflate.step(&mut Bytes::new(), &mut self.output);
            let is_full = self.output.len() == self.output.capacity();
            match outcome {
                Ok(()) if is_full => {}
                outcome => self.broken = outcome.and_then(|()| inflate.end()).err(),
            }
        }
        self.take_output()
    }

    fn make_room(&mut self, compressed: usize) {
        if self.output.capacity() == 0 {
            let size = compressed.saturating_mul(8).clamp(SMALLEST, BLOCK);
            self.output = Vec::with_capacity(size);
        }
    }

    fn fail(&mut self, broken: Broken) {
        self.broken = Some(broken);
        self.input.clear();
    }

    fn take_output(&mut self) -> Option<Bytes> {
        let mut output = std::mem::take(&mut self.output);
        if output.is_empty() {
            return None;
        }
        // Views keep the block alive: a small one must not hold a large allocation.
        if output.len() < output.capacity() / 2 {
            output.shrink_to_fit();
        }
        Some(Bytes::from(output))
    }
}
