//! Sources written down in a line or two, and what their programs make of rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, RecordBatch, StringViewArray, StructArray, UInt32Array, UInt64Array,
    new_null_array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Fields};
use arrow::json::LineDelimitedWriter;
use datafusion::common::DFSchema;
use datafusion::logical_expr::Expr;
use datafusion_proto::bytes::Serializeable;
use serde_json::Value as Json;

use crate::decode::schema_of;
use crate::diagnostics::{Diagnostics, Origin};
use crate::mapping::*;
use crate::spec::*;
use crate::{decode, ocsf, session};

pub(super) fn at(line: u32) -> Origin {
    Origin {
        file: Arc::from("event.toml"),
        line,
        column: 10,
        key: String::new(),
    }
}

pub(super) fn sql(text: &str) -> Sql {
    Sql {
        renamed: BTreeMap::new(),
        text: text.to_owned(),
        at: at(1),
    }
}

pub(super) fn node(value: Value) -> Node {
    Node { value, at: at(1) }
}

pub(super) fn map(text: &str) -> Node {
    node(Value::Sql(sql(text)))
}

pub(super) fn set(value: impl Into<Constant>) -> Node {
    node(Value::Constant(value.into()))
}

impl From<i64> for Constant {
    fn from(value: i64) -> Self {
        Constant::Integer(value)
    }
}

impl From<&str> for Constant {
    fn from(value: &str) -> Self {
        Constant::Text(value.to_owned())
    }
}

pub(super) fn choose(on: &str, to: &[(&str, &str)]) -> Node {
    let to = to
        .iter()
        .map(|(glob, target)| ((*glob).to_owned(), (*target).into(), at(1)))
        .collect();
    node(Value::Enum(Enum { on: sql(on), to }))
}

pub(super) fn object(members: &[(&str, Node)]) -> Object {
    let mut object = Object::new();
    for (path, node) in members {
        insert(&mut object, path, node.clone());
    }
    object
}

pub(super) fn insert(object: &mut Object, path: &str, leaf: Node) {
    let Some((first, rest)) = path.split_once('.') else {
        object.insert(path.to_owned(), leaf);
        return;
    };
    let inner = object
        .entry(first.to_owned())
        .or_insert_with(|| node(Value::Object(Object::new())));
    if let Value::Object(inner) = &mut inner.value {
        insert(inner, rest, leaf);
    }
}

pub(super) fn event(class: &str, members: &[(&str, Node)]) -> Event {
    Event {
        name: class.to_owned(),
        class: class.to_owned(),
        profiles: Vec::new(),
        base_profiles: Vec::new(),
        lets: Vec::new(),
        profiles_at: at(1),
        when: None,
        also: false,
        attributes: object(members),
        consumed: Vec::new(),
        at: at(1),
    }
}

pub(super) fn source(columns: &[(&str, ColumnKind)], events: Vec<Event>) -> Source {
    Source {
        name: "test".to_owned(),
        aliases: Vec::new(),
        format: Format {
            name: "json_lines".to_owned(),
            options: BTreeMap::new(),
            at: at(1),
        },
        columns: columns
            .iter()
            .map(|(name, kind)| Column {
                name: (*name).to_owned(),
                kind: kind.clone(),
                source_name: None,
                at: at(1),
            })
            .collect(),
        account: Vec::new(),
        region: Vec::new(),
        filters: Vec::new(),
        sets: BTreeMap::new(),
        lets: Vec::new(),
        base_at: Origin::default(),
        events,
        unmapped: Unmapped {
            kept: true,
            style: UnmappedStyle::Map,
        },
        redact: Redact::default(),
        outputs: BTreeMap::new(),
        // As a foreign source, so that what OCSF requires besides is a warning.
        load: Some(LoadHints::default()),
    }
}

pub(super) fn compiled(source: &Source) -> Result<Program, Diagnostics> {
    let schema = ocsf::schema("1.1.0").expect("pinned");
    compile(source, schema, false).program
}

