//! JSON as entries with dotted keys, less the values that are in attributes.

use std::borrow::Cow;
use std::collections::HashMap;

use super::each::Frame;
use super::mask::{self, Mask};
use crate::functions::{
    DEPTH, REDACTED, Raw, Redaction, elements, is_hidden, members, names_hidden, with_segment,
};

/// The entries of one row. The next row reuses their memory.
#[derive(Default)]
pub(super) struct Entries {
    all: Vec<(String, String)>,
    used: usize,
    /// Index of the first entry of each key, if there are too many for a linear search.
    indexes: HashMap<String, usize>,
}

/// Maximum number of entries for a linear search.
const FEW: usize = 64;

impl Entries {
    pub(super) fn clear(&mut self) {
        self.used = 0;
        self.indexes.clear();
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(String, String)> {
        self.all[..self.used].iter()
    }

    pub(super) fn push(&mut self, key: &str, value: &str) {
        if self.used == self.all.len() {
            self.all.push(Default::default());
        }
        let (k, v) = &mut self.all[self.used];
        k.clear();
        k.push_str(key);
        v.clear();
        v.push_str(value);
        if !self.indexes.is_empty() {
            self.indexes.entry(key.to_owned()).or_insert(self.used);
        }
        self.used += 1;
    }

    /// Adds a value to its key. Values of one key are joined by commas.
    fn join(&mut self, key: &str, value: &str) {
        match self.index(key) {
            Some(index) => {
                let values = &mut self.all[index].1;
                values.push(',');
                values.push_str(value);
            }
            None => self.push(key, value),
        }
    }

    fn index(&mut self, key: &str) -> Option<usize> {
        if self.used <= FEW {
            return self.iter().position(|(known, _)| known == key);
        }
        if self.indexes.is_empty() {
            for (index, (key, _)) in self.all[..self.used].iter().enumerate() {
                self.indexes.entry(key.clone()).or_insert(index);
            }
        }
        self.indexes.get(key).copied()
    }
}

/// A place in a column's JSON, with the rows in which its value is in an attribute.
#[derive(Default)]
pub(super) struct Node<'a> {
    /// Members of an object, and elements of a list by their numbers.
    pub(super) names: HashMap<String, Node<'a>>,
    /// Elements of a list as an `each` takes them, by its number.
    eaches: Vec<(usize, Node<'a>)>,
    /// All elements of a list.
    pub(super) any: Option<Box<Node<'a>>>,
    pub(super) arrived: Vec<&'a Mask>,
    pub(super) is_consumed: bool,
}

impl<'a> Node<'a> {
    /// The elements that an `each` takes.
    pub(super) fn each(&mut self, number: usize) -> &mut Node<'a> {
        let known = self.eaches.iter().position(|(known, _)| *known == number);
        let at = known.unwrap_or_else(|| {
            self.eaches.push((number, Node::default()));
            self.eaches.len() - 1
        });
        &mut self.eaches[at].1
    }
}

/// A node, and the index of the row or element that it is looked at for.
pub(super) type At<'a> = (&'a Node<'a>, usize);

/// Adds the entries of JSON.
pub(super) struct Flatten<'a> {
    pub(super) redaction: &'a Redaction,
    pub(super) frames: &'a [Option<Frame>],
    pub(super) entries: &'a mut Entries,
}

impl Flatten<'_> {
    pub(super) fn value(&mut self, key: &mut String, json: Raw<'_>, depth: usize, at: &[At<'_>]) {
        let is_list = matches!(json, Raw::Array(_));
        // An `each` takes another value for the only element of a list.
        if !is_list && at.iter().any(|(node, _)| !node.eaches.is_empty()) {
            let mut inside = self.element(at, 0, 0);
            inside.retain(|(node, _)| !node.is_consumed);
            if has_arrived(&inside) {
                return;
            }
            inside.extend(at.iter().map(|(node, index)| (*node, *index)));
            return self.one(key, json, depth, &inside);
        }
        self.one(key, json, depth, at);
    }

    fn one(&mut self, key: &mut String, json: Raw<'_>, depth: usize, at: &[At<'_>]) {
        match json {
            Raw::Null => {}
            Raw::Object(object) if depth < DEPTH => self.object(key, object, depth, at),
            Raw::Array(array) if depth < DEPTH => self.array(key, array, depth, at),
            _ => {
                if let Some(text) = json.text() {
                    self.entries.join(key, &text);
                }
            }
        }
    }

    fn array(&mut self, key: &mut String, array: &str, depth: usize, at: &[At<'_>]) {
        let length = key.len();
        key.push_str("[]");
        // An `each` does not count NULLs.
        let mut taken = 0;
        for (number, element) in elements(array).enumerate() {
            let inside = match at {
                [] => Vec::new(),
                at => self.element(at, number, taken),
            };
            if element != Raw::Null {
                taken += 1;
                if !has_arrived(&inside) {
                    self.value(key, element, depth + 1, &inside);
                }
            }
        }
        key.truncate(length);
    }

    /// The nodes of an element.
    fn element<'n>(&self, at: &[At<'n>], number: usize, taken: usize) -> Vec<At<'n>> {
        let mut inside = Vec::new();
        for (node, index) in at {
            if !node.names.is_empty() {
                let named = node.names.get(&number.to_string());
                inside.extend(named.map(|node| (node, *index)));
            }
            inside.extend(node.any.as_deref().map(|node| (node, *index)));
            for (each, node) in &node.eaches {
                let frame = self.frames.get(*each).and_then(Option::as_ref);
                let element = frame.and_then(|frame| frame.element(*index, taken));
                inside.extend(element.map(|element| (node, element)));
            }
        }
        inside
    }

    fn object(&mut self, key: &mut String, object: &str, depth: usize, at: &[At<'_>]) {
        let named = names_hidden(object, self.redaction);
        let mut seen: Vec<Cow<'_, str>> = Vec::new();
        for (name, value) in members(object) {
            let mut inside: Vec<At<'_>> = Vec::new();
            for (node, index) in at {
                let node = node.names.get(name.as_ref());
                inside.extend(node.map(|node| (node, *index)));
            }
            // Expressions see the first of members with one name.
            if !inside.is_empty() && seen.contains(&name) {
                inside.retain(|(node, _)| node.is_consumed);
            }
            with_segment(key, &name, |key| {
                if value == Raw::Null || has_arrived(&inside) {
                } else if is_hidden(key, &name, named, self.redaction) {
                    self.entries.join(key, REDACTED);
                } else {
                    self.value(key, value, depth + 1, &inside);
                }
            });
            if !inside.is_empty() {
                seen.push(name);
            }
        }
    }
}

fn has_arrived(at: &[At<'_>]) -> bool {
    at.iter().any(|(node, index)| {
        let is_there = |rows: &&Mask| mask::contains(rows, *index);
        node.is_consumed || node.arrived.iter().any(is_there)
    })
}
