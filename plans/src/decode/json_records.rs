//! Splits text into JSON objects: one after the other in any layout, items of a list, or items
//! of a list inside objects that wrap them, such as `{"Records": [...]}`.
//!
//! The end of an object is found by its braces. Whether it is JSON is known when it is parsed.
//! What is damaged ends where the next object begins, so that it takes in no other:
//!
//! - A line end within a string is damage, as JSON has none there.
//! - So is a line within an object that begins as the object did: with the same white space and
//!   the same first key.
//! - After any damage, reading goes on at the next object that begins as the others do.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::Range;

use arrow::buffer::Buffer;
use bytes::{Bytes, BytesMut};
use memchr::{memchr, memchr3, memrchr};

use super::json_damage::{BEHIND_LIST, NO_OBJECT, OPEN_OBJECT, OPEN_STRING, TOO_LONG, Tried};
use super::json_wrapper::{self, Head, MAX_KEY, Members, key_at};
use super::lines::{BOM, Damage, Found, MAX_LINE, add_buffer, line_ends};

/// Maximum length of what a wrapping object has before its list.
const MAX_HEAD: usize = 64 << 10;
/// Damaged text is returned in pieces of at most this many bytes.
const MAX_PIECE: usize = 1 << 20;
/// Splits the blocks of one object of the store.
pub(crate) struct JsonRecords {
    /// The names on the way to the list of records. Without any, objects are records.
    list: Box<[String]>,
    waiting: VecDeque<Bytes>,
    window: Bytes,
    at: usize,
    is_ascii: bool,
    /// The window's index among the buffers of the batch that is being built.
    buffer: Option<u32>,
    /// Line ends before `at`.
    lines: u64,
    /// Offset of the window.
    offset: u64,
    before: Before,
    has_ended: bool,
    place: Place,
    /// Lists around objects that were opened and not closed.
    lists: usize,
    scan: Scan,
    beginning: Beginning,
    /// What was wrong, until the next object that begins as the others do is found.
    lost: Option<Lost>,
    tried: Tried,
    context: Option<Members>,
}

/// Where the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Top,
    /// In the list of a wrapping object.
    List,
    /// Behind that list.
    Rest,
}

/// How objects begin.
#[derive(Clone, Debug, Default)]
struct Beginning {
    /// The white space before the first object, if it begins a line.
    indent: Option<Vec<u8>>,
    /// The first key, with its quotes.
    key: Option<Vec<u8>>,
}

/// The state of the search for the end of an object.
#[derive(Clone, Copy, Debug, Default)]
struct Scan {
    /// Bytes behind `at` that were looked at.
    seen: usize,
    depth: usize,
    in_string: bool,
}

/// What is before the window.
#[derive(Debug)]
struct Before {
    /// The white space since the last line end, if there is nothing else.
    indent: Option<Vec<u8>>,
    /// The last byte that is no white space.
    last: Option<u8>,
}

/// Damaged text that goes on.
#[derive(Clone, Copy, Debug)]
struct Lost {
    damage: &'static Damage,
    /// Whether its first byte belongs to it for sure.
    is_new: bool,
}

enum End {
    At(usize),
    Damaged(&'static Damage),
    /// More bytes are needed.
    Open,
}

impl JsonRecords {
    /// Objects are records, or the items of the list at a path of names are.
    pub(crate) fn new(list: &[String]) -> Self {
        Self {
            list: list.into(),
            waiting: VecDeque::new(),
            window: Bytes::new(),
            at: 0,
            is_ascii: false,
            buffer: None,
            lines: 0,
            offset: 0,
            before: Before {
                indent: Some(Vec::new()),
                last: None,
            },
            has_ended: false,
            place: Place::Top,
            lists: 0,
            scan: Scan::default(),
            beginning: Beginning::default(),
            lost: None,
            tried: Tried::default(),
            context: None,
        }
    }

    /// Adds a block. It may end anywhere.
    pub(crate) fn push(&mut self, block: Bytes) {
        self.waiting.push_back(block);
    }

