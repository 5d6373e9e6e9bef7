//! Apache Parquet. `scan::parquet` reads columns by ranges and casts them by name, so this
//! format has no decoder.

use crate::decode::{Format, FormatOption, Reading};
use crate::spec::Column;

#[derive(Debug)]
pub(super) struct Parquet;

impl Format for Parquet {
    fn name(&self) -> &'static str {
        "parquet"
    }

    fn help(&self) -> &'static str {
        "Apache Parquet; columns are found by name and cast to their declared types"
    }

    fn columns(&self) -> Vec<Column> {
        Vec::new()
    }

    fn options(&self) -> &'static [FormatOption] {
        &[]
    }

    fn reading(&self) -> Reading {
        Reading::Parquet
    }
}
