//! `unmapped_map(spec, column, …)` and `unmapped_json(spec, column, …)`: the unmapped
//! values of the columns by dotted key, without NULLs and credentials.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, MapArray, StringArray, StringBuilder, StringViewArray, StringViewBuilder,
    StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};
use serde::{Deserialize, Serialize};

use super::definition::{Cache, Definition, Returns, literal_text, text_first};
use super::json::{Raw, elements, members};
use super::json_text::{DEPTH, is_hidden, names_hidden, quote, with_segment};
use super::redact::{REDACTED, Redaction};
use super::text::{as_text, text_type};

pub(super) static UNMAPPED_MAP: Definition = Definition {
    name: "unmapped_map",
    arguments: text_first,
    returns: Returns::Fixed(map_type),
    invoke: unmapped_map,
};

pub(super) static UNMAPPED_JSON: Definition = Definition {
    name: "unmapped_json",
    arguments: text_first,
    returns: Returns::Fixed(text_type),
    invoke: unmapped_json,
};

/// The first argument. The columns follow in the same order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) columns: Vec<Source>,
    pub(crate) redaction: Redaction,
}

/// One column.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Source {
    /// Its dotted key. An empty key puts the members of the column at the root.
    pub(crate) key: String,
    pub(crate) json: bool,
    /// Mapped dotted keys. They and all keys below them are left out.
    pub(crate) except: Vec<String>,
}

/// Returns `map<string, string>` with the field names that Arrow and Parquet use.
pub(crate) fn map_type() -> DataType {
    DataType::Map(Arc::new(entries_field()), false)
}

fn entry_fields() -> Fields {
    vec![
        Field::new("keys", DataType::Utf8, false),
        Field::new("values", DataType::Utf8, true),
    ]
    .into()
}

fn entries_field() -> Field {
    Field::new("entries", DataType::Struct(entry_fields()), false)
}

fn spec(args: &ScalarFunctionArgs) -> Result<Arc<Spec>> {
    static SPECS: Cache<Spec> = Cache::new();
    let text = literal_text(&args.args[0])?;
    SPECS.get(text.as_bytes(), || {
        serde_json::from_str(text)
            .map_err(|error| exec_datafusion_err!("invalid unmapped spec: {error}"))
    })
}

/// The entries of one row. The next row reuses their memory.
#[derive(Default)]
struct Entries {
    all: Vec<(String, String)>,
    used: usize,
    /// Index of the first entry of each key, if there are too many for a linear search.
    indexes: HashMap<String, usize>,
}

/// Maximum number of entries for a linear search.
const FEW: usize = 64;

impl Entries {
    fn clear(&mut self) {
        self.used = 0;
        self.indexes.clear();
    }

    fn iter(&self) -> impl Iterator<Item = &(String, String)> {
        self.all[..self.used].iter()
    }

    fn push(&mut self, key: &str, value: &str) {
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

/// Reads the values of one column.
struct Reader<'a> {
    source: &'a Source,
    key: String,
    hidden: bool,
    values: StringViewArray,
}

fn readers<'a>(spec: &'a Spec, args: &ScalarFunctionArgs) -> Result<Vec<Reader<'a>>> {
    let mut readers = Vec::with_capacity(spec.columns.len());
    for (source, value) in spec.columns.iter().zip(&args.args[1..]) {
        let array = value.to_array(args.number_rows)?;
        // Most columns of a wide format have no value in a file.
        if array.null_count() == array.len() {
            continue;
        }
        readers.push(Reader {
            source,
            hidden: spec.redaction.hides(&source.key),
            key: source.key.clone(),
            values: as_text(&array)?,
        });
    }
    Ok(readers)
}

impl Reader<'_> {
    fn read(&mut self, row: usize, redaction: &Redaction, entries: &mut Entries) {
        if self.values.is_null(row) {
            return;
        }
        let value = self.values.value(row);
        if self.hidden {
            entries.push(&self.key, REDACTED);
            return;
        }
        let json = self.source.json.then(|| Raw::parse(value)).flatten();
        match json {
            Some(json) => {
                let mut flatten = Flatten {
                    redaction,
                    except: &self.source.except,
                    entries,
                };
                flatten.value(&mut self.key, json, 0);
            }
            None => entries.push(&self.key, value),
        }
    }
}

struct Flatten<'a> {
    redaction: &'a Redaction,
    except: &'a [String],
    entries: &'a mut Entries,
}

impl Flatten<'_> {
    fn value(&mut self, key: &mut String, json: Raw<'_>, depth: usize) {
        match json {
            Raw::Null => {}
            Raw::Object(object) if depth < DEPTH => self.object(key, object, depth),
            Raw::Array(array) if depth < DEPTH => {
                let length = key.len();
                key.push_str("[]");
                if !self.is_mapped(key) {
                    elements(array).for_each(|element| self.value(key, element, depth + 1));
                }
                key.truncate(length);
            }
            _ => {
                if let Some(text) = json.text() {
                    self.entries.join(key, &text);
                }
            }
        }
    }

    fn object(&mut self, key: &mut String, object: &str, depth: usize) {
        let named = names_hidden(object, self.redaction);
        for (name, value) in members(object) {
            with_segment(key, &name, |key| {
                if value == Raw::Null || self.is_mapped(key) {
                } else if is_hidden(key, &name, named, self.redaction) {
                    self.entries.join(key, REDACTED);
                } else {
                    self.value(key, value, depth + 1);
                }
            });
        }
    }

    fn is_mapped(&self, key: &str) -> bool {
        self.except.iter().any(|except| except == key)
    }
}

