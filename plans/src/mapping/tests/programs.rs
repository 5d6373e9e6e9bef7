//! Sources written down in a line or two, and what their programs make of rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, RecordBatch, StringViewArray, UInt32Array, UInt64Array, new_null_array,
};
use arrow::compute::cast;
use serde_json::Value as Json;

use crate::decode::schema_of;
use crate::diagnostics::{Diagnostics, Origin};
use crate::inspect::preview::json_rows;
use crate::mapping::{Program, compile};
use crate::scan::split::{InputObject, Split};
use crate::sink::{PhysicalProgram, RowSteps, RowTerms};
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
            at: at(1),
            ..Format::default()
        },
        columns: columns
            .iter()
            .map(|(name, kind)| Column {
                at: at(1),
                ..Column::new(*name, kind.clone())
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

/// The events of each row's first route, as JSON. A text says why a row becomes none.
pub(super) fn run(program: &Program, rows: &[Json]) -> Vec<Json> {
    let fates = run_all(program, rows).into_iter();
    fates
        .map(|fate| fate.unwrap_or_else(Json::String))
        .collect()
}

/// The event of each row's first route, or the reason and detail of its rejection.
pub(super) fn run_all(program: &Program, rows: &[Json]) -> Vec<Result<Json, String>> {
    let all = batch(program, rows);
    let planned = PhysicalProgram::plan(program, &all.schema(), &session::planning());
    let planned = Arc::new(planned.expect("plans"));
    let split = Split {
        id: "0".to_owned(),
        objects: vec![InputObject::default()],
    };
    let mut steps = RowSteps::new(planned, RowTerms::every_day(None), &split);
    let mut keys = Vec::new();
    let found = steps.classify(all, 0, &mut keys).expect("classifies");
    let mut fates: Vec<Option<Result<Json, String>>> = rows.iter().map(|_| None).collect();
    for rejection in &found.rejections {
        fates[rejection.row] = Some(Err(format!("{}: {}", rejection.reason, rejection.detail)));
    }
    for key in &keys {
        let row = key.row as usize;
        let route = steps.group(key.group).route;
        let single = found.batch.slice(row, 1);
        let mapped = steps.map(route, 0, &single).expect("maps");
        let rejection = mapped.rejections.first();
        let fate = match rejection {
            Some(rejection) => Err(format!("{}: {}", rejection.reason, rejection.detail)),
            None => {
                let event = json_rows(&mapped.events).expect("JSON").remove(0);
                Ok(serde_json::from_str(&event).expect("JSON"))
            }
        };
        fates[row].get_or_insert(fate);
    }
    let none = || Err("filtered".to_owned());
    fates
        .into_iter()
        .map(|fate| fate.unwrap_or_else(none))
        .collect()
}
