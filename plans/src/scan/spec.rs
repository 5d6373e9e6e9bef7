//! What a scan reads: format, options and columns. It travels with the plan.

use std::collections::BTreeMap;

use arrow::datatypes::SchemaRef;
use serde::{Deserialize, Serialize};

use crate::decode::schema_of;
use crate::mapping::Program;
use crate::spec;
use crate::spec::Column;

/// What a scan reads from each split, and how. Travels with the plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScanSpec {
    pub format: String,
    pub options: BTreeMap<String, String>,
    /// Every column of the log, since files without names are read by position.
    pub columns: Vec<Column>,
    /// The indices of those that are parsed.
    pub wanted: Vec<usize>,
}

impl ScanSpec {
    pub fn new(format: &spec::Format, program: &Program) -> Self {
        Self {
            format: format.name.clone(),
            options: format.options.clone(),
            columns: program.columns.clone(),
            wanted: program.wanted.clone(),
        }
    }

    /// The schema of the scan's batches: the columns wanted, then the system columns.
    pub fn schema(&self) -> SchemaRef {
        schema_of(self.wanted.iter().map(|index| &self.columns[*index]))
    }
}
