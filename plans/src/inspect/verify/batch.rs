//! Checks mapped events before they are written, by the rules that concern events. `map` and
//! `test` find with it what `verify` would find in the lake.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema};
use arrow::error::ArrowError;

use super::events::Events;
use super::findings::Findings;
use super::rules::{Rule, Weight};

/// Findings of each rule that are kept of one event.
const LIMIT: usize = 10;

/// The findings of the events that `verify` would refuse, by their rows in `batch`. Each
/// finding starts with the name of its rule.
pub fn invalid_events(batch: &RecordBatch) -> Result<BTreeMap<usize, Vec<String>>, ArrowError> {
    let batch = as_parquet_gives_it(batch)?;
    let mut invalid = BTreeMap::new();
    // Most batches have no finding. Rows are judged one by one only if theirs has some.
    if broken(&batch).is_empty() {
        return Ok(invalid);
    }
    for row in 0..batch.num_rows() {
        let found = broken(&batch.slice(row, 1));
        if !found.is_empty() {
            invalid.insert(row, found);
        }
    }
    Ok(invalid)
}

fn broken(batch: &RecordBatch) -> Vec<String> {
    let mut findings = Findings::new("", LIMIT);
    let mut events = Events::new(batch.schema_ref(), None);
    events.judge_columns(&mut findings);
    events.judge(batch, &mut findings);
    events.finish(&mut findings);
    let mut messages = Vec::new();
    for (rule, tally) in findings.into_tallies() {
        // Events are sorted when they are written.
        if rule.weight() == Weight::Demand && rule != Rule::TimeOrder {
            let found = tally.findings.into_iter();
            messages.extend(found.map(|found| format!("{}: {}", rule.name(), found.message)));
        }
    }
    messages
}

/// The batch with the types that a reader of the written object gets.
fn as_parquet_gives_it(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = batch.schema();
    let mut fields = Vec::with_capacity(schema.fields().len());
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        let read = plain(field);
        columns.push(match read.data_type() == field.data_type() {
            true => column.clone(),
            false => cast(column, read.data_type())?,
        });
        fields.push(read);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
}

/// The field without views, at any depth.
fn plain(field: &FieldRef) -> FieldRef {
    let kind = match field.data_type() {
        DataType::Utf8View => DataType::Utf8,
        DataType::List(item) => DataType::List(plain(item)),
        DataType::Struct(members) => {
            DataType::Struct(members.iter().map(plain).collect::<Fields>())
        }
        _ => return field.clone(),
    };
    Arc::new(Field::new(field.name(), kind, field.is_nullable()))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int32Array, Int64Array, StringViewArray, StructArray};

    use super::*;

    fn numbers(values: &[i32]) -> ArrayRef {
        Arc::new(Int32Array::from(values.to_vec()))
    }

    fn texts(values: &[Option<&str>]) -> ArrayRef {
        Arc::new(StringViewArray::from(values.to_vec()))
    }

    fn object(members: Vec<(&str, ArrayRef)>) -> ArrayRef {
        let member = |(name, array): (&str, ArrayRef)| {
            (
                Arc::new(Field::new(name, array.data_type().clone(), true)),
                array,
            )
        };
        let members: Vec<_> = members.into_iter().map(member).collect();
        Arc::new(StructArray::from(members))
    }

    /// Three authentications, of which `vendors` and `uids` may be wrong.
    fn batch(vendors: &[Option<&str>; 3], type_uids: [i64; 3]) -> RecordBatch {
        let user = object(vec![("name", texts(&[Some("a"); 3]))]);
        let product = object(vec![
            ("name", texts(&[Some("Door"); 3])),
            ("vendor_name", texts(vendors)),
        ]);
        let metadata = object(vec![
            ("product", product),
            ("version", texts(&[Some("1.1.0"); 3])),
        ]);
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("activity_id", numbers(&[1, 1, 1])),
            ("category_uid", numbers(&[3; 3])),
            ("class_uid", numbers(&[3002; 3])),
            ("metadata", metadata),
            ("service", object(vec![("name", texts(&[Some("door"); 3]))])),
            ("severity_id", numbers(&[1; 3])),
            (
                "time",
                Arc::new(Int64Array::from(vec![1_705_881_600_000, 5, 4])),
            ),
            ("type_uid", Arc::new(Int64Array::from(type_uids.to_vec()))),
            ("user", user),
        ];
        RecordBatch::try_from_iter(columns).expect("columns of one length")
    }

    #[test]
    fn each_invalid_event_has_its_own_findings() {
        let good = 300_201;
        let some = Some("Example");
        let found = invalid_events(&batch(&[some, None, some], [good, good, 300_202]));
        let found = found.expect("types that can be cast");
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), [1, 2]);
        let of = |row: usize| found[&row].join("; ");
        assert!(of(1).contains("required: metadata.product.vendor_name is missing"));
        assert!(of(1).contains("time_type: 5 is not a time in milliseconds"));
        assert!(of(2).contains("type_uid: 300202 is not 300201"));
    }

    #[test]
    fn the_order_of_events_is_no_finding() {
        let found = invalid_events(&batch(&[Some("Example"); 3], [300_201; 3]));
        let found = found.expect("types that can be cast");
        assert!(!found.values().flatten().any(|one| one.contains("after")));
    }
}
