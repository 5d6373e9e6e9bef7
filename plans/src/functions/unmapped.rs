//! The Arrow type of `unmapped`: a map of texts.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields};

/// Returns `map<string, string>` with the field names that Arrow and Parquet use.
pub(crate) fn map_type() -> DataType {
    DataType::Map(Arc::new(entries_field()), false)
}

/// The fields of an entry.
pub(crate) fn entry_fields() -> Fields {
    vec![
        Field::new("keys", DataType::Utf8, false),
        Field::new("values", DataType::Utf8, true),
    ]
    .into()
}

/// The field of the entries.
pub(crate) fn entries_field() -> Field {
    Field::new("entries", DataType::Struct(entry_fields()), false)
}
