//! Decompresses chunks to blocks of plain bytes in bounded memory. The first bytes of an
//! object decide its compression, not its name. The readable part of a damaged object is
//! returned before the damage is reported. Nothing is returned of an object that is packed or
//! encoded in another way: its bytes are no lines.

mod foreign;
mod gzip;
#[cfg(test)]
mod tests;
mod zstandard;

use std::collections::VecDeque;

use bytes::{Buf, Bytes};

use super::Broken;

/// Size of an output block. The last one is smaller.
const BLOCK: usize = 512 << 10;
/// Smallest capacity of an output block.
const SMALLEST: usize = 32 << 10;
/// Plain chunks of at least this size are passed on without copying.
const LARGE: usize = 128 << 10;
/// Number of bytes that identify the compression.
const MAGIC: usize = 4;

/// The compression of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not compressed.
    Plain,
    /// gzip, with any number of members.
    Gzip,
    /// Zstandard, with any number of frames.
    Zstd,
}

/// Detects the compression from the first bytes of an object. Four are enough.
pub fn detect(head: &[u8]) -> Compression {
    match head {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
        // A zstd file may start with a skippable frame.
        [first, 0x2a, 0x4d, 0x18, ..] if first & 0xf0 == 0x50 => Compression::Zstd,
        _ => Compression::Plain,
    }
}

/// Decompresses one object.
///
/// After each `push`, call `next_block` until it returns `None`. Call `finish` after the
/// last chunk, and `next_block` again. `broken` then returns an error if the object was
/// incomplete.
#[derive(Default)]
pub struct Decompressor {
    input: VecDeque<Bytes>,
    output: Vec<u8>,
    stream: Option<Stream>,
    /// Whether the first block was looked at.
    started: bool,
    ended: bool,
    broken: Option<Broken>,
}

enum Stream {
    Plain,
    Inflate(Box<dyn Inflate>),
}

/// One compressed format.
trait Inflate: Send {
    /// Reads from `input` and appends to `output`, up to its capacity.
    fn step(&mut self, input: &mut Bytes, output: &mut Vec<u8>) -> Result<(), Broken>;
    /// Ends the input. It is an error if that is too early.
    fn end(&self) -> Result<(), Broken>;
}

impl Decompressor {
    /// Creates a decompressor for one object.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next compressed chunk.
    pub fn push(&mut self, chunk: Bytes) {
        if self.broken.is_none() && !chunk.is_empty() {
            self.input.push_back(chunk);
        }
    }

    /// Ends the object.
    pub fn finish(&mut self) {
        self.ended = true;
    }

    /// Returns why no more of the object can be read. Call it after the last block.
    pub fn broken(&self) -> Option<&Broken> {
        self.broken.as_ref()
    }

    /// Returns the next block. `None` means that more chunks are needed, or the object ended.
    pub fn next_block(&mut self) -> Option<Bytes> {
        let mut stream = self.stream.take().or_else(|| self.detect())?;
        let block = match &mut stream {
            Stream::Plain => self.next_plain(),
            Stream::Inflate(inflate) => self.next_inflated(inflate.as_mut()),
        };
        self.stream = Some(stream);
        if !self.started
            && let Some(first) = &block
        {
            self.started = true;
            if let Some(broken) = foreign::find(first) {
                self.fail(broken);
                self.output.clear();
                return None;
            }
        }
        block
    }

    /// Detects the compression when enough bytes have arrived.
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

    /// Passes large chunks on and combines small ones.
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
        if !self.ended && self.broken.is_none() {
            return None;
        }
        self.drain(inflate)
    }

    /// Calls the decoder without input, as it may hold output back.
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
        // Views keep the block alive, so a small block must not have a large allocation.
        if output.len() < output.capacity() / 2 {
            output.shrink_to_fit();
        }
        Some(Bytes::from(output))
    }
}
