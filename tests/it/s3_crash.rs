//! A process that is killed at any moment of a load to S3. The same command, run again, ends
//! with exactly the rows of the period and leaves no upload.
//!
//! The points run in parallel, since a rerun spends most of its time waiting for a lease to
//! expire.

use std::thread::sleep;
use std::time::{Duration, Instant};

use tests::cloud::in_parallel;
use tests::days::{Day, day};
use tests::points::{AFTER_COMMIT, BEFORE_COMMIT};
use tests::proxy::{Fault, ScriptedFault};
use tests::{CloudWorkspace, FaultProxy};

fn first() -> Day {
    day("2024-02-10")
}

fn last() -> Day {
    day("2024-02-12")
}

fn workspace(test: &str) -> anyhow::Result<Option<CloudWorkspace>> {
    CloudWorkspace::with_flows(test, first(), last(), 60)
}

/// Kills a load at `point`.
fn crash(workspace: &CloudWorkspace, point: &str, flags: &[&str]) -> anyhow::Result<()> {
    let load = workspace.load(first(), last())?.args(flags).crash_at(point);
    let crashed = load.run()?;
    let stderr = &crashed.stderr;
    assert!(crashed.was_killed(), "{point} was not reached: {stderr}");
    Ok(())
}

/// Runs the same command again, and checks the lake.
fn recover(workspace: &CloudWorkspace, flags: &[&str]) -> anyhow::Result<()> {
    let again = workspace.load_again(first(), last())?.args(flags);
    again.run()?.expect_code(0);
    workspace.assert_exact(first(), last())?;
    workspace.assert_swept()?;
    workspace.assert_exact(first(), last())
}

#[test]
fn a_first_load_to_s3_that_dies_before_the_commit_publishes_nothing_and_can_be_repeated() {
    in_parallel(&BEFORE_COMMIT, |point| {
        let Some(workspace) = workspace("a_first_load_to_s3_dies_before_the_commit")? else {
            return Ok(());
        };
        crash(&workspace, point, &[])?;
        let seen = workspace.objects()?;
        assert!(seen.is_empty(), "after {point} a lister sees {seen:#?}");
        recover(&workspace, &[])
    });
}

#[test]
fn a_first_load_to_s3_that_dies_after_the_commit_can_be_repeated() {
    in_parallel(&AFTER_COMMIT, |point| {
        let Some(workspace) = workspace("a_first_load_to_s3_dies_after_the_commit")? else {
            return Ok(());
        };
        crash(&workspace, point, &[])?;
        recover(&workspace, &[])
    });
}

#[test]
fn a_full_load_to_s3_that_dies_before_the_commit_keeps_the_old_rows() {
    in_parallel(&BEFORE_COMMIT, |point| {
        let Some(workspace) = workspace("a_full_load_to_s3_dies_before_the_commit")? else {
            return Ok(());
        };
        workspace.load(first(), last())?.run()?.expect_code(0);
        let before = workspace.objects()?;
        crash(&workspace, point, &["--full-load"])?;
        assert_eq!(workspace.objects()?, before, "after {point}");
        recover(&workspace, &["--full-load"])?;
        assert_removed(&workspace, &before)
    });
}

#[test]
fn a_full_load_to_s3_that_dies_after_the_commit_can_be_repeated() {
    in_parallel(&AFTER_COMMIT, |point| {
        let Some(workspace) = workspace("a_full_load_to_s3_dies_after_the_commit")? else {
            return Ok(());
        };
        workspace.load(first(), last())?.run()?.expect_code(0);
        let before = workspace.objects()?;
        crash(&workspace, point, &["--full-load"])?;
        recover(&workspace, &["--full-load"])?;
        assert_removed(&workspace, &before)
    });
}

/// A plain rerun finishes the full load that was committed.
#[test]
fn a_plain_rerun_after_a_dead_full_load_on_s3_is_exact() {
    let points = ["before-commit", "after-commit", "between-completions"];
    in_parallel(&points, |point| {
        let Some(workspace) = workspace("a_plain_rerun_after_a_dead_full_load_on_s3")? else {
            return Ok(());
        };
        workspace.load(first(), last())?.run()?.expect_code(0);
        crash(&workspace, point, &["--full-load"])?;
        recover(&workspace, &[])
    });
}

