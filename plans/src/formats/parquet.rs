//! Apache Parquet. `scan::parquet` reads columns by ranges and casts them by name, so this
//! format has no decoder.

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