/// Calls `each` with the entries of every row.
fn rows(args: &ScalarFunctionArgs, mut each: impl FnMut(&Entries)) -> Result<()> {
    let spec = spec(args)?;
    let mut readers = readers(&spec, args)?;
    let mut entries = Entries::default();
    for row in 0..args.number_rows {
        entries.clear();
        for reader in &mut readers {
            reader.read(row, &spec.redaction, &mut entries);
        }
        each(&entries);
    }
    Ok(())
}

fn unmapped_map(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let mut keys = StringBuilder::new();
    let mut values = StringBuilder::new();
    let mut offsets = Vec::with_capacity(args.number_rows + 1);
    offsets.push(0i32);
    let mut count = 0;
    rows(args, |entries| {
        for (key, value) in entries.iter() {
            keys.append_value(key);
            values.append_value(value);
            count += 1;
        }
        offsets.push(count);
    })?;
    let map = map_of(keys.finish(), values.finish(), offsets)?;
    Ok(ColumnarValue::Array(map))
}

fn map_of(keys: StringArray, values: StringArray, offsets: Vec<i32>) -> Result<ArrayRef> {
    let nulls: NullBuffer = offsets.windows(2).map(|pair| pair[0] < pair[1]).collect();
    let columns: Vec<ArrayRef> = vec![Arc::new(keys), Arc::new(values)];
    let entries = StructArray::try_new(entry_fields(), columns, None)?;
    let offsets = OffsetBuffer::new(offsets.into());
    let field = Arc::new(entries_field());
    let map = MapArray::try_new(field, offsets, entries, Some(nulls), false)?;
    Ok(Arc::new(map))
}

fn unmapped_json(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let mut texts = StringViewBuilder::with_capacity(args.number_rows);
    let mut text = String::new();
    rows(args, |entries| {
        text.clear();
        for (key, value) in entries.iter() {
            text.push(if text.is_empty() { '{' } else { ',' });
            quote(key, &mut text);
            text.push(':');
            quote(value, &mut text);
        }
        match text.is_empty() {
            true => texts.append_null(),
            false => {
                text.push('}');
                texts.append_value(&text);
            }
        }
    })?;
    Ok(ColumnarValue::Array(Arc::new(texts.finish())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flatten(text: &str, except: &[&str]) -> Vec<(String, String)> {
        let mut entries = Entries::default();
        let except: Vec<String> = except.iter().map(|e| (*e).to_owned()).collect();
        let mut flatten = Flatten {
            redaction: &Redaction::default(),
            except: &except,
            entries: &mut entries,
        };
        let json = Raw::parse(text).expect("json");
        flatten.value(&mut "c".to_owned(), json, 0);
        entries.iter().cloned().collect()
    }

    fn check(text: &str, except: &[&str], expected: &[(&str, &str)]) {
        let found = flatten(text, except);
        let found: Vec<_> = found
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn json_becomes_dotted_keys_and_lists_are_joined() {
        check(
            r#"{"a":{"b.c":1,"n":null,"e":{}},"l":[{"x":1,"y":"p"},{"x":true}],"s":["u","v"]}"#,
            &[],
            &[
                ("c.a.\"b.c\"", "1"),
                ("c.l[].x", "1,true"),
                ("c.l[].y", "p"),
                ("c.s[]", "u,v"),
            ],
        );
    }

    #[test]
    fn mapped_keys_and_keys_below_them_are_left_out() {
        let text = r#"{"a":{"b":1,"d":2},"l":[{"x":1,"y":2}],"m":{"n":1}}"#;
        check(
            text,
            &["c.a.b", "c.l[].x", "c.m"],
            &[("c.a.d", "2"), ("c.l[].y", "2")],
        );
    }

    #[test]
    fn many_keys_are_joined_like_few() {
        let members = (0..100_000).map(|n| format!(r#"{{"k{}":{n}}}"#, n % 50_000));
        let text = format!(r#"{{"l":[{}]}}"#, members.collect::<Vec<_>>().join(","));
        let found = flatten(&text, &[]);
        assert_eq!(found.len(), 50_000);
        assert_eq!(found[7], ("c.l[].k7".to_owned(), "7,50007".to_owned()));
        assert_eq!(found[49_999].1, "49999,99999");
    }

    #[test]
    fn credentials_are_replaced() {
        check(
            r#"{"credentials":{"sessionToken":"x","accessKeyId":"A"}}"#,
            &[],
            &[
                ("c.credentials.sessionToken", "[redacted]"),
                ("c.credentials.accessKeyId", "A"),
            ],
        );
    }
}
