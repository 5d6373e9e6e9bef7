//! The `unmapped` attribute: what is in the record and in no attribute of the event.

use arrow::datatypes::DataType;

use super::layout::Leftover;
use crate::functions::{Redaction, map_type};
use crate::spec::{Event, UnmappedStyle};

/// How the event's `unmapped` is made.
pub(super) fn leftover(event: &Event, redaction: &Redaction, style: UnmappedStyle) -> Leftover {
    Leftover {
        style,
        consumed: event.consumed.clone(),
        redaction: redaction.clone(),
    }
}

/// The type of `unmapped`.
pub(super) fn kind(style: UnmappedStyle) -> DataType {
    match style {
        UnmappedStyle::Map => map_type(),
        UnmappedStyle::Json => DataType::Utf8View,
    }
}
