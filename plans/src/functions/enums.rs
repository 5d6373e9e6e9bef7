//! Maps source values to enum members. The table is a JSON literal that `mapping` writes.
//!
//! - `enum_id(text, table)` returns 0 for NULL and 99 for no match.
//! - `enum_caption(text, table)` returns the member's caption, or the source's text for no
//!   match.
//! - `enum_held(text, table)` returns whether the text follows from member and caption.
//! - `id_caption(id, table)` and `id_checked(id, table)` do the same for an id. An id that
//!   the enum does not have becomes 99.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int32Array, Int32Builder, StringViewArray, UInt32Array,
};
use arrow::compute::{interleave, take};
use arrow::datatypes::{DataType, Int32Type};
use datafusion::common::{Result, exec_datafusion_err, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};
use serde::{Deserialize, Serialize};

use super::definition::{Cache, Definition, Returns, literal_text};
use super::glob;
use super::text::{column, text_type};

pub(super) static ENUM_ID: Definition = Definition {
    name: "enum_id",
    arguments: text_and_table,
    returns: Returns::Fixed(|| DataType::Int32),
    invoke: enum_id,
};

pub(super) static ENUM_CAPTION: Definition = Definition {
    name: "enum_caption",
    arguments: text_and_table,
    returns: Returns::Fixed(text_type),
    invoke: enum_caption,
};

pub(super) static ENUM_HELD: Definition = Definition {
    name: "enum_held",
    arguments: text_and_table,
    returns: Returns::Fixed(|| DataType::Boolean),
    invoke: enum_held,
};

pub(super) static ID_CAPTION: Definition = Definition {
    name: "id_caption",
    arguments: id_and_table,
    returns: Returns::Fixed(text_type),
    invoke: id_caption,
};

pub(super) static ID_CHECKED: Definition = Definition {
    name: "id_checked",
    arguments: id_and_table,
    returns: Returns::Fixed(|| DataType::Int32),
    invoke: id_checked,
};

/// Maps source values to members.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Table {
    /// Glob for source values, and the id of the member.
    pub(crate) to: Vec<(String, i32)>,
    /// Id and caption of every member.
    pub(crate) captions: Vec<(i32, String)>,
    pub(crate) other: Other,
}

/// The caption if no member matches.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) enum Other {
    /// The text of the source.
    #[default]
    Source,
    Caption(String),
    Null,
}

const UNKNOWN: i32 = 0;
const OTHER: i32 = 99;

impl Table {
    /// The exact texts that do not follow from member and caption: several of them have one
    /// member. Captions and ids follow from their member.
    pub(crate) fn unclear(&self) -> HashSet<String> {
        let mut texts: BTreeMap<i32, BTreeSet<String>> = BTreeMap::new();
        for (text, id) in self.to.iter().filter(|(text, _)| !is_glob(text)) {
            let caption = caption_of(self, *id).unwrap_or_default();
            let is_plain = text.eq_ignore_ascii_case(caption) || *text == id.to_string();
            if !is_plain {
                texts
                    .entry(*id)
                    .or_default()
                    .insert(text.to_ascii_lowercase());
            }
        }
        let several = texts.into_values().filter(|texts| texts.len() > 1);
        several.flatten().collect()
    }
}

/// A compiled table. A member is an index into `ids` and `captions`. The last index means
/// no match, and the one before means NULL.
struct Matcher {
    exact: HashMap<Box<[u8]>, u32>,
    /// The exact texts that do not follow from their member.
    unclear: HashSet<Box<[u8]>>,
    /// Longest first.
    globs: Vec<(String, u32)>,
    ids: Vec<Option<i32>>,
    captions: ArrayRef,
    by_id: HashMap<i32, u32>,
    null: u32,
    other: u32,
    other_is_source: bool,
    other_is_null: bool,
}

