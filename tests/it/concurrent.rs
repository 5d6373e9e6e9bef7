//! Two at once: one works, the other waits or is refused, and readers see whole
//! periods only.

use std::time::{Duration, Instant};

use tests::days::{Day, day};
use tests::inputs::Flows;
use tests::{Lab, rows};

fn first() -> Day {
    day("2024-02-10")
}

fn last() -> Day {
    day("2024-02-12")
}

fn lab(rows: u64) -> anyhow::Result<Lab> {
    let lab = Lab::new()?;
    Flows::default().write_days(&lab.input(), first().plus(-1), last().plus(1), rows)?;
    Ok(lab)
}

#[test]
fn of_two_runs_at_once_one_works_and_the_other_is_refused() -> anyhow::Result<()> {
    let lab = lab(2000)?;
    let frozen = lab
        .load(first(), last())?
        .crash_at("stop:during-first-part")
        .spawn()?;
    let since = Instant::now();
    while !frozen.is_frozen() && since.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let answer = lab.load(first(), last())?.run()?.expect_code(5);
    assert_eq!(answer.json()["exit_code"], 5);
    frozen.thaw()?;
    frozen.wait()?.expect_code(0);
    lab.assert_exact(first(), last())
}

#[test]
fn of_many_runs_at_once_no_row_stands_twice() -> anyhow::Result<()> {
    let lab = lab(500)?;
    let runs = [0, 1, 2].map(|_| lab.load_again(first(), last()).and_then(|run| run.spawn()));
    for run in runs {
        run?.wait()?.expect_code(0);
    }
    lab.assert_exact(first(), last())
}

#[test]
fn of_two_full_loads_at_once_each_leaves_every_row_once() -> anyhow::Result<()> {
    let lab = lab(500)?;
    let start = || {
        lab.load_again(first(), last())
            .and_then(|run| run.arg("--full-load").spawn())
    };
    let (one, other) = (start()?, start()?);
    one.wait()?.expect_code(0);
    other.wait()?.expect_code(0);
    lab.assert_exact(first(), last())
}

#[test]
fn a_lister_sees_nothing_of_an_attempt_until_its_commit() -> anyhow::Result<()> {
    let lab = lab(5000)?;
    let frozen = lab
        .load(first(), last())?
        .crash_at("stop:before-commit")
        .spawn()?;
    let since = Instant::now();
    while !frozen.is_frozen() {
        assert!(rows::objects(&lab.lake()).is_empty());
        assert!(
            since.elapsed() < Duration::from_secs(60),
            "the commit was not reached"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(rows::objects(&lab.lake()).is_empty());
    frozen.thaw()?;
    frozen.wait()?.expect_code(0);
    lab.assert_exact(first(), last())
}
