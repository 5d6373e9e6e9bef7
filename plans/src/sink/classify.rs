//! Decides which of a split's rows are kept, and where each one goes.
//!
//! Ownership is total: every row is owned by exactly one day, so that periods
//! that read the same margin neither lose nor double it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, RecordBatch, StringViewArray, TimestampMillisecondArray,
};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::common::cast::{as_boolean_array, as_string_view_array, as_uint32_array};
use datafusion::physical_expr::PhysicalExpr;

use super::group::{BadPlace, Group, Groups};
use super::program::PhysicalProgram;
use super::rows::RowTerms;
use super::sort::Key;
use crate::decode::{DETAIL, OBJECT, REJECT, is_damage};
use crate::receipt::{Ledger, ObjectRows};
use crate::scan::split::{InputObject, Split};

const DAY_MS: i64 = 86_400_000;
const FIRST_PERIOD: usize = 0;

/// A row that is rejected.
#[derive(Clone, Debug)]
pub(crate) struct Rejection {
    pub row: usize,
    pub day: i32,
    pub reason: String,
    pub detail: String,
}

/// What was decided about the rows of one period.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub ledger: Ledger,
    /// The filtered rows by reason.
    pub filtered: BTreeMap<String, u64>,
}

/// Decides for every row, and counts what was decided.
pub(crate) struct Classifier {
    program: Arc<PhysicalProgram>,
    terms: RowTerms,
    objects: Vec<Places>,
    groups: Groups,
    /// What each object of the split gave so far.
    pub given: Vec<ObjectRows>,
    /// The counts of each period. Rows of no period are counted with the first.
    pub counts: Vec<Counts>,
    /// The day that was looked up last, and the index of its period.
    last: (i32, Option<usize>),
}

/// What an object's path says about its rows.
struct Places {
    day: Option<i32>,
    /// Days that its events may be away from its day.
    margin: u32,
    /// The day that owns its rows without a readable time.
    fallback_day: i32,
    region: Arc<str>,
    account: Arc<str>,
}

/// The evaluated columns of one route.
struct RouteColumns {
    takes: Option<BooleanArray>,
    times: TimestampMillisecondArray,
    account: Option<StringViewArray>,
    region: Option<StringViewArray>,
}

/// What a batch's rows are decided from.
struct Columns<'a> {
    routes: Vec<RouteColumns>,
    filters: Vec<BooleanArray>,
    object: &'a arrow::array::UInt32Array,
    reject: &'a StringViewArray,
    detail: &'a StringViewArray,
}

/// A row's owner, or why no period can own it by its time.
enum Owner {
    Day(i32),
    Misplaced { day: i32, reason: &'static str },
}

impl Classifier {
    pub(crate) fn new(program: Arc<PhysicalProgram>, terms: RowTerms, split: &Split) -> Self {
        let objects = split.objects.iter();
        Self {
            objects: objects
                .map(|object| Places::of(object, &program.source, &terms))
                .collect(),
            given: vec![ObjectRows::default(); split.objects.len()],
            counts: vec![Counts::default(); terms.periods()],
            last: (i32::MIN, None),
            program,
            terms,
            groups: Groups::default(),
        }
    }

    /// The index of the period that owns a day.
    fn period_of(&mut self, day: i32) -> Option<usize> {
        // Neighbouring rows mostly share their day.
        if self.last.0 != day {
            let period = match &self.terms.days {
                Some(days) => days.get(&day).copied(),
                None => Some(FIRST_PERIOD),
            };
            self.last = (day, period);
        }
        self.last.1
    }

    pub(crate) fn group(&self, id: u32) -> &Group {
        self.groups.group(id)
    }