    /// Ends the input.
    pub(crate) fn finish(&mut self) {
        self.has_ended = true;
    }

    /// Returns the next object, or the next damaged text.
    pub(crate) fn next(&mut self, buffers: &mut Vec<Buffer>) -> Option<Found> {
        loop {
            let found = match (self.lost, self.place) {
                (Some(lost), _) => self.piece(lost, buffers),
                (None, Place::Rest) => self.rest_of_wrapper(buffers),
                (None, _) => self.object(buffers),
            };
            match found {
                Step::Found(found) => return Some(found),
                Step::Taken => {}
                Step::Open if self.grow() => {}
                Step::Open => return None,
            }
        }
    }

    /// Returns the text behind the last object. Call it after `finish` and the last `next`.
    pub(crate) fn rest(&mut self, buffers: &mut Vec<Buffer>) -> Option<Found> {
        let is_open = self.is_open();
        let end = self.window.len();
        let found = (self.at < end).then(|| self.take(end, None, buffers));
        // What was open stays so, for `is_open`.
        self.scan.depth = usize::from(is_open);
        found
    }

    /// Returns an empty record at the current position.
    pub(crate) fn nothing(&self) -> Found {
        Found::nothing(self.lines + 1, self.offset + self.at as u64)
    }

    /// Whether the text so far ends within an object or a list.
    pub(crate) fn is_open(&self) -> bool {
        self.scan.depth > 0 || self.lists > 0 || self.place != Place::Top
    }

    pub(crate) fn text(&self, found: &Found) -> &[u8] {
        &self.window[found.range()]
    }

    /// The members of the object around the list that the last record is in.
    pub(crate) fn context(&self) -> Option<&Members> {
        self.context.as_ref()
    }

    /// Call it after a batch was taken, because the buffers of the next one are new.
    pub(crate) fn forget_buffers(&mut self) {
        self.buffer = None;
    }

    /// Returns the damaged part of the last record, which is no JSON. What it had taken in is
    /// read next.
    pub(crate) fn refuse(&mut self, found: Found) -> Found {
        let range = found.range();
        if range.is_empty() {
            return found;
        }
        self.learn(range.start);
        self.fail(range.clone());
        let inside = &self.window[..range.end];
        let Some(next) = self.next_beginning(inside, range.start + 1) else {
            return found;
        };
        self.lines -= line_ends(&self.window[next..self.at]);
        self.at = next;
        self.scan = Scan::default();
        found.shortened(trimmed_end(&self.window, range.start, next))
    }

    /// Adds what is waiting to the window. Returns false if that is too little.
    fn grow(&mut self) -> bool {
        let rest = self.window.len() - self.at;
        let more: usize = self.waiting.iter().map(Bytes::len).sum();
        // Twice as much each time, so that a long object is not copied for every block.
        if more == 0 || (more < rest && !self.has_ended) {
            return false;
        }
        self.before = Before {
            indent: self.indent(self.at).map(Cow::into_owned),
            last: self.last_before(self.at),
        };
        self.offset += self.at as u64;
        self.window = match rest {
            0 => self.waiting.pop_front().unwrap_or_default(),
            _ => {
                let mut joined = BytesMut::with_capacity(rest + more);
                joined.extend_from_slice(&self.window[self.at..]);
                for block in self.waiting.drain(..) {
                    joined.extend_from_slice(&block);
                }
                joined.freeze()
            }
        };
        self.at = 0;
        self.buffer = None;
        self.is_ascii = self.window.is_ascii();
        true
    }

    /// Whether no more bytes come than the window has.
    fn is_last(&self) -> bool {
        self.has_ended && self.waiting.is_empty()
    }

    fn advance(&mut self, to: usize) {
        self.lines += line_ends(&self.window[self.at..to]);
        self.at = to;
        self.scan = Scan::default();
    }

