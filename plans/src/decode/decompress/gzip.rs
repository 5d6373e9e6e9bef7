//! gzip: any number of members, each with a header, checksum and length. Zeros may
//! follow the last member, because tapes and object stores pad objects.

use bytes::{Buf, Bytes};
use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::{Broken, Inflate};
use crate::decode::damage::{CORRUPT_GZIP, TRUNCATED_GZIP};

/// Maximum length of a header with its optional name, comment and extra field.
const MAX_HEADER: usize = 256 << 10;
const TRAILER: usize = 8;

const FLAG_CHECKSUM: u8 = 2;
const FLAG_EXTRA: u8 = 4;
const FLAG_NAME: u8 = 8;
const FLAG_COMMENT: u8 = 16;
const RESERVED_FLAGS: u8 = 0b1110_0000;

pub(crate) struct Gzip {
    state: State,
    /// The part of a header or trailer that has arrived.
    pending: Vec<u8>,
    inflate: Decompress,
    crc: Crc,
    members: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before a member, or in the padding after the last one.
    Between,
    Header,
    Body,
    Trailer,
}

impl Default for Gzip {
    fn default() -> Self {
        Self {
            state: State::Between,
            pending: Vec::new(),
            inflate: Decompress::new(false),
            crc: Crc::new(),
            members: 0,
        }
    }
}

impl Inflate for Gzip {
    fn step(&mut self, input: &mut Bytes, output: &mut Vec<u8>) -> Result<(), Broken> {
        loop {
            let is_done = match self.state {
                State::Between => self.between(input),
                State::Header => self.header(input)?,
                State::Body => self.body(input, output)?,
                State::Trailer => self.trailer(input)?,
            };
            if is_done {
                return Ok(());
            }
        }
    }

    fn end(&self) -> Result<(), Broken> {
        if self.state == State::Between {
            return Ok(());
        }
        let inside = match self.state {
            State::Header => "header",
            State::Trailer => "checksum",
            State::Between | State::Body => "data",
        };
        let detail = format!("ends within the {inside} of gzip member {}", self.members);
        Err(Broken {
            reason: TRUNCATED_GZIP,
            detail,
        })
    }
}

// Each state returns whether it needs more input, or more room in the output.
impl Gzip {
    fn between(&mut self, input: &mut Bytes) -> bool {
        if self.members > 0 {
            let zeros = input.iter().take_while(|byte| **byte == 0).count();
            input.advance(zeros);
        }
        if input.is_empty() {
            return true;
        }
        self.state = State::Header;
        self.members += 1;
        false
    }

    fn header(&mut self, input: &mut Bytes) -> Result<bool, Broken> {
        let before = self.pending.len();
        let room = MAX_HEADER.saturating_sub(before).min(input.len());
        self.pending.extend_from_slice(&input[..room]);
        let length = header_length(&self.pending).map_err(|what| self.corrupt(what))?;
        let Some(length) = length else {
            input.advance(room);
            if self.pending.len() >= MAX_HEADER {
                return Err(self.corrupt("endless header"));
            }
            return Ok(true);
        };
        input.advance(length - before);
        self.pending.clear();
        self.inflate.reset(false);
        self.crc.reset();
        self.state = State::Body;
        Ok(false)
    }

    fn body(&mut self, input: &mut Bytes, output: &mut Vec<u8>) -> Result<bool, Broken> {
        if output.len() == output.capacity() {
            return Ok(true);
        }
        let (read, written) = (self.inflate.total_in(), output.len());
        let status = self
            .inflate
            .decompress_vec(input, output, FlushDecompress::None)
            .map_err(|_| self.corrupt("invalid deflate data"))?;
        input.advance((self.inflate.total_in() - read) as usize);
        self.crc.update(&output[written..]);
        match status {
            Status::StreamEnd => {
                self.state = State::Trailer;
                Ok(false)
            }
            Status::Ok if !input.is_empty() && output.len() < output.capacity() => Ok(false),
            // With input and room, valid data always makes progress.
            Status::BufError if !input.is_empty() && output.len() < output.capacity() => {
                Err(self.corrupt("endless deflate data"))
            }
            Status::Ok | Status::BufError => Ok(true),
        }
    }

    fn trailer(&mut self, input: &mut Bytes) -> Result<bool, Broken> {
        let missing = (TRAILER - self.pending.len()).min(input.len());
        self.pending.extend_from_slice(&input[..missing]);
        input.advance(missing);
        if self.pending.len() < TRAILER {
            return Ok(true);
        }
        let word = |at: usize| {
            let bytes = self.pending[at..at + 4].try_into();
            u32::from_le_bytes(bytes.expect("four bytes were sliced"))
        };
        if word(0) != self.crc.sum() {
            return Err(self.corrupt("the checksum does not match"));
        }
        if word(4) != self.crc.amount() {
            return Err(self.corrupt("the length does not match"));
        }
        self.pending.clear();
        self.state = State::Between;
        Ok(false)
    }

    fn corrupt(&self, what: &str) -> Broken {
        Broken {
            reason: CORRUPT_GZIP,
            detail: format!("{what} in gzip member {}", self.members),
        }
    }
}

/// Returns the length of the header at the start of `bytes`, or `None` if it is incomplete.
fn header_length(bytes: &[u8]) -> Result<Option<usize>, &'static str> {
    let magic = [0x1f, 0x8b, 8];
    let known = bytes.len().min(magic.len());
    if bytes[..known] != magic[..known] {
        return Err("bytes that are not a gzip header");
    }
    let Some(&flags) = bytes.get(3) else {
        return Ok(None);
    };
    if flags & RESERVED_FLAGS != 0 {
        return Err("reserved flags");
    }
    Ok(optional_fields_end(bytes, flags).filter(|end| *end <= bytes.len()))
}

fn optional_fields_end(bytes: &[u8], flags: u8) -> Option<usize> {
    let mut end = 10;
    if flags & FLAG_EXTRA != 0 {
        let length = bytes.get(end..end + 2)?;
        end += 2 + usize::from(u16::from_le_bytes([length[0], length[1]]));
    }
    for flag in [FLAG_NAME, FLAG_COMMENT] {
        if flags & flag != 0 {
            let rest = bytes.get(end..)?;
            end += memchr::memchr(0, rest)? + 1;
        }
    }
    if flags & FLAG_CHECKSUM != 0 {
        end += 2;
    }
    Some(end)
}
