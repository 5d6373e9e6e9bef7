//! Which column takes the value at which place, for formats whose values are told
//! apart by place.

use std::collections::HashMap;

use super::DecoderRequest;
use crate::spec::Column;

/// What becomes of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// Goes to the wanted column of this index.
    Wanted(usize),
    /// A declared column that nobody asked for.
    Unwanted,
    /// No column has this name: the value goes to `_extra`.
    Unknown(String),
}

/// The columns of a request by the name they have in a file.
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

    /// Every column of the request, in its order.
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

/// Hyphens in text files are underscores in columns, and headers differ in case.
fn normal(name: &str) -> String {
    name.trim().replace('-', "_").to_ascii_lowercase()
}

/// The key in `_extra` of a value beyond the last field; places count from 1.
pub(crate) fn surplus_key(place: usize) -> String {
    format!("field_{place}")
}