    /// The next object outside of damaged text.
    fn object(&mut self, buffers: &mut Vec<Buffer>) -> Step {
        if self.scan.seen == 0 {
            self.skip_separators();
        }
        if self.place == Place::Rest {
            return Step::Taken;
        }
        match self.window.get(self.at) {
            None => return Step::Open,
            Some(b'{') => {}
            Some(_) => return self.lose(&NO_OBJECT),
        }
        if self.place == Place::Top && !self.list.is_empty() && self.scan.seen == 0 {
            match self.head() {
                Head::List(length, members) => {
                    self.context = Some(members);
                    self.advance(self.at + length);
                    self.place = Place::List;
                    return Step::Taken;
                }
                Head::None => {}
                Head::Open => return Step::Open,
            }
        }
        match self.end() {
            End::At(end) => {
                self.learn(self.at);
                Step::Found(self.take(end, None, buffers))
            }
            End::Damaged(damage) => {
                self.fail(self.at..self.at + self.scan.seen);
                self.lose(damage)
            }
            End::Open if self.is_last() => {
                self.learn(self.at);
                self.fail(self.at..self.window.len());
                // An object that is cut at the end of the input has no other behind it.
                match self.next_beginning(&self.window, self.at + 1) {
                    Some(_) => self.lose(&OPEN_OBJECT),
                    None => Step::Open,
                }
            }
            End::Open => Step::Open,
        }
    }

    /// Notes that an object has no end in a part of the window, or is no JSON.
    fn fail(&mut self, part: Range<usize>) {
        let of = |at: usize| self.offset + at as u64;
        self.tried.add(of(part.start)..of(part.end));
    }

    fn lose(&mut self, damage: &'static Damage) -> Step {
        self.learn(self.at);
        self.scan = Scan::default();
        let is_new = true;
        self.lost = Some(Lost { damage, is_new });
        Step::Taken
    }

    /// Damaged text up to the next object that begins as the others do.
    fn piece(&mut self, lost: Lost, buffers: &mut Vec<Buffer>) -> Step {
        let from = self.at + usize::from(lost.is_new);
        if let Some(next) = self.next_beginning(&self.window, from) {
            if next <= self.at + MAX_PIECE {
                self.lost = None;
                return self.damaged(next, lost.damage, buffers);
            }
        } else if self.is_last() {
            // The ends of lists are in the damaged text.
            (self.place, self.lists) = (Place::Top, 0);
            if self.window.len() <= self.at + MAX_PIECE {
                self.lost = None;
                return self.damaged(self.window.len(), lost.damage, buffers);
            }
        } else if self.window.len() < self.at + MAX_PIECE + 2 * MAX_KEY {
            return Step::Open;
        }
        let whole = &self.window[self.at..self.at + MAX_PIECE];
        let end = memrchr(b'\n', whole).map_or(MAX_PIECE, |end| end + 1);
        self.lost = Some(Lost {
            is_new: false,
            ..lost
        });
        self.damaged(self.at + end, lost.damage, buffers)
    }

    fn damaged(&mut self, end: usize, damage: &'static Damage, buffers: &mut Vec<Buffer>) -> Step {
        let found = self.take(end, Some(damage), buffers);
        match found.is_empty() {
            true => Step::Taken,
            false => Step::Found(found),
        }
    }

    /// The text from here to `end`, without white space and separators around it.
    fn take(
        &mut self,
        end: usize,
        damage: Option<&'static Damage>,
        buffers: &mut Vec<Buffer>,
    ) -> Found {
        let is_blank = |byte: &&u8| byte.is_ascii_whitespace();
        let blank = self.window[self.at..end].iter().take_while(is_blank);
        let start = self.at + blank.count();
        self.advance(start);
        let stop = trimmed_end(&self.window, start, end);
        let window = &self.window;
        let buffer = *self
            .buffer
            .get_or_insert_with(|| add_buffer(buffers, window.clone()));
        let offset = self.offset + start as u64;
        let found = Found::part(start..stop, buffer, self.lines + 1, offset);
        let found = found.checked(self.is_ascii, damage);
        self.advance(end);
        found
    }