    /// Decides for the rows of `batch`, which has this `index` in its run.
    pub(crate) fn classify(
        &mut self,
        batch: &RecordBatch,
        index: u32,
        keys: &mut Vec<Key>,
        rejections: &mut Vec<Rejection>,
    ) -> Result<()> {
        let columns = self.columns(batch)?;
        for row in 0..batch.num_rows() {
            let (day, decision) = self.decide(&columns, row);
            let period = self.period_of(day).unwrap_or(FIRST_PERIOD);
            let counts = &mut self.counts[period];
            counts.ledger.read += 1;
            match decision {
                Decision::Kept { route, time } => {
                    let also =
                        self.keep(&columns, row, (route, time, day), index, keys, rejections);
                    self.counts[period].ledger.duplicated += also;
                }
                Decision::Rejected { reason, detail } => rejections.push(Rejection {
                    row,
                    day,
                    reason,
                    detail,
                }),
                Decision::Filtered(reason) => {
                    counts.ledger.filtered += 1;
                    *counts.filtered.entry(reason).or_default() += 1;
                }
                Decision::OtherPeriod => counts.ledger.other_period += 1,
            }
        }
        Ok(())
    }

    fn columns<'a>(&self, batch: &'a RecordBatch) -> Result<Columns<'a>> {
        let routes = self.program.routes.iter().map(|route| {
            Ok(RouteColumns {
                takes: route.takes(batch)?,
                times: route.times(batch)?,
                account: text(route.account.as_ref(), batch)?,
                region: text(route.region.as_ref(), batch)?,
            })
        });
        let filters = self.program.filters.iter().map(|(when, _)| {
            let mask = when.evaluate(batch)?.into_array(batch.num_rows())?;
            Ok(as_boolean_array(&mask)?.clone())
        });
        Ok(Columns {
            routes: routes.collect::<Result<_>>()?,
            filters: filters.collect::<Result<_>>()?,
            object: as_uint32_array(system(batch, OBJECT))?,
            reject: as_string_view_array(system(batch, REJECT))?,
            detail: as_string_view_array(system(batch, DETAIL))?,
        })
    }

    /// Returns the day that owns the row, and what happens to it.
    fn decide(&mut self, columns: &Columns, row: usize) -> (i32, Decision) {
        let object = columns.object.value(row) as usize;
        if columns.reject.is_valid(row) {
            let (day, reason) = (self.objects[object].fallback_day, columns.reject.value(row));
            if is_damage(reason) {
                self.given[object].damaged = Some(day);
            }
            let detail = match columns.detail.is_valid(row) {
                true => columns.detail.value(row),
                false => "",
            };
            return (day, self.reject(object, day, (reason, detail)));
        }
        let route = self.route_of(columns, row);
        let times = &columns.routes[route.unwrap_or(0)].times;
        let time = times.is_valid(row).then(|| times.value(row));
        match self.objects[object].owner(time) {
            Owner::Misplaced { day, reason } => {
                (day, self.reject(object, day, (reason, &time_detail(time))))
            }
            Owner::Day(day) => {
                self.given[object].count(day);
                if self.period_of(day).is_none() {
                    return (day, Decision::OtherPeriod);
                }
                if let Some(reason) = self.filter_of(columns, row) {
                    return (day, Decision::Filtered(reason));
                }
                let decision = match (route, time) {
                    (Some(route), Some(time)) => Decision::Kept { route, time },
                    _ => rejected(("unrouted", "no event of the source takes the row")),
                };
                (day, decision)
            }
        }
    }

    fn reject(&mut self, object: usize, day: i32, why: (&str, &str)) -> Decision {
        self.given[object].count(day);
        match self.period_of(day) {
            Some(_) => rejected(why),
            None => Decision::OtherPeriod,
        }
    }

    fn route_of(&self, columns: &Columns, row: usize) -> Option<usize> {
        let routes = self.program.routes.iter().zip(&columns.routes);
        routes
            .enumerate()
            .find(|(_, (route, columns))| !route.also && columns.takes(row))
            .map(|(index, _)| index)
    }

    fn filter_of(&self, columns: &Columns, row: usize) -> Option<String> {
        let index = columns
            .filters
            .iter()
            .position(|mask| mask.is_valid(row) && mask.value(row))?;
        Some(self.program.filters[index].1.clone())
    }

    /// Gives the row its keys. Returns how many events `also` routes add.
    fn keep(
        &mut self,
        columns: &Columns,
        row: usize,
        (route, time, day): (usize, i64, i32),
        batch: u32,
        keys: &mut Vec<Key>,
        rejections: &mut Vec<Rejection>,
    ) -> u64 {
        let mut also = 0;
        for (other, route_columns) in columns.routes.iter().enumerate() {
            if self.program.routes[other].also
                && route_columns.takes(row)
                && route_columns.times.is_valid(row)
            {
                let time = route_columns.times.value(row);
                if let Ok(group) = self.place(columns, row, other, day) {
                    also += 1;
                    keys.push(Key {
                        group,
                        time,
                        batch,
                        row: row as u32,
                    });
                }
            }
        }
        match self.place(columns, row, route, day) {
            Ok(group) => keys.push(Key {
                group,
                time,
                batch,
                row: row as u32,
            }),
            Err(bad) => rejections.push(Rejection {
                row,
                day,
                reason: bad.reason().to_owned(),
                detail: bad.to_string(),
            }),
        }
        also
    }

    /// The group of a row, or why it has none.
    fn place(
        &mut self,
        columns: &Columns,
        row: usize,
        route: usize,
        day: i32,
    ) -> Result<u32, BadPlace> {
        let places = &self.objects[columns.object.value(row) as usize];
        let RouteColumns {
            account, region, ..
        } = &columns.routes[route];
        let account = value(account.as_ref(), row).unwrap_or(&places.account);
        let region = match &self.terms.region {
            Some(region) => region,
            None => value(region.as_ref(), row).unwrap_or(&places.region),
        };
        self.groups.id(route, region, account, day)
    }
}

