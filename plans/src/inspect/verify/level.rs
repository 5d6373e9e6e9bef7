//! The members of the object that is being checked, and which of them have values.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StructArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::Fields;

/// The members of an object in all rows.
pub(super) struct Level {
    /// Dotted path with a trailing dot. Empty for the event.
    pub(super) path: String,
    pub(super) fields: Fields,
    pub(super) columns: Vec<ArrayRef>,
    /// Whether the object has a value, for each item.
    pub(super) present: BooleanBuffer,
    /// Row of the batch for each item. `None` if items are rows.
    pub(super) rows: Option<Arc<[u32]>>,
}

impl Level {
    /// Returns the root attributes of events.
    pub(super) fn root(batch: &RecordBatch, rows: BooleanBuffer) -> Self {
        Self {
            path: String::new(),
            fields: batch.schema().fields().clone(),
            columns: batch.columns().to_vec(),
            present: rows,
            rows: None,
        }
    }

    /// Returns the members of structs.
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

    /// Returns items without members.
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

    /// Returns where a member has a value.
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

/// Returns where `column` has a value, among the items in `present`.
pub(super) fn filled(column: &ArrayRef, present: &BooleanBuffer) -> BooleanBuffer {
    match column.nulls() {
        Some(nulls) => present & nulls.inner(),
        None => present.clone(),
    }
}
