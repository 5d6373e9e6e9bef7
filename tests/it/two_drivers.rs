//! Two drivers on one table in DynamoDB: one works, the other waits or is refused, and
//! one that was away for longer than its lease publishes nothing.

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
fn of_two_drivers_on_one_table_one_works_and_the_other_is_refused() -> anyhow::Result<()> {
    let Some(workspace) = workspace("of_two_drivers_on_one_table_one_works")? else {
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
fn of_drivers_that_wait_each_ends_well_and_no_row_stands_twice() -> anyhow::Result<()> {
    let Some(workspace) = workspace("of_drivers_that_wait_each_ends_well")? else {
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
fn a_driver_frozen_past_its_lease_publishes_nothing_when_it_wakes() {
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

/// The commit was made before the freeze: whoever takes over publishes what was committed,
/// and the first owner's late completions and deletions change nothing.
#[test]
fn a_driver_frozen_while_publishing_does_no_harm_when_it_wakes() {
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
