//! Sets of rows. `None` is every row, which is what most are.

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};

/// The rows for which something holds.
pub(super) type Mask = Option<BooleanBuffer>;

/// The rows in which a value is.
pub(super) fn validity(array: &ArrayRef) -> Mask {
    let nulls = array.logical_nulls()?;
    (nulls.null_count() > 0).then(|| nulls.into_inner())
}

pub(super) fn and(left: &Mask, right: &Mask) -> Mask {
    match (left, right) {
        (Some(left), Some(right)) => Some(left & right),
        (left, right) => left.clone().or_else(|| right.clone()),
    }
}

pub(super) fn or(left: &Mask, right: &Mask) -> Mask {
    match (left, right) {
        (Some(left), Some(right)) => Some(left | right),
        _ => None,
    }
}

/// The rows of `left` that are not in `right`; `None` if there are none.
pub(super) fn without(left: &Mask, right: &Mask, rows: usize) -> Option<BooleanBuffer> {
    let right = right.as_ref()?;
    let rest = match left {
        Some(left) => left & &!right,
        None => !right,
    };
    debug_assert_eq!(rest.len(), rows);
    (rest.count_set_bits() > 0).then_some(rest)
}

pub(super) fn is_empty(mask: &Mask) -> bool {
    mask.as_ref().is_some_and(|mask| mask.count_set_bits() == 0)
}

pub(super) fn contains(mask: &Mask, row: usize) -> bool {
    mask.as_ref().is_none_or(|mask| mask.value(row))
}

/// The rows for which a condition is true; NULL is false.
pub(super) fn of(condition: &BooleanArray) -> Mask {
    match condition.nulls() {
        Some(nulls) => Some(condition.values() & nulls.inner()),
        None => Some(condition.values().clone()),
    }
}

pub(super) fn nulls(mask: &Mask) -> Option<NullBuffer> {
    mask.clone().map(NullBuffer::new)
}