/// Rows as the scan gives them, from texts.
pub(super) fn batch(program: &Program, rows: &[Json]) -> RecordBatch {
    let schema = schema_of(program.parsed());
    let arrays = schema.fields().iter().map(|field| {
        let text = |row: &Json| match &row[field.name()] {
            Json::Null => None,
            Json::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        match field.name().as_str() {
            decode::OBJECT => Arc::new(UInt32Array::from(vec![0; rows.len()])) as ArrayRef,
            decode::LINE | decode::OFFSET => Arc::new(UInt64Array::from(vec![0; rows.len()])),
            decode::RAW => new_null_array(field.data_type(), rows.len()),
            _ => {
                let texts: StringViewArray = rows.iter().map(text).collect();
                cast(&texts, field.data_type()).expect("a value of the column's type")
            }
        }
    });
    RecordBatch::try_new(Arc::clone(&schema), arrays.collect()).expect("a batch")
}

/// The expression's values; it has travelled over the wire before.
pub(super) fn evaluate(expr: &Expr, batch: &RecordBatch) -> ArrayRef {
    let bytes = expr.to_bytes().expect("encodes");
    let expr = Expr::from_bytes_with_ctx(
        &bytes,
        &datafusion::execution::TaskContext::from(session::compiling()),
    )
    .expect("decodes");
    let schema = DFSchema::try_from(batch.schema()).expect("a schema");
    let physical =
        session::plan_expr(session::compiling(), &expr, &schema).expect("a physical expression");
    let value = physical.evaluate(batch).expect("evaluates");
    value.into_array(batch.num_rows()).expect("an array")
}

pub(super) fn build(layout: &[Layout], fields: &Fields, batch: &RecordBatch) -> Vec<ArrayRef> {
    let pairs = layout.iter().zip(fields);
    let build_one = |(layout, field): (&Layout, &Arc<arrow::datatypes::Field>)| match layout {
        Layout::Leaf(expr) => {
            let array = evaluate(expr, batch);
            assert_eq!(array.data_type(), field.data_type(), "{}", field.name());
            array
        }
        Layout::Struct(inner) => {
            let DataType::Struct(fields) = field.data_type() else {
                panic!("{} is no struct", field.name());
            };
            let arrays = build(inner, fields, batch);
            let valid = |row| arrays.iter().any(|array| !array.is_null(row));
            let nulls: NullBuffer = (0..batch.num_rows()).map(valid).collect();
            let array = StructArray::try_new(fields.clone(), arrays, Some(nulls));
            Arc::new(array.expect("a struct")) as ArrayRef
        }
    };
    pairs.map(build_one).collect()
}

/// The events of each row's first route, as JSON.
pub(super) fn run(program: &Program, rows: &[Json]) -> Vec<Json> {
    let all = batch(program, rows);
    let mut events = Vec::new();
    for row in 0..all.num_rows() {
        let single = all.slice(row, 1);
        let takes = |route: &&Route| match &route.when {
            None => true,
            Some(when) => {
                let found = evaluate(when, &single);
                found.is_valid(0) && found.as_boolean().value(0)
            }
        };
        let Some(route) = program.routes.iter().find(takes) else {
            events.push(Json::Null);
            continue;
        };
        events.push(one(route, &single));
    }
    events
}

pub(super) fn one(route: &Route, batch: &RecordBatch) -> Json {
    assert!(matches!(
        evaluate(&route.time, batch).data_type(),
        DataType::Timestamp(..)
    ));
    let arrays = build(&route.layout, route.schema.fields(), batch);
    let event = RecordBatch::try_new(Arc::clone(&route.schema), arrays).expect("an event");
    let keep = vec![true; event.num_rows()].into();
    let event = filter_record_batch(&event, &keep).expect("a copy");
    let mut writer = LineDelimitedWriter::new(Vec::new());
    writer.write(&event).expect("JSON");
    writer.finish().expect("JSON");
    serde_json::from_slice(&writer.into_inner()).expect("JSON")
}