    fn skip_separators(&mut self) {
        if self.offset == 0 && self.at == 0 && self.window.starts_with(BOM) {
            self.at = BOM.len();
        }
        while let Some(byte) = self.window.get(self.at) {
            match (byte, self.place) {
                (b'\n', _) => self.lines += 1,
                // RFC 7464 begins each text with a record separator.
                (b' ' | b'\t' | b'\r' | 0x1e, _) | (b',', Place::Top | Place::List) => {}
                (b'[', Place::Top) => self.lists += 1,
                (b']', Place::Top) => self.lists = self.lists.saturating_sub(1),
                (b']', Place::List) => {
                    self.at += 1;
                    self.place = Place::Rest;
                    self.scan.depth = self.list.len();
                    return;
                }
                _ => return,
            }
            self.at += 1;
        }
    }

    /// What a wrapping object has before its list.
    fn head(&self) -> Head {
        let text = &self.window[self.at..];
        let is_whole = self.is_last() || text.len() >= MAX_HEAD;
        let text = &text[..text.len().min(MAX_HEAD)];
        match json_wrapper::head(text, &self.list) {
            Head::Open if is_whole => Head::None,
            head => head,
        }
    }

    /// What a wrapping object has behind its list.
    fn rest_of_wrapper(&mut self, buffers: &mut Vec<Buffer>) -> Step {
        let end = match self.end() {
            End::At(end) => end,
            End::Damaged(damage) => {
                self.place = Place::Top;
                return self.lose(damage);
            }
            End::Open => return Step::Open,
        };
        self.place = Place::Top;
        self.context = None;
        let text = &self.window[self.at..end];
        let is_member = |byte: &u8| !byte.is_ascii_whitespace() && *byte != b'}';
        if text.iter().any(is_member) {
            return Step::Found(self.take(end, Some(&BEHIND_LIST), buffers));
        }
        self.advance(end);
        Step::Taken
    }

    /// Searches the end of the object that begins here.
    fn end(&mut self) -> End {
        let mut scan = self.scan;
        let end = self.scan_to_end(&mut scan);
        self.scan = scan;
        match end {
            End::Open | End::At(_) if scan.seen > MAX_LINE => End::Damaged(&TOO_LONG),
            end => end,
        }
    }

    fn scan_to_end(&self, scan: &mut Scan) -> End {
        let text = &self.window[self.at..];
        while scan.seen < text.len() {
            let rest = &text[scan.seen..];
            let found = match scan.in_string {
                true => memchr3(b'"', b'\\', b'\n', rest),
                false => memchr3(b'"', b'{', b'}', rest),
            };
            let Some(found) = found else {
                scan.seen = text.len();
                return End::Open;
            };
            let at = scan.seen + found;
            scan.seen = at + 1;
            match (text[at], scan.in_string) {
                (b'"', _) => scan.in_string = !scan.in_string,
                (b'\\', _) => scan.seen += 1,
                (b'{', _) => {
                    if scan.depth > 0 {
                        match self.begins_as_this(self.at + at) {
                            Some(false) => {}
                            Some(true) => return End::Damaged(&OPEN_OBJECT),
                            None => {
                                scan.seen = at;
                                return End::Open;
                            }
                        }
                    }
                    scan.depth += 1;
                }
                (b'}', _) => {
                    scan.depth = scan.depth.saturating_sub(1);
                    if scan.depth == 0 {
                        return End::At(self.at + at + 1);
                    }
                }
                _ => return End::Damaged(&OPEN_STRING),
            }
        }
        End::Open
    }

    /// Whether the brace at `at` begins an object as the one that is being read begins. `None`:
    /// the window ends too early.
    fn begins_as_this(&self, at: usize) -> Option<bool> {
        let indent = self.indent(at);
        if indent.is_none() || indent != self.indent(self.at) {
            return Some(false);
        }
        match key_at(&self.window, at) {
            Some(key) => {
                let own = key_at(&self.window, self.at);
                Some(own == Some(key) || self.beginning.key.as_deref() == Some(key))
            }
            None if self.window.len() - at < MAX_KEY && !self.is_last() => None,
            None => Some(false),
        }
    }

