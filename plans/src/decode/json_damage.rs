//! What is wrong with text that is no JSON object, and where objects had no end.

use std::ops::Range;

use super::damage::LINE_TOO_LONG;
use super::lines::Damage;

/// After so many objects without an end in one text, no other one is looked for in it. Without
/// this limit some inputs would take quadratic time.
const MAX_TRIES: u32 = 16;

pub(super) static OPEN_STRING: Damage = Damage {
    reason: "invalid_json",
    detail: "a string is not closed on its line",
};
pub(super) static OPEN_OBJECT: Damage = Damage {
    reason: "invalid_json",
    detail: "the next object begins before this one is closed",
};
pub(super) static NO_OBJECT: Damage = Damage {
    reason: "invalid_json",
    detail: "there is text between the objects",
};
pub(super) static TOO_LONG: Damage = Damage {
    reason: LINE_TOO_LONG,
    detail: "the object is longer than 16 MiB",
};
pub(super) static BEHIND_LIST: Damage = Damage {
    reason: "behind_list",
    detail: "the wrapping object has members behind its list of records; they belong to no record",
};

/// Text in which objects had no end, or were no JSON. Positions are offsets in the input.
#[derive(Debug, Default)]
pub(super) struct Tried {
    end: u64,
    times: u32,
}

impl Tried {
    /// Adds the text of an object.
    pub(super) fn add(&mut self, text: Range<u64>) {
        self.times = match text.start < self.end {
            true => self.times + 1,
            false => 1,
        };
        self.end = self.end.max(text.end);
    }

    /// The end of the text in which no other object is looked for.
    pub(super) fn until(&self) -> u64 {
        match self.times < MAX_TRIES {
            true => 0,
            false => self.end,
        }
    }
}