impl Matcher {
    fn new(table: &Table) -> Self {
        let mut ids: Vec<Option<i32>> = table.captions.iter().map(|(id, _)| Some(*id)).collect();
        let mut captions: Vec<&str> = table.captions.iter().map(|(_, c)| c.as_str()).collect();
        let null = ids.len() as u32;
        // A few enumerations have no member for what is not known, or for other values.
        let unknown = caption_of(table, UNKNOWN).filter(|caption| caption.ends_with("Unknown"));
        ids.push(unknown.map(|_| UNKNOWN));
        ids.push(caption_of(table, OTHER).map(|_| OTHER));
        captions.push(caption_of(table, UNKNOWN).unwrap_or("Unknown"));
        let other_caption = match &table.other {
            Other::Source => caption_of(table, OTHER).unwrap_or("Other"),
            Other::Caption(caption) => caption,
            Other::Null => "",
        };
        captions.push(other_caption);
        let by_id = (0..null).filter_map(|at| Some((ids[at as usize]?, at)));
        let by_id: HashMap<i32, u32> = by_id.collect();
        let mut matcher = Self {
            exact: HashMap::new(),
            unclear: table
                .unclear()
                .into_iter()
                .map(|text| text.into_bytes().into())
                .collect(),
            globs: Vec::new(),
            ids,
            captions: Arc::new(StringViewArray::from(captions)),
            by_id,
            null,
            other: null + 1,
            other_is_source: matches!(table.other, Other::Source),
            other_is_null: matches!(table.other, Other::Null),
        };
        matcher.add_values(&table.to);
        matcher
    }

    fn add_values(&mut self, to: &[(String, i32)]) {
        for (text, id) in to {
            let member = self.by_id.get(id).copied().unwrap_or(self.other);
            if is_glob(text) {
                self.globs.push((text.clone(), member));
            } else {
                self.exact
                    .insert(text.to_ascii_lowercase().into_bytes().into(), member);
            }
        }
        self.globs
            .sort_by_key(|(glob, _)| std::cmp::Reverse(glob.len()));
    }

    fn member(&self, text: &str, lower: &mut Vec<u8>) -> u32 {
        lower.clear();
        lower.extend(text.bytes().map(|byte| byte.to_ascii_lowercase()));
        if let Some(member) = self.exact.get(lower.as_slice()) {
            return *member;
        }
        let glob = self.globs.iter().find(|(g, _)| glob::matches(g, text));
        glob.map_or(self.other, |(_, member)| *member)
    }

    /// Whether a member has no caption: NULL in an enumeration without Unknown, and in some
    /// tables what does not match.
    fn has_no_caption(&self, member: u32) -> bool {
        (self.other_is_null && member == self.other)
            || (member == self.null && self.ids[member as usize].is_none())
    }

    /// Whether this text follows from its member and caption.
    fn has_text(&self, text: &str, lower: &mut Vec<u8>) -> bool {
        let member = self.member(text, lower);
        let text = lower.as_slice();
        let is_exact = self.exact.contains_key(text) && !self.unclear.contains(text);
        is_exact || (member == self.other && self.other_is_source)
    }

    /// Returns the member of each row. Logs repeat short values often, so recent ones are
    /// cached.
    fn members(&self, source: &StringViewArray) -> Vec<u32> {
        let mut lower = Vec::new();
        let mut seen: [(u128, u32); 8] = [(u128::MAX, 0); 8];
        let mut next = 0;
        let mut members = Vec::with_capacity(source.len());
        for (row, view) in source.views().iter().enumerate() {
            if source.is_null(row) {
                members.push(self.null);
                continue;
            }
            // A view of up to 12 bytes is the value itself.
            let short = (*view as u32) <= 12;
            if short && let Some((_, member)) = seen.iter().find(|(known, _)| known == view) {
                members.push(*member);
                continue;
            }
            let member = self.member(source.value(row), &mut lower);
            if short {
                seen[next] = (*view, member);
                next = (next + 1) % seen.len();
            }
            members.push(member);
        }
        members
    }
}

fn caption_of(table: &Table, id: i32) -> Option<&str> {
    let found = table.captions.iter().find(|(known, _)| *known == id);
    found.map(|(_, caption)| caption.as_str())
}

fn matcher(args: &ScalarFunctionArgs) -> Result<Arc<Matcher>> {
    static MATCHERS: Cache<Matcher> = Cache::new();
    let text = literal_text(&args.args[1])?;
    MATCHERS.get(text.as_bytes(), || {
        let table = serde_json::from_str(text)
            .map_err(|error| exec_datafusion_err!("invalid enum table: {error}"))?;
        Ok(Matcher::new(&table))
    })
}

