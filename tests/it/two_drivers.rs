//! Two drivers on one table in DynamoDB. One runs, the other waits or is refused. A driver
//! that was frozen for longer than its lease publishes nothing.

use std::thread::sleep;
use std::time::{Duration, Instant};

use tests::cloud::in_parallel;
use tests::days::{Day, day};
use tests::{CloudWorkspace, Running};

fn first() -> Day {
    day("2024-02-10")
}

fn last() -> Day {
    day("2024-02-12")
}

fn workspace(test: &str) -> anyhow::Result<Option<CloudWorkspace>> {
    CloudWorkspace::with_flows(test, first(), last(), 200)
}

#[track_caller]
fn until_frozen(load: &Running, point: &str) {
    let since = Instant::now();
    while !load.is_frozen() {
        assert!(
            since.elapsed() < Duration::from_secs(120),
            "{point} was not reached"
        );
        sleep(Duration::from_millis(10));
    }
}

#[test]
fn one_of_two_drivers_on_one_table_is_refused() -> anyhow::Result<()> {
    let Some(workspace) = workspace("one_of_two_drivers_on_one_table_is_refused")? else {
        return Ok(());
    };
    let point = "stop:during-first-part";
    let frozen = workspace.load(first(), last())?.crash_at(point).spawn()?;
    until_frozen(&frozen, point);
    let answer = workspace.load(first(), last())?.run()?.expect_code(5);
    assert_eq!(answer.json()["exit_code"], 5);
    frozen.thaw()?;
    frozen.wait()?.expect_code(0);
    workspace.assert_exact(first(), last())?;
    workspace.assert_swept()
}

#[test]
fn drivers_that_wait_all_succeed_and_duplicate_no_row() -> anyhow::Result<()> {
    let Some(workspace) = workspace("drivers_that_wait_all_succeed")? else {
        return Ok(());
    };
    let runs = [&[][..], &["--full-load"], &[]].map(|flags| {
        workspace
            .load_again(first(), last())
            .and_then(|run| run.args(flags).spawn())
    });
    for run in runs {
        run?.wait()?.expect_code(0);
    }
    workspace.assert_exact(first(), last())?;
    workspace.assert_swept()
}

#[test]
fn a_driver_frozen_past_its_lease_publishes_nothing_when_thawed() {
    let points = [
        "during-first-part",
        "before-receipt",
        "before-manifest",
        "before-commit",
    ];
    in_parallel(&points, |point| {
        let Some(workspace) = workspace("a_driver_frozen_past_its_lease")? else {
            return Ok(());
        };
        let stop = format!("stop:{point}");
        let frozen = workspace.load(first(), last())?.crash_at(&stop).spawn()?;
        until_frozen(&frozen, point);
        workspace.load_again(first(), last())?.run()?.expect_code(0);
        let done = workspace.objects()?;
        frozen.thaw()?;
        let woken = frozen.wait()?.expect_code(5);
        assert_eq!(woken.json()["output"]["objects"], 0, "after {point}");
        assert_eq!(workspace.objects()?, done, "after {point}");
        workspace.assert_exact(first(), last())?;
        workspace.assert_swept()
    });
}

/// The commit was made before the freeze. The driver that takes over publishes the committed
/// parts, and the late completions and deletions of the first driver change nothing.
#[test]
fn a_driver_frozen_while_publishing_does_no_harm_when_thawed() {
    let points = [
        "after-commit",
        "between-completions",
        "before-deletion",
        "before-done",
    ];
    in_parallel(&points, |point| {
        let Some(workspace) = workspace("a_driver_frozen_while_publishing")? else {
            return Ok(());
        };
        workspace.load(first(), last())?.run()?.expect_code(0);
        let stop = format!("stop:{point}");
        let load = workspace.load(first(), last())?.arg("--full-load");
        let frozen = load.crash_at(&stop).spawn()?;
        until_frozen(&frozen, point);
        workspace.load_again(first(), last())?.run()?.expect_code(0);
        workspace.assert_exact(first(), last())?;
        frozen.thaw()?;
        let woken = frozen.wait()?;
        assert!(matches!(woken.code(), Some(0 | 5)), "{}", woken.stderr);
        workspace.assert_exact(first(), last())?;
        workspace.assert_swept()
    });
}
