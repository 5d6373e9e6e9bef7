//! Wire formats, one file each. A format turns decompressed bytes into Arrow columns.
//!
//! Every line (or record) becomes exactly one row, which is either parsed or has a reason
//! in the reject columns. Decoding never fails or panics, whatever the bytes are.

mod column_types;
mod csv;
mod json_lines;
mod parquet;
mod s3_access;
mod tokens;
mod vpc_flow;
mod w3c;
mod zeek;

use crate::decode::Format;

pub use self::column_types::{COLUMN_TYPES, ColumnType, declared_type};

/// Every format, in alphabetical order.
static FORMATS: &[(&str, &dyn Format)] = &[
    ("csv", &csv::Csv),
    ("json_lines", &json_lines::JsonLines),
    ("parquet", &parquet::Parquet),
    ("s3_access", &s3_access::S3Access),
    ("tokens", &tokens::Tokens),
    ("vpc_flow", &vpc_flow::VpcFlow),
    ("w3c", &w3c::W3c),
    ("zeek", &zeek::Zeek),
];

/// Other names of formats, for older configurations.
static ALIASES: &[(&str, &str)] = &[
    ("json", "json_lines"),
    ("jsonl", "json_lines"),
    ("ndjson", "json_lines"),
    ("text", "csv"),
    ("txt", "csv"),
];

/// Returns every format, in alphabetical order.
pub fn listing() -> impl Iterator<Item = &'static dyn Format> {
    FORMATS.iter().map(|(_, format)| *format)
}

/// Returns the other names of a format.
pub fn aliases(format: &str) -> impl Iterator<Item = &'static str> {
    let of_format = move |(_, target): &&(&str, &str)| *target == format;
    ALIASES.iter().filter(of_format).map(|(alias, _)| *alias)
}

/// Finds a format by name or alias.
pub fn find(name: &str) -> Result<&'static dyn Format, UnknownFormat> {
    let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
    let wanted = alias.map_or(name, |(_, format)| *format);
    FORMATS
        .iter()
        .find(|(known, _)| *known == wanted)
        .map(|(_, format)| *format)
        .ok_or_else(|| UnknownFormat::new(name))
}

/// The error for a name that no format has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown format `{name}`; known: {known}")]
pub struct UnknownFormat {
    /// The name that was given.
    pub name: String,
    /// Names of all formats, separated by commas.
    pub known: String,
}

impl UnknownFormat {
    fn new(name: &str) -> Self {
        let known: Vec<_> = FORMATS.iter().map(|(known, _)| *known).collect();
        Self {
            name: name.to_owned(),
            known: known.join(", "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_found_by_name_and_alias() {
        for (name, format) in [
            ("vpc_flow", "vpc_flow"),
            ("txt", "csv"),
            ("json", "json_lines"),
        ] {
            assert_eq!(find(name).map(Format::name), Ok(format));
        }
    }

    #[test]
    fn an_unknown_format_lists_the_known_ones() {
        let error = find("xml").err().map(|error| error.to_string());
        assert_eq!(
            error.as_deref(),
            Some(
                "unknown format `xml`; known: csv, json_lines, parquet, s3_access, tokens, vpc_flow, w3c, zeek"
            )
        );
    }

    #[test]
    fn the_listing_explains_every_format_and_option() {
        for format in listing() {
            let options = format.options();
            let texts = options.iter().flat_map(|o| [o.values, o.default, o.help]);
            for text in texts.chain([format.help()]) {
                assert!(
                    !text.is_empty() && !text.contains('\n'),
                    "{}",
                    format.name()
                );
            }
            assert!(options.is_sorted_by_key(|option| option.name));
        }
        assert_eq!(aliases("csv").collect::<Vec<_>>(), ["text", "txt"]);
    }

    #[test]
    fn the_table_is_sorted_and_names_agree() {
        assert!(FORMATS.is_sorted_by_key(|(name, _)| *name));
        assert!(FORMATS.iter().all(|(name, format)| *name == format.name()));
        assert!(ALIASES.iter().all(|(_, target)| find(target).is_ok()));
    }
}
