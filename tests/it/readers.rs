//! Independent readers and `verify` accept a lake.

use tests::days::{Day, day};
use tests::inputs::Flows;
use tests::{Workspace, inputs, python};

fn first() -> Day {
    day("2024-01-30")
}

fn last() -> Day {
    day("2024-02-02")
}

fn loaded() -> anyhow::Result<Workspace> {
    let workspace = Workspace::new()?;
    Flows::default().write_days(&workspace.input(), first().plus(-1), last().plus(1), 3000)?;
    workspace.load(first(), last())?.run()?.expect_code(0);
    Ok(workspace)
}

#[test]
fn a_lake_passes_verify() -> anyhow::Result<()> {
    let workspace = loaded()?;
    workspace
        .lakebolt()?
        .args(["verify", "lake"])
        .run()?
        .expect_code(0);
    Ok(())
}

#[test]
fn the_demo_runs_twice_and_passes_verify() -> anyhow::Result<()> {
    let workspace = Workspace::new()?;
    for _ in 0..2 {
        workspace
            .lakebolt()?
            .args(["demo", "demo"])
            .run()?
            .expect_code(0);
    }
    workspace
        .lakebolt()?
        .args(["verify", "demo/lake"])
        .run()?
        .expect_code(0);
    Ok(())
}

#[test]
fn pyarrow_and_duckdb_find_no_broken_rule() -> anyhow::Result<()> {
    let workspace = loaded()?;
    if let Some(script) = python::script("readback", "readback.py", workspace.folder())? {
        script.arg("lake").run()?.expect_code(0);
    }
    Ok(())
}

#[test]
fn duckdb_over_the_raw_text_finds_the_same_rows() -> anyhow::Result<()> {
    let workspace = loaded()?;
    if let Some(script) = python::script("compare_raw", "compare_raw.py", workspace.folder())? {
        let days = [first().to_string(), last().to_string()];
        script
            .args(["input", "lake"])
            .args(days)
            .run()?
            .expect_code(0);
    }
    Ok(())
}

#[test]
fn every_event_is_valid_by_an_independent_validator() -> anyhow::Result<()> {
    let Some(schema) = python::beside("ocsf/jsonschema-1.1.0-all-profiles.json.gz") else {
        return Ok(());
    };
    let workspace = loaded()?;
    for day in day("2024-01-30").to(day("2024-01-31")) {
        inputs::write_s3_access(&workspace.folder().join("access"), day, 40)?;
    }
    let access = workspace
        .lakebolt()?
        .args(["run", "s3_access", "--format", "json"]);
    let access = access.args([
        "--input",
        "access",
        "--output",
        "lake",
        "--region",
        "eu-west-1",
    ]);
    let access = access.args(["--from", "2024-01-30", "--to", "2024-01-31"]);
    access.run()?.expect_code(0);
    if let Some(script) = python::script(
        "validate_jsonschema",
        "validate_jsonschema.py",
        workspace.folder(),
    )? {
        script.arg("lake").arg(schema).run()?.expect_code(0);
    }
    Ok(())
}
