//! An object without a date is read once for all months of a load, also if the load dies.

use tests::cloud::in_parallel;
use tests::cluster::until;
use tests::days::{Day, day};
use tests::points::{AFTER_COMMIT, BEFORE_COMMIT};
use tests::{CloudWorkspace, Cluster, Output, Workspace};

use crate::ownership::{flow, ids, write};

/// Days with one flow each.
const DAYS: u32 = 90;

fn first() -> Day {
    day("2024-01-01")
}

fn last() -> Day {
    day("2024-03-30")
}

fn all() -> Vec<u32> {
    (1..=DAYS).collect()
}

/// One object with a flow of each day of three months.
fn write_quarter(workspace: &Workspace) -> anyhow::Result<()> {
    let flows = (0..DAYS).map(|number| flow(first().plus(number.into()), 5, number + 1));
    let flows: Vec<String> = flows.collect();
    write(&workspace.input().join("app.log"), &flows)
}

/// Fails unless the load read the object once and accounts for each of its rows once.
#[track_caller]
fn expect_read_once(answer: &Output) {
    assert_eq!(
        answer.periods(),
        ["2024-01 done", "2024-02 done", "2024-03 done"]
    );
    assert_eq!(answer.json()["input"]["objects"], 1, "{}", answer.stdout);
    let counts = ["read", "written", "other_period"].map(|count| answer.rows(count));
    assert_eq!(counts, [90, 90, 0]);
}

#[test]
fn an_object_without_a_date_is_read_once_for_three_months() -> anyhow::Result<()> {
    let workspace = Workspace::new()?;
    write_quarter(&workspace)?;
    let answer = workspace.load(first(), last())?.run()?.expect_code(0);
    expect_read_once(&answer);
    assert_eq!(ids(&workspace)?, all());
    assert!(workspace.staged().is_empty());
    let again = workspace.load(first(), last())?.run()?.expect_code(0);
    assert_eq!(again.json()["input"]["objects"], 0);
    Ok(())
}

#[test]
fn a_load_of_several_months_that_dies_at_any_point_can_be_repeated() {
    let points = [&BEFORE_COMMIT[..], &AFTER_COMMIT[..]].concat();
    in_parallel(&points, |point| {
        let workspace = Workspace::new()?;
        write_quarter(&workspace)?;
        // A full load replaces objects, so that all points are passed.
        workspace.load(first(), last())?.run()?.expect_code(0);
        let full = workspace.load(first(), last())?.arg("--full-load");
        let crashed = full.crash_at(point).run()?;
        assert!(crashed.was_killed(), "{point}: {}", crashed.stderr);
        let again = workspace.load_again(first(), last())?.arg("--full-load");
        again.run()?.expect_code(0);
        assert_eq!(ids(&workspace)?, all(), "{point}");
        workspace.sweep()?.expect_code(0);
        assert!(workspace.staged().is_empty(), "{point}");
        Ok(())
    });
}

#[test]
fn a_load_of_several_months_to_s3_that_dies_leaves_no_upload() {
    let points = [
        "during-first-part",
        "before-manifest",
        "between-completions",
    ];
    in_parallel(&points, |point| {
        let Some(workspace) = CloudWorkspace::new("a_load_of_several_months_to_s3")? else {
            return Ok(());
        };
        write_quarter(&workspace.local)?;
        workspace.upload()?;
        let load = workspace.load(first(), last())?.crash_at(point);
        let crashed = load.run()?;
        assert!(crashed.was_killed(), "{point}: {}", crashed.stderr);
        let again = workspace.load_again(first(), last())?;
        again.run()?.expect_code(0);
        workspace.assert_swept()?;
        workspace.download()?;
        assert_eq!(ids(&workspace.local)?, all(), "{point}");
        Ok(())
    });
}

#[test]
fn a_cluster_reads_an_object_without_a_date_once_also_if_an_executor_dies() -> anyhow::Result<()> {
    let workspace = Workspace::new()?;
    write_quarter(&workspace)?;
    let state = format!("sqlite:{}", workspace.folder().join("state.db").display());
    let cluster = Cluster::new(workspace.folder(), &state)?;
    let _scheduler = cluster.serve()?;
    let mut dying = cluster.executor()?.crash_at("before-receipt").spawn()?;
    let load = workspace.load(first(), last())?;
    let load = load.args(["--cluster", &cluster.listen.to_string()]);
    let client = load.args(&cluster.tls).spawn()?;
    until("the executor is dead", || {
        !dying.is_running().unwrap_or(true)
    });
    let _executor = cluster.executor()?.spawn()?;
    let answer = client.wait()?.expect_code(0);
    expect_read_once(&answer);
    assert_eq!(ids(&workspace)?, all());
    Ok(())
}
