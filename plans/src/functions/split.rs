//! `split` and `part`: the parts of a text between separators.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array, AsArray, ListArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

use super::definition::{Definition, Returns};
use super::text::{Parts, Texts, column, list_of_text, text_type};

pub(super) static SPLIT: Definition = Definition {
    name: "split",
    arguments: |types| match types.len() {
        2 => Ok(vec![DataType::Utf8View; 2]),
        count => exec_err!("a text and a separator are needed, not {count} arguments"),
    },
    returns: Returns::Fixed(list_of_text),
    invoke: lists,
};

pub(super) static PART: Definition = Definition {
    name: "part",
    arguments: |types| match types {
        [_, _, n] => Ok(vec![DataType::Utf8View, DataType::Utf8View, n.clone()]),
        _ => exec_err!(
            "a text, a separator and a number are needed, not {} arguments",
            types.len()
        ),
    },
    returns: Returns::Fixed(text_type),
    invoke: single,
};

/// The most items of a list. An item takes more memory than a character of the text, and
/// no event has a use for so many.
pub(super) const MOST_ITEMS: usize = 1 << 16;

fn lists(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let source = column(args, 0)?;
    let separators = Texts::of(args, 1)?;
    let mut items = Parts::of(&source);
    let mut lengths = Vec::with_capacity(source.len());
    for row in 0..source.len() {
        let found = source
            .is_valid(row)
            .then(|| separators.at(row))
            .flatten()
            .and_then(|separator| items_of(source.value(row), separator))
            .unwrap_or_default();
        lengths.push(found.len());
        for item in found {
            items.push(row, Some(Cow::Borrowed(item)));
        }
    }
    let nulls: NullBuffer = lengths.iter().map(|length| *length > 0).collect();
    let list = ListArray::try_new(
        Arc::new(Field::new_list_field(DataType::Utf8View, true)),
        OffsetBuffer::from_lengths(lengths),
        items.finish(),
        Some(nulls),
    )?;
    Ok(ColumnarValue::Array(Arc::new(list)))
}

/// Returns the parts that are not empty, or `None` if there are too many. A text is one
/// part if the separator is empty.
fn items_of<'a>(text: &'a str, separator: &str) -> Option<Vec<&'a str>> {
    if separator.is_empty() {
        return Some(Vec::from_iter((!text.is_empty()).then_some(text)));
    }
    let parts = text.split(separator).filter(|part| !part.is_empty());
    let items: Vec<&str> = parts.take(MOST_ITEMS + 1).collect();
    (items.len() <= MOST_ITEMS).then_some(items)
}

fn single(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let source = column(args, 0)?;
    let separators = Texts::of(args, 1)?;
    let numbers = cast(&args.args[2].to_array(args.number_rows)?, &DataType::Int64)?;
    let numbers = numbers.as_primitive::<Int64Type>();
    let mut parts = Parts::of(&source);
    for row in 0..source.len() {
        let found = match separators.at(row) {
            Some(separator) if source.is_valid(row) && numbers.is_valid(row) => {
                part_of(source.value(row), separator, numbers.value(row))
            }
            _ => None,
        };
        parts.push(row, found.map(Cow::Borrowed));
    }
    Ok(ColumnarValue::Array(parts.finish()))
}

/// Returns the part with that number, from 1, or from -1 at the end. An empty part is
/// absent, but it counts.
fn part_of<'a>(text: &'a str, separator: &str, number: i64) -> Option<&'a str> {
    let before = usize::try_from(number.unsigned_abs().checked_sub(1)?).ok()?;
    let found = match (separator, number > 0) {
        ("", _) => (before == 0).then_some(text),
        (separator, true) => text.split(separator).nth(before),
        (separator, false) => text.rsplit(separator).nth(before),
    };
    found.filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_items_are_dropped() {
        assert_eq!(items_of("a,b, c", ","), Some(vec!["a", "b", " c"]));
        assert_eq!(items_of(",a,,b,", ","), Some(vec!["a", "b"]));
        assert_eq!(items_of("a,b", ""), Some(vec!["a,b"]));
        assert_eq!(items_of("", ""), Some(vec![]));
        assert_eq!(items_of(",,", ","), Some(vec![]));
    }

    #[test]
    fn a_text_of_too_many_items_has_no_list() {
        let most = "a,".repeat(MOST_ITEMS);
        assert_eq!(
            items_of(&most, ",").map(|items| items.len()),
            Some(MOST_ITEMS)
        );
        assert_eq!(items_of(&format!("{most}a"), ","), None);
    }

    #[test]
    fn parts_are_counted_from_both_ends() {
        let check = |number, expected| assert_eq!(part_of("a=b==d", "=", number), expected);
        check(1, Some("a"));
        check(2, Some("b"));
        check(3, None);
        check(4, Some("d"));
        check(5, None);
        check(-1, Some("d"));
        check(-4, Some("a"));
        check(-5, None);
        check(0, None);
        check(i64::MIN, None);
        check(i64::MAX, None);
        assert_eq!(part_of("a", "", -1), Some("a"));
        assert_eq!(part_of("a", "", 2), None);
    }
}
