//! Why one record becomes what it becomes: its columns, the routes in order, and where the
//! value of each attribute comes from.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::UInt64Type;
use arrow::util::display::array_value_to_string;
use datafusion::common::Result;
use datafusion::common::cast::as_boolean_array;
use datafusion::physical_expr::PhysicalExpr;
use serde::Serialize;
use serde_json::Value as Json;

use super::attributes::{joined, node_at, written};
use super::preview::{Fate, Observer, Request, Rows, fates};
use crate::decode::{EXTRA, LINE, REJECT, system_fields};
use crate::diagnostics::Origin;
use crate::mapping::{Placed, Program};
use crate::ocsf::UNMAPPED;
use crate::sink::PhysicalRoute;
use crate::spec::{Event, Source, Sql};

/// A record on its way through a source.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// The line, or the number of the record.
    pub line: u64,
    /// The columns that have a value.
    pub columns: Vec<Column>,
    /// The filters in order, up to the one that leaves the record out.
    pub filters: Vec<Condition>,
    /// The routes in order. Those after the chosen one are not tried.
    pub routes: Vec<Condition>,
    /// The events that it becomes.
    pub events: Vec<EventParts>,
    /// The reasons why it is quarantined, each with its detail.
    pub rejections: Vec<Rejection>,
}

/// A column with its value.
#[derive(Clone, Debug, Serialize)]
pub struct Column {
    pub name: String,
    pub value: String,
    /// Whether the source declares the column, or its format has it.
    pub declared: bool,
}

/// A condition and its result for the record.
#[derive(Clone, Debug, Serialize)]
pub struct Condition {
    /// Name of the event, or reason of the filter.
    pub name: String,
    /// Class of the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// The condition as it is written. A route without one takes every record.
    pub when: Option<String>,
    /// File and line of the condition.
    pub place: String,
    pub result: Answer,
    /// Whether it takes the record.
    pub takes: bool,
    /// Whether the route adds an event to that of another route.
    pub also: bool,
}

/// The result of a condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    True,
    False,
    Null,
    /// Without a condition every record is taken.
    Always,
    /// An earlier route has taken the record.
    NotTried,
    /// The condition cannot be evaluated.
    Failed(String),
}

/// An event with its attributes.
#[derive(Clone, Debug, Serialize)]
pub struct EventParts {
    /// Name of the route.
    pub event: String,
    pub class_uid: u32,
    pub attributes: Vec<Attribute>,
    /// What `verify` would find in the event.
    pub invalid: Vec<String>,
}

/// An attribute with its value and its origin.
#[derive(Clone, Debug, Serialize)]
pub struct Attribute {
    /// Dotted path; `[0]` is the first item of a list.
    pub path: String,
    pub value: String,
    /// File and line of its expression. Derived attributes have none.
    pub place: Option<String>,
    /// The expression as it is written.
    pub expression: Option<String>,
}

/// Why the record is quarantined.
#[derive(Clone, Debug, Serialize)]
pub struct Rejection {
    pub reason: String,
    pub detail: String,
}

/// Explains the record at `line`. Returns `None` if there is none.
pub async fn explain(
    source: &Source,
    program: &Program,
    request: Request,
    line: u64,
) -> Result<Option<Explanation>> {
    let mut rows = Rows::open(program, &source.format, request)?;
    while let Some(batch) = rows.next().await? {
        let lines = batch.column_by_name(LINE);
        let lines = lines.and_then(|lines| lines.as_primitive_opt::<UInt64Type>());
        let row = lines.and_then(|lines| lines.iter().position(|at| at == Some(line)));
        if let Some(row) = row {
            let record = batch.slice(row, 1);
            return Ok(Some(of_record(source, &mut rows, &record, line)?));
        }
    }
    Ok(None)
}

fn of_record(
    source: &Source,
    rows: &mut Rows,
    record: &RecordBatch,
    line: u64,
) -> Result<Explanation> {
    let is_parsed = record
        .column_by_name(REJECT)
        .is_none_or(|reject| reject.is_null(0));
    let mut explanation = Explanation {
        line,
        columns: columns(record)?,
        filters: Vec::new(),
        routes: Vec::new(),
        events: Vec::new(),
        rejections: Vec::new(),
    };
    if is_parsed {
        explanation.filters = filters(source, rows, record);
        let is_filtered = explanation.filters.iter().any(|filter| filter.takes);
        explanation.routes = routes(source, rows, record, is_filtered);
    }
    for fate in fates(record.clone(), &mut rows.steps, &mut Nobody)? {
        explanation.add(source, fate);
    }
    Ok(explanation)
}