    /// Remembers how objects begin.
    fn learn(&mut self, at: usize) {
        if self.beginning.key.is_some() {
            return;
        }
        if let Some(key) = key_at(&self.window, at) {
            self.beginning = Beginning {
                key: Some(key.to_owned()),
                indent: self.indent(at).map(Cow::into_owned),
            };
        }
    }

    /// Searches an object that begins as the others do.
    fn next_beginning(&self, text: &[u8], from: usize) -> Option<usize> {
        let tried = self.tried.until().saturating_sub(self.offset);
        let mut from = from.max(usize::try_from(tried).unwrap_or(usize::MAX));
        while let Some(found) = memchr(b'{', text.get(from..)?) {
            let at = from + found;
            if self.is_beginning(at) {
                return Some(at);
            }
            from = at + 1;
        }
        None
    }

    fn is_beginning(&self, at: usize) -> bool {
        let Some(key) = key_at(&self.window, at) else {
            return false;
        };
        let known = &self.beginning;
        match (self.indent(at), &known.indent) {
            (Some(indent), Some(known)) => indent == known.as_slice(),
            (Some(_), None) if known.key.is_none() => true,
            _ => {
                let before = self.last_before(at);
                let is_item = matches!(before, Some(b',' | b'[' | b'}'));
                is_item && known.key.as_deref().is_none_or(|known| known == key)
            }
        }
    }

    /// The white space between the beginning of the line and `at`, if there is nothing else.
    fn indent(&self, at: usize) -> Option<Cow<'_, [u8]>> {
        let before = &self.window[..at];
        let before = match self.offset {
            0 => before.strip_prefix(BOM).unwrap_or(before),
            _ => before,
        };
        let is_blank = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\r');
        let length = before
            .iter()
            .rev()
            .take_while(is_blank)
            .take(MAX_KEY)
            .count();
        let (rest, blank) = before.split_at(before.len() - length);
        match (rest.last(), &self.before.indent) {
            (Some(b'\n'), _) => Some(Cow::Borrowed(blank)),
            (None, Some(start)) if start.is_empty() => Some(Cow::Borrowed(blank)),
            (None, Some(start)) => Some(Cow::Owned([start, blank].concat())),
            _ => None,
        }
    }

    /// The last byte before `at` that is no white space.
    fn last_before(&self, at: usize) -> Option<u8> {
        let last = self.window[..at].trim_ascii_end().last();
        last.copied().or(self.before.last)
    }
}

/// What was done with the next bytes.
enum Step {
    Found(Found),
    Taken,
    /// More bytes are needed.
    Open,
}

