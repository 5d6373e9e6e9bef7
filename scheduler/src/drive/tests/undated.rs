//! Objects without a date: who owns their rows, and how often they are read.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;

use super::fakes::{Engine, Fault, World, noon};
use super::loads::{full, records};
use crate::load::outcome::Outcome;
use crate::load::terms::OnVanished;

/// Three months of rows in one object without a date.
fn undated_quarter() -> World {
    let world = World::new();
    std::fs::create_dir_all(world.path("input")).unwrap();
    let lines = "2024-01-30 a\n2024-02-01 b\nno time\n2024-03-01 c\n2024-03-02 d\n";
    std::fs::write(world.path("input/app.log"), lines).unwrap();
    world
}

/// Loads the quarter. Returns the outcome and the number of the engine's jobs.
async fn load_quarter(world: &World, faults: &[Fault]) -> (Outcome, u64) {
    let engine = Engine::with(faults);
    let request = world.request("2024-01-30", "2024-03-02");
    let outcome = world.driver(&engine, noon).run(&request).await;
    (outcome, engine.jobs.load(Ordering::Relaxed))
}

#[tokio::test]
async fn objects_without_a_date_are_read_once_for_a_load() {
    let world = undated_quarter();
    let (outcome, jobs) = load_quarter(&world, &[]).await;
    assert_eq!((outcome.exit_code, jobs), (0, 1), "{outcome:?}");
    assert_eq!(outcome.periods.len(), 3);
    assert_eq!(outcome.input.objects, 1);
    assert_eq!((outcome.rows.read, outcome.rows.other_period), (5, 0));
    assert!(outcome.rows.adds_up());
    assert_eq!(world.rows(), ["a", "b", "c", "d"]);
    assert_eq!(world.rejected().len(), 1);
    // Nothing is left of the common attempt.
    assert!(world.files("lake/.lakebolt/attempts").is_empty());
    assert!(world.files("lake/.lakebolt/staging").is_empty());
    assert_eq!(load_quarter(&world, &[]).await.1, 0);
}

#[tokio::test]
async fn a_new_object_without_a_date_is_read_once_and_publishes_only_its_days() {
    let world = undated_quarter();
    load_quarter(&world, &[]).await;
    let before = world.files("lake/ext");
    std::fs::write(world.path("input/app.log.2"), "2024-02-02 e\n").unwrap();
    let (outcome, jobs) = load_quarter(&world, &[]).await;
    assert_eq!((outcome.exit_code, jobs), (0, 1), "{outcome:?}");
    let after = world.files("lake/ext");
    assert!(before.iter().all(|file| after.contains(file)));
    assert_eq!(world.rows(), ["a", "b", "c", "d", "e"]);
}

#[tokio::test]
async fn periods_read_objects_without_a_date_themselves_if_the_common_reading_fails() {
    for fault in [Fault::Fails, Fault::NoReceipt, Fault::Miscounts] {
        let world = undated_quarter();
        let (outcome, jobs) = load_quarter(&world, &[fault]).await;
        assert_eq!((outcome.exit_code, jobs), (0, 4), "{fault:?} {outcome:?}");
        assert_eq!(world.rows(), ["a", "b", "c", "d"], "{fault:?}");
        assert_eq!(world.rejected().len(), 1);
        assert!(world.files("lake/.lakebolt/staging").is_empty());
    }
}

#[tokio::test]
async fn duplicate_and_lost_parts_of_a_common_reading_do_no_harm() {
    for fault in [Fault::Twice, Fault::LosesPart, Fault::FailsLate] {
        let world = undated_quarter();
        let (outcome, _) = load_quarter(&world, &[fault]).await;
        assert_eq!(outcome.exit_code, 0, "{fault:?} {outcome:?}");
        assert_eq!(world.rows(), ["a", "b", "c", "d"], "{fault:?}");
        assert!(world.files("lake/.lakebolt/staging").is_empty());
    }
}

#[tokio::test]
async fn a_load_that_is_cancelled_while_it_reads_for_all_periods_leaves_no_lease() {
    let world = undated_quarter();
    let engine = Engine::with(&[Fault::Waits]);
    let cancel = watch::Sender::new(false);
    let mut driver = world.driver(&engine, noon);
    driver.cancel = cancel.subscribe();
    let request = world.request("2024-01-30", "2024-03-02");
    let running = tokio::spawn(async move { driver.run(&request).await });
    engine.reached.notified().await;
    cancel.send_replace(true);
    assert_eq!(running.await.unwrap().exit_code, 7);
    let records = records(&world).await;
    assert_eq!(records.len(), 3);
    assert!(records.iter().all(|record| record.lease_owner.is_none()));
    let (outcome, jobs) = load_quarter(&world, &[]).await;
    assert_eq!((outcome.exit_code, jobs), (0, 1), "{outcome:?}");
}

#[tokio::test]
async fn a_month_that_another_load_holds_is_read_apart() {
    let world = undated_quarter();
    let february = world.request("2024-02-01", "2024-02-29");
    let engine = Engine::with(&[Fault::Waits]);
    let driver = world.driver(&engine, noon);
    let other = tokio::spawn(async move { driver.run(&february).await });
    engine.reached.notified().await;
    let mut request = world.request("2024-01-30", "2024-03-02");
    request.terms.wait = Duration::from_secs(20);
    let own = Engine::with(&[]);
    let driver = world.driver(&own, noon);
    let running = tokio::spawn(async move { driver.run(&request).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    engine.resume.notify_one();
    assert_eq!(other.await.unwrap().exit_code, 0);
    let outcome = running.await.unwrap();
    assert_eq!(outcome.exit_code, 0, "{outcome:?}");
    assert_eq!(world.rows(), ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn an_undated_row_is_quarantined_once_by_all_loads_together() {
    let world = World::new();
    std::fs::create_dir_all(world.path("input")).unwrap();
    let lines = "2024-02-01 b\n2024-01-30 a\nno time\n";
    std::fs::write(world.path("input").join("flat.log"), lines).unwrap();
    let [january, february] = [("2024-01-30", "2024-01-31"), ("2024-02-01", "2024-02-02")]
        .map(|(from, to)| world.request(from, to));
    for request in [&february, &january, &full(&february), &full(&january)] {
        assert_eq!(world.run(request, &[]).await.exit_code, 0);
        assert_eq!(world.rejected().len(), 1);
    }
    assert_eq!(world.rows(), ["a", "b"]);
}

#[tokio::test]
async fn rows_added_to_rewritten_days_are_new_to_each_of_them() {
    let world = World::new();
    std::fs::create_dir_all(world.path("input")).unwrap();
    let write = |name: &str, lines: &str| {
        std::fs::write(world.path("input").join(name), lines).unwrap();
    };
    let [first, second] = ["2024-02-01", "2024-02-02"].map(|day| world.request(day, day));
    write("gone.log", "2024-02-01 a\n2024-02-02 b\n");
    assert_eq!(world.run(&first, &[]).await.exit_code, 0);
    write("late.log", "2024-02-01 c\n2024-02-02 d\n");
    // The first day lacks `c` from now on, the second has all rows.
    world.run(&second, &[]).await;
    std::fs::remove_file(world.path("input/gone.log")).unwrap();
    write("new.log", "2024-02-01 e\n2024-02-02 f\n");
    let mut both = world.request("2024-02-01", "2024-02-02");
    both.terms.on_vanished = OnVanished::Add;
    let outcome = world.run(&both, &[]).await;
    assert_eq!(outcome.exit_code, 0, "{outcome:?}");
    assert_eq!(world.rows(), ["a", "b", "c", "d", "e", "f"]);
}
