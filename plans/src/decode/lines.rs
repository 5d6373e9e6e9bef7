//! Splits blocks into lines. Only a line that spans blocks is copied, to a separate
//! buffer. Memory is bounded for any input.

use std::collections::VecDeque;
use std::ops::Range;

use arrow::buffer::Buffer;
use bytes::Bytes;
use memchr::{memchr, memchr_iter};

/// A longer line is rejected.
pub(crate) const MAX_LINE: usize = 16 << 20;
/// Bytes that are kept of a line that is too long.
const KEPT: usize = 64 << 10;
/// View offsets are 32-bit and signed in the columnar format.
const MAX_BLOCK: usize = 1 << 30;
pub(crate) const BOM: &[u8] = b"\xef\xbb\xbf";

/// Splits the blocks of one object into lines.
#[derive(Default)]
pub(crate) struct Lines {
    waiting: VecDeque<Bytes>,
    block: Bytes,
    at: usize,
    is_ascii: bool,
    /// The block's index among the buffers of the batch that is being built.
    buffer: Option<u32>,
    /// The beginning of a line whose end has not arrived.
    carry: Vec<u8>,
    carried: usize,
    /// The last line that spanned blocks.
    gathered: Bytes,
    number: u64,
    offset: u64,
}

/// The position of a line. `Lines::text` returns its bytes until the next call of `next`.
pub(crate) struct Found {
    gathered: bool,
    start: usize,
    end: usize,
    pub(crate) buffer: u32,
    /// Line number from 1. Empty lines are counted.
    pub(crate) number: u64,
    /// Offset of its first byte in the decompressed object.
    pub(crate) offset: u64,
    /// Whether its whole block is ASCII, which proves that it is UTF-8.
    pub(crate) is_ascii: bool,
    pub(crate) is_too_long: bool,
    /// The physical lines of a record that is too long to be kept.
    pub(crate) lines_of_cut: Option<u64>,
    /// Why it is no record.
    pub(crate) damage: Option<&'static Damage>,
}

/// Why text is no record.
#[derive(Debug)]
pub(crate) struct Damage {
    pub(crate) reason: &'static str,
    pub(crate) detail: &'static str,
}

impl Found {
    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Offset of the line in its buffer.
    pub(crate) fn start(&self) -> u32 {
        // Blocks are at most MAX_BLOCK long.
        self.start as u32
    }

    /// No text, at a place.
    pub(super) fn nothing(number: u64, offset: u64) -> Self {
        Self {
            gathered: true,
            is_ascii: true,
            ..Self::part(0..0, 0, number, offset)
        }
    }

    /// A part of a block.
    pub(super) fn part(range: Range<usize>, buffer: u32, number: u64, offset: u64) -> Self {
        Self {
            gathered: false,
            start: range.start,
            end: range.end,
            buffer,
            number,
            offset,
            is_ascii: false,
            is_too_long: false,
            lines_of_cut: None,
            damage: None,
        }
    }

    pub(super) fn checked(self, is_ascii: bool, damage: Option<&'static Damage>) -> Self {
        Self {
            is_ascii,
            damage,
            ..self
        }
    }

    /// The same text, up to `end`.
    pub(super) fn shortened(self, end: usize) -> Self {
        Self { end, ..self }
    }

    pub(super) fn range(&self) -> Range<usize> {
        self.start..self.end
    }
}

impl Lines {
    /// Adds a block. It may end anywhere, even inside a line.
    pub(crate) fn push(&mut self, mut block: Bytes) {
        while block.len() > MAX_BLOCK {
            self.waiting.push_back(block.split_to(MAX_BLOCK));
        }
        self.waiting.push_back(block);
    }

    /// Returns the next complete line. Adds the buffer that holds it to `buffers`.
    pub(crate) fn next(&mut self, buffers: &mut Vec<Buffer>) -> Option<Found> {
        loop {
            if self.at == self.block.len() && !self.next_block() {
                return None;
            }
            let rest = &self.block[self.at..];
            let Some(length) = memchr(b'\n', rest) else {
                let rest = self.block.slice(self.at..);
                self.at = self.block.len();
                self.keep(&rest);
                continue;
            };
            let start = self.at;
            self.at += length + 1;
            if self.carried == 0 {
                return Some(self.in_block(start, length, buffers));
            }
            let rest = self.block.slice(start..start + length);
            self.keep(&rest);
            return Some(self.gather(1, buffers));
        }
    }

    /// Returns the text after the last line end. Call it after the last block.
    pub(crate) fn rest(&mut self, buffers: &mut Vec<Buffer>) -> Option<Found> {
        (self.carried > 0).then(|| self.gather(0, buffers))
    }

    /// Returns an empty line at the current position, for an object that broke between lines.
    pub(crate) fn nothing(&self) -> Found {
        Found::nothing(self.number + 1, self.offset)
    }

    pub(crate) fn text(&self, found: &Found) -> &[u8] {
        let buffer = if found.gathered {
            &self.gathered
        } else {
            &self.block
        };
        &buffer[found.start..found.end]
    }

