//! The specification of a scan: format, options and columns. It is part of the plan.

use std::collections::BTreeMap;

use arrow::datatypes::SchemaRef;
use serde::{Deserialize, Serialize};

use crate::decode::schema_of;
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
}

impl ScanSpec {
    /// Takes the columns from a compiled mapping.
    pub fn new(format: &spec::Format, program: &Program) -> Self {
        Self {
            format: format.name.clone(),
            options: format.options.clone(),
            columns: program.columns.clone(),
            wanted: program.wanted.clone(),
        }
    }

    /// Returns the schema of batches: the wanted columns, then the system columns.
    pub fn schema(&self) -> SchemaRef {
        schema_of(self.wanted.iter().map(|index| &self.columns[*index]))
    }
}
