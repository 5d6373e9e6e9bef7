//! Concurrent loads: one runs, the others wait or are refused. Readers see only complete
//! periods.

use std::time::{Duration, Instant};

use tests::days::{Day, day};
use tests::inputs::Flows;
use tests::{Workspace, rows};

fn first() -> Day {
    day("2024-02-10")
}

fn last() -> Day {
    day("2024-02-12")
}

fn workspace(rows: u64) -> anyhow::Result<Workspace> {
    let workspace = Workspace::new()?;
    Flows::default().write_days(&workspace.input(), first().plus(-1), last().plus(1), rows)?;
    Ok(workspace)
}

#[test]
fn one_of_two_concurrent_runs_is_refused() -> anyhow::Result<()> {
    let workspace = workspace(2000)?;
    let frozen = workspace
        .load(first(), last())?
        .crash_at("stop:during-first-part")
        .spawn()?;
    let since = Instant::now();
    while !frozen.is_frozen() && since.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let answer = workspace.load(first(), last())?.run()?.expect_code(5);
    assert_eq!(answer.json()["exit_code"], 5);
    frozen.thaw()?;
    frozen.wait()?.expect_code(0);
    workspace.assert_exact(first(), last())
}

#[test]
fn concurrent_runs_duplicate_no_row() -> anyhow::Result<()> {
    let workspace = workspace(500)?;
    let runs = [0, 1, 2].map(|_| {
        workspace
            .load_again(first(), last())
            .and_then(|run| run.spawn())
    });
    for run in runs {
        run?.wait()?.expect_code(0);
    }
    workspace.assert_exact(first(), last())
}

#[test]
fn two_concurrent_full_loads_write_every_row_once() -> anyhow::Result<()> {
    let workspace = workspace(500)?;
    let start = || {
        workspace
            .load_again(first(), last())
            .and_then(|run| run.arg("--full-load").spawn())
    };
    let (one, other) = (start()?, start()?);
    one.wait()?.expect_code(0);
    other.wait()?.expect_code(0);
    workspace.assert_exact(first(), last())
}

#[test]
fn readers_see_no_object_of_an_attempt_before_its_commit() -> anyhow::Result<()> {
    let workspace = workspace(5000)?;
    let frozen = workspace
        .load(first(), last())?
        .crash_at("stop:before-commit")
        .spawn()?;
    let since = Instant::now();
    while !frozen.is_frozen() {
        assert!(rows::objects(&workspace.lake()).is_empty());
        assert!(
            since.elapsed() < Duration::from_secs(60),
            "the commit was not reached"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(rows::objects(&workspace.lake()).is_empty());
    frozen.thaw()?;
    frozen.wait()?.expect_code(0);
    workspace.assert_exact(first(), last())
}
