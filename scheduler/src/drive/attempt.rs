//! Runs one attempt up to its receipts: lists the splits, makes and submits the plan, and
//! collects the receipts. Readers of the target see nothing of it yet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use plans::attempt::{AttemptSpec, PeriodSpec};
use plans::crash_point;
use plans::lake::{AttemptFiles, attempt_name, digest8};
use plans::receipt::ObjectRows;
use plans::scan::split::{InputObject, Split, SplitRef};
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::context::Load;
use super::watch::Watch;
use crate::decide::coverage::ReadObject;
use crate::input::identity;
use crate::input::inventory::{Inventory, Reach};
use crate::input::splits;
use crate::input::splits::Packing;
use crate::load::dataset;
use crate::load::days::{Day, Month};
use crate::load::failure::{Failure, Kind};
use crate::load::notification::{Notification, Progress};
use crate::load::outcome::Volume;
use crate::load::range::AskedPeriod;
use crate::publish::receipts;
use crate::publish::receipts::Collected;
use crate::publish::work::Work;
use crate::status::PeriodRecord;

/// The load, period and attempt that own a folder of the work area.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptOwner {
    pub dataset: String,
    pub period: Month,
    pub load_id: String,
    pub attempt: u64,
}

/// One attempt to load days of a period.
#[derive(Debug)]
pub struct Attempt<'a> {
    pub load: &'a Load<'a>,
    pub asked: &'a AskedPeriod,
    /// The periods that it writes parts for, if not only for its own.
    pub periods: Vec<PeriodSpec>,
    pub inventory: &'a Inventory,
    pub days: BTreeSet<Day>,
    /// How far the rows of an object may be away from its day.
    pub reach: Reach,
    pub undated_day: Day,
    /// The URI that rejected rows are written to.
    pub quarantine: String,
    pub name: String,
    pub number: u64,
}

/// The result of an attempt before it is published.
#[derive(Debug, Default)]
pub struct Written {
    pub collected: Collected,
    /// Every object that was read, and what it gave, ordered by URI.
    pub objects: Vec<ReadObject>,
}

/// What objects without a date gave to one of the periods that they were read for.
#[derive(Debug)]
pub struct Undated {
    pub collected: Collected,
    /// The objects, shared by all of these periods.
    pub objects: Arc<Vec<ReadObject>>,
}

/// The splits handed to the engine and the input they read.
struct Listed {
    splits: Vec<SplitRef>,
    input: Volume,
}

impl Written {
    /// Adds what objects without a date gave to the same attempt.
    fn add(&mut self, undated: Undated) {
        self.collected.merge(undated.collected);
        self.objects.extend(undated.objects.iter().cloned());
        self.objects.sort_by(|a, b| a.uri.cmp(&b.uri));
    }
}

impl<'a> Attempt<'a> {
    /// Creates the attempt that `record` numbers.
    pub fn new(
        load: &'a Load<'a>,
        asked: &'a AskedPeriod,
        inventory: &'a Inventory,
        days: BTreeSet<Day>,
        record: &PeriodRecord,
    ) -> Self {
        Self {
            load,
            asked,
            periods: Vec::new(),
            inventory,
            reach: load.survey.reach(&BTreeSet::new(), Some(record)),
            days,
            undated_day: load.survey.undated_day,
            quarantine: load.request().terms.quarantine.clone(),
            name: attempt_name(&record.load_id, record.period, record.attempt),
            number: record.attempt,
        }
    }

    /// Reads the input objects of its days and writes unpublished parts. `undated` is what
    /// those without a date gave, if they have been read already.
    pub async fn write(&self, undated: Option<Undated>) -> Result<Written, Failure> {
        let objects = self.inventory.to_read(&self.days, &self.reach);
        let Some(undated) = undated else {
            return self.write_objects(objects.collect()).await;
        };
        let dated = objects.filter(|object| object.day.is_some());
        let mut written = self.write_objects(dated.collect()).await?;
        written.add(undated);
        Ok(written)
    }

    /// The attempt as one of the periods that parts are written for.
    pub fn as_period(&self) -> PeriodSpec {
        PeriodSpec {
            attempt: self.name.clone(),
            digest8: digest8(&self.name),
            period: self.asked.period.to_string(),
            days: self.days.iter().map(|day| day.0).collect(),
        }
    }

    /// Reads these objects and writes unpublished parts.
    pub async fn write_objects(&self, mut objects: Vec<InputObject>) -> Result<Written, Failure> {
        if let Some(check) = &self.load.driver.input_check {
            check(&objects)?;
        }
        for object in &mut objects {
            object.fallback_day = match object.day {
                Some(_) => None,
                None => Some(self.fallback_day(object).0),
            };
        }
        let mut packed = splits::pack(objects, &self.days, &Packing::default());
        let mut collected = self.write_splits(&mut packed).await?;
        let given = std::mem::take(&mut collected.objects);
        let objects = self.given(packed, given);
        Ok(Written { collected, objects })
    }

    /// The day that owns an undated object's rows without a readable time.
    fn fallback_day(&self, object: &InputObject) -> Day {
        let known = self.load.survey.fallback_days.get(&identity::uri(object));
        known.copied().unwrap_or(self.undated_day)
    }

    /// Joins the objects of the splits with what their receipts say about them.
    fn given(
        &self,
        packed: Vec<Split>,
        mut given: BTreeMap<String, Vec<ObjectRows>>,
    ) -> Vec<ReadObject> {
        let mut objects = Vec::new();
        for split in packed {
            let rows = given.remove(&split.id).unwrap_or_default().into_iter();
            let rows = rows.chain(std::iter::repeat_with(ObjectRows::default));
            for (object, given) in split.objects.into_iter().zip(rows) {
                objects.push(ReadObject {
                    uri: identity::uri(&object),
                    margin: self.reach.of(object.day.map(Day)),
                    fallback_day: self.fallback_day(&object),
                    object,
                    given: given.into(),
                });
            }
        }
        objects.sort_by(|a, b| a.uri.cmp(&b.uri));
        objects
    }

