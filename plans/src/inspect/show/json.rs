//! Formats rows as JSON in the order of their columns. NULLs and empty values are left out.
//! Maps become objects. Times are RFC 3339.

use std::io;
use std::io::Write;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::util::display::array_value_to_string;
use chrono::{DateTime, SecondsFormat};

/// Formats one row as one line of JSON, without a line end.
pub fn row(batch: &RecordBatch, index: usize) -> String {
    let mut text = String::new();
    let schema = batch.schema();
    let names = schema.fields().iter().map(|field| field.name().as_str());
    let filled = members(&mut text, names.zip(batch.columns()), index);
    if !filled {
        text.push_str("{}");
    }
    text
}

/// Writes one line for each row of `batch`.
pub fn write_rows(batch: &RecordBatch, out: &mut dyn Write) -> io::Result<()> {
    for index in 0..batch.num_rows() {
        writeln!(out, "{}", row(batch, index))?;
    }
    Ok(())
}

/// Appends an object. Appends nothing and returns false if all members are empty.
fn members<'a>(
    text: &mut String,
    columns: impl Iterator<Item = (&'a str, &'a arrow::array::ArrayRef)>,
    index: usize,
) -> bool {
    let start = text.len();
    text.push('{');
    let mut first = true;
    for (name, column) in columns {
        let before = text.len();
        if !first {
            text.push(',');
        }
        quote(text, name);
        text.push(':');
        if value(text, column.as_ref(), index) {
            first = false;
        } else {
            text.truncate(before);
        }
    }
    if first {
        text.truncate(start);
        return false;
    }
    text.push('}');
    true
}

/// Appends the value at `index`. Appends nothing and returns false if it is empty.
fn value(text: &mut String, array: &dyn Array, index: usize) -> bool {
    if array.is_null(index) {
        return false;
    }
    match array.data_type() {
        DataType::Struct(fields) => {
            let names = fields.iter().map(|field| field.name().as_str());
            let columns = array.as_struct().columns();
            return members(text, names.zip(columns), index);
        }
        DataType::List(_) => return items(text, array.as_list::<i32>().value(index).as_ref()),
        DataType::LargeList(_) => {
            return items(text, array.as_list::<i64>().value(index).as_ref());
        }
        DataType::Map(..) => return entries(text, array, index),
        _ => scalar(text, array, index),
    }
    true
}

/// Appends a list. NULL items are kept, because positions matter.
fn items(text: &mut String, items: &dyn Array) -> bool {
    if items.is_empty() {
        return false;
    }
    text.push('[');
    for index in 0..items.len() {
        if index > 0 {
            text.push(',');
        }
        if !value(text, items, index) {
            text.push_str("null");
        }
    }
    text.push(']');
    true
}

fn entries(text: &mut String, array: &dyn Array, index: usize) -> bool {
    let entries = array.as_map().value(index);
    let (keys, values) = (entries.column(0), entries.column(1));
    if entries.is_empty() {
        return false;
    }
    text.push('{');
    for entry in 0..entries.len() {
        if entry > 0 {
            text.push(',');
        }
        quote(
            text,
            &array_value_to_string(keys, entry).unwrap_or_default(),
        );
        text.push(':');
        if !value(text, values.as_ref(), entry) {
            text.push_str("null");
        }
    }
    text.push('}');
    true
}

