//! Assigns values to columns by position, for formats whose values have no names.

use std::collections::{HashMap, HashSet};

use super::DecoderRequest;
use super::column::Span;
use super::rows::{Rejected, Rows};
use crate::spec::Column;

/// The destination of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// The wanted column with this index.
    Wanted(usize),
    /// A wanted column with several names.
    Alternative(Box<Alternative>),
    /// A declared column that is not read.
    Unwanted,
    /// No column has this name. The value goes to `_extra`.
    Unknown(String),
}

/// Sets the value of a field that is part of the line.
#[inline]
pub(crate) fn set_field(field: &Field, text: Span<'_>, rows: &mut Rows) -> Result<(), Rejected> {
    match field {
        Field::Wanted(slot) => rows.set(*slot, text)?,
        Field::Unwanted => {}
        Field::Alternative(one) => rows.set_alternative(one, text)?,
        Field::Unknown(name) => rows.add_extra(name, text.bytes),
    }
    Ok(())
}

/// One of the names of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Alternative {
    /// Index of the wanted column.
    pub(crate) slot: usize,
    /// Position among its names. The lowest with a value gives the value.
    pub(crate) rank: usize,
    pub(crate) name: String,
}

impl Field {
    /// The destination of values under one of the names of a column.
    pub(crate) fn of(column: &Column, slot: Option<usize>, rank: usize, name: &str) -> Self {
        let Some(slot) = slot else {
            return Self::Unwanted;
        };
        if column.names.len() < 2 {
            return Self::Wanted(slot);
        }
        let name = name.to_owned();
        Self::Alternative(Box::new(Alternative { slot, rank, name }))
    }
}

/// The columns of a request by their names in the file.
pub(crate) struct Names {
    by_name: HashMap<String, Field>,
    /// The index of each declared column by its names.
    columns: HashMap<String, usize>,
}

impl Names {
    pub(crate) fn new(request: &DecoderRequest) -> Self {
        let mut names = Self {
            by_name: HashMap::new(),
            columns: HashMap::new(),
        };
        for (index, column) in request.columns.iter().enumerate() {
            names.add(column, None);
            let spellings = column.spellings().filter(|_| column.is_read());
            names
                .columns
                .extend(spellings.map(|name| (normal(name), index)));
        }
        for (slot, index) in request.wanted.iter().enumerate() {
            names.add(&request.columns[*index], Some(slot));
        }
        names
    }

    fn add(&mut self, column: &Column, slot: Option<usize>) {
        if !column.is_read() {
            return;
        }
        for (rank, name) in column.spellings().enumerate() {
            let field = Field::of(column, slot, rank, name);
            self.by_name.insert(normal(name), field);
        }
    }

    /// Returns the destinations of all columns of the request, in its order.
    pub(crate) fn declared(&self, request: &DecoderRequest) -> Vec<Field> {
        let columns = request.columns.iter().filter(|column| column.is_read());
        let names = columns.filter_map(|column| column.spellings().next());
        names.map(|name| self.field(name)).collect()
    }

    pub(crate) fn field(&self, name: &str) -> Field {
        let known = self.by_name.get(&normal(name)).cloned();
        known.unwrap_or_else(|| Field::Unknown(name.to_owned()))
    }

    /// Returns the index of the declared column with this name.
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.columns.get(&normal(name)).copied()
    }

    /// Returns the names of the declared columns, as `normal` writes them.
    pub(crate) fn known(&self) -> impl Iterator<Item = &str> {
        self.columns.keys().map(String::as_str)
    }

    /// Returns the destinations of the values of a header. The first value with a name has it;
    /// the others are kept by their positions.
    pub(crate) fn of_header<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Vec<Field> {
        let mut seen = HashSet::new();
        let names = names.into_iter().enumerate();
        let field = |(position, name): (usize, &str)| match seen.insert(normal(name)) {
            true => self.field(name),
            false => Field::Unknown(surplus_key(position + 1)),
        };
        names.map(field).collect()
    }

    pub(crate) fn fields<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Vec<Field> {
        names.into_iter().map(|name| self.field(name)).collect()
    }
}

/// Maps hyphens to underscores and ignores case, as headers in files vary.
pub(crate) fn normal(name: &str) -> String {
    name.trim().replace('-', "_").to_ascii_lowercase()
}

/// Returns the key in `_extra` of a value after the last field. Positions count from 1.
pub(crate) fn surplus_key(position: usize) -> String {
    format!("field_{position}")
}
