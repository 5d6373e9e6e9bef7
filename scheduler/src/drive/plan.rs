//! Shows the decisions that `run` would make for each period, without loading anything.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::context::Driver;
use super::survey::{Selection, Survey, refuse_empty};
use crate::decide::incomplete::incomplete;
use crate::decide::remaining::{LoadReason, Remaining, SkipReason};
use crate::decide::warnings::warnings;
use crate::input::paths::Skip;
use crate::load::days::Day;
use crate::load::failure::Failure;
use crate::load::outcome::{Incomplete, Volume};
use crate::load::range::{AskedPeriod, Period};
use crate::load::terms::LoadRequest;
use crate::publish::target;
use crate::status::State;

/// The decisions of a load.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LoadPlan {
    pub dataset: String,
    pub source: String,
    pub config_digest: String,
    /// The URI that each class is written to.
    pub targets: BTreeMap<String, String>,
    pub quarantine: String,
    /// The objects listed for the requested days and their margin.
    pub input: Volume,
    /// Objects that are not read, counted by reason.
    pub ignored: BTreeMap<Skip, u64>,
    pub periods: Vec<PeriodPlan>,
    /// Days that miss rows, and objects that are not read.
    #[serde(flatten)]
    pub incomplete: Incomplete,
    pub warnings: Vec<String>,
}

/// The decisions for one period.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PeriodPlan {
    pub period: Period,
    pub load: BTreeMap<Day, LoadReason>,
    /// Days whose new objects would be read, to know whether they hold rows of these days.
    pub check: BTreeSet<Day>,
    pub skip: BTreeMap<Day, SkipReason>,
    /// The input that would be read, including the margin.
    pub input: Volume,
    /// The state of the period's record, if it has one.
    pub state: Option<State>,
    /// Whether the month would be complete: every day that any load requested is loaded and
    /// closed.
    pub completes: bool,
}

impl Driver {
    /// Makes the same decisions as `run` and writes nothing.
    pub async fn plan(&self, request: &LoadRequest) -> Result<LoadPlan, Failure> {
        target::check_places(request)?;
        let (status, now) = (self.status.clone(), self.now());
        let selection = Selection::Range(now.day());
        let mut survey = Survey::make(request, &selection, status, "", now).await?;
        let remaining = survey.remaining().await?;
        refuse_empty(&survey)?;
        survey.target().check_owner().await?;
        let periods = survey.asked.iter().zip(&remaining);
        let counts = survey.inventory.counts();
        Ok(LoadPlan {
            dataset: survey.dataset.clone(),
            source: request.source.name.clone(),
            config_digest: request.source.program.digest.clone(),
            targets: crate::load::dataset::targets(request),
            quarantine: request.terms.quarantine.clone(),
            input: Volume {
                objects: counts.objects,
                bytes: counts.bytes,
            },
            ignored: counts.skipped.clone(),
            periods: periods
                .map(|(asked, remaining)| period(&survey, asked, remaining))
                .collect(),
            incomplete: Incomplete {
                unaddressable: counts.unaddressable.clone(),
                ..incomplete(&survey.records, None)
            },
            warnings: warnings(&remaining)
                .into_iter()
                .chain(counts.warning())
                .collect(),
        })
    }
}

fn period(survey: &Survey, asked: &AskedPeriod, remaining: &Remaining) -> PeriodPlan {
    PeriodPlan {
        period: asked.period,
        load: remaining.load.clone(),
        check: remaining.check.clone(),
        skip: remaining.skip.clone(),
        input: survey.volume(remaining.load.keys().chain(&remaining.check)),
        state: survey
            .record(asked.period.month())
            .map(|record| record.state),
        completes: remaining.completes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::tests::fakes::{Engine, World, noon};
    use crate::status::StatusStore;

    #[tokio::test]
    async fn a_plan_shows_what_a_run_would_do_and_writes_nothing() {
        let world = World::new();
        world.log("2024-02-01", "one.log", &["a"]);
        world.log("2024-02-02", "one.log", &["b"]);
        world
            .run(&world.request("2024-02-01", "2024-02-01"), &[])
            .await;
        let before = (
            world.files("lake"),
            world.status.loads(9).await.unwrap().len(),
        );
        let driver = world.driver(&Engine::with(&[]), noon);
        let plan = driver
            .plan(&world.request("2024-02-01", "2024-02-02"))
            .await
            .unwrap();
        let loads: Vec<_> = plan.periods[0].load.values().collect();
        assert_eq!(loads, [&LoadReason::NeverLoaded]);
        assert!(plan.periods[0].skip.values().eq([&SkipReason::Covered]));
        assert_eq!(plan.periods[0].input.objects, 2, "the day and its margin");
        assert_eq!(plan.periods[0].state, Some(State::Done));
        let after = (
            world.files("lake"),
            world.status.loads(9).await.unwrap().len(),
        );
        assert_eq!(before, after);
        assert!(serde_json::to_string(&plan).is_ok());
    }
}
