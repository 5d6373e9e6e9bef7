//! Complete loads with a fake engine and an in-memory status store.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;

use super::fakes::{Engine, Fault, World, later, noon, program};
use crate::load::outcome::{LoadState, Outcome, PeriodState};
use crate::load::terms::{LoadRequest, OnStale, Range};
use crate::status::{PeriodRecord, State, StatusStore};

/// Four days from 30 January to 2 February, with one file of one row each.
pub(super) fn turn_of_month() -> World {
    let world = World::new();
    for (day, row) in [
        ("2024-01-30", "a"),
        ("2024-01-31", "b"),
        ("2024-02-01", "c"),
        ("2024-02-02", "d"),
    ] {
        world.log(day, "one.log", &[row]);
    }
    world
}

pub(super) fn whole(world: &World) -> LoadRequest {
    world.request("2024-01-30", "2024-02-02")
}

pub(super) fn full(request: &LoadRequest) -> LoadRequest {
    let mut full = request.clone();
    full.terms.full_load = true;
    full
}

pub(super) fn states(outcome: &Outcome) -> Vec<PeriodState> {
    outcome.periods.iter().map(|period| period.state).collect()
}

pub(super) async fn records(world: &World) -> Vec<PeriodRecord> {
    let datasets = world.status.datasets().await.unwrap();
    world.status.periods(&datasets[0]).await.unwrap()
}

fn code(outcome: &Outcome) -> &str {
    let of_period = || {
        outcome
            .periods
            .iter()
            .find_map(|period| period.error.as_ref())
    };
    let error = outcome.error.as_ref().or_else(of_period);
    error.map_or("", |failure| &failure.code)
}

#[tokio::test]
async fn two_months_are_loaded_and_the_second_run_does_nothing() {
    let world = turn_of_month();
    let outcome = world.run(&whole(&world), &[]).await;
    assert_eq!(outcome.exit_code, 0, "{outcome:?}");
    assert_eq!(states(&outcome), [PeriodState::Done, PeriodState::Done]);
    assert_eq!(outcome.rows.written, 4);
    assert_eq!(world.rows(), ["a", "b", "c", "d"]);
    assert!(records(&world).await.iter().all(|record| {
        record.state == State::Done && record.load_completed && record.lease_owner.is_none()
    }));
    let again = world.run(&whole(&world), &[]).await;
    assert_eq!(again.exit_code, 0);
    assert_eq!(states(&again), [PeriodState::Skipped, PeriodState::Skipped]);
    assert_eq!(again.periods[0].reason, "covered");
    let records = records(&world).await;
    assert_eq!(records[0].attempt, 1, "a skipped period takes no lease");
}

#[tokio::test]
async fn no_files_of_an_attempt_are_left_in_the_work_area() {
    let world = turn_of_month();
    world
        .run(&whole(&world), &[Fault::Twice, Fault::Fails])
        .await;
    let left = world.files("lake/.lakebolt");
    let ends: Vec<_> = left.iter().map(|path| path.extension().unwrap()).collect();
    let of_month = ["json", "objects"];
    assert_eq!(
        ends,
        [of_month, of_month].concat(),
        "a manifest and a list: {left:?}"
    );
}

#[tokio::test]
async fn margin_rows_belong_to_the_period_of_their_time() {
    let world = turn_of_month();
    world.raw("2024-02-01", "late.log", "2024-01-31 straggler\n");
    let outcome = world.run(&whole(&world), &[]).await;
    assert_eq!(world.rows(), ["a", "b", "c", "d", "straggler"]);
    assert_eq!(outcome.periods[0].rows.written, 3);
    assert!(outcome.rows.adds_up());
}

#[tokio::test]
async fn an_enlarged_month_keeps_its_earlier_days() {
    let world = turn_of_month();
    world
        .run(&world.request("2024-02-01", "2024-02-01"), &[])
        .await;
    let before = world.files("lake/ext");
    let outcome = world
        .run(&world.request("2024-02-01", "2024-02-02"), &[])
        .await;
    assert_eq!(outcome.periods[0].days.len(), 1);
    assert_eq!(world.rows(), ["c", "d"]);
    assert!(before.iter().all(|path| path.exists()));
    let record = &records(&world).await[0];
    assert_eq!((record.objects, record.ledger.written), (2, 2));
}

