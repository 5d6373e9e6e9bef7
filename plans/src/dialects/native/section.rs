//! Reads TOML tables. Each known key is taken once. A remaining key is an error that suggests
//! the nearest known key.

use std::collections::BTreeMap;
use std::rc::Rc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::shared::Shared;
use crate::diagnostics::{Diagnostics, Origin, did_you_mean};
use crate::dialects::text::Text;
use crate::spec::Sql;

/// A file that is being read, and the mistakes found in it.
pub(super) struct Reader<'a> {
    pub(super) text: Text<'a>,
    pub(super) found: Diagnostics,
    /// What the source's own file writes once.
    pub(super) shared: Rc<Shared>,
}

impl Reader<'_> {
    pub(super) fn shared_mut(&mut self) -> &mut Shared {
        Rc::make_mut(&mut self.shared)
    }

    /// Reports a mistake at the key of an entry.
    pub(super) fn reject(
        &mut self,
        entry: &Entry<'_>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let at = entry.origin(self);
        self.found.push(&at, message, remedy);
    }
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(super) struct Entry<'t> {
    pub(super) name: &'t str,
    /// The dotted key from the root of the file.
    pub(super) key: String,
    /// Byte offset of the key, or of the item of a list.
    offset: usize,
    pub(super) value: &'t Spanned<DeValue<'t>>,
}

impl<'t> Entry<'t> {
    pub(super) fn origin(&self, reader: &Reader<'_>) -> Origin {
        reader.text.origin(self.offset, self.key.clone())
    }

    /// Reports that the value has the wrong type.
    pub(super) fn reject_type(&self, reader: &mut Reader<'_>, expected: &str, remedy: &str) {
        let at = reader
            .text
            .origin(self.value.span().start, self.key.clone());
        let message = format!(
            "expects {expected}, found {}",
            type_name(self.value.get_ref())
        );
        reader.found.push(&at, message, remedy);
    }

    pub(super) fn string(&self, reader: &mut Reader<'_>) -> Option<String> {
        let text = self.value.get_ref().as_str();
        if text.is_none() {
            self.reject_type(reader, "a string", "write it in quotes");
        }
        text.map(str::to_owned)
    }

    pub(super) fn boolean(&self, reader: &mut Reader<'_>) -> Option<bool> {
        let value = self.value.get_ref().as_bool();
        if value.is_none() {
            self.reject_type(reader, "true or false", "write it without quotes");
        }
        value
    }

    /// Returns the items of a list.
    pub(super) fn items(&self, reader: &mut Reader<'_>, expected: &str) -> Vec<Entry<'t>> {
        match self.value.get_ref() {
            DeValue::Array(items) => {
                let numbered = items.iter().enumerate();
                numbered
                    .map(|(index, item)| self.item(index, item))
                    .collect()
            }
            _ => {
                self.reject_type(reader, expected, "put it in brackets: [ … ]");
                Vec::new()
            }
        }
    }

    fn item(&self, index: usize, value: &'t Spanned<DeValue<'t>>) -> Entry<'t> {
        Entry {
            name: self.name,
            key: format!("{}[{index}]", self.key),
            offset: value.span().start,
            value,
        }
    }

    /// Returns the strings of a list, each with its entry.
    pub(super) fn strings(&self, reader: &mut Reader<'_>) -> Vec<(String, Entry<'t>)> {
        let items = self.items(reader, "a list of strings");
        let texts = items
            .into_iter()
            .filter_map(|item| Some((item.string(reader)?, item)));
        texts.collect()
    }

    pub(super) fn texts(&self, reader: &mut Reader<'_>) -> Vec<String> {
        let strings = self.strings(reader);
        strings.into_iter().map(|(text, _)| text).collect()
    }

    /// Returns an SQL expression with the position of its first character.
    pub(super) fn sql(&self, reader: &mut Reader<'_>) -> Option<Sql> {
        let text = self.string(reader)?;
        if text.trim().is_empty() {
            let at = reader
                .text
                .origin(self.value.span().start, self.key.clone());
            reader.found.push(
                &at,
                "empty expression",
                "write an SQL expression, or remove the key",
            );
            return None;
        }
        let inside = content_offset(reader.text.text, self.value.span().start);
        let at = reader.text.origin(inside, self.key.clone());
        Some(Sql {
            text,
            renamed: BTreeMap::new(),
            at,
        })
    }

