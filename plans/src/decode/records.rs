//! Where the records of a text are: lines, or JSON objects.

use arrow::buffer::Buffer;
use bytes::Bytes;

use super::json_records::JsonRecords;
use super::json_wrapper::Members;
use super::lines::{Found, Lines};

/// Finds the records of one object of the store.
pub(crate) enum Records {
    Lines(Lines),
    Json(Box<JsonRecords>),
}

impl From<Lines> for Records {
    fn from(lines: Lines) -> Self {
        Self::Lines(lines)
    }
}

impl From<JsonRecords> for Records {
    fn from(records: JsonRecords) -> Self {
        Self::Json(Box::new(records))
    }
}

impl Records {
    pub(crate) fn push(&mut self, block: Bytes) {
        match self {
            Self::Lines(lines) => lines.push(block),
            Self::Json(records) => records.push(block),
        }
    }

    /// Ends the input.
    pub(crate) fn finish(&mut self) {
        if let Self::Json(records) = self {
            records.finish();
        }
    }

    /// Returns the next complete record. Adds the buffer that holds it to `buffers`.
    pub(crate) fn next(&mut self, buffers: &mut Vec<Buffer>) -> Option<Found> {
        match self {
            Self::Lines(lines) => lines.next(buffers),
            Self::Json(records) => records.next(buffers),
        }
    }

    /// Returns the text behind the last record. Call it after `finish` and the last `next`.
    pub(crate) fn rest(&mut self, buffers: &mut Vec<Buffer>) -> Option<Found> {
        match self {
            Self::Lines(lines) => lines.rest(buffers),
            Self::Json(records) => records.rest(buffers),
        }
    }

    /// Returns an empty record at the current position.
    pub(crate) fn nothing(&self) -> Found {
        match self {
            Self::Lines(lines) => lines.nothing(),
            Self::Json(records) => records.nothing(),
        }
    }

    /// Whether the input ends within a JSON object or a list. Call it after `rest`.
    pub(crate) fn is_open(&self) -> bool {
        match self {
            Self::Lines(_) => false,
            Self::Json(records) => records.is_open(),
        }
    }

    /// Returns the bytes of a record until the next call of `next`.
    pub(crate) fn text(&self, found: &Found) -> &[u8] {
        match self {
            Self::Lines(lines) => lines.text(found),
            Self::Json(records) => records.text(found),
        }
    }

    /// The members of the object around the list that the last record is in.
    pub(crate) fn context(&self) -> Option<&Members> {
        match self {
            Self::Lines(_) => None,
            Self::Json(records) => records.context(),
        }
    }

    /// Call it after a batch was taken, because the buffers of the next one are new.
    pub(crate) fn forget_buffers(&mut self) {
        match self {
            Self::Lines(lines) => lines.forget_buffers(),
            Self::Json(records) => records.forget_buffers(),
        }
    }

    /// Returns the damaged part of the last record, which cannot be parsed. What it had taken
    /// in is read next.
    pub(crate) fn refuse(&mut self, found: Found) -> Found {
        match self {
            Self::Lines(_) => found,
            Self::Json(records) => records.refuse(found),
        }
    }
}

/// Whether `text` ends within a JSON object.
pub(crate) fn ends_in_object(text: &[u8]) -> bool {
    let mut records = JsonRecords::new(&[]);
    records.push(Bytes::copy_from_slice(text));
    records.finish();
    while records.next(&mut Vec::new()).is_some() {}
    records.is_open()
}
