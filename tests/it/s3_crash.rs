//! A process that dies while it loads into S3: whatever the moment, the same command
//! run again ends with exactly the period's rows, and no upload is left.
//!
//! The points are tried at once, since most of the time a rerun waits for a lease to end.

use std::thread::sleep;
use std::time::{Duration, Instant};

use tests::cloud::at_once;
use tests::days::{Day, day};
use tests::points::{AFTER_COMMIT, BEFORE_COMMIT};
use tests::proxy::{Fault, Script};
use tests::{CloudLab, Proxy};

fn first() -> Day {
    day("2024-02-10")
}

fn last() -> Day {
    day("2024-02-12")
}

fn lab(test: &str) -> anyhow::Result<Option<CloudLab>> {
    CloudLab::with_flows(test, first(), last(), 60)
}

/// Dies at `point`.
fn dies(lab: &CloudLab, point: &str, flags: &[&str]) -> anyhow::Result<()> {
    let load = lab.load(first(), last())?.args(flags).crash_at(point);
    let crashed = load.run()?;
    let stderr = &crashed.stderr;
    assert!(crashed.was_killed(), "{point} was not reached: {stderr}");
    Ok(())
}

/// The same command again, and what is to stand then.
fn is_mended(lab: &CloudLab, flags: &[&str]) -> anyhow::Result<()> {
    let again = lab.load_again(first(), last())?.args(flags);
    again.run()?.expect_code(0);
    lab.assert_exact(first(), last())?;
    lab.assert_swept()?;
    lab.assert_exact(first(), last())
}

#[test]
fn a_first_load_into_s3_survives_its_death_before_the_commit_and_shows_nothing_of_it() {
    at_once(&BEFORE_COMMIT, |point| {
        let Some(lab) = lab("a_first_load_into_s3_dies_before_the_commit")? else {
            return Ok(());
        };
        dies(&lab, point, &[])?;
        let seen = lab.objects()?;
        assert!(seen.is_empty(), "after {point} a lister sees {seen:#?}");
        is_mended(&lab, &[])
    });
}

#[test]
fn a_first_load_into_s3_survives_its_death_after_the_commit() {
    at_once(&AFTER_COMMIT, |point| {
        let Some(lab) = lab("a_first_load_into_s3_dies_after_the_commit")? else {
            return Ok(());
        };
        dies(&lab, point, &[])?;
        is_mended(&lab, &[])
    });
}

#[test]
fn a_replacing_load_into_s3_survives_its_death_before_the_commit_and_keeps_the_old_rows() {
    at_once(&BEFORE_COMMIT, |point| {
        let Some(lab) = lab("a_replacing_load_into_s3_dies_before_the_commit")? else {
            return Ok(());
        };
        lab.load(first(), last())?.run()?.expect_code(0);
        let before = lab.objects()?;
        dies(&lab, point, &["--full-load"])?;
        assert_eq!(lab.objects()?, before, "after {point}");
        is_mended(&lab, &["--full-load"])?;
        are_gone(&lab, &before)
    });
}

#[test]
fn a_replacing_load_into_s3_survives_its_death_after_the_commit() {
    at_once(&AFTER_COMMIT, |point| {
        let Some(lab) = lab("a_replacing_load_into_s3_dies_after_the_commit")? else {
            return Ok(());
        };
        lab.load(first(), last())?.run()?.expect_code(0);
        let before = lab.objects()?;
        dies(&lab, point, &["--full-load"])?;
        is_mended(&lab, &["--full-load"])?;
        are_gone(&lab, &before)
    });
}

/// A plain rerun finishes the replacement that was committed.
#[test]
fn a_plain_rerun_after_a_dead_replacement_on_s3_is_exact_too() {
    let points = ["before-commit", "after-commit", "between-completions"];
    at_once(&points, |point| {
        let Some(lab) = lab("a_plain_rerun_after_a_dead_replacement_on_s3")? else {
            return Ok(());
        };
        lab.load(first(), last())?.run()?.expect_code(0);
        dies(&lab, point, &["--full-load"])?;
        is_mended(&lab, &[])
    });
}

