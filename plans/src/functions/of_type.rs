//! `of_type(value, type)`: the value, or NULL if an OCSF type does not allow it. Where all
//! values of a batch hold, which is nearly always, they are returned as they came.

use std::fmt::Write;
use std::net::Ipv6Addr;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, StringViewArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

use super::definition::{Definition, Returns, literal_text};
use super::ip;
use super::shapes::{is_email, is_hostname, is_ipv4, is_mac, is_url, is_uuid};
use super::text::Parts;

pub(super) static OF_TYPE: Definition = Definition {
    name: "of_type",
    arguments,
    returns: Returns::From(|fields, _| Ok(fields[0].data_type().clone())),
    invoke,
};

/// What a type allows.
#[derive(Clone, Copy)]
enum Rule {
    /// Addresses in their canonical form.
    Ip,
    Text(fn(&[u8]) -> bool),
    /// From the first number to before the second.
    Numbers(i64, i64),
}

/// The types with a rule, by their names in OCSF.
static RULES: &[(&str, Rule)] = &[
    ("email", Rule::Text(is_email)),
    ("hostname", Rule::Text(is_hostname)),
    ("ip", Rule::Ip),
    ("mac", Rule::Text(is_mac)),
    ("port", Rule::Numbers(0, 1 << 16)),
    // 2100-01-01.
    ("timestamp", Rule::Numbers(0, 4_102_444_800_000)),
    ("url", Rule::Text(is_url)),
    ("uuid", Rule::Text(is_uuid)),
];

/// The values that an OCSF type allows.
pub(super) fn holding(array: &ArrayRef, type_name: &str) -> Result<ArrayRef> {
    match rule(type_name) {
        Some(rule) => checked(array, rule),
        None => Ok(Arc::clone(array)),
    }
}

fn rule(type_name: &str) -> Option<Rule> {
    RULES
        .iter()
        .find(|rule| rule.0 == type_name)
        .map(|rule| rule.1)
}

/// Values keep their type if it is one that OCSF's types have.
fn arguments(types: &[DataType]) -> Result<Vec<DataType>> {
    use DataType::*;
    let [value, _] = types else {
        return exec_err!(
            "a value and a type are needed, not {} arguments",
            types.len()
        );
    };
    let value = match value {
        Int8 | Int16 | Int32 | UInt8 | UInt16 => Int32,
        Int64 | UInt32 => Int64,
        Utf8 | LargeUtf8 | Utf8View | Null => Utf8View,
        other => return exec_err!("of_type reads texts and integers, not {other}"),
    };
    Ok(vec![value, Utf8View])
}

fn invoke(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let value = &args.args[0];
    let Some(rule) = rule(literal_text(&args.args[1])?) else {
        return Ok(value.clone());
    };
    Ok(match value {
        ColumnarValue::Array(array) => ColumnarValue::Array(checked(array, rule)?),
        ColumnarValue::Scalar(scalar) => {
            let checked = checked(&scalar.to_array_of_size(1)?, rule)?;
            ColumnarValue::Scalar(ScalarValue::try_from_array(&checked, 0)?)
        }
    })
}

fn checked(array: &ArrayRef, rule: Rule) -> Result<ArrayRef> {
    match (rule, array.data_type()) {
        (Rule::Ip, DataType::Utf8View) => Ok(addresses(array)),
        (Rule::Text(holds), DataType::Utf8View) => texts(array, holds),
        (Rule::Numbers(from, to), DataType::Int32) => Ok(numbers::<Int32Type>(array, |n| {
            (from..to).contains(&i64::from(n))
        })),
        (Rule::Numbers(from, to), DataType::Int64) => {
            Ok(numbers::<Int64Type>(array, |n| (from..to).contains(&n)))
        }
        (_, _) if array.null_count() == array.len() => Ok(Arc::clone(array)),
        (_, other) => exec_err!("the type does not allow {other}"),
    }
}

/// Keeps the numbers that hold.
fn numbers<T: ArrowPrimitiveType>(array: &ArrayRef, holds: impl Fn(T::Native) -> bool) -> ArrayRef {
    let numbers = array.as_primitive::<T>();
    let values = numbers.values();
    // Without an early end, the compiler checks several numbers at once.
    if values.iter().fold(true, |all, n| all & holds(*n)) {
        return Arc::clone(array);
    }
    let held = BooleanBuffer::collect_bool(values.len(), |row| holds(values[row]));
    let nulls = both(numbers.nulls(), held);
    Arc::new(
        PrimitiveArray::<T>::new(values.clone(), Some(nulls))
            .with_data_type(array.data_type().clone()),
    )
}

/// Keeps the texts that hold. The buffers are shared.
fn texts(array: &ArrayRef, holds: fn(&[u8]) -> bool) -> Result<ArrayRef> {
    let texts = array.as_string_view();
    let Some(held) = held(texts, holds) else {
        return Ok(Arc::clone(array));
    };
    let checked = StringViewArray::try_new(
        texts.views().clone(),
        texts.data_buffers().to_vec(),
        Some(both(texts.nulls(), held)),
    )?;
    Ok(Arc::new(checked))
}