    /// Returns one SQL expression or a list of them.
    pub(super) fn sqls(&self, reader: &mut Reader<'_>) -> Vec<Sql> {
        if self.value.get_ref().is_str() {
            return self.sql(reader).into_iter().collect();
        }
        let items = self.items(reader, "an expression or a list of them");
        items.iter().filter_map(|item| item.sql(reader)).collect()
    }

    pub(super) fn section(&self, reader: &mut Reader<'_>) -> Option<Section<'t>> {
        match self.value.get_ref() {
            DeValue::Table(table) => Some(Section::new(table, &self.key, self.offset)),
            _ => {
                self.reject_type(
                    reader,
                    "a table",
                    "write [name] above its keys, or { key = … }",
                );
                None
            }
        }
    }

    /// Returns the entries of a table in the order of the file.
    pub(super) fn table_entries(&self, reader: &mut Reader<'_>) -> Vec<Entry<'t>> {
        self.section(reader)
            .map(Section::into_entries)
            .unwrap_or_default()
    }
}

/// The entries of a table that were not taken yet, and its known keys.
#[derive(Debug)]
pub(super) struct Section<'t> {
    key: String,
    offset: usize,
    entries: Vec<Entry<'t>>,
    known: Vec<&'static str>,
}

impl<'t> Section<'t> {
    pub(super) fn new(table: &'t DeTable<'t>, key: &str, offset: usize) -> Self {
        let mut entries: Vec<Entry<'t>> = table
            .iter()
            .map(|(name, value)| Entry {
                name: name.get_ref(),
                key: child_key(key, name.get_ref()),
                offset: name.span().start,
                value,
            })
            .collect();
        entries.sort_by_key(|entry| entry.offset);
        Self {
            key: key.to_owned(),
            offset,
            entries,
            known: Vec::new(),
        }
    }

    pub(super) fn take(&mut self, name: &'static str) -> Option<Entry<'t>> {
        self.known.push(name);
        let index = self.entries.iter().position(|entry| entry.name == name)?;
        Some(self.entries.remove(index))
    }

    /// Like `take`, but reports an absent key with an example.
    pub(super) fn require(
        &mut self,
        reader: &mut Reader<'_>,
        name: &'static str,
        example: &str,
    ) -> Option<Entry<'t>> {
        let taken = self.take(name);
        if taken.is_none() {
            let at = reader.text.origin(self.offset, child_key(&self.key, name));
            reader
                .found
                .push(&at, "missing key", format!("add `{example}`"));
        }
        taken
    }

    pub(super) fn into_entries(self) -> Vec<Entry<'t>> {
        self.entries
    }

    /// Reports every key that was not taken.
    pub(super) fn finish(self, reader: &mut Reader<'_>) {
        for entry in &self.entries {
            let remedy = did_you_mean(entry.name, self.known.iter().copied());
            reader.reject(entry, "unknown key", remedy);
        }
    }
}

/// Returns `parent.name`, quoted if it is not a bare key.
pub(super) fn child_key(parent: &str, name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let name = if !name.is_empty() && name.chars().all(is_bare) {
        name.to_owned()
    } else {
        format!("{name:?}")
    };
    if parent.is_empty() {
        name
    } else {
        format!("{parent}.{name}")
    }
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(true) => "true",
        DeValue::Boolean(false) => "false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Returns the offset of the content of the string literal at `start`.
fn content_offset(text: &str, start: usize) -> usize {
    let literal = text.get(start..).unwrap_or_default();
    let long = literal.starts_with("\"\"\"") || literal.starts_with("'''");
    if !long {
        return start + 1;
    }
    match &literal.as_bytes()[3..] {
        [b'\r', b'\n', ..] => start + 5,
        [b'\n', ..] => start + 4,
        _ => start + 3,
    }
}
