//! Events of one class have one schema, whichever route makes them: the attributes of all the
//! routes of the class.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch, RecordBatchOptions};
use arrow::array::{StructArray, new_null_array};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use datafusion::common::{Result, exec_err};

use crate::mapping::Route;

/// The schema of each route's class.
pub(in crate::sink) fn class_schemas<E>(routes: &[Route<E>]) -> Vec<SchemaRef> {
    let of_class = |route: &Route<E>| {
        let same = routes.iter().filter(|other| other.class == route.class);
        let mut fields = route.schema.fields().clone();
        for other in same {
            fields = merged(&fields, other.schema.fields());
        }
        match fields == *route.schema.fields() {
            true => Arc::clone(&route.schema),
            false => Arc::new(Schema::new(fields)),
        }
    };
    routes.iter().map(of_class).collect()
}

/// The fields of both, by name. Without others the order stays.
fn merged(one: &Fields, other: &Fields) -> Fields {
    if one == other {
        return one.clone();
    }
    let mut all: BTreeMap<&str, FieldRef> = BTreeMap::new();
    for field in one.iter().chain(other) {
        let merged = match all.get(field.name().as_str()) {
            Some(known) => merged_field(known, field),
            None => Arc::clone(field),
        };
        all.insert(field.name(), merged);
    }
    all.into_values().collect()
}

fn merged_field(one: &FieldRef, other: &FieldRef) -> FieldRef {
    let kind = match (one.data_type(), other.data_type()) {
        (DataType::Struct(one), DataType::Struct(other)) => DataType::Struct(merged(one, other)),
        (DataType::List(one), DataType::List(other)) => DataType::List(merged_field(one, other)),
        (kind, _) => kind.clone(),
    };
    Arc::new(Field::new(one.name(), kind, true))
}

/// The events with the attributes of the schema. Those that they lack are NULL.
pub(in crate::sink) fn widened(events: RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    if Arc::ptr_eq(events.schema_ref(), schema) {
        return Ok(events);
    }
    let rows = events.num_rows();
    let own = events.schema();
    let columns = columns(own.fields(), events.columns(), schema.fields(), rows)?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let events = RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?;
    Ok(events)
}

fn columns(own: &Fields, arrays: &[ArrayRef], all: &Fields, rows: usize) -> Result<Vec<ArrayRef>> {
    let column = |field: &FieldRef| match own.find(field.name()) {
        Some((index, _)) => array(&arrays[index], field.data_type()),
        None => Ok(new_null_array(field.data_type(), rows)),
    };
    all.iter().map(column).collect()
}

fn array(array: &ArrayRef, kind: &DataType) -> Result<ArrayRef> {
    if array.data_type() == kind {
        return Ok(Arc::clone(array));
    }
    match (array.data_type(), kind) {
        (DataType::Struct(own), DataType::Struct(all)) => {
            let object = array.as_struct();
            let columns = columns(own, object.columns(), all, object.len())?;
            let nulls = object.nulls().cloned();
            let object =
                StructArray::try_new_with_length(all.clone(), columns, nulls, object.len())?;
            Ok(Arc::new(object))
        }
        (DataType::List(_), DataType::List(item)) => {
            let list = array.as_list::<i32>();
            let values = self::array(list.values(), item.data_type())?;
            let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
            let list = ListArray::try_new(Arc::clone(item), offsets, values, nulls)?;
            Ok(Arc::new(list))
        }
        (own, all) => exec_err!("two routes of a class have {own} and {all} for one attribute"),
    }
}