/// Returns which texts hold, or `None` if all do.
fn held(texts: &StringViewArray, mut holds: impl FnMut(&[u8]) -> bool) -> Option<BooleanBuffer> {
    // Logs repeat values. Equal views have equal texts.
    let mut last = None;
    let mut is_held = |row: usize| {
        if texts.is_null(row) {
            return true;
        }
        let view = texts.views()[row];
        match last {
            Some((same, found)) if same == view => found,
            _ => {
                let found = holds(texts.value(row).as_bytes());
                last = Some((view, found));
                found
            }
        }
    };
    let first = (0..texts.len()).find(|row| !is_held(*row))?;
    Some(BooleanBuffer::collect_bool(texts.len(), |row| {
        row < first || is_held(row)
    }))
}

/// Puts addresses into their canonical form. Other texts become NULL.
fn addresses(array: &ArrayRef) -> ArrayRef {
    let texts = array.as_string_view();
    let mut scratch = String::new();
    if held(texts, |text| is_canonical(text, &mut scratch)).is_none() {
        return Arc::clone(array);
    }
    let mut parts = Parts::of(texts);
    for row in 0..texts.len() {
        let text = texts.is_valid(row).then(|| texts.value(row));
        parts.push(row, text.and_then(ip::canonical));
    }
    parts.finish()
}

/// Whether `try_ip` would return the text as it is.
fn is_canonical(text: &[u8], scratch: &mut String) -> bool {
    if is_ipv4(text) {
        return true;
    }
    let address = str::from_utf8(text).ok();
    let Some(address) = address.and_then(|text| text.parse::<Ipv6Addr>().ok()) else {
        return false;
    };
    scratch.clear();
    write!(scratch, "{address}").is_ok() && scratch.as_bytes() == text
}

/// Rows are valid if they were and hold.
fn both(nulls: Option<&NullBuffer>, held: BooleanBuffer) -> NullBuffer {
    let valid = match nulls {
        Some(nulls) => nulls.inner() & &held,
        None => held,
    };
    NullBuffer::new(valid)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int32Array, Int64Array};

    use super::*;

    #[expect(
        clippy::needless_pass_by_value,
        reason = "arrays are made where it is called"
    )]
    fn check(array: ArrayRef, type_name: &str, expected: ArrayRef) {
        let rule = rule(type_name).expect("it has a rule");
        let found = checked(&array, rule).expect("the type fits");
        assert_eq!(&found, &expected, "{type_name}");
        let again = checked(&found, rule).expect("the type fits");
        assert_eq!(again.len(), expected.len());
    }

    fn texts_of(texts: &[Option<&str>]) -> ArrayRef {
        Arc::new(StringViewArray::from_iter(texts.iter().copied()))
    }

    #[test]
    fn addresses_become_canonical_and_others_null() {
        check(
            texts_of(&[
                Some("10.0.0.1"),
                None,
                Some("2001:DB8:0::1"),
                Some(" 10.0.0.2 "),
                Some("203.0.113.10:443"),
                Some("2001:db8:1111:2222:3333:4444:5555:6666"),
                Some("-"),
            ]),
            "ip",
            texts_of(&[
                Some("10.0.0.1"),
                None,
                Some("2001:db8::1"),
                Some("10.0.0.2"),
                None,
                Some("2001:db8:1111:2222:3333:4444:5555:6666"),
                None,
            ]),
        );
    }

    #[test]
    fn texts_of_another_shape_become_null() {
        let long = "a-long-name.example.com";
        check(
            texts_of(&[
                Some(long),
                Some("a b"),
                None,
                Some("a b"),
                Some(long),
                Some("h:1"),
            ]),
            "hostname",
            texts_of(&[Some(long), None, None, None, Some(long), None]),
        );
    }

    #[test]
    fn numbers_outside_the_range_become_null() {
        check(
            Arc::new(Int32Array::from(vec![
                Some(0),
                Some(65535),
                None,
                Some(65536),
                Some(-1),
            ])),
            "port",
            Arc::new(Int32Array::from(vec![
                Some(0),
                Some(65535),
                None,
                None,
                None,
            ])),
        );
        check(
            Arc::new(Int64Array::from(vec![
                i64::MIN,
                -1,
                0,
                4_102_444_799_999,
                4_102_444_800_000,
            ])),
            "timestamp",
            Arc::new(Int64Array::from(vec![
                None,
                None,
                Some(0),
                Some(4_102_444_799_999),
                None,
            ])),
        );
    }

    #[test]
    fn a_batch_that_holds_is_returned_as_it_came() {
        let arrays: [(&str, ArrayRef); 4] = [
            (
                "ip",
                texts_of(&[Some("10.0.0.1"), None, Some("2001:db8::1")]),
            ),
            ("url", texts_of(&[Some("https://example.com/a")])),
            ("port", Arc::new(Int32Array::from(vec![Some(1), None]))),
            ("timestamp", Arc::new(Int64Array::from(vec![1]))),
        ];
        for (type_name, array) in arrays {
            let rule = rule(type_name).expect("it has a rule");
            let found = checked(&array, rule).expect("the type fits");
            assert!(Arc::ptr_eq(&found, &array), "{type_name}");
        }
    }

    #[test]
    fn slices_are_checked_in_their_rows() {
        let array = texts_of(&[Some("x"), Some("10.0.0.1"), Some("y"), None]);
        check(
            array.slice(1, 3),
            "ip",
            texts_of(&[Some("10.0.0.1"), None, None]),
        );
        check(array.slice(1, 3), "mac", texts_of(&[None, None, None]));
    }
}