fn scalar(text: &mut String, array: &dyn Array, index: usize) {
    macro_rules! number {
        ($kind:ty) => {
            text.push_str(&array.as_primitive::<$kind>().value(index).to_string())
        };
    }
    match array.data_type() {
        DataType::Boolean => {
            text.push_str(&array.as_boolean().value(index).to_string());
        }
        DataType::Int8 => number!(Int8Type),
        DataType::Int16 => number!(Int16Type),
        DataType::Int32 => number!(Int32Type),
        DataType::Int64 => number!(Int64Type),
        DataType::UInt8 => number!(UInt8Type),
        DataType::UInt16 => number!(UInt16Type),
        DataType::UInt32 => number!(UInt32Type),
        DataType::UInt64 => number!(UInt64Type),
        DataType::Float32 => {
            float(
                text,
                f64::from(array.as_primitive::<Float32Type>().value(index)),
            );
        }
        DataType::Float64 => float(text, array.as_primitive::<Float64Type>().value(index)),
        DataType::Utf8 => quote(text, array.as_string::<i32>().value(index)),
        DataType::LargeUtf8 => quote(text, array.as_string::<i64>().value(index)),
        DataType::Utf8View => quote(text, array.as_string_view().value(index)),
        DataType::Timestamp(unit, _) => quote(text, &timestamp(array, *unit, index)),
        DataType::Binary => quote(text, &lossy(array.as_binary::<i32>().value(index))),
        DataType::BinaryView => quote(text, &lossy(array.as_binary_view().value(index))),
        // Dates and other types are formatted by Arrow.
        _ => quote(
            text,
            &array_value_to_string(array, index).unwrap_or_default(),
        ),
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Appends a number. JSON has no infinities, so these become strings.
fn float(text: &mut String, number: f64) {
    match serde_json::Number::from_f64(number) {
        Some(number) => text.push_str(&number.to_string()),
        None => quote(text, &number.to_string()),
    }
}

fn timestamp(array: &dyn Array, unit: TimeUnit, index: usize) -> String {
    let (moment, places) = match unit {
        TimeUnit::Second => {
            let seconds = array.as_primitive::<TimestampSecondType>().value(index);
            (DateTime::from_timestamp(seconds, 0), SecondsFormat::Secs)
        }
        TimeUnit::Millisecond => {
            let millis = array
                .as_primitive::<TimestampMillisecondType>()
                .value(index);
            (
                DateTime::from_timestamp_millis(millis),
                SecondsFormat::Millis,
            )
        }
        TimeUnit::Microsecond => {
            let micros = array
                .as_primitive::<TimestampMicrosecondType>()
                .value(index);
            (
                DateTime::from_timestamp_micros(micros),
                SecondsFormat::Micros,
            )
        }
        TimeUnit::Nanosecond => {
            let nanos = array.as_primitive::<TimestampNanosecondType>().value(index);
            (
                Some(DateTime::from_timestamp_nanos(nanos)),
                SecondsFormat::Nanos,
            )
        }
    };
    match moment {
        Some(moment) => moment.to_rfc3339_opts(places, true),
        None => array_value_to_string(array, index).unwrap_or_default(),
    }
}

fn quote(text: &mut String, value: &str) {
    // Serialising a text cannot fail.
    text.push_str(&serde_json::to_string(value).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, BinaryViewArray, Float64Array, Int64Array, ListArray, MapBuilder, StringBuilder,
        StringViewArray, StructArray, TimestampMillisecondArray,
    };
    use arrow::datatypes::Field;

    use super::*;

    #[track_caller]
    fn check(columns: Vec<(&str, ArrayRef)>, expected: &str) {
        let batch = RecordBatch::try_from_iter(columns).expect("same lengths");
        let line = row(&batch, 0);
        assert_eq!(line, expected);
        assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok());
    }

    #[test]
    fn scalars_keep_their_kind() {
        let moment = TimestampMillisecondArray::from(vec![1_705_881_600_005]).with_timezone("UTC");
        check(
            vec![
                ("time", Arc::new(Int64Array::from(vec![1]))),
                ("time_dt", Arc::new(moment)),
                (
                    "message",
                    Arc::new(StringViewArray::from(vec!["a \"b\"\n"])),
                ),
                ("risk", Arc::new(Float64Array::from(vec![0.5]))),
                (
                    "raw",
                    Arc::new(BinaryViewArray::from(vec![b"\xffx".as_slice()])),
                ),
            ],
            "{\"time\":1,\"time_dt\":\"2024-01-22T00:00:00.005Z\",\
             \"message\":\"a \\\"b\\\"\\n\",\"risk\":0.5,\"raw\":\"\u{fffd}x\"}",
        );
    }

    #[test]
    fn nulls_and_empty_values_are_left_out() {
        let null: ArrayRef = Arc::new(Int64Array::from(vec![None]));
        let field = Arc::new(Field::new("port", DataType::Int64, true));
        let empty: ArrayRef = Arc::new(StructArray::from(vec![(field, null.clone())]));
        let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![])]);
        check(
            vec![
                ("a", null),
                ("b", empty),
                ("c", Arc::new(list)),
                ("d", Arc::new(Int64Array::from(vec![7]))),
            ],
            r#"{"d":7}"#,
        );
    }

    #[test]
    fn an_empty_row_is_an_empty_object() {
        check(vec![("a", Arc::new(Int64Array::from(vec![None])))], "{}");
    }

    #[test]
    fn maps_are_objects_and_lists_are_lists() {
        let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
        map.keys().append_value("vpc.id");
        map.values().append_value("vpc-1");
        map.append(true).expect("one value for each key");
        let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None])]);
        check(
            vec![
                ("unmapped", Arc::new(map.finish())),
                ("flags", Arc::new(list)),
            ],
            r#"{"unmapped":{"vpc.id":"vpc-1"},"flags":[1,null]}"#,
        );
    }
}
