//! The specification of a scan: format, options and columns. It is part of the plan.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use serde::{Deserialize, Serialize};

use crate::decode::{DecoderRequest, schema_of};
use crate::mapping::Program;
use crate::spec;
use crate::spec::Column;

/// The format and columns that a scan reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScanSpec {
    /// Name of the format.
    pub format: String,
    /// Options of the format.
    pub options: BTreeMap<String, String>,
    /// Every column of the log, because files without column names are read by position.
    pub columns: Vec<Column>,
    /// Indices of the columns to parse.
    pub wanted: Vec<usize>,
    /// Indices of the columns whose texts `_written` shall have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub written: Vec<usize>,
    /// Texts that are NULL in every column, in addition to those of the format.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub null: Vec<String>,
}

impl ScanSpec {
    /// Takes the columns from a compiled mapping.
    pub fn new(format: &spec::Format, program: &Program) -> Self {
        Self {
            format: format.name.clone(),
            options: format.options.clone(),
            columns: program.columns.clone(),
            wanted: program.wanted.clone(),
            written: program.written.clone(),
            null: format.null.clone(),
        }
    }

    /// Returns the parameters of a decoder of the first object.
    pub fn request(&self, batch_rows: usize) -> DecoderRequest {
        let written = self.wanted.iter().map(|index| self.written.contains(index));
        DecoderRequest {
            columns: self.columns.clone().into(),
            wanted: self.wanted.clone().into(),
            written: written.collect(),
            null: self.null.clone().into(),
            schema: self.schema(),
            options: Arc::new(self.options.clone()),
            batch_rows,
            object: 0,
        }
    }

    /// Returns the schema of batches: the wanted columns, then the system columns.
    pub fn schema(&self) -> SchemaRef {
        schema_of(self.wanted.iter().map(|index| &self.columns[*index]))
    }
}
