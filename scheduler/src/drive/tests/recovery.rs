//! Loads whose process dies, and loads whose status store is unavailable for a while.

use std::time::Duration;

use super::fakes::{Dying, Engine, Fault, World, later, noon};
use super::loads::{full, records, states, turn_of_month, whole};
use crate::drive::survey::Selection;
use crate::load::outcome::{PeriodOutcome, PeriodState};
use crate::load::terms::{LoadRequest, Range};
use crate::status::{State, StatusStore};

/// A load that waits past midnight still loads the days that it was submitted for.
#[tokio::test]
async fn a_daily_load_that_is_resumed_on_the_next_day_loads_its_own_days() {
    let world = World::new();
    for (day, row) in [
        ("2024-03-18", "a"),
        ("2024-03-19", "b"),
        ("2024-03-20", "c"),
    ] {
        world.log(day, "one.log", &[row]);
    }
    let mut daily = world.request("2024-03-18", "2024-03-19");
    daily.terms.range = Range::Daily(1);
    let dead = world.driver(&Engine::with(&[]), noon);
    let outcome = dead.outcome_of(&daily);
    dead.begin(&daily, &outcome).await.unwrap();
    let record = world.status.load(&outcome.load_id).await.unwrap().unwrap();
    let tomorrow = || "2024-03-21T00:10:00Z".parse().unwrap();
    let driver = world.driver(&Engine::with(&[]), tomorrow);
    let retried = driver.retry(&daily, &record).await;
    assert_eq!(retried.periods[0].period, "2024-03-19", "{retried:?}");
    assert_eq!(world.rows(), ["b"]);
}

/// Kills a load at every status write, before or after the write is stored, and lets another
/// driver continue.
async fn dies_everywhere(
    prepare: &[Fault],
    request: impl Fn(&World) -> LoadRequest,
    from: &[Fault],
) {
    for at in 1..=12 {
        for after in [false, true] {
            let world = turn_of_month();
            if !prepare.is_empty() {
                world.run(&whole(&world), &[]).await;
            }
            let status = Dying::at(world.status.clone(), at, after);
            let driver = world.driver_on(status.clone(), &Engine::with(from), noon);
            let asked = request(&world);
            let mut died = status.died.subscribe();
            let running = tokio::spawn(async move { driver.run(&asked).await });
            let finished = tokio::select! {
                _ = died.wait_for(|died| *died) => false,
                () = async { while !running.is_finished() {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                } } => true,
            };
            running.abort();
            let _ = running.await;
            let asked = request(&world);
            let outcome = world.driver(&Engine::with(&[]), later).run(&asked).await;
            assert_eq!(outcome.exit_code, 0, "write {at}, {after}: {outcome:?}");
            assert_eq!(world.rows(), ["a", "b", "c", "d"], "write {at}, {after}");
            for record in records(&world).await {
                assert_eq!(record.state, State::Done, "write {at}, {after}");
            }
            if finished {
                return;
            }
        }
    }
    panic!("more writes than expected");
}

/// At each write, either the request or the answer is lost. More calls fail than a single
/// write retries.
#[tokio::test]
async fn a_load_waits_for_a_status_store_that_is_unavailable_at_any_write() {
    let rounds = (1..=12).flat_map(|at| [(at, false), (at, true)]);
    let rounds = rounds.map(|(at, after)| async move {
        let world = turn_of_month();
        let status = Dying::unavailable(world.status.clone(), at, after, 14);
        let mut driver = world.driver_on(status, &Engine::with(&[]), noon);
        driver.timing.patience = Duration::from_secs(60);
        let outcome = driver.run(&whole(&world)).await;
        assert_eq!(outcome.exit_code, 0, "write {at}, {after}: {outcome:?}");
        assert_eq!(world.rows(), ["a", "b", "c", "d"], "write {at}, {after}");
        for record in records(&world).await {
            assert_eq!(record.state, State::Done, "write {at}, {after}");
        }
        let written: u64 = outcome
            .periods
            .iter()
            .map(|period| period.rows.written)
            .sum();
        assert_eq!(written, 4, "write {at}, {after}: {outcome:?}");
        let read = outcome
            .periods
            .iter()
            .all(|period| period.input.objects > 0);
        assert!(read, "write {at}, {after}: {outcome:?}");
    });
    futures::future::join_all(rounds).await;
}

