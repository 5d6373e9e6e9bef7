//! The row steps between scan and sink, which `map` and `run` share.
//!
//! [`RowSteps::classify`] takes batches as the scan gives them and decides what each row
//! becomes. The sink then sorts the rows, which are still narrow, and [`RowSteps::map`]
//! makes events of them. A step that adds columns to a batch belongs at the beginning of
//! `classify`, so that conditions and mappings see them.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use datafusion::common::Result;

use super::classify::{Classifier, Counts, Rejection};
use super::event;
use super::group::Group;
use super::program::{PhysicalProgram, PhysicalRoute};
use super::sort::Key;
use crate::attempt::AttemptSpec;
use crate::receipt::{Ledger, ObjectRows, add_counts};
use crate::scan::split::Split;

/// Which rows are kept, and where rows go whose columns do not say.
#[derive(Clone, Debug)]
pub(crate) struct RowTerms {
    /// The days whose rows are kept, with the indexes of their periods; `None` keeps every day.
    pub days: Option<BTreeMap<i32, usize>>,
    /// Days an event may be away from the day of its object.
    pub margin: u32,
    /// The day that owns rows of undated objects whose time cannot be read.
    pub undated_day: i32,
    /// The region of every row, if it is overridden.
    pub region: Option<String>,
    /// The account of rows that neither a column nor their object gives one.
    pub account: Option<String>,
}

impl RowTerms {
    /// The terms of one attempt.
    pub(crate) fn of(spec: &AttemptSpec) -> Self {
        let periods = spec.periods.iter().enumerate();
        let days =
            periods.flat_map(|(index, period)| period.days.iter().map(move |day| (*day, index)));
        Self {
            days: Some(days.collect()),
            margin: spec.margin,
            undated_day: spec.undated_day,
            region: spec.region.clone(),
            account: spec.account.clone(),
        }
    }

    /// The number of periods whose rows are counted apart.
    pub(super) fn periods(&self) -> usize {
        let periods = self.days.iter().flat_map(BTreeMap::values);
        periods.max().map_or(1, |last| last + 1)
    }

    /// Terms that keep every row.
    pub(crate) fn every_day(account: Option<String>) -> Self {
        Self {
            days: None,
            margin: u32::MAX,
            undated_day: 0,
            region: None,
            account,
        }
    }
}

/// What classifying made of a batch.
pub(crate) struct Classified {
    /// The rows that the keys refer to.
    pub batch: RecordBatch,
    pub rejections: Vec<Rejection>,
}

/// What mapping made of rows.
pub(crate) struct Mapped {
    /// The events of the rows that are not rejected, in their order.
    pub events: RecordBatch,
    /// The rows that become no event, in their order.
    pub rejections: Vec<Rejection>,
}

/// The detail of a rejection. What a class requires is named with the class.
fn described(reason: &str, detail: String, route: &PhysicalRoute) -> String {
    match reason {
        event::EXPRESSION_FAILED => detail,
        _ => format!(
            "{detail} (event {}, class {})",
            route.name, route.class.name
        ),
    }
}

/// Filters, routes and maps the rows of one split.
pub(crate) struct RowSteps {
    program: Arc<PhysicalProgram>,
    classifier: Classifier,
    /// The schema of the events of each route.
    schemas: Vec<SchemaRef>,
    left_out: BTreeMap<i32, BTreeMap<String, u64>>,
}

impl RowSteps {
    pub(crate) fn new(program: Arc<PhysicalProgram>, terms: RowTerms, split: &Split) -> Self {
        Self {
            classifier: Classifier::new(program.clone(), terms, split),
            left_out: BTreeMap::new(),
            schemas: event::class_schemas(&program.routes),
            program,
        }
    }

    /// Decides for each row of `batch`, which has `index` in its run. Rows to map get a key.
    pub(crate) fn classify(
        &mut self,
        batch: RecordBatch,
        index: u32,
        keys: &mut Vec<Key>,
    ) -> Result<Classified> {
        let mut rejections = Vec::new();
        self.classifier
            .classify(&batch, index, keys, &mut rejections)?;
        Ok(Classified { batch, rejections })
    }

    /// The events that `rows` of one route become, less those that OCSF would refuse. Those
    /// belong to `day`.
    pub(crate) fn map(&mut self, route: usize, day: i32, rows: &RecordBatch) -> Result<Mapped> {
        let schema = Arc::clone(&self.schemas[route]);
        let route = &self.program.routes[route];
        let made = event::events(route, &self.program.columns, rows)?;
        if !made.left_out.is_empty() {
            add_counts(self.left_out.entry(day).or_default(), &made.left_out);
        }
        if made.rejected.is_empty() {
            return Ok(Mapped {
                events: event::widened(made.batch, &schema)?,
                rejections: Vec::new(),
            });
        }
        let mut keep = vec![true; made.batch.num_rows()];
        let mut rejections = Vec::with_capacity(made.rejected.len());
        for (row, (reason, detail)) in made.rejected {
            keep[row] = false;
            rejections.push(Rejection {
                row,
                day,
                detail: described(&reason, detail, route),
                reason: reason.into_owned(),
            });
        }
        let events = filter_record_batch(&made.batch, &BooleanArray::from(keep))?;
        Ok(Mapped {
            events: event::widened(events, &schema)?,
            rejections,
        })
    }

    /// The objects that were left out of the events so far since OCSF would refuse them, by
    /// the day of the event and their dotted attributes.
    pub(crate) fn left_out(&self) -> &BTreeMap<i32, BTreeMap<String, u64>> {
        &self.left_out
    }

    pub(crate) fn routes(&self) -> &[PhysicalRoute] {
        &self.program.routes
    }

    /// The schema of the events of a route. All routes of a class have the same.
    pub(crate) fn schema(&self, route: usize) -> &SchemaRef {
        &self.schemas[route]
    }

    pub(crate) fn group(&self, id: u32) -> &Group {
        self.classifier.group(id)
    }

    /// The ledger of the rows classified so far.
    pub(crate) fn ledger(&self) -> Ledger {
        let mut total = Ledger::default();
        for counts in self.counts() {
            total += counts.ledger;
        }
        total
    }

    /// The counts of the rows classified so far, by the index of their period.
    pub(crate) fn counts(&self) -> &[Counts] {
        &self.classifier.counts
    }

    /// What each object of the split gave so far, in the order of the split.
    pub(crate) fn given(&self) -> &[ObjectRows] {
        &self.classifier.given
    }
}
