//! Which days a load skips and which it loads: open months, late files, changed mappings,
//! other datasets.

use std::fs;

use tests::days::{Day, day};
use tests::inputs::Flows;
use tests::{Workspace, rows};

const RANGE: [&str; 4] = ["--from", "2024-02-10", "--to", "2024-02-12"];

fn first() -> Day {
    day("2024-02-10")
}

fn last() -> Day {
    day("2024-02-12")
}

fn workspace() -> anyhow::Result<Workspace> {
    Workspace::with_flows(first(), last(), 40)
}

#[test]
fn a_day_that_may_still_get_input_is_not_complete_and_is_loaded_again() -> anyhow::Result<()> {
    let workspace = Workspace::new()?;
    let today = Day::today();
    let flows = Flows::default();
    flows.write_days(&workspace.input(), today.plus(-3), today, 30)?;
    workspace.load(today.plus(-2), today)?.run()?.expect_code(0);
    workspace.assert_exact(today.plus(-2), today)?;
    let status = workspace
        .lakebolt()?
        .args(["status", "--output", "lake", "--format", "json"]);
    let status = status.run()?.expect_code(0);
    assert!(
        !status.stdout.contains("\"load_completed\":true"),
        "{}",
        status.stdout
    );
    assert!(
        !status.stdout.contains("\"load_completed\": true"),
        "{}",
        status.stdout
    );
    // More input of the open day arrives.
    flows.write(&workspace.input(), today, 7, 30)?;
    workspace.load(today.plus(-2), today)?.run()?.expect_code(0);
    workspace.assert_exact(today.plus(-2), today)
}

#[test]
fn a_late_file_is_loaded_by_the_next_run() -> anyhow::Result<()> {
    let workspace = workspace()?;
    workspace.load(first(), last())?.run()?.expect_code(0);
    Flows::default().write(&workspace.input(), day("2024-02-11"), 9, 25)?;
    let answer = workspace.load(first(), last())?.run()?.expect_code(0);
    assert_eq!(answer.periods(), ["2024-02 done"]);
    workspace.assert_exact(first(), last())?;
    let answer = workspace.load(first(), last())?.run()?.expect_code(0);
    assert_eq!(answer.periods(), ["2024-02 skipped"]);
    Ok(())
}

#[test]
fn a_changed_mapping_is_reported_and_reloaded_only_on_request() -> anyhow::Result<()> {
    let workspace = workspace()?;
    workspace.source("my_flows", 1)?;
    workspace
        .run("./my_flows")?
        .args(RANGE)
        .run()?
        .expect_code(0);
    let before = rows::objects(&workspace.lake());
    assert_eq!(severities(&workspace)?, ["1"]);
    workspace.source("my_flows", 3)?;
    let answer = workspace
        .run("./my_flows")?
        .args(RANGE)
        .run()?
        .expect_code(0);
    assert_eq!(answer.periods(), ["2024-02 skipped"]);
    let json = answer.json();
    let text = format!("{} {}", json["warnings"], json["periods"][0]["reason"]);
    assert!(text.contains("stale"), "{}", answer.stdout);
    assert_eq!(rows::objects(&workspace.lake()), before);
    let reload = workspace
        .run("./my_flows")?
        .args(RANGE)
        .args(["--on-stale", "reload"]);
    assert_eq!(reload.run()?.expect_code(0).periods(), ["2024-02 done"]);
    assert_eq!(severities(&workspace)?, ["3"]);
    workspace.assert_exact(first(), last())
}

fn severities(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for object in rows::objects(&workspace.lake()) {
        let columns = rows::read(&object, &["severity_id"])?;
        found.extend(columns.into_iter().flatten());
    }
    found.sort();
    found.dedup();
    Ok(found)
}

#[test]
fn the_days_of_a_deleted_object_are_loaded_again() -> anyhow::Result<()> {
    let workspace = workspace()?;
    workspace.load(first(), last())?.run()?.expect_code(0);
    fs::remove_file(&rows::objects(&workspace.lake())[0])?;
    let plan = workspace
        .lakebolt()?
        .args(["plan", "vpc_flow", "--input", "input", "--output", "lake"]);
    plan.args(RANGE).run()?.expect_code(0);
    workspace.load(first(), last())?.run()?.expect_code(0);
    workspace.assert_exact(first(), last())
}

