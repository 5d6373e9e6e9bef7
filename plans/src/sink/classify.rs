//! Decides which of a split's rows are kept, and where each one goes.
//!
//! Ownership is total: every row is owned by exactly one day, so that periods
//! that read the same margin neither lose nor double it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, RecordBatch, StringViewArray, TimestampMillisecondArray,
};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::common::cast::{as_string_view_array, as_uint32_array};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::collect_columns;

use super::event::{EXPRESSION_FAILED, Failures, evaluate};
use super::group::{BadPlace, Group, Groups};
use super::program::{PhysicalProgram, condition};
use super::rows::RowTerms;
use super::sort::Key;
use crate::decode::time::PLAUSIBLE;
use crate::decode::{DETAIL, OBJECT, REJECT, is_damage};
use crate::functions::REDACTED;
use crate::mapping::Placed;
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
    /// Columns whose values are credentials.
    hidden: BTreeSet<String>,
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
    /// The rows for which `when` failed.
    undecided: Failures,
    /// The rows for which time, account or region failed.
    failed: Failures,
}

/// What a batch's rows are decided from.
struct Columns<'a> {
    batch: &'a RecordBatch,
    /// Whether any row's expression failed.
    has_failures: bool,
    routes: Vec<RouteColumns>,
    filters: Vec<(BooleanArray, Failures)>,
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
            hidden: hidden(&program),
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
            let (mut undecided, mut failed) = (Failures::default(), Failures::default());
            Ok(RouteColumns {
                takes: route.takes(batch, &mut undecided)?,
                times: route.times(batch, &mut failed)?,
                account: text(route.account.as_ref(), batch, &mut failed)?,
                region: text(route.region.as_ref(), batch, &mut failed)?,
                undecided,
                failed,
            })
        });
        let filters = self.program.filters.iter().map(|(when, _)| {
            let mut failures = Failures::default();
            let mask = condition(when, batch, &mut failures)?;
            Ok((mask, failures))
        });
        let routes: Vec<RouteColumns> = routes.collect::<Result<_>>()?;
        let filters: Vec<(BooleanArray, Failures)> = filters.collect::<Result<_>>()?;
        let has_failures = {
            let of_routes = routes
                .iter()
                .flat_map(|route| [&route.undecided, &route.failed]);
            let of_filters = filters.iter().map(|(_, failures)| failures);
            let mut failures = of_filters.chain(of_routes);
            failures.any(|failures| !failures.rows.is_empty())
        };
        Ok(Columns {
            batch,
            has_failures,
            routes,
            filters,
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
        if let Some(detail) = self.failure_of(columns, row, route) {
            let day = self.objects[object].fallback_day;
            return (day, self.reject(object, day, (EXPRESSION_FAILED, detail)));
        }
        let times = &columns.routes[route.unwrap_or(0)].times;
        let time = times.is_valid(row).then(|| times.value(row));
        match self.objects[object].owner(time) {
            Owner::Misplaced { day, reason } => {
                let detail = match time {
                    Some(time) => shown_time(time),
                    None => self.time_missing(columns, row, route.unwrap_or(0)),
                };
                (day, self.reject(object, day, (reason, &detail)))
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

    /// Why it cannot be said what the row becomes.
    fn failure_of<'c>(
        &self,
        columns: &'c Columns,
        row: usize,
        route: Option<usize>,
    ) -> Option<&'c str> {
        if !columns.has_failures {
            return None;
        }
        let filters = columns.filters.iter().map(|(_, failures)| failures);
        let tried = columns
            .routes
            .iter()
            .take(route.map_or(usize::MAX, |route| route + 1));
        let tried = tried
            .chain(self.also(columns))
            .map(|route| &route.undecided);
        let chosen = columns
            .routes
            .get(route.unwrap_or(0))
            .map(|route| &route.failed);
        let mut all = filters.chain(tried).chain(chosen);
        all.find_map(|failures| failures.of(row))
    }

    fn also<'c>(&self, columns: &'c Columns) -> impl Iterator<Item = &'c RouteColumns> {
        let routes = self.program.routes.iter().zip(&columns.routes);
        routes
            .filter(|(route, _)| route.also)
            .map(|(_, columns)| columns)
    }

    /// Why the row has no time: the expression, and what its columns have.
    fn time_missing(&self, columns: &Columns, row: usize, route: usize) -> String {
        let Some(route) = self.program.routes.get(route) else {
            return "the row has no time".to_owned();
        };
        let mut values = Vec::new();
        for column in collect_columns(&route.time.expr) {
            let hides = self.hidden.contains(column.name());
            let value = columns.batch.column_by_name(column.name());
            let value = value.and_then(|array| shown_value(array, row));
            values.push(match value {
                None => format!("{} has no value", column.name()),
                Some(_) if hides => format!("{} is {REDACTED}", column.name()),
                Some(value) => format!("{} is `{value}`", column.name()),
            });
        }
        values.sort();
        format!("{}: {}", route.time.at, values.join(", "))
    }

    fn filter_of(&self, columns: &Columns, row: usize) -> Option<String> {
        let index = columns
            .filters
            .iter()
            .position(|(mask, _)| mask.is_valid(row) && mask.value(row))?;
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
        if time.is_some_and(|time| !PLAUSIBLE.contains(&time)) {
            return Owner::Misplaced {
                day: self.fallback_day,
                reason: "time_implausible",
            };
        }
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
    placed: Option<&Placed<Arc<dyn PhysicalExpr>>>,
    batch: &RecordBatch,
    failures: &mut Failures,
) -> Result<Option<StringViewArray>> {
    let Some(placed) = placed else {
        return Ok(None);
    };
    let array: ArrayRef = evaluate(placed, batch, failures)?;
    let array = arrow::compute::cast(&array, &DataType::Utf8View)?;
    Ok(Some(as_string_view_array(&array)?.clone()))
}

/// The columns whose values are credentials.
fn hidden(program: &PhysicalProgram) -> BTreeSet<String> {
    let hidden = program.columns.iter().filter(|column| column.hidden);
    hidden.map(|column| column.name.clone()).collect()
}

fn shown_time(time: i64) -> String {
    let shown = match chrono::DateTime::from_timestamp_millis(time) {
        Some(time) => time.to_rfc3339(),
        None => format!("{time} ms"),
    };
    match PLAUSIBLE.contains(&time) {
        true => format!("the row's time is {shown}"),
        false => format!("the row's time is {shown}: is its unit another one?"),
    }
}

/// The most characters of a value in a detail.
const SHOWN: usize = 100;

fn shown_value(array: &ArrayRef, row: usize) -> Option<String> {
    let value = array.slice(row, 1);
    let texts = arrow::compute::cast(&value, &DataType::Utf8View).ok()?;
    let texts = as_string_view_array(&texts).ok()?;
    let text = texts.is_valid(0).then(|| texts.value(0))?;
    // JSON may hold credentials.
    Some(match text.trim_ascii_start().as_bytes().first() {
        Some(b'{' | b'[') => "JSON".to_owned(),
        _ => text.chars().take(SHOWN).collect(),
    })
}

/// A system column; every scan of ours has all of them.
pub(super) fn system<'a>(batch: &'a RecordBatch, name: &str) -> &'a ArrayRef {
    batch
        .column_by_name(name)
        .expect("a scan adds every system column")
}
