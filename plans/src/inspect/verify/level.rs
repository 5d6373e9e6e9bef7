//! Where an event stands while it is judged: the members of one object, and which
//! of them are there. It judges nothing.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StructArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::Fields;

/// The members of an object, side by side with where the object is there at all.
pub(super) struct Level {
    /// Dotted, with a trailing dot; empty for the event.
    pub(super) path: String,
    pub(super) fields: Fields,
    pub(super) columns: Vec<ArrayRef>,
    pub(super) present: BooleanBuffer,
    /// Row of the batch for each item; `None` when they are the same.
    pub(super) rows: Option<Arc<[u32]>>,
}

impl Level {
    /// The event itself, of the rows given.
    pub(super) fn root(batch: &RecordBatch, rows: BooleanBuffer) -> Self {
        Self {
            path: String::new(),
            fields: batch.schema().fields().clone(),
            columns: batch.columns().to_vec(),
            present: rows,
            rows: None,
        }
    }

    /// The members of the structs of `array`.
    pub(super) fn within(
        array: &StructArray,
        path: String,
        present: BooleanBuffer,
        rows: Option<Arc<[u32]>>,
    ) -> Self {
        Self {
            path: path + ".",
            fields: array.fields().clone(),
            columns: array.columns().to_vec(),
            present,
            rows,
        }
    }

    /// Items that have no members.
    pub(super) fn plain(present: BooleanBuffer, rows: Option<Arc<[u32]>>) -> Self {
        Self {
            path: String::new(),
            fields: Fields::empty(),
            columns: Vec::new(),
            present,
            rows,
        }
    }

    fn column(&self, name: &str) -> Option<&ArrayRef> {
        let index = self.fields.find(name)?.0;
        self.columns.get(index)
    }

    /// Where the member is there.
    pub(super) fn filled(&self, name: &str) -> BooleanBuffer {
        match self.column(name) {
            Some(column) => filled(column, &self.present),
            None => BooleanBuffer::new_unset(self.present.len()),
        }
    }

    pub(super) fn name(&self) -> &str {
        match self.path.as_str() {
            "" => "event",
            path => path.trim_end_matches('.'),
        }
    }

    pub(super) fn row(&self, item: usize) -> u64 {
        match &self.rows {
            Some(rows) => u64::from(rows[item]),
            None => item as u64,
        }
    }
}

/// Where `column` has a value among `present`.
pub(super) fn filled(column: &ArrayRef, present: &BooleanBuffer) -> BooleanBuffer {
    match column.nulls() {
        Some(nulls) => present & nulls.inner(),
        None => present.clone(),
    }
}