/// The end of the text from `start` to `end` without white space and separators behind it.
fn trimmed_end(window: &[u8], start: usize, end: usize) -> usize {
    let text = window[start..end].trim_ascii_end();
    let text = text.strip_suffix(b",").unwrap_or(text).trim_ascii_end();
    start + text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decode::records::ends_in_object;

    /// The records, and the damaged texts behind their reasons, each with its line.
    fn split(list: &[&str], blocks: &[&str]) -> Vec<(u64, String)> {
        let list: Vec<String> = list.iter().map(|name| (*name).to_owned()).collect();
        let mut records = JsonRecords::new(&list);
        let mut found = Vec::new();
        let mut buffers = Vec::new();
        let mut take = |records: &mut JsonRecords| {
            while let Some(record) = records.next(&mut buffers) {
                let text = String::from_utf8_lossy(records.text(&record)).into_owned();
                let text = match record.damage {
                    Some(damage) => format!("{}: {text}", damage.reason),
                    None => text,
                };
                found.push((record.number, text));
            }
        };
        for block in blocks {
            records.push(Bytes::copy_from_slice(block.as_bytes()));
            take(&mut records);
        }
        records.finish();
        take(&mut records);
        if let Some(rest) = records.rest(&mut Vec::new()) {
            let text = String::from_utf8_lossy(records.text(&rest)).into_owned();
            found.push((rest.number, format!("rest: {text}")));
        }
        found
    }

    #[track_caller]
    fn check(list: &[&str], text: &str, expected: &[(u64, &str)]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|(line, text)| (*line, (*text).to_owned()))
            .collect();
        assert_eq!(split(list, &[text]), expected);
        let bytes: Vec<&str> = text.split_inclusive(|_: char| true).collect();
        assert_eq!(split(list, &bytes), expected, "byte by byte");
    }

    #[test]
    fn objects_stand_in_any_layout() {
        let objects = [(1, r#"{"a":1}"#), (1, r#"{"a":"}{"}"#), (3, r#"{"a":{}}"#)];
        check(&[], "{\"a\":1} {\"a\":\"}{\"}\n\n{\"a\":{}}", &objects);
        let list = "\u{feff}[{\"a\":1},{\"a\":\"}{\"},\n\n{\"a\":{}}]\n";
        check(&[], list, &objects);
        check(&[], "\n[]\n[ ]", &[]);
    }

    #[test]
    fn items_of_a_wrapped_list_are_records() {
        let text = "{\"owner\":\"o\",\"x\":{\"list\":[{\"a\":1},\n{\"a\":2}]}}{\"a\":3}\n{\"x\":{\"list\":[]}}";
        let items = [(1, r#"{"a":1}"#), (2, r#"{"a":2}"#), (2, r#"{"a":3}"#)];
        check(&["x", "list"], text, &items);
        let text = "{\"list\":[{\"a\":1}], \"next\": \"n\" }\n{\"list\":[{\"a\":2}]}";
        let rest = [
            (1, r#"{"a":1}"#),
            (1, r#"behind_list: , "next": "n" }"#),
            (2, r#"{"a":2}"#),
        ];
        check(&["list"], text, &rest);
    }

    #[test]
    fn the_members_before_a_list_are_its_context() {
        let mut records = JsonRecords::new(&["list".to_owned()]);
        let text = r#"{"own\u0065r":"o","n":[1, 2],"list":[{}"#;
        records.push(Bytes::copy_from_slice(text.as_bytes()));
        assert!(records.next(&mut Vec::new()).is_some());
        let context = records.context().expect("a list").clone();
        let member = |key: &str, value: &str| (key.to_owned(), value.as_bytes().to_vec());
        assert_eq!(context, [member("owner", "\"o\""), member("n", "[1, 2]")]);
    }

    #[test]
    fn an_open_string_ends_where_the_next_object_begins() {
        let expected = [
            (1, r#"{"a":1}"#),
            (2, r#"invalid_json: {"a":"x"#),
            (3, r#"{"a":2}"#),
        ];
        check(&[], "{\"a\":1}\n{\"a\":\"x\n{\"a\":2}\n", &expected);
    }

    #[test]
    fn an_open_object_ends_where_the_next_one_begins() {
        let expected = |line: [u64; 4]| {
            [
                (line[0], r#"{"a":1}"#),
                (line[1], r#"invalid_json: {"a":{"b":1"#),
                (line[2], r#"{"a":2}"#),
                (line[3], r#"{"a":3}"#),
            ]
        };
        let lines = "{\"a\":1}\n{\"a\":{\"b\":1\n{\"a\":2}\n{\"a\":3}";
        check(&[], lines, &expected([1, 2, 3, 4]));
        // In one line only the end of the input shows that it is open.
        let line = r#"{"l":[{"a":1},{"a":{"b":1,{"a":2},{"a":3}]}"#;
        check(&["l"], line, &expected([1; 4]));
    }

    #[test]
    fn nested_objects_do_not_begin_records() {
        let text = "[\n  {\n    \"a\": [\n      {\n        \"a\": \"x\n      },\n      {\n        \"a\": 2\n      }\n    ]\n  },\n  {\n    \"a\": 3\n  }\n]";
        let found = split(&[], &[text]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].1.starts_with("invalid_json: {"), "{found:?}");
        assert_eq!(found[1], (12, "{\n    \"a\": 3\n  }".to_owned()));
    }

    #[test]
    fn text_between_objects_is_kept() {
        let expected = [
            (1, r#"{"a":1}"#),
            (2, "invalid_json: ERROR no json {here}"),
            (3, r#"{"a":2}"#),
            (4, "invalid_json: end"),
        ];
        let text = "{\"a\":1}\nERROR no json {here}\n{\"a\":2}\nend\n";
        check(&[], text, &expected);
    }

    #[test]
    fn what_is_cut_is_the_rest() {
        let expected = [(1, r#"{"a":1}"#), (2, r#"rest: {"a":"#)];
        check(&[], "{\"a\":1}\n{\"a\":", &expected);
        assert!(ends_in_object(br#"{"a":[{"b":1}"#));
        assert!(!ends_in_object(br#"{"a":[{"b":1}]}"#));
        assert!(!ends_in_object(b"nothing"));
    }

    #[test]
    fn a_long_object_is_kept_in_pieces() {
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_LINE + 5));
        let text = format!("{{\"a\":1}}\n{long}\n{{\"a\":2}}\n");
        let blocks = text.as_bytes().chunks(500_000);
        let blocks: Vec<&str> = blocks
            .map(|block| std::str::from_utf8(block).unwrap())
            .collect();
        let found = split(&[], &blocks);
        let pieces = found[1..found.len() - 1].iter();
        let pieces: String = pieces
            .map(|(_, piece)| piece.strip_prefix("line_too_long: ").unwrap())
            .collect();
        assert!(pieces == long, "{}", found.len());
        assert_eq!(found.last().unwrap().1, r#"{"a":2}"#);
    }

    #[test]
    fn nested_damage_takes_linear_time() {
        for part in [r#"[{"a":"#, r#"{"a":[{"a":1},"#, r#"[{"a":{"b":"x","#] {
            let text = format!("{{\"a\":1}}\n{}", part.repeat((1 << 20) / part.len()));
            for end in ["", "\"\n{\"a\":2}\n"] {
                let found = split(&[], &[&text, end]);
                assert_eq!(found[0], (1, r#"{"a":1}"#.to_owned()));
                let kept: usize = found.iter().map(|(_, text)| text.len()).sum();
                assert!(kept > text.len() / 2, "{kept}");
            }
        }
    }

    /// The bytes that are never separators.
    fn solid(text: &str) -> usize {
        let is_solid = |byte: &u8| matches!(byte, b'"' | b'a' | b'b' | b'0' | b':' | b'\\');
        text.bytes().filter(is_solid).count()
    }

    proptest! {
        #[test]
        fn all_bytes_are_somewhere_for_any_block_size(
            text in r#"([\[\]{},:" \n\\ab0]|\{"a":|"a":"b"|\{"l":\[){0,60}"#,
            sizes in prop::collection::vec(1_usize..20, 1..5),
        ) {
            let mut blocks = Vec::new();
            let mut rest = text.as_str();
            for size in sizes.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (block, next) = rest.split_at((*size).min(rest.len()));
                blocks.push(block);
                rest = next;
            }
            let whole = split(&["l"], &[&text]);
            prop_assert_eq!(&split(&["l"], &blocks), &whole);
            let reasons = ["invalid_json: ", "behind_list: ", "rest: "];
            let plain = |text: &str| {
                let found = reasons.iter().find_map(|reason| text.strip_prefix(reason));
                found.unwrap_or(text).to_owned()
            };
            let kept: usize = whole.iter().map(|(_, text)| solid(&plain(text))).sum();
            // The heads of lists are in no record.
            let heads = text.matches(r#"{"l":["#).count() * solid(r#"{"l":["#);
            prop_assert!(kept + heads >= solid(&text), "{:?}", whole);
        }
    }
}
