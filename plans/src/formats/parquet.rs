//! Apache Parquet: columns are read by ranges and cast by name, so nothing is decoded here.

use crate::decode::{Format, Reading};
use crate::spec::Column;

#[derive(Debug)]
pub(super) struct Parquet;

impl Format for Parquet {
    fn name(&self) -> &'static str {
        "parquet"
    }

    fn columns(&self) -> Vec<Column> {
        Vec::new()
    }

    fn options(&self) -> &'static [&'static str] {
        &[]
    }

    fn reading(&self) -> Reading {
        Reading::Parquet
    }
}