/// Nobody watches.
struct Nobody;

impl Observer for Nobody {
    fn fate(&mut self, _fate: Fate) -> bool {
        true
    }
}

impl Explanation {
    fn add(&mut self, source: &Source, fate: Fate) {
        match fate {
            Fate::Event {
                event,
                class_uid,
                json,
                invalid,
                ..
            } => {
                let route = source.events.iter().find(|route| route.name == event);
                self.events.push(EventParts {
                    attributes: attributes(&json, route),
                    event,
                    class_uid,
                    invalid,
                });
            }
            Fate::Rejected { reason, detail, .. } => {
                self.rejections.push(Rejection { reason, detail });
            }
        }
    }
}

/// Every column with a value, and the values without a column.
fn columns(record: &RecordBatch) -> Result<Vec<Column>> {
    let system = system_fields();
    let schema = record.schema();
    let mut columns = Vec::new();
    for (field, column) in schema.fields().iter().zip(record.columns()) {
        let is_system = system.iter().any(|known| known.name() == field.name());
        if !is_system && column.is_valid(0) {
            columns.push(Column {
                name: field.name().clone(),
                value: array_value_to_string(column, 0)?,
                declared: true,
            });
        }
    }
    let extra = record
        .column_by_name(EXTRA)
        .and_then(|extra| extra.as_string_view_opt())
        .filter(|extra| extra.is_valid(0));
    let extra = extra.and_then(|extra| serde_json::from_str::<Json>(extra.value(0)).ok());
    for (name, value) in extra.iter().filter_map(Json::as_object).flatten() {
        columns.push(Column {
            name: name.clone(),
            value: shown(value),
            declared: false,
        });
    }
    Ok(columns)
}

fn filters(source: &Source, rows: &Rows, record: &RecordBatch) -> Vec<Condition> {
    let mut tried = Vec::new();
    for ((when, reason), written) in rows.program.filters.iter().zip(&source.filters) {
        let result = decided(when, record);
        let takes = result == Answer::True;
        tried.push(Condition {
            name: reason.clone(),
            class: None,
            when: Some(one_line(&written.when)),
            place: place(&written.when.at),
            result,
            takes,
            also: false,
        });
        if takes {
            break;
        }
    }
    tried
}

fn routes(source: &Source, rows: &Rows, record: &RecordBatch, is_filtered: bool) -> Vec<Condition> {
    let mut tried = Vec::new();
    let mut is_taken = false;
    for route in &rows.program.routes {
        let written = source.events.iter().find(|event| event.name == route.name);
        let result = match is_filtered || (is_taken && !route.also) {
            true => Answer::NotTried,
            false => result_of(route, record),
        };
        let takes = matches!(result, Answer::True | Answer::Always);
        is_taken |= takes && !route.also;
        let when = written.and_then(|event| event.when.as_ref());
        tried.push(Condition {
            name: route.name.clone(),
            class: Some(route.class.name.clone()),
            when: when.map(one_line),
            place: when
                .map(|when| &when.at)
                .or(written.map(|event| &event.at))
                .map_or_else(String::new, place),
            result,
            takes,
            also: route.also,
        });
    }
    tried
}

fn result_of(route: &PhysicalRoute, record: &RecordBatch) -> Answer {
    match &route.when {
        None => Answer::Always,
        Some(when) => decided(when, record),
    }
}

/// The result of a condition for a record.
fn decided(when: &Placed<Arc<dyn PhysicalExpr>>, record: &RecordBatch) -> Answer {
    let value = when.expr.evaluate(record);
    let value = value.and_then(|value| value.into_array(record.num_rows()));
    match value {
        Ok(mask) => answer(as_boolean_array(&mask).ok().map(at_first)),
        Err(error) => Answer::Failed(error.to_string()),
    }
}

fn at_first(mask: &arrow::array::BooleanArray) -> Option<bool> {
    mask.iter().next().flatten()
}

/// The answer of a mask's only row. A mask of another type has none.
fn answer(value: Option<Option<bool>>) -> Answer {
    match value {
        Some(Some(true)) => Answer::True,
        Some(Some(false)) => Answer::False,
        _ => Answer::Null,
    }
}