fn assert_removed(workspace: &CloudWorkspace, before: &[String]) -> anyhow::Result<()> {
    let after = workspace.objects()?;
    assert!(
        before.iter().all(|object| !after.contains(object)),
        "an object of the replaced load is left"
    );
    Ok(())
}

#[test]
fn parts_aborted_by_a_lifecycle_rule_after_the_commit_are_loaded_again() {
    in_parallel(&["after-commit", "between-completions"], |point| {
        let Some(workspace) = workspace("parts_aborted_by_a_lifecycle_rule")? else {
            return Ok(());
        };
        crash_while_publishing(&workspace, point, &[])?;
        abort_all(&workspace)?;
        recover(&workspace, &[])
    });
}

#[test]
fn a_full_load_with_aborted_parts_keeps_the_old_rows_until_it_has_new_ones() {
    in_parallel(&["after-commit", "between-completions"], |point| {
        let Some(workspace) = workspace("a_full_load_with_aborted_parts")? else {
            return Ok(());
        };
        workspace.load(first(), last())?.run()?.expect_code(0);
        let before = workspace.objects()?;
        crash_while_publishing(&workspace, point, &["--full-load"])?;
        abort_all(&workspace)?;
        let mut rerun = workspace.load_again(first(), last())?.spawn()?;
        let mut seen = vec![workspace.objects()?];
        while rerun.is_running()? {
            seen.push(workspace.objects()?);
            sleep(Duration::from_millis(5));
        }
        rerun.wait()?.expect_code(0);
        let after = workspace.objects()?;
        let holds =
            |keys: &[String], wanted: &[String]| wanted.iter().all(|key| keys.contains(key));
        for keys in seen {
            assert!(
                holds(&keys, &before) || holds(&keys, &after),
                "{point}: rows were missing: {keys:#?}"
            );
        }
        assert_removed(&workspace, &before)?;
        recover(&workspace, &[])
    });
}

/// Kills a load at `point` after the commit, with at most one upload completed.
fn crash_while_publishing(
    workspace: &CloudWorkspace,
    point: &str,
    flags: &[&str],
) -> anyhow::Result<()> {
    let proxy = FaultProxy::start(&workspace.s3)?;
    let script = ScriptedFault::always("CompleteMultipartUpload", Fault::SlowDown);
    proxy.add_script(ScriptedFault { after: 1, ..script });
    let load = workspace.load(first(), last())?.args(flags).crash_at(point);
    let crashed = load.env("AWS_ENDPOINT_URL_S3", proxy.url()).run()?;
    assert!(crashed.was_killed(), "{point}: {}", crashed.stderr);
    Ok(())
}

/// Aborts every upload, as a lifecycle rule does with old ones.
fn abort_all(workspace: &CloudWorkspace) -> anyhow::Result<()> {
    let uploads = workspace.bucket.uploads()?;
    assert!(!uploads.is_empty(), "the dead load left no upload");
    for upload in uploads {
        workspace.bucket.abort(&upload)?;
    }
    Ok(())
}

#[test]
fn a_load_to_s3_killed_at_any_moment_ends_exact() -> anyhow::Result<()> {
    let Some(measured) = CloudWorkspace::with_flows("killed_on_s3", first(), last(), 2000)? else {
        return Ok(());
    };
    let since = Instant::now();
    measured.load(first(), last())?.run()?.expect_code(0);
    let whole = since.elapsed();
    in_parallel(&[2, 4, 6, 8], |tenth| {
        let Some(workspace) = CloudWorkspace::with_flows("killed_on_s3", first(), last(), 2000)?
        else {
            return Ok(());
        };
        let load = workspace.load(first(), last())?.spawn()?;
        sleep(whole * *tenth / 10);
        load.kill()?;
        load.wait()?;
        recover(&workspace, &[])
    });
    Ok(())
}
