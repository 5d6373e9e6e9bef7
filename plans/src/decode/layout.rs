//! Assigns values to columns by position, for formats whose values have no names.

use std::collections::HashMap;

use super::DecoderRequest;
use crate::spec::Column;

/// The destination of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// The wanted column with this index.
    Wanted(usize),
    /// A declared column that is not read.
    Unwanted,
    /// No column has this name. The value goes to `_extra`.
    Unknown(String),
}

/// The columns of a request by their names in the file.
pub(crate) struct Names {
    by_name: HashMap<String, Field>,
}

impl Names {
    pub(crate) fn new(request: &DecoderRequest) -> Self {
        let mut by_name = HashMap::new();
        for column in request.columns.iter() {
            let name = column.source_name.as_ref().unwrap_or(&column.name);
            by_name.insert(normal(name), Field::Unwanted);
        }
        for (slot, index) in request.wanted.iter().enumerate() {
            let column = &request.columns[*index];
            let name = column.source_name.as_ref().unwrap_or(&column.name);
            by_name.insert(normal(name), Field::Wanted(slot));
        }
        Self { by_name }
    }

    /// Returns the destinations of all columns of the request, in its order.
    pub(crate) fn declared(&self, request: &DecoderRequest) -> Vec<Field> {
        let name = |column: &Column| {
            let name = column.source_name.as_ref().unwrap_or(&column.name);
            self.field(name)
        };
        request.columns.iter().map(name).collect()
    }

    pub(crate) fn field(&self, name: &str) -> Field {
        let known = self.by_name.get(&normal(name)).cloned();
        known.unwrap_or_else(|| Field::Unknown(name.to_owned()))
    }

    pub(crate) fn fields<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Vec<Field> {
        names.into_iter().map(|name| self.field(name)).collect()
    }
}

/// Maps hyphens to underscores and ignores case, as headers in files vary.
fn normal(name: &str) -> String {
    name.trim().replace('-', "_").to_ascii_lowercase()
}

/// Returns the key in `_extra` of a value after the last field. Positions count from 1.
pub(crate) fn surplus_key(position: usize) -> String {
    format!("field_{position}")
}