    /// Does the same as [`Attempt::write`] for splits that are packed already.
    pub async fn write_splits(&self, packed: &mut [Split]) -> Result<Collected, Failure> {
        let margin = self.load.request().terms.margin;
        for object in packed.iter_mut().flat_map(|split| &mut split.objects) {
            let own = self.reach.of(object.day.map(Day));
            object.margin = (own != margin).then_some(own);
        }
        let listed = self.list(packed).await?;
        crash_point::reach("after-listing");
        self.report_started(&listed);
        if listed.splits.is_empty() {
            return Ok(Collected::default());
        }
        let wanted: BTreeSet<String> = packed.iter().map(|split| split.id.clone()).collect();
        let ended = self.execute(listed).await;
        let collected = self.collect(ended, &wanted).await?;
        self.load.survey.bounds()?.check_receipts(&collected)?;
        self.check_days(&collected)?;
        crash_point::reach("before-manifest");
        Ok(collected)
    }

    /// Writes the split files that the plan refers to.
    async fn list(&self, packed: &[Split]) -> Result<Listed, Failure> {
        let owner = AttemptOwner {
            dataset: self.load.survey.dataset.clone(),
            period: self.asked.period.month(),
            load_id: self.load.id.clone(),
            attempt: self.number,
        };
        let files = AttemptFiles(&self.name);
        self.work().put(&files.owner(), &owner).await?;
        let mut listed = Listed {
            splits: Vec::new(),
            input: Volume::default(),
        };
        for split in packed {
            let name = files.split(&split.id);
            listed.splits.push(SplitRef {
                id: split.id.clone(),
                path: self.work().path(&name).to_string(),
                size: self.work().put(&name, split).await?,
            });
            listed.input.objects += split.objects.len() as u64;
            listed.input.bytes += split.objects.iter().map(|object| object.size).sum::<u64>();
        }
        Ok(listed)
    }

    /// Runs the plan until it ends or stops making progress.
    async fn execute(&self, listed: Listed) -> Result<(), Failure> {
        let (input, splits) = (listed.input, listed.splits.len());
        let spec = self.spec(listed.splits);
        let request = self.load.request();
        let planner = &self.load.driver.planner;
        let plan =
            planner(&request.source.program, &request.source.format, &spec).map_err(|error| {
                let remedy = "check the source with `lakebolt lint`";
                Failure::of(Kind::Work, "no_plan", error.as_ref(), remedy)
            })?;
        let running = self.load.driver.submit.run(&self.name, plan);
        let progress = Progress {
            period: self.asked.period.to_string(),
            splits,
            bytes: input.bytes,
            ..Progress::default()
        };
        let driver = self.load.driver;
        let watch = Watch::new(self.work(), &self.name, progress);
        tokio::select! {
            ended = running => ended.map_err(Failure::from),
            followed = watch.follow(driver.timing, &driver.activity, driver.observer.as_ref()) => followed,
        }
    }

    fn spec(&self, splits: Vec<SplitRef>) -> AttemptSpec {
        let request = self.load.request();
        let periods = match self.periods.as_slice() {
            [] => vec![self.as_period()],
            several => several.to_vec(),
        };
        AttemptSpec {
            attempt: self.name.clone(),
            periods,
            source: request.source.name.clone(),
            work: request.terms.work.clone(),
            splits,
            targets: dataset::targets(request),
            quarantine: self.quarantine.clone(),
            access: dataset::access(request),
            load_id: self.load.id.clone(),
            margin: request.terms.margin,
            undated_day: self.undated_day.0,
            region: request.terms.region.clone(),
            account: request.terms.account.clone(),
            memory_bytes: request.terms.memory_bytes,
        }
    }

    /// The receipts decide. If every receipt was written, the attempt succeeded even when the
    /// engine reports a failure.
    async fn collect(
        &self,
        ended: Result<(), Failure>,
        wanted: &BTreeSet<String>,
    ) -> Result<Collected, Failure> {
        let collected = receipts::collect(self.work(), &self.name, wanted).await;
        match (ended, collected) {
            (Ok(()), collected) => Ok(collected?),
            (Err(failure), Ok(collected)) if failure.kind != Kind::Cancelled => {
                warn!(%failure, "the engine failed after every split was done");
                Ok(collected)
            }
            (Err(failure), _) => Err(failure),
        }
    }

    /// Checks that every part belongs to a day of this attempt. Publishing any other part
    /// would duplicate its rows.
    fn check_days(&self, collected: &Collected) -> Result<(), Failure> {
        let foreign = |day: &Day| !self.days.contains(day);
        let mut days = collected.parts.iter().map(|part| Day(part.day));
        let Some(day) = days.find(foreign) else {
            return Ok(());
        };
        let message = format!("a part was written for {day}, which this attempt does not load");
        let remedy = "nothing was published: please report it";
        Err(Failure::new(Kind::Bug, "foreign_day", message, remedy))
    }

    fn report_started(&self, listed: &Listed) {
        self.load.report(&Notification::PeriodStarted {
            period: self.asked.period.to_string(),
            attempt: self.number,
            days: self.days.len(),
            splits: listed.splits.len(),
            input: listed.input,
        });
    }

    fn work(&self) -> &Work {
        &self.load.survey.work
    }
}
