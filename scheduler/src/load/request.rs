//! The old path of `terms`, until every reader names the new one.

pub use super::terms::{LoadRequest, OnStale, Range, Shape};
