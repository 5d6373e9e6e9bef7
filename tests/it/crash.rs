//! A process that dies: whatever the moment, the same command run again ends with
//! exactly the period's rows, and nothing is left behind.

use std::thread::sleep;
use std::time::{Duration, Instant};

use tests::days::{Day, day};
use tests::points::{AFTER_COMMIT, BEFORE_COMMIT};
use tests::{Lab, rows};

fn first() -> Day {
    day("2024-02-10")
}

fn last() -> Day {
    day("2024-02-12")
}

fn lab() -> anyhow::Result<Lab> {
    Lab::with_flows(first(), last(), 80)
}

/// Dies at `point`; the dead one's mess is checked by `meanwhile`, then all is mended.
fn dies_and_is_mended(
    lab: &Lab,
    point: &str,
    full_load: bool,
    meanwhile: impl Fn(&Lab) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let flags: &[&str] = if full_load { &["--full-load"] } else { &[] };
    let crashed = lab
        .load(first(), last())?
        .args(flags)
        .crash_at(point)
        .run()?;
    assert!(
        crashed.was_killed(),
        "{point} was not reached: {}",
        crashed.stderr
    );
    meanwhile(lab)?;
    lab.load_again(first(), last())?
        .args(flags)
        .run()?
        .expect_code(0);
    lab.assert_exact(first(), last())?;
    lab.sweep()?.expect_code(0);
    assert!(
        lab.staged().is_empty(),
        "after {point}: {:#?}",
        lab.staged()
    );
    lab.assert_exact(first(), last())
}

#[test]
fn a_first_load_survives_its_death_before_the_commit_and_shows_nothing_of_it() -> anyhow::Result<()>
{
    for point in BEFORE_COMMIT {
        dies_and_is_mended(&lab()?, point, false, |lab| {
            let seen = rows::objects(&lab.lake());
            assert!(seen.is_empty(), "after {point} a lister sees {seen:#?}");
            Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn a_first_load_survives_its_death_after_the_commit() -> anyhow::Result<()> {
    for point in AFTER_COMMIT {
        dies_and_is_mended(&lab()?, point, false, |_| Ok(()))?;
    }
    Ok(())
}

#[test]
fn a_replacing_load_survives_its_death_before_the_commit_and_keeps_the_old_rows()
-> anyhow::Result<()> {
    for point in BEFORE_COMMIT {
        let lab = lab()?;
        lab.load(first(), last())?.run()?.expect_code(0);
        dies_and_is_mended(&lab, point, true, |lab| lab.assert_exact(first(), last()))?;
    }
    Ok(())
}

#[test]
fn a_replacing_load_survives_its_death_after_the_commit() -> anyhow::Result<()> {
    for point in AFTER_COMMIT {
        let lab = lab()?;
        lab.load(first(), last())?.run()?.expect_code(0);
        dies_and_is_mended(&lab, point, true, |_| Ok(()))?;
    }
    Ok(())
}

#[test]
fn a_plain_rerun_after_a_dead_replacement_is_exact_too() -> anyhow::Result<()> {
    for point in [
        "before-commit",
        "after-commit",
        "between-completions",
        "before-done",
    ] {
        let lab = lab()?;
        lab.load(first(), last())?.run()?.expect_code(0);
        let crash = lab
            .load(first(), last())?
            .arg("--full-load")
            .crash_at(point);
        assert!(crash.run()?.was_killed());
        lab.load_again(first(), last())?.run()?.expect_code(0);
        lab.assert_exact(first(), last())?;
    }
    Ok(())
}

#[test]
fn a_load_that_dies_again_and_again_ends_exact() -> anyhow::Result<()> {
    let lab = lab()?;
    for point in [
        "during-first-part",
        "before-commit",
        "between-completions",
        "before-done",
    ] {
        let crash = lab.load_again(first(), last())?.crash_at(point).run()?;
        // Once the commit has been, a later run may have nothing left that reaches a point.
        assert!(
            crash.was_killed() || crash.code() == Some(0),
            "{}",
            crash.stderr
        );
    }
    lab.load_again(first(), last())?.run()?.expect_code(0);
    lab.assert_exact(first(), last())
}

#[test]
fn killed_at_any_moment_a_load_ends_exact() -> anyhow::Result<()> {
    let lab = Lab::with_flows(first(), last(), 3000)?;
    let since = Instant::now();
    lab.load(first(), last())?.run()?.expect_code(0);
    let whole = since.elapsed();
    for tenth in 1..=9 {
        let load = lab
            .load_again(first(), last())?
            .arg("--full-load")
            .spawn()?;
        sleep(whole * tenth / 10);
        load.kill()?;
        load.wait()?;
    }
    lab.load_again(first(), last())?
        .arg("--full-load")
        .run()?
        .expect_code(0);
    lab.sweep()?.expect_code(0);
    lab.assert_exact(first(), last())?;
    assert!(lab.staged().is_empty(), "{:#?}", lab.staged());
    Ok(())
}

#[test]
fn a_frozen_load_that_wakes_after_another_took_over_does_no_harm() -> anyhow::Result<()> {
    for point in ["during-first-part", "before-receipt", "before-commit"] {
        let lab = lab()?;
        let frozen = lab
            .load(first(), last())?
            .crash_at(&format!("stop:{point}"))
            .spawn()?;
        until_frozen(&frozen, point);
        lab.load_again(first(), last())?.run()?.expect_code(0);
        frozen.thaw()?;
        // It finds its attempt taken from it and publishes nothing.
        let woken = frozen.wait()?.expect_code(5);
        assert_eq!(woken.json()["output"]["objects"], 0, "after {point}");
        lab.assert_exact(first(), last())?;
        lab.sweep()?.expect_code(0);
        lab.assert_exact(first(), last())?;
        assert!(
            lab.staged().is_empty(),
            "after {point}: {:#?}",
            lab.staged()
        );
    }
    Ok(())
}

#[track_caller]
fn until_frozen(load: &tests::Running, point: &str) {
    let since = Instant::now();
    while !load.is_frozen() {
        assert!(
            since.elapsed() < Duration::from_secs(60),
            "{point} was not reached"
        );
        sleep(Duration::from_millis(10));
    }
}

#[test]
fn an_interrupted_load_stops_cleanly_and_can_be_taken_up() -> anyhow::Result<()> {
    let lab = Lab::with_flows(first(), last(), 20_000)?;
    let mut load = lab.load(first(), last())?.spawn()?;
    sleep(Duration::from_millis(700));
    if load.is_running()? {
        load.interrupt()?;
    }
    let answer = load.wait()?;
    assert!(matches!(answer.code(), Some(0 | 130)), "{}", answer.stderr);
    // A clean stop gives its lease back: no waiting.
    lab.load(first(), last())?.run()?.expect_code(0);
    lab.assert_exact(first(), last())
}