#[tokio::test]
async fn a_full_load_replaces_rows_without_duplicates() {
    let world = turn_of_month();
    world.run(&whole(&world), &[]).await;
    let before = world.files("lake/ext");
    let outcome = world.run(&full(&whole(&world)), &[]).await;
    assert_eq!(states(&outcome), [PeriodState::Done, PeriodState::Done]);
    assert_eq!(world.rows(), ["a", "b", "c", "d"]);
    assert!(before.iter().all(|path| !path.exists()));
}

#[tokio::test]
async fn a_late_file_reloads_only_the_days_that_it_has_rows_of() {
    let world = World::new();
    for day in 10..=20 {
        world.log(&format!("2024-02-{day}"), "one.log", &["x"]);
    }
    let request = world.request("2024-02-10", "2024-02-20");
    world.run(&request, &[]).await;
    world.log("2024-02-15", "two.log", &["late"]);
    let outcome = world.run(&request, &[]).await;
    let days: Vec<String> = outcome.periods[0]
        .days
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(days, ["2024-02-15"]);
    assert_eq!(world.rows().len(), 12);
}

#[tokio::test]
async fn a_changed_configuration_is_reported_and_reloaded_only_on_request() {
    let world = turn_of_month();
    world.run(&whole(&world), &[]).await;
    let mut request = whole(&world);
    request.source.program = program("two");
    let outcome = world.run(&request, &[]).await;
    assert_eq!(outcome.exit_code, 0);
    assert_eq!(outcome.warnings.len(), 2);
    assert!(outcome.warnings[0].contains("stale"));
    request.terms.on_stale = OnStale::Reload;
    let outcome = world.run(&request, &[]).await;
    assert_eq!(states(&outcome), [PeriodState::Done, PeriodState::Done]);
    assert_eq!(world.rows().len(), 4);
}

