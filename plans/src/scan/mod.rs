//! The scan reads the objects of a split into batches of parsed columns.

pub mod error;
mod fill;
pub mod listed;
pub mod node;
pub mod parquet;
pub mod reader;
pub mod spec;
pub mod split;