/// A restarted scheduler does not know which periods were published already.
#[tokio::test]
async fn a_finished_load_that_is_resumed_reports_the_same_outcome() {
    let world = turn_of_month();
    for (day, row) in [("2024-03-18", "e"), ("2024-03-19", "f")] {
        world.log(day, "one.log", &[row]);
    }
    let mut daily = world.request("2024-03-18", "2024-03-19");
    daily.terms.range = Range::Daily(2);
    for request in [whole(&world), daily] {
        let first = world.run(&request, &[]).await;
        assert_eq!(states(&first), [PeriodState::Done, PeriodState::Done]);
        let record = world.status.load(&first.load_id).await.unwrap().unwrap();
        let driver = world.driver(&Engine::with(&[]), noon);
        let again = driver
            .resume(
                &request,
                &Selection::Range(record.started_at.day()),
                &record,
            )
            .await;
        assert_eq!(states(&again), [PeriodState::Done, PeriodState::Done]);
        for (first, again) in first.periods.iter().zip(&again.periods) {
            assert_eq!(again.reason, "published earlier");
            let what = |of: &PeriodOutcome| (of.period.clone(), of.rows, of.input, of.output);
            assert_eq!(what(again), what(first));
        }
    }
}

#[tokio::test]
async fn a_load_that_dies_at_any_write_is_resumed() {
    dies_everywhere(&[], whole, &[]).await;
}

#[tokio::test]
async fn a_full_load_that_dies_at_any_write_duplicates_and_loses_no_row() {
    dies_everywhere(&[Fault::Twice], |world| full(&whole(world)), &[]).await;
}

#[tokio::test]
async fn a_repair_that_dies_at_any_write_duplicates_and_loses_no_row() {
    dies_everywhere(
        &[Fault::Twice],
        |world| full(&whole(world)),
        &[Fault::LosesPart],
    )
    .await;
}

#[tokio::test]
async fn an_open_load_publishes_what_a_dead_load_has_committed() {
    for at in 1..=12 {
        let world = World::new();
        // No path names February. Its row is known from the object of March.
        world.raw("2024-03-01", "one.log", "2024-02-29 a\n2024-03-01 b\n");
        let range = world.request("2024-02-28", "2024-03-02");
        let status = Dying::at(world.status.clone(), at, true);
        let driver = world.driver_on(status.clone(), &Engine::with(&[]), noon);
        let mut died = status.died.subscribe();
        tokio::select! {
            _ = driver.run(&range) => {}
            _ = died.wait_for(|died| *died) => {}
        }
        let mut open = world.request("2024-02-28", "2024-03-02");
        open.terms.range = Range::Everything;
        let outcome = world.driver(&Engine::with(&[]), later).run(&open).await;
        assert_eq!(outcome.exit_code, 0, "write {at}: {outcome:?}");
        assert_eq!(world.rows(), ["a", "b"], "write {at}");
    }
}

#[tokio::test]
async fn a_margin_that_a_dead_load_has_committed_decides_about_its_rows() {
    for at in 1..=12 {
        let world = World::new();
        // By the first margin the row `a` belongs to its object's day, by the second to its own.
        world.raw("2024-03-02", "one.log", "2024-02-29 a\n2024-03-02 b\n");
        let march = world.request("2024-03-01", "2024-03-04");
        let status = Dying::at(world.status.clone(), at, true);
        let driver = world.driver_on(status.clone(), &Engine::with(&[]), noon);
        let mut died = status.died.subscribe();
        tokio::select! {
            _ = driver.run(&march) => {}
            _ = died.wait_for(|died| *died) => {}
        }
        let mut both = world.request("2024-02-28", "2024-03-04");
        both.terms.margin = 2;
        world.driver(&Engine::with(&[]), later).run(&both).await;
        let visible = world.rows().len() + world.rejected().len();
        assert_eq!(visible, 2, "write {at}: {:?}", world.rows());
    }
}