#[test]
fn another_output_is_another_dataset() -> anyhow::Result<()> {
    let workspace = workspace()?;
    workspace.load(first(), last())?.run()?.expect_code(0);
    let other = workspace
        .lakebolt()?
        .args(["run", "vpc_flow", "--format", "json"]);
    let other = other
        .args(["--input", "input", "--output", "other"])
        .args(RANGE);
    assert_eq!(other.run()?.expect_code(0).periods(), ["2024-02 done"]);
    let found = rows::lake_flows(&workspace.folder().join("other"))?;
    rows::assert_same(
        &found,
        &rows::raw_flows(&workspace.input(), first(), last())?,
    );
    workspace.assert_exact(first(), last())
}

#[test]
fn another_name_or_shape_is_another_dataset() -> anyhow::Result<()> {
    let workspace = workspace()?;
    workspace.load(first(), last())?.run()?.expect_code(0);
    let shared = ["--state", "sqlite:lake/.lakebolt/state.db"];
    for (flag, value) in [("--as", "second"), ("--shape", "raw")] {
        let other = workspace
            .lakebolt()?
            .args(["run", "vpc_flow", "--format", "json", flag, value]);
        let other = other
            .args(["--input", "input", "--output", value])
            .args(shared);
        assert_eq!(
            other.args(RANGE).run()?.expect_code(0).periods(),
            ["2024-02 done"]
        );
    }
    let answer = workspace.load(first(), last())?.run()?.expect_code(0);
    assert_eq!(answer.periods(), ["2024-02 skipped"]);
    Ok(())
}

#[test]
fn another_input_of_the_same_dataset_is_rejected_without_full_load() -> anyhow::Result<()> {
    let workspace = workspace()?;
    workspace.load(first(), last())?.run()?.expect_code(0);
    let elsewhere = workspace.folder().join("elsewhere");
    Flows {
        seed: 5,
        ..Flows::default()
    }
    .write_days(&elsewhere, first(), last(), 10)?;
    let run = || -> anyhow::Result<_> {
        let run = workspace
            .lakebolt()?
            .args(["run", "vpc_flow", "--format", "json"]);
        Ok(run
            .args(["--input", "elsewhere", "--output", "lake"])
            .args(RANGE))
    };
    run()?.run()?.expect_code(2);
    workspace.assert_exact(first(), last())?;
    run()?.arg("--full-load").run()?.expect_code(0);
    let found = rows::lake_flows(&workspace.lake())?;
    rows::assert_same(&found, &rows::raw_flows(&elsewhere, first(), last())?);
    Ok(())
}

#[test]
fn no_input_object_is_an_error_unless_allowed() -> anyhow::Result<()> {
    let workspace = Workspace::new()?;
    fs::create_dir_all(workspace.input())?;
    workspace.load(first(), last())?.run()?.expect_code(4);
    workspace
        .load(first(), last())?
        .arg("--allow-empty")
        .run()?
        .expect_code(0);
    assert!(rows::objects(&workspace.lake()).is_empty());
    Ok(())
}

#[test]
fn a_truncated_file_and_unreadable_lines_are_quarantined_with_their_position() -> anyhow::Result<()>
{
    let workspace = workspace()?;
    let flows = Flows::default();
    let path = flows.write(&workspace.input(), day("2024-02-11"), 3, 400)?;
    let bytes = fs::read(&path)?;
    fs::write(&path, &bytes[..bytes.len() - 60])?;
    let answer = workspace
        .load(first(), last())?
        .args(["--max-quarantine", "50"])
        .run()?;
    let answer = answer.expect_code(3);
    assert_eq!(answer.json()["broken"][0]["day"], "2024-02-11");
    assert!(answer.rows("quarantined") >= 1, "{}", answer.stdout);
    let listed = workspace
        .lakebolt()?
        .args(["quarantine", "vpc_flow", "--output", "lake"])
        .run()?;
    assert!(listed.expect_code(0).stdout.contains(".log.gz"));
    let inside = rows::objects(&workspace.lake());
    assert!(
        inside
            .iter()
            .all(|path| !path.to_string_lossy().contains("quarantine"))
    );
    Ok(())
}

#[test]
fn a_period_with_too_many_rejected_rows_fails_and_publishes_nothing() -> anyhow::Result<()> {
    let workspace = Workspace::new()?;
    let path = Flows::default().path(&workspace.input(), first(), 0);
    tests::inputs::write_gzip(
        &path,
        &("version account-id start\n".to_owned() + &"this is no flow log\n".repeat(20)),
    )?;
    let answer = workspace.load(first(), first())?.run()?.expect_code(3);
    assert_eq!(answer.json()["state"], "failed");
    assert!(rows::objects(&workspace.lake()).is_empty());
    Ok(())
}