fn rejected((reason, detail): (&str, &str)) -> Decision {
    Decision::Rejected {
        reason: reason.to_owned(),
        detail: detail.to_owned(),
    }
}

enum Decision {
    Kept { route: usize, time: i64 },
    Rejected { reason: String, detail: String },
    Filtered(String),
    OtherPeriod,
}

impl RouteColumns {
    fn takes(&self, row: usize) -> bool {
        self.takes
            .as_ref()
            .is_none_or(|mask| mask.is_valid(row) && mask.value(row))
    }
}

impl Places {
    fn of(object: &InputObject, source: &str, terms: &RowTerms) -> Self {
        let account = object.account.clone().or_else(|| terms.account.clone());
        let account = account.unwrap_or_else(|| format!("external_{source}"));
        let region = object.region.as_deref().unwrap_or("unknown");
        let undated = object.fallback_day.unwrap_or(terms.undated_day);
        Self {
            day: object.day,
            margin: object.margin.unwrap_or(terms.margin),
            fallback_day: object.day.unwrap_or(undated),
            region: region.into(),
            account: account.into(),
        }
    }

    /// The owner of a row with this time.
    fn owner(&self, time: Option<i64>) -> Owner {
        match (time.map(|time| time.div_euclid(DAY_MS) as i32), self.day) {
            (Some(day), None) => Owner::Day(day),
            (Some(day), Some(object)) if day.abs_diff(object) <= self.margin => Owner::Day(day),
            (Some(_), Some(object)) => Owner::Misplaced {
                day: object,
                reason: "time_outside_margin",
            },
            (None, _) => Owner::Misplaced {
                day: self.fallback_day,
                reason: "time_missing",
            },
        }
    }
}

fn value(array: Option<&StringViewArray>, row: usize) -> Option<&str> {
    let array = array?;
    array
        .is_valid(row)
        .then(|| array.value(row))
        .filter(|value| !value.is_empty())
}

fn text(
    expr: Option<&Arc<dyn PhysicalExpr>>,
    batch: &RecordBatch,
) -> Result<Option<StringViewArray>> {
    let Some(expr) = expr else { return Ok(None) };
    let array: ArrayRef = expr.evaluate(batch)?.into_array(batch.num_rows())?;
    let array = arrow::compute::cast(&array, &DataType::Utf8View)?;
    Ok(Some(as_string_view_array(&array)?.clone()))
}

fn time_detail(time: Option<i64>) -> String {
    let time = time.and_then(chrono::DateTime::from_timestamp_millis);
    time.map_or_else(
        || "the row has no time".to_owned(),
        |time| format!("the row's time is {}", time.to_rfc3339()),
    )
}

/// A system column; every scan of ours has all of them.
pub(super) fn system<'a>(batch: &'a RecordBatch, name: &str) -> &'a ArrayRef {
    batch
        .column_by_name(name)
        .expect("a scan adds every system column")
}
