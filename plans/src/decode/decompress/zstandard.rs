//! zstd: any number of frames, including skippable ones.

use bytes::{Buf, Bytes};
use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

use super::{Broken, Inflate};
use crate::decode::damage::{CORRUPT_ZSTD, TRUNCATED_ZSTD};

pub(crate) struct Zstandard {
    decoder: Decoder<'static>,
    /// Whether the decoder is inside a frame.
    in_frame: bool,
    frames: u64,
}

impl Zstandard {
    pub(crate) fn new() -> Result<Self, Broken> {
        let decoder = Decoder::new().map_err(|error| Broken {
            reason: CORRUPT_ZSTD,
            detail: format!("no decoder: {error}"),
        })?;
        Ok(Self {
            decoder,
            in_frame: false,
            frames: 0,
        })
    }
}

impl Inflate for Zstandard {
    fn step(&mut self, input: &mut Bytes, output: &mut Vec<u8>) -> Result<(), Broken> {
        loop {
            if !self.in_frame && self.frames > 0 {
                let zeros = input.iter().take_while(|byte| **byte == 0).count();
                input.advance(zeros);
            }
            let is_idle = !self.in_frame && input.is_empty();
            if is_idle || output.len() == output.capacity() {
                return Ok(());
            }
            let (read, written) = self.run(input, output)?;
            input.advance(read);
            if read == 0 && written == 0 {
                return Ok(());
            }
        }
    }

    fn end(&self) -> Result<(), Broken> {
        if !self.in_frame {
            return Ok(());
        }
        Err(Broken {
            reason: TRUNCATED_ZSTD,
            detail: format!("ends within zstd frame {}", self.frames + 1),
        })
    }
}

impl Zstandard {
    fn run(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<(usize, usize), Broken> {
        let before = output.len();
        let mut source = InBuffer::around(input);
        let mut target = OutBuffer::around_pos(output, before);
        let hint = self.decoder.run(&mut source, &mut target);
        let (read, written) = (source.pos(), target.pos() - before);
        let hint = hint.map_err(|error| Broken {
            reason: CORRUPT_ZSTD,
            detail: format!("{error} in zstd frame {}", self.frames + 1),
        })?;
        let was_in_frame = self.in_frame;
        self.in_frame = hint != 0;
        if hint == 0 && (was_in_frame || read > 0) {
            self.frames += 1;
        }
        Ok((read, written))
    }
}