/// Whether a text of the table is a pattern.
pub(crate) fn is_glob(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// Whether the text follows from the member and its caption: it is the only text of its member
/// in the table and no pattern, or the caption is the text.
fn enum_held(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let matcher = matcher(args)?;
    let source = column(args, 0)?;
    let mut lower = Vec::new();
    let held: BooleanArray = source
        .iter()
        .map(|text| text.map(|text| matcher.has_text(text, &mut lower)))
        .collect();
    Ok(ColumnarValue::Array(Arc::new(held)))
}

fn enum_id(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let matcher = matcher(args)?;
    let members = matcher.members(&column(args, 0)?);
    let ids: Int32Array = members
        .iter()
        .map(|member| matcher.ids[*member as usize])
        .collect();
    Ok(ColumnarValue::Array(Arc::new(ids)))
}

fn enum_caption(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let matcher = matcher(args)?;
    let source = column(args, 0)?;
    let members = matcher.members(&source);
    let any_other = matcher.other_is_source && members.contains(&matcher.other);
    if !any_other {
        let indices: UInt32Array = members
            .iter()
            .map(|member| (!matcher.has_no_caption(*member)).then_some(*member))
            .collect();
        let captions = take(&matcher.captions, &indices, None)?;
        return Ok(ColumnarValue::Array(captions));
    }
    let none = StringViewArray::new_null(1);
    let indices: Vec<(usize, usize)> = members
        .iter()
        .enumerate()
        .map(|(row, member)| match *member {
            member if member == matcher.other => (1, row),
            member if matcher.has_no_caption(member) => (2, 0),
            member => (0, member as usize),
        })
        .collect();
    let captions = interleave(&[matcher.captions.as_ref(), &source, &none], &indices)?;
    Ok(ColumnarValue::Array(captions))
}

fn id_members(args: &ScalarFunctionArgs) -> Result<(Arc<Matcher>, UInt32Array)> {
    let matcher = matcher(args)?;
    let ids = args.args[0].to_array(args.number_rows)?;
    let members = ids
        .as_primitive::<Int32Type>()
        .iter()
        .map(|id| id.map(|id| matcher.by_id.get(&id).copied().unwrap_or(matcher.other)))
        .collect();
    Ok((matcher, members))
}

fn id_caption(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let (matcher, members) = id_members(args)?;
    Ok(ColumnarValue::Array(take(
        &matcher.captions,
        &members,
        None,
    )?))
}

fn id_checked(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let (matcher, members) = id_members(args)?;
    let mut ids = Int32Builder::with_capacity(members.len());
    for member in &members {
        ids.append_option(member.and_then(|member| matcher.ids[member as usize]));
    }
    Ok(ColumnarValue::Array(Arc::new(ids.finish())))
}

fn text_and_table(types: &[DataType]) -> Result<Vec<DataType>> {
    value_and_table(types, DataType::Utf8View)
}

fn id_and_table(types: &[DataType]) -> Result<Vec<DataType>> {
    value_and_table(types, DataType::Int32)
}

fn value_and_table(types: &[DataType], value: DataType) -> Result<Vec<DataType>> {
    match types.len() {
        2 => Ok(vec![value, DataType::Utf8View]),
        count => exec_err!("a value and a table are needed, not {count} arguments"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table {
            to: vec![
                ("Create*".into(), 1),
                ("CreateTags".into(), 3),
                ("*".into(), 4),
                ("Create*Key".into(), 2),
            ],
            captions: vec![
                (0, "Unknown".into()),
                (1, "Create".into()),
                (2, "Key".into()),
                (3, "Tag".into()),
                (4, "Any".into()),
                (99, "Other".into()),
            ],
            other: Other::Source,
        }
    }

    fn ids(table: &Table, values: Vec<Option<&str>>) -> Vec<i32> {
        let matcher = Matcher::new(table);
        let members = matcher.members(&StringViewArray::from(values));
        let id = |member: &u32| matcher.ids[*member as usize].unwrap_or(-1);
        members.iter().map(id).collect()
    }

    #[test]
    fn the_longest_glob_wins_and_null_is_unknown() {
        let values = vec![
            Some("createUser"),
            Some("CREATETAGS"),
            Some("CreateAccessKeyAndMore"),
            Some("CreateAccessKey"),
            Some("x"),
            None,
            Some("x"),
        ];
        assert_eq!(ids(&table(), values), [1, 3, 1, 2, 4, 0, 4]);
    }

    #[test]
    fn no_match_is_other() {
        let mut table = table();
        table.to.retain(|(glob, _)| glob != "*");
        assert_eq!(ids(&table, vec![Some("Drop"), Some("")]), [99, 99]);
    }
}