#[tokio::test]
async fn the_day_of_a_deleted_object_is_loaded_again() {
    let world = turn_of_month();
    world.run(&whole(&world), &[]).await;
    std::fs::remove_file(&world.files("lake/ext")[0]).unwrap();
    let outcome = world.run(&whole(&world), &[]).await;
    assert_eq!(states(&outcome), [PeriodState::Done, PeriodState::Skipped]);
    assert_eq!(outcome.periods[0].days.len(), 1);
    assert_eq!(world.rows(), ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn another_input_is_refused_unless_it_is_a_full_load() {
    let world = turn_of_month();
    world.run(&whole(&world), &[]).await;
    std::fs::rename(world.path("input"), world.path("other")).unwrap();
    let mut request = whole(&world);
    request.terms.inputs = vec![world.uri("other")];
    let outcome = world.run(&request, &[]).await;
    assert_eq!(code(&outcome), "another_input");
    assert_eq!(outcome.exit_code, 2);
    assert_eq!(world.run(&full(&request), &[]).await.exit_code, 0);
    assert_eq!(world.rows(), ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn a_failed_attempt_is_tried_again() {
    for fault in [Fault::Fails, Fault::NoReceipt] {
        let world = turn_of_month();
        let outcome = world.run(&whole(&world), &[fault]).await;
        assert_eq!(outcome.exit_code, 0, "{fault:?}");
        let attempts: u64 = outcome.periods.iter().map(|period| period.attempts).sum();
        assert_eq!(attempts, 3, "{fault:?}");
        assert_eq!(world.rows(), ["a", "b", "c", "d"], "{fault:?}");
    }
}

#[tokio::test]
async fn receipts_decide_rather_than_the_engine_status() {
    let world = turn_of_month();
    let outcome = world
        .run(&whole(&world), &[Fault::FailsLate, Fault::Twice])
        .await;
    assert_eq!(outcome.exit_code, 0);
    assert!(outcome.periods.iter().all(|period| period.attempts == 1));
    assert_eq!(world.rows(), ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn a_failed_period_does_not_stop_the_others() {
    let world = turn_of_month();
    let mut request = whole(&world);
    request.terms.max_attempts = 2;
    request.terms.parallel = 1;
    let outcome = world.run(&request, &[Fault::Fails, Fault::Fails]).await;
    assert_eq!(states(&outcome), [PeriodState::Failed, PeriodState::Done]);
    assert_eq!(outcome.exit_code, 3);
    assert_eq!(world.rows(), ["c", "d"]);
    assert_eq!(records(&world).await[0].state, State::Failed);
}

#[tokio::test]
async fn retry_loads_the_failed_periods_and_nothing_else() {
    let world = turn_of_month();
    let mut request = whole(&world);
    request.terms.parallel = 1;
    let failed = world.run(&request, &[Fault::Fails; 3]).await;
    let record = world.status.load(&failed.load_id).await.unwrap().unwrap();
    assert_eq!(record.state, LoadState::Failed);
    let terms = record.request.terms.clone().unwrap();
    let request = LoadRequest { terms, ..request };
    let driver = world.driver(&Engine::with(&[]), noon);
    let outcome = driver.retry(&request, &record).await;
    assert_eq!(outcome.periods.len(), 1);
    assert_eq!(outcome.exit_code, 0);
    assert_eq!(world.rows(), ["a", "b", "c", "d"]);
    let record = world.status.load(&outcome.load_id).await.unwrap().unwrap();
    let nothing = driver.retry(&request, &record).await;
    assert!(nothing.exit_code == 0 && nothing.periods.is_empty());
}

#[tokio::test]
async fn rows_that_do_not_add_up_are_never_published() {
    let world = turn_of_month();
    let outcome = world.run(&whole(&world), &[Fault::Miscounts; 6]).await;
    assert_eq!(code(&outcome), "ledger_does_not_add_up");
    assert_eq!(outcome.exit_code, 3);
    assert!(outcome.periods.iter().all(|period| period.attempts == 1));
    assert!(world.rows().is_empty());
}

#[tokio::test]
async fn too_many_rejected_rows_are_not_published() {
    let world = turn_of_month();
    world.raw("2024-02-02", "bad.log", &"garbage\n".repeat(20));
    let outcome = world.run(&whole(&world), &[]).await;
    assert_eq!(code(&outcome), "too_many_quarantined");
    assert_eq!(world.rows(), ["a", "b"]);
    assert!(world.files("lake/.lakebolt/staging").is_empty());
    let mut request = whole(&world);
    request.terms.max_quarantine = 95.0;
    let outcome = world.run(&request, &[]).await;
    assert_eq!(outcome.exit_code, 0);
    assert_eq!(outcome.periods[1].reasons["bad"], 20);
    assert_eq!(world.files("lake.quarantine").len(), 1);
    assert_eq!(world.rows(), ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn lost_parts_are_repaired_before_old_objects_are_removed() {
    let world = turn_of_month();
    world.run(&whole(&world), &[]).await;
    let before = world.files("lake/ext");
    let mut request = full(&whole(&world));
    request.terms.max_attempts = 1;
    request.terms.parallel = 1;
    let outcome = world.run(&request, &[Fault::LosesPart]).await;
    assert_eq!(code(&outcome), "parts_lost");
    let record = records(&world).await.remove(0);
    assert_eq!(record.state, State::Repairing);
    assert!(record.covered_days.is_empty());
    assert!(before[..2].iter().all(|path| path.exists()));
    request.terms.full_load = false;
    let outcome = world.run(&request, &[]).await;
    assert_eq!(outcome.exit_code, 0, "{outcome:?}");
    assert_eq!(world.rows(), ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn lost_parts_are_repaired_within_one_load() {
    let world = turn_of_month();
    let outcome = world.run(&whole(&world), &[Fault::LosesPart]).await;
    assert_eq!(outcome.exit_code, 0, "{outcome:?}");
    assert_eq!(world.rows(), ["a", "b", "c", "d"]);
    assert!(world.files("lake/.lakebolt/staging").is_empty());
}

#[tokio::test]
async fn a_failed_repair_is_repaired_later() {
    let world = turn_of_month();
    world.run(&whole(&world), &[]).await;
    let mut request = full(&whole(&world));
    request.terms.max_attempts = 1;
    request.terms.parallel = 1;
    world.run(&request, &[Fault::LosesPart]).await;
    let broken = world.run(&whole(&world), &[Fault::Miscounts]).await;
    assert_eq!(broken.exit_code, 3);
    assert_eq!(records(&world).await[0].state, State::Failed);
    // Only one day is requested, but the lost days are loaded too.
    let outcome = world
        .run(&world.request("2024-01-31", "2024-01-31"), &[])
        .await;
    assert_eq!(outcome.periods[0].days.len(), 2);
    assert_eq!(world.rows(), ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn days_in_need_of_repair_are_listed_without_a_request() {
    let world = World::new();
    for (day, row) in [
        ("2024-02-03", "a"),
        ("2024-02-04", "b"),
        ("2024-02-25", "c"),
    ] {
        world.log(day, "one.log", &[row]);
    }
    let mut request = world.request("2024-02-03", "2024-02-04");
    request.terms.max_attempts = 1;
    world.run(&request, &[Fault::LosesPart]).await;
    assert_eq!(records(&world).await[0].state, State::Repairing);
    let outcome = world
        .run(&world.request("2024-02-25", "2024-02-25"), &[])
        .await;
    assert_eq!(outcome.exit_code, 0, "{outcome:?}");
    assert_eq!(world.rows(), ["a", "b", "c"]);
}

#[tokio::test]
async fn of_two_concurrent_loads_one_is_refused() {
    let world = turn_of_month();
    let engine = Engine::with(&[Fault::Waits, Fault::Waits]);
    let first = world.driver(&engine, noon);
    let request = whole(&world);
    let running = tokio::spawn({
        let request = request.clone();
        async move { first.run(&request).await }
    });
    engine.reached.notified().await;
    engine.reached.notified().await;
    let refused = world.run(&request, &[]).await;
    assert_eq!((refused.exit_code, code(&refused)), (5, "lease_held"));
    assert_eq!(refused.state, LoadState::Refused);
    engine.resume.notify_waiters();
    assert_eq!(running.await.unwrap().exit_code, 0);
    assert_eq!(world.rows(), ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn of_two_concurrent_loads_the_second_can_wait_and_finds_nothing_to_do() {
    let world = turn_of_month();
    let engine = Engine::with(&[Fault::Waits, Fault::Waits]);
    let mut request = whole(&world);
    request.terms.wait = Duration::from_secs(20);
    let [first, second] = [noon, noon].map(|clock| world.driver(&engine, clock));
    let start = |driver: crate::drive::context::Driver| {
        let request = request.clone();
        tokio::spawn(async move { driver.run(&request).await })
    };
    let first = start(first);
    engine.reached.notified().await;
    engine.reached.notified().await;
    let second = start(second);
    tokio::time::sleep(Duration::from_millis(100)).await;
    engine.resume.notify_waiters();
    assert_eq!(first.await.unwrap().exit_code, 0);
    let second = second.await.unwrap();
    assert_eq!(
        states(&second),
        [PeriodState::Skipped, PeriodState::Skipped]
    );
    assert_eq!(world.rows(), ["a", "b", "c", "d"]);
    assert_eq!(engine.jobs.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn waiting_for_a_lease_takes_no_slot() {
    let world = turn_of_month();
    let busy = Engine::with(&[Fault::Waits]);
    let first = world.driver(&busy, noon);
    let request = world.request("2024-01-30", "2024-01-31");
    let first = tokio::spawn({
        let request = request.clone();
        async move { first.run(&request).await }
    });
    busy.reached.notified().await;
    let small = Engine::with_slots(1);
    let [waiting, other] = [noon, noon].map(|clock| world.driver(&small, clock));
    let mut patient = request.clone();
    patient.terms.wait = Duration::from_secs(3600);
    let waiting = tokio::spawn(async move { waiting.run(&patient).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let february = world.request("2024-02-01", "2024-02-02");
    assert_eq!(other.run(&february).await.exit_code, 0);
    assert!(!waiting.is_finished());
    busy.resume.notify_waiters();
    assert_eq!(first.await.unwrap().exit_code, 0);
    assert_eq!(waiting.await.unwrap().exit_code, 0);
    assert_eq!(world.rows(), ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn a_stalled_owner_without_its_lease_publishes_nothing() {
    let world = turn_of_month();
    let stalled = Engine::with(&[Fault::WaitsLate, Fault::WaitsLate]);
    let first = world.driver(&stalled, noon);
    let request = whole(&world);
    let running = tokio::spawn({
        let request = request.clone();
        async move { first.run(&request).await }
    });
    stalled.reached.notified().await;
    stalled.reached.notified().await;
    let engine = Engine::with(&[]);
    let second = world.driver(&engine, later).run(&request).await;
    assert_eq!(second.exit_code, 0, "{second:?}");
    let after = world.files("lake/ext");
    stalled.resume.notify_waiters();
    let first = running.await.unwrap();
    assert_eq!((first.exit_code, code(&first)), (5, "lease_lost"));
    assert_eq!(world.files("lake/ext"), after);
    assert_eq!(world.rows(), ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn an_open_day_is_covered_but_not_closed_and_closes_later() {
    let world = World::new();
    world.log("2024-03-19", "one.log", &["a"]);
    let request = world.request("2024-03-19", "2024-03-19");
    world.run(&request, &[]).await;
    let record = &records(&world).await[0];
    assert!(!record.load_completed);
    assert!(record.covered_days.values().all(|day| !day.closed));
    let driver = world.driver(&Engine::with(&[]), || {
        "2024-04-10T00:00:00Z".parse().unwrap()
    });
    let outcome = driver.run(&request).await;
    assert_eq!(states(&outcome), [PeriodState::Skipped]);
    let record = &records(&world).await[0];
    assert!(record.load_completed);
    assert_eq!(record.state, State::Done);
}

#[tokio::test]
async fn a_month_is_complete_once_it_is_over_and_all_requested_days_are_loaded() {
    let world = World::new();
    for day in ["2024-03-10", "2024-03-11"] {
        world.log(day, "one.log", &["a"]);
    }
    let tenth = world.request("2024-03-10", "2024-03-10");
    world.run(&tenth, &[]).await;
    let record = &records(&world).await[0];
    assert!(record.covered_days.values().all(|day| day.closed) && !record.load_completed);
    let april = || "2024-04-10T00:00:00Z".parse().unwrap();
    let driver = |faults: &[Fault]| world.driver(&Engine::with(faults), april);
    assert_eq!(
        states(&driver(&[]).run(&tenth).await),
        [PeriodState::Skipped]
    );
    assert!(records(&world).await[0].load_completed);
    // From then on the record is not written any more.
    let revision = records(&world).await[0].revision;
    driver(&[]).run(&tenth).await;
    assert_eq!(records(&world).await[0].revision, revision);

    let more = world.request("2024-03-10", "2024-03-11");
    let failed = driver(&[Fault::Fails; 3]).run(&more).await;
    assert_eq!(failed.exit_code, 3, "{failed:?}");
    assert!(!records(&world).await[0].load_completed);
    assert_eq!(driver(&[]).run(&more).await.exit_code, 0);
    assert!(records(&world).await[0].load_completed);
}

#[tokio::test]
async fn a_day_loaded_daily_and_then_historically_is_stored_once() {
    let world = World::new();
    for day in ["2024-03-17", "2024-03-18", "2024-03-19"] {
        world.log(day, "one.log", &[day]);
    }
    let mut daily = whole(&world);
    daily.terms.range = Range::Daily(2);
    let outcome = world.run(&daily, &[]).await;
    let periods: Vec<&str> = outcome.periods.iter().map(|p| p.period.as_str()).collect();
    assert_eq!(periods, ["2024-03-18", "2024-03-19"]);
    let outcome = world
        .run(&world.request("2024-03-17", "2024-03-19"), &[])
        .await;
    assert_eq!(outcome.periods[0].days.len(), 1);
    assert_eq!(world.rows().len(), 3);
    world
        .run(&full(&world.request("2024-03-17", "2024-03-19")), &[])
        .await;
    assert_eq!(world.rows().len(), 3);
}

#[tokio::test]
async fn empty_input_is_an_error_unless_allowed() {
    let world = World::new();
    std::fs::create_dir_all(world.path("input")).unwrap();
    let mut request = whole(&world);
    let outcome = world.run(&request, &[]).await;
    assert_eq!((outcome.exit_code, code(&outcome)), (4, "no_input"));
    assert!(!world.path("lake").exists());
    request.terms.allow_empty = true;
    assert_eq!(world.run(&request, &[]).await.exit_code, 0);
}

#[tokio::test]
async fn a_cancelled_load_publishes_nothing_and_can_be_run_again() {
    let world = turn_of_month();
    let engine = Engine::with(&[Fault::Waits, Fault::Waits]);
    let cancel = watch::Sender::new(false);
    let mut driver = world.driver(&engine, noon);
    driver.cancel = cancel.subscribe();
    let request = whole(&world);
    let running = tokio::spawn(async move { driver.run(&request).await });
    engine.reached.notified().await;
    cancel.send_replace(true);
    let outcome = running.await.unwrap();
    assert_eq!(
        (outcome.exit_code, outcome.state),
        (7, LoadState::Cancelled)
    );
    assert!(world.rows().is_empty());
    assert_eq!(world.run(&whole(&world), &[]).await.exit_code, 0);
    assert_eq!(world.rows(), ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn an_attempt_without_progress_is_replaced() {
    let world = turn_of_month();
    let engine = Engine::with(&[Fault::Waits, Fault::Waits]);
    let mut driver = world.driver(&engine, noon);
    driver.timing.progress_deadline = Duration::from_millis(500);
    let outcome = driver.run(&whole(&world)).await;
    assert_eq!(outcome.exit_code, 0, "{outcome:?}");
    assert!(outcome.periods.iter().all(|period| period.attempts == 2));
    assert_eq!(world.rows(), ["a", "b", "c", "d"]);
    drop(Arc::clone(&engine));
}