    /// Call it after a batch was taken, because the buffers of the next one are new.
    pub(crate) fn forget_buffers(&mut self) {
        self.buffer = None;
    }

    fn next_block(&mut self) -> bool {
        let Some(block) = self.waiting.pop_front() else {
            return false;
        };
        self.is_ascii = block.is_ascii();
        self.block = block;
        self.at = 0;
        self.buffer = None;
        true
    }

    /// Appends to the incomplete line, up to the maximum length of a line.
    fn keep(&mut self, bytes: &[u8]) {
        self.carried += bytes.len();
        if self.carried <= MAX_LINE {
            self.carry.extend_from_slice(bytes);
        } else {
            let room = KEPT.saturating_sub(self.carry.len()).min(bytes.len());
            self.carry.extend_from_slice(&bytes[..room]);
            self.carry.truncate(KEPT);
            self.carry.shrink_to_fit();
        }
    }

    fn in_block(&mut self, start: usize, length: usize, buffers: &mut Vec<Buffer>) -> Found {
        let buffer = *self
            .buffer
            .get_or_insert_with(|| add_buffer(buffers, self.block.clone()));
        let found = self.found(start, length, length + 1);
        let found = Found {
            buffer,
            is_ascii: self.is_ascii,
            ..found
        };
        self.trim(found)
    }

    fn gather(&mut self, line_end: usize, buffers: &mut Vec<Buffer>) -> Found {
        self.gathered = Bytes::from(std::mem::take(&mut self.carry));
        let length = std::mem::take(&mut self.carried);
        let buffer = add_buffer(buffers, self.gathered.clone());
        let found = self.found(0, length, length + line_end);
        self.trim(Found {
            gathered: true,
            buffer,
            ..found
        })
    }

    /// Removes a byte order mark and a carriage return.
    fn trim(&self, mut found: Found) -> Found {
        if found.is_too_long {
            return found;
        }
        let bytes = self.text(&found);
        let mut skipped = 0;
        if found.number == 1 && bytes.starts_with(BOM) {
            skipped = BOM.len();
        }
        let is_returned = bytes.len() > skipped && bytes.ends_with(b"\r");
        found.start += skipped;
        found.offset += skipped as u64;
        found.end -= usize::from(is_returned);
        found
    }

    /// Counts a line of `length` bytes, and `consumed` bytes with its terminator.
    fn found(&mut self, start: usize, length: usize, consumed: usize) -> Found {
        let offset = self.offset;
        self.number += 1;
        self.offset += consumed as u64;
        let is_too_long = length > MAX_LINE;
        let kept = if is_too_long { KEPT } else { length };
        Found {
            gathered: false,
            start,
            end: start + kept,
            buffer: 0,
            number: self.number,
            offset,
            is_ascii: false,
            is_too_long,
            lines_of_cut: is_too_long.then_some(1),
            damage: None,
        }
    }
}

/// The number of line ends in `text`.
pub(super) fn line_ends(text: &[u8]) -> u64 {
    memchr_iter(b'\n', text).count() as u64
}

pub(super) fn add_buffer(buffers: &mut Vec<Buffer>, bytes: Bytes) -> u32 {
    buffers.push(Buffer::from(bytes));
    buffers.len() as u32 - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(blocks: &[&str]) -> Vec<(u64, u64, String)> {
        let mut lines = Lines::default();
        let mut buffers = Vec::new();
        for block in blocks {
            lines.push(Bytes::copy_from_slice(block.as_bytes()));
        }
        let mut found = Vec::new();
        while let Some(line) = lines
            .next(&mut buffers)
            .or_else(|| lines.rest(&mut buffers))
        {
            let text = String::from_utf8_lossy(lines.text(&line)).into_owned();
            found.push((line.number, line.offset, text));
        }
        found
    }

    fn check(blocks: &[&str], expected: &[(u64, u64, &str)]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|(number, offset, text)| (*number, *offset, (*text).to_owned()))
            .collect();
        assert_eq!(lines(blocks), expected);
    }

    #[test]
    fn lines_are_found_for_any_block_size() {
        let expected = [(1, 0, "ab"), (2, 3, ""), (3, 4, "cd"), (4, 8, "e")];
        check(&["ab\n\ncd\r\ne"], &expected);
        check(&["a", "b", "\n", "\nc", "d\r", "\n", "", "e"], &expected);
    }

    #[test]
    fn a_byte_order_mark_is_left_out() {
        check(&["\u{feff}ab\ncd\n"], &[(1, 3, "ab"), (2, 6, "cd")]);
    }

    #[test]
    fn an_endless_line_is_kept_only_in_part() {
        let block = "x".repeat(1 << 20);
        let mut blocks = vec![block.as_str(); 20];
        blocks.push("\nnext");
        let found = lines(&blocks);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].2.len(), KEPT);
        assert_eq!(found[1], (2, (20 << 20) + 1, "next".to_owned()));
    }
}