fn are_gone(lab: &CloudLab, before: &[String]) -> anyhow::Result<()> {
    let after = lab.objects()?;
    assert!(
        before.iter().all(|object| !after.contains(object)),
        "an object of the replaced load is left"
    );
    Ok(())
}

#[test]
fn parts_that_a_lifecycle_rule_aborted_after_the_commit_are_loaded_again() {
    at_once(&["after-commit", "between-completions"], |point| {
        let Some(lab) = lab("parts_that_a_lifecycle_rule_aborted")? else {
            return Ok(());
        };
        dies_publishing(&lab, point, &[])?;
        abort_all(&lab)?;
        is_mended(&lab, &[])
    });
}

#[test]
fn a_replacement_whose_parts_were_aborted_keeps_the_old_rows_until_it_has_new_ones() {
    at_once(&["after-commit", "between-completions"], |point| {
        let Some(lab) = lab("a_replacement_whose_parts_were_aborted")? else {
            return Ok(());
        };
        lab.load(first(), last())?.run()?.expect_code(0);
        let before = lab.objects()?;
        dies_publishing(&lab, point, &["--full-load"])?;
        abort_all(&lab)?;
        let mut rerun = lab.load_again(first(), last())?.spawn()?;
        let mut seen = vec![lab.objects()?];
        while rerun.is_running()? {
            seen.push(lab.objects()?);
            sleep(Duration::from_millis(5));
        }
        rerun.wait()?.expect_code(0);
        let after = lab.objects()?;
        let holds =
            |keys: &[String], wanted: &[String]| wanted.iter().all(|key| keys.contains(key));
        for keys in seen {
            assert!(
                holds(&keys, &before) || holds(&keys, &after),
                "{point}: rows were gone: {keys:#?}"
            );
        }
        are_gone(&lab, &before)?;
        is_mended(&lab, &[])
    });
}

/// Dies at `point` after the commit, with at most one upload completed.
fn dies_publishing(lab: &CloudLab, point: &str, flags: &[&str]) -> anyhow::Result<()> {
    let proxy = Proxy::start(&lab.s3)?;
    let script = Script::always("CompleteMultipartUpload", Fault::SlowDown);
    proxy.script(Script { after: 1, ..script });
    let load = lab.load(first(), last())?.args(flags).crash_at(point);
    let crashed = load.env("AWS_ENDPOINT_URL_S3", proxy.url()).run()?;
    assert!(crashed.was_killed(), "{point}: {}", crashed.stderr);
    Ok(())
}

/// Aborts every upload, as a lifecycle rule does with old ones.
fn abort_all(lab: &CloudLab) -> anyhow::Result<()> {
    let uploads = lab.bucket.uploads()?;
    assert!(!uploads.is_empty(), "the dead load left no upload");
    for upload in uploads {
        lab.bucket.abort(&upload)?;
    }
    Ok(())
}

#[test]
fn killed_at_any_moment_a_load_into_s3_ends_exact() -> anyhow::Result<()> {
    let Some(measured) = CloudLab::with_flows("killed_on_s3", first(), last(), 2000)? else {
        return Ok(());
    };
    let since = Instant::now();
    measured.load(first(), last())?.run()?.expect_code(0);
    let whole = since.elapsed();
    at_once(&[2, 4, 6, 8], |tenth| {
        let Some(lab) = CloudLab::with_flows("killed_on_s3", first(), last(), 2000)? else {
            return Ok(());
        };
        let load = lab.load(first(), last())?.spawn()?;
        sleep(whole * *tenth / 10);
        load.kill()?;
        load.wait()?;
        is_mended(&lab, &[])
    });
    Ok(())
}
