//! A process that is killed at any moment. The same command, run again, ends with exactly the
//! rows of the period and leaves no other files.

use std::thread::sleep;
use std::time::{Duration, Instant};

use tests::days::{Day, day};
use tests::points::{AFTER_COMMIT, BEFORE_COMMIT};
use tests::{Workspace, rows};

fn first() -> Day {
    day("2024-02-10")
}

fn last() -> Day {
    day("2024-02-12")
}

fn workspace() -> anyhow::Result<Workspace> {
    Workspace::with_flows(first(), last(), 80)
}

/// Kills a load at `point`, runs `check`, then runs the load again and checks the lake.
fn crash_and_recover(
    workspace: &Workspace,
    point: &str,
    full_load: bool,
    check: impl Fn(&Workspace) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let flags: &[&str] = if full_load { &["--full-load"] } else { &[] };
    let crashed = workspace
        .load(first(), last())?
        .args(flags)
        .crash_at(point)
        .run()?;
    assert!(
        crashed.was_killed(),
        "{point} was not reached: {}",
        crashed.stderr
    );
    check(workspace)?;
    workspace
        .load_again(first(), last())?
        .args(flags)
        .run()?
        .expect_code(0);
    workspace.assert_exact(first(), last())?;
    workspace.sweep()?.expect_code(0);
    assert!(
        workspace.staged().is_empty(),
        "after {point}: {:#?}",
        workspace.staged()
    );
    workspace.assert_exact(first(), last())
}

#[test]
fn a_first_load_that_dies_before_the_commit_publishes_nothing_and_can_be_repeated()
-> anyhow::Result<()> {
    for point in BEFORE_COMMIT {
        crash_and_recover(&workspace()?, point, false, |workspace| {
            let seen = rows::objects(&workspace.lake());
            assert!(seen.is_empty(), "after {point} a lister sees {seen:#?}");
            Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn a_first_load_that_dies_after_the_commit_can_be_repeated() -> anyhow::Result<()> {
    for point in AFTER_COMMIT {
        crash_and_recover(&workspace()?, point, false, |_| Ok(()))?;
    }
    Ok(())
}

#[test]
fn a_full_load_that_dies_before_the_commit_keeps_the_old_rows() -> anyhow::Result<()> {
    for point in BEFORE_COMMIT {
        let workspace = workspace()?;
        workspace.load(first(), last())?.run()?.expect_code(0);
        crash_and_recover(&workspace, point, true, |workspace| {
            workspace.assert_exact(first(), last())
        })?;
    }
    Ok(())
}

#[test]
fn a_full_load_that_dies_after_the_commit_can_be_repeated() -> anyhow::Result<()> {
    for point in AFTER_COMMIT {
        let workspace = workspace()?;
        workspace.load(first(), last())?.run()?.expect_code(0);
        crash_and_recover(&workspace, point, true, |_| Ok(()))?;
    }
    Ok(())
}

#[test]
fn a_plain_rerun_after_a_dead_full_load_is_exact() -> anyhow::Result<()> {
    for point in [
        "before-commit",
        "after-commit",
        "between-completions",
        "before-done",
    ] {
        let workspace = workspace()?;
        workspace.load(first(), last())?.run()?.expect_code(0);
        let crash = workspace
            .load(first(), last())?
            .arg("--full-load")
            .crash_at(point);
        assert!(crash.run()?.was_killed());
        workspace.load_again(first(), last())?.run()?.expect_code(0);
        workspace.assert_exact(first(), last())?;
    }
    Ok(())
}

#[test]
fn a_load_that_dies_several_times_ends_exact() -> anyhow::Result<()> {
    let workspace = workspace()?;
    for point in [
        "during-first-part",
        "before-commit",
        "between-completions",
        "before-done",
    ] {
        let crash = workspace
            .load_again(first(), last())?
            .crash_at(point)
            .run()?;
        // After the commit, a later run may end before it reaches a point.
        assert!(
            crash.was_killed() || crash.code() == Some(0),
            "{}",
            crash.stderr
        );
    }
    workspace.load_again(first(), last())?.run()?.expect_code(0);
    workspace.assert_exact(first(), last())
}

#[test]
fn a_load_killed_at_any_moment_ends_exact() -> anyhow::Result<()> {
    let workspace = Workspace::with_flows(first(), last(), 3000)?;
    let since = Instant::now();
    workspace.load(first(), last())?.run()?.expect_code(0);
    let whole = since.elapsed();
    for tenth in 1..=9 {
        let load = workspace
            .load_again(first(), last())?
            .arg("--full-load")
            .spawn()?;
        sleep(whole * tenth / 10);
        load.kill()?;
        load.wait()?;
    }
    workspace
        .load_again(first(), last())?
        .arg("--full-load")
        .run()?
        .expect_code(0);
    workspace.sweep()?.expect_code(0);
    workspace.assert_exact(first(), last())?;
    assert!(workspace.staged().is_empty(), "{:#?}", workspace.staged());
    Ok(())
}

#[test]
fn a_thawed_load_does_no_harm_after_another_has_replaced_it() -> anyhow::Result<()> {
    for point in ["during-first-part", "before-receipt", "before-commit"] {
        let workspace = workspace()?;
        let frozen = workspace
            .load(first(), last())?
            .crash_at(&format!("stop:{point}"))
            .spawn()?;
        until_frozen(&frozen, point);
        workspace.load_again(first(), last())?.run()?.expect_code(0);
        frozen.thaw()?;
        // The thawed load has lost its lease and publishes nothing.
        let woken = frozen.wait()?.expect_code(5);
        assert_eq!(woken.json()["output"]["objects"], 0, "after {point}");
        workspace.assert_exact(first(), last())?;
        workspace.sweep()?.expect_code(0);
        workspace.assert_exact(first(), last())?;
        assert!(
            workspace.staged().is_empty(),
            "after {point}: {:#?}",
            workspace.staged()
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
fn an_interrupted_load_stops_cleanly_and_can_be_repeated() -> anyhow::Result<()> {
    let workspace = Workspace::with_flows(first(), last(), 20_000)?;
    let mut load = workspace.load(first(), last())?.spawn()?;
    sleep(Duration::from_millis(700));
    if load.is_running()? {
        load.interrupt()?;
    }
    let answer = load.wait()?;
    assert!(matches!(answer.code(), Some(0 | 130)), "{}", answer.stderr);
    // A clean stop releases the lease, so the next load does not wait.
    workspace.load(first(), last())?.run()?.expect_code(0);
    workspace.assert_exact(first(), last())
}
