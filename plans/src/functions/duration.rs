//! `add_ms` and `duration_ms`: times and durations in milliseconds.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, TimestampMillisecondArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, FieldRef, Float64Type, Int64Type, TimeUnit, TimestampMillisecondType,
};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

use super::definition::{Definition, Returns, literal_text};
use super::text::as_text;

pub(super) static ADD_MS: Definition = Definition {
    name: "add_ms",
    arguments: |types| match types {
        [DataType::Timestamp(..) | DataType::Null, _] => Ok(types.to_vec()),
        [other, _] => exec_err!("a time is needed, not {other}"),
        _ => exec_err!(
            "a time and a number are needed, not {} arguments",
            types.len()
        ),
    },
    returns: Returns::Fixed(time_type),
    invoke: add,
};

pub(super) static DURATION_MS: Definition = Definition {
    name: "duration_ms",
    arguments: |types| match types {
        [n, _] => Ok(vec![n.clone(), DataType::Utf8View]),
        _ => exec_err!(
            "a number and a unit are needed, not {} arguments",
            types.len()
        ),
    },
    returns: Returns::From(duration_type),
    invoke: durations,
};

/// Each unit, and the fraction of a millisecond that it is.
const UNITS: &[(&str, i64, i64)] = &[
    ("ns", 1, 1_000_000),
    ("us", 1, 1_000),
    ("ms", 1, 1),
    ("s", 1_000, 1),
    ("m", 60_000, 1),
    ("h", 3_600_000, 1),
];

fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

fn duration_type(_: &[FieldRef], literals: &[Option<&ScalarValue>]) -> Result<DataType> {
    let unit = literals.get(1).copied().flatten();
    match unit.and_then(|unit| unit.try_as_str()) {
        Some(Some(unit)) => unit_of(unit).map(|_| DataType::Int64),
        // A cast may still be around it; the call itself needs a literal.
        _ => Ok(DataType::Int64),
    }
}

fn unit_of(name: &str) -> Result<(i64, i64)> {
    match UNITS.iter().find(|unit| unit.0 == name) {
        Some((_, times, divided)) => Ok((*times, *divided)),
        None => {
            let known: Vec<&str> = UNITS.iter().map(|unit| unit.0).collect();
            exec_err!(
                "duration_ms has no unit '{name}'\nuse one of {}",
                known.join(", ")
            )
        }
    }
}

fn add(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let times = args.args[0].to_array(args.number_rows)?;
    // What a cast cannot represent becomes NULL.
    let times = cast(&times, &time_type())?;
    let times = times.as_primitive::<TimestampMillisecondType>();
    let added = integers(&args.args[1].to_array(args.number_rows)?)?;
    let sums: TimestampMillisecondArray = times
        .iter()
        .zip(&added)
        .map(|(time, n)| time?.checked_add(n?))
        .collect();
    Ok(ColumnarValue::Array(Arc::new(sums.with_timezone("UTC"))))
}

fn integers(array: &ArrayRef) -> Result<Int64Array> {
    if !is_castable(array.data_type()) {
        return Ok(Int64Array::new_null(array.len()));
    }
    let integers = cast(array, &DataType::Int64)?;
    Ok(integers.as_primitive::<Int64Type>().clone())
}

/// Whether values of a type are numbers or may be their text.
fn is_castable(kind: &DataType) -> bool {
    kind.is_numeric() || kind.is_string() || kind.is_null()
}

fn durations(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let unit = unit_of(literal_text(&args.args[1])?)?;
    let array = args.args[0].to_array(args.number_rows)?;
    let kind = array.data_type();
    let found: Int64Array = if kind.is_integer() {
        let numbers = integers(&array)?;
        numbers.iter().map(|n| whole(n?, unit)).collect()
    } else if kind.is_numeric() {
        let numbers = cast(&array, &DataType::Float64)?;
        let numbers = numbers.as_primitive::<Float64Type>();
        numbers.iter().map(|n| fraction(n?, unit)).collect()
    } else if kind.is_string() {
        let texts = as_text(&array)?;
        texts.iter().map(|text| written(text?, unit)).collect()
    } else {
        Int64Array::new_null(array.len())
    };
    Ok(ColumnarValue::Array(Arc::new(found)))
}

/// Rounds to the nearest millisecond.
fn whole(number: i64, (times, divided): (i64, i64)) -> Option<i64> {
    let (times, divided) = (i128::from(times), i128::from(divided));
    let half = divided / 2 * i128::from(number.signum());
    i64::try_from((i128::from(number) * times + half) / divided).ok()
}

fn fraction(number: f64, (times, divided): (i64, i64)) -> Option<i64> {
    const LIMIT: f64 = 9.2e18;
    let rounded = (number * times as f64 / divided as f64).round();
    // NaN is in no range.
    (-LIMIT..=LIMIT)
        .contains(&rounded)
        .then_some(rounded as i64)
}

fn written(text: &str, unit: (i64, i64)) -> Option<i64> {
    let text = text.trim_ascii();
    match text.parse::<i64>() {
        Ok(number) => whole(number, unit),
        Err(_) => fraction(text.parse().ok()?, unit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, unit: &str, expected: Option<i64>) {
        let unit = unit_of(unit).expect("it is a unit");
        assert_eq!(written(text, unit), expected, "{text}");
    }

    #[test]
    fn units_become_whole_milliseconds() {
        check("0.024", "s", Some(24));
        check("0.57", "s", Some(570));
        check("-1.5", "s", Some(-1500));
        check("1500", "us", Some(2));
        check("-1500", "us", Some(-2));
        check("1499", "us", Some(1));
        check("499999", "ns", Some(0));
        check("2", "h", Some(7_200_000));
        check("1", "m", Some(60_000));
        check("7", "ms", Some(7));
    }

    #[test]
    fn what_is_no_number_or_too_large_has_no_duration() {
        for text in ["", "-", "x", "NaN", "inf", "1e300", "9223372036854775807"] {
            check(text, "s", None);
        }
        check("9223372036854775807", "ms", Some(i64::MAX));
        check("-9223372036854775808", "us", Some(-9_223_372_036_854_776));
    }

    #[test]
    fn an_unknown_unit_names_the_known_ones() {
        let error = unit_of("min").expect_err("it is none").to_string();
        assert!(error.contains("use one of ns, us, ms, s, m, h"), "{error}");
    }
}
