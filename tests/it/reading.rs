//! Objects that change between listing and reading. A load never writes rows of an object that
//! is not the one that was listed.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tests::cluster::until;
use tests::days::{Day, day};
use tests::inputs::{self, Flows};
use tests::proxy::{Fault, ScriptedFault};
use tests::{CloudWorkspace, Cluster, FaultProxy, Invocation, Output, Running, Workspace, rows};

fn first() -> Day {
    day("2024-02-10")
}

fn last() -> Day {
    day("2024-02-12")
}

/// Starts a load and stops it after it has listed its input.
fn stopped_after_listing(load: Invocation) -> anyhow::Result<Running> {
    let load = load.crash_at("stop:after-listing").spawn()?;
    until("the load has listed its input", || load.is_frozen());
    Ok(load)
}

/// The object whose fate the tests change: the first of the middle day.
fn changed(input: &Path) -> PathBuf {
    Flows::default().path(input, first().plus(1), 0)
}

fn attempts(answer: &Output) -> Value {
    answer.json()["periods"][0]["attempts"].clone()
}

/// Changes the input of a load after its listing. It must list again and write what is there.
fn assert_listed_again(change: impl Fn(&Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let workspace = Workspace::with_flows(first(), last(), 200)?;
    let load = stopped_after_listing(workspace.load(first(), last())?)?;
    change(&workspace.input())?;
    load.thaw()?;
    let answer = load.wait()?.expect_code(0);
    assert_eq!(attempts(&answer), 2, "{}", answer.stderr);
    workspace.assert_exact(first(), last())
}

#[test]
fn a_file_that_was_rewritten_in_place_after_listing_is_listed_again() -> anyhow::Result<()> {
    assert_listed_again(|input| {
        Flows::default().write(input, first().plus(1), 0, 50)?;
        Ok(())
    })
}

#[test]
fn a_file_that_grows_after_listing_is_listed_again() -> anyhow::Result<()> {
    assert_listed_again(|input| {
        let more = Flows::default().write(&input.join("more"), first().plus(1), 7, 90)?;
        let mut file = fs::OpenOptions::new().append(true).open(changed(input))?;
        // The header of the second member is no row of `raw_flows`.
        let text = inputs::read_gzip(&more)?;
        let (_, flows) = text.split_once('\n').unwrap_or_default();
        inputs::write_gzip(&more, flows)?;
        file.write_all(&fs::read(&more)?)?;
        Ok(fs::remove_dir_all(input.join("more"))?)
    })
}

#[test]
fn a_file_of_the_same_length_under_the_listed_name_is_listed_again() -> anyhow::Result<()> {
    assert_listed_again(|input| {
        let path = changed(input);
        let modified = fs::metadata(&path)?.modified()?;
        let bytes = fs::read(&path)?;
        let other = input.join("other");
        fs::write(&other, bytes)?;
        fs::File::open(&other)?.set_modified(modified)?;
        Ok(fs::rename(other, path)?)
    })
}

#[test]
fn a_file_that_is_gone_after_listing_is_listed_again() -> anyhow::Result<()> {
    assert_listed_again(|input| Ok(fs::remove_file(changed(input))?))
}

#[test]
fn an_object_that_changes_again_and_again_fails_the_period_and_is_named() -> anyhow::Result<()> {
    let workspace = Workspace::with_flows(first(), last(), 200)?;
    let load = workspace
        .load(first(), last())?
        .args(["--max-attempts", "1"]);
    let load = stopped_after_listing(load)?;
    Flows::default().write(&workspace.input(), first().plus(1), 0, 50)?;
    load.thaw()?;
    let answer = load.wait()?.expect_code(3).json();
    let error = &answer["periods"][0]["error"];
    assert_eq!(error["code"], "input_changed", "{error}");
    let name = changed(&workspace.input());
    let name = name.file_name().unwrap_or_default().to_string_lossy();
    assert!(error["message"].to_string().contains(&*name), "{error}");
    assert!(rows::objects(&workspace.lake()).is_empty());
    Ok(())
}

#[test]
fn an_object_that_was_replaced_or_deleted_after_listing_is_listed_again() -> anyhow::Result<()> {
    let test = "an_object_that_was_replaced_after_listing";
    for deleted in [false, true] {
        let Some(workspace) = CloudWorkspace::with_flows(test, first(), last(), 200)? else {
            return Ok(());
        };
        let load = stopped_after_listing(workspace.load(first(), last())?)?;
        let path = changed(&workspace.local.input());
        let key = path.strip_prefix(workspace.local.input())?;
        let key = format!("in/{}", key.display());
        if deleted {
            fs::remove_file(&path)?;
            workspace.bucket.delete(&key)?;
        } else {
            Flows::default().write(&workspace.local.input(), first().plus(1), 0, 50)?;
            workspace.bucket.put(&key, fs::read(&path)?)?;
        }
        load.thaw()?;
        let answer = load.wait()?.expect_code(0);
        assert_eq!(attempts(&answer), 2, "{}", answer.stderr);
        workspace.assert_exact(first(), last())?;
        workspace.assert_swept()?;
    }
    Ok(())
}

#[test]
fn a_small_object_costs_one_request() -> anyhow::Result<()> {
    let test = "a_small_object_costs_one_request";
    let Some(workspace) = CloudWorkspace::with_flows(test, first(), last(), 200)? else {
        return Ok(());
    };
    let objects = workspace.bucket.keys("in/")?.len() as u64;
    let proxy = FaultProxy::start(&workspace.s3)?;
    // A delay of nothing, which counts the requests for input.
    let counted = ScriptedFault::always("GetObject", Fault::Slow(Duration::ZERO));
    proxy.add_script(counted.with("/in/"));
    let load = workspace.load(first(), last())?;
    load.env("AWS_ENDPOINT_URL_S3", proxy.url())
        .run()?
        .expect_code(0);
    assert_eq!(proxy.injected()["GetObject slow"], objects);
    Ok(())
}

#[test]
fn a_cluster_lists_again_when_an_executor_finds_another_object() -> anyhow::Result<()> {
    let workspace = Workspace::with_flows(first(), last(), 200)?;
    let state = format!("sqlite:{}", workspace.folder().join("state.db").display());
    let cluster = Cluster::new(workspace.folder(), &state)?;
    let scheduler = cluster
        .scheduler()?
        .crash_at("stop:after-listing")
        .spawn()?;
    cluster.wait_until_ready();
    let _executor = cluster.executor()?.spawn()?;
    let load = workspace.load(first(), last())?;
    let load = load
        .args(["--cluster", &cluster.listen.to_string()])
        .spawn()?;
    until("the load has listed its input", || scheduler.is_frozen());
    Flows::default().write(&workspace.input(), first().plus(1), 0, 50)?;
    scheduler.thaw()?;
    let answer = load.wait()?.expect_code(0);
    assert_eq!(attempts(&answer), 2, "{}", answer.stderr);
    workspace.assert_exact(first(), last())
}