/// Every attribute of an event.
fn attributes(json: &str, event: Option<&Event>) -> Vec<Attribute> {
    let mut found = Vec::new();
    if let Ok(Json::Object(members)) = serde_json::from_str::<Json>(json) {
        for (name, value) in &members {
            flatten(name, value, &mut found);
        }
    }
    let of = |(path, value): (String, String)| {
        let (place, expression) = origin(&path, event);
        Attribute {
            path,
            value,
            place,
            expression,
        }
    };
    found.into_iter().map(of).collect()
}

/// Where the value of an attribute comes from: place and expression. This is the only place
/// that decides it.
fn origin(path: &str, event: Option<&Event>) -> (Option<String>, Option<String>) {
    if path.split('.').next() == Some(UNMAPPED) {
        return (None, Some("no attribute takes it".to_owned()));
    }
    let names: Vec<&str> = path
        .split('.')
        .map(|segment| segment.split('[').next().unwrap_or(segment))
        .collect();
    match event.and_then(|event| node_at(&event.attributes, &names)) {
        Some(node) => (Some(place(&node.at)), Some(written(&node.value))),
        None => (None, Some("derived".to_owned())),
    }
}

fn flatten(path: &str, value: &Json, found: &mut Vec<(String, String)>) {
    match value {
        // The keys of unmapped contain dots and brackets.
        Json::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                flatten(&joined(path, name), value, found);
            }
        }
        Json::Array(items) if items.iter().any(Json::is_object) => {
            for (index, item) in items.iter().enumerate() {
                flatten(&format!("{path}[{index}]"), item, found);
            }
        }
        _ => found.push((path.to_owned(), shown(value))),
    }
}

/// A text without quotes, or another value as JSON.
fn shown(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn place(at: &Origin) -> String {
    match at.line {
        0 => at.file.to_string(),
        line => format!("{}:{line}", at.file),
    }
}

fn one_line(sql: &Sql) -> String {
    sql.text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::testing::{LOG, door, request};
    use super::*;

    async fn explained(line: u64) -> Explanation {
        let door = door();
        let (_file, request) = request(LOG);
        let found = explain(&door.source, &door.program, request, line).await;
        found.expect("it runs").expect("the line is a record")
    }

    fn of<'a>(explanation: &'a Explanation, path: &str) -> &'a Attribute {
        let attributes = explanation
            .events
            .iter()
            .flat_map(|event| &event.attributes);
        let mut found = attributes.filter(|attribute| attribute.path == path);
        found.next().unwrap_or_else(|| panic!("no {path}"))
    }

    #[tokio::test]
    async fn each_value_has_the_place_of_its_expression() {
        let login = explained(1).await;
        let ip = of(&login, "src_endpoint.ip");
        assert_eq!(ip.value, "10.0.0.1");
        assert_eq!(ip.place.as_deref(), Some("door/logins.toml:9"));
        assert_eq!(ip.expression.as_deref(), Some("try_ip(peer.ip)"));
        let product = of(&login, "metadata.product.name");
        assert_eq!(product.place.as_deref(), Some("door/source.toml:14"));
        assert_eq!(
            of(&login, "type_uid").expression.as_deref(),
            Some("derived")
        );
        let shade = login.columns.iter().find(|column| column.name == "shade");
        assert!(shade.is_some_and(|column| !column.declared && column.value == "blue"));
    }

    #[tokio::test]
    async fn routes_are_tried_in_order_until_one_takes_the_record() {
        let results = |explanation: &Explanation| -> Vec<Answer> {
            let routes = explanation.routes.iter();
            routes.map(|route| route.result.clone()).collect()
        };
        assert_eq!(
            results(&explained(1).await),
            [Answer::True, Answer::NotTried]
        );
        let other = explained(2).await;
        assert_eq!(results(&other), [Answer::Null, Answer::Always]);
        assert_eq!(other.events[0].event, "others");
    }

    #[tokio::test]
    async fn a_record_without_an_event_says_why() {
        let noise = explained(3).await;
        assert!(noise.events.is_empty() && noise.filters[0].takes);
        let late = explained(4).await;
        assert!(late.events.is_empty());
        assert_eq!(late.rejections.len(), 1);
        let door = door();
        let (_file, request) = request(LOG);
        let none = explain(&door.source, &door.program, request, 9).await;
        assert!(none.expect("it runs").is_none());
    }
}
