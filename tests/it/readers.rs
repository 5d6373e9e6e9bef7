//! What other people's readers make of a lake, and what `verify` says of it.

use tests::days::{Day, day};
use tests::inputs::Flows;
use tests::{Lab, python};

fn first() -> Day {
    day("2024-01-30")
}

fn last() -> Day {
    day("2024-02-02")
}

fn loaded() -> anyhow::Result<Lab> {
    let lab = Lab::new()?;
    Flows::default().write_days(&lab.input(), first().plus(-1), last().plus(1), 3000)?;
    lab.load(first(), last())?.run()?.expect_code(0);
    Ok(lab)
}

#[test]
fn a_lake_passes_verify() -> anyhow::Result<()> {
    let lab = loaded()?;
    lab.lakebolt()?
        .args(["verify", "lake"])
        .run()?
        .expect_code(0);
    Ok(())
}

#[test]
fn the_demo_runs_twice_and_passes_verify() -> anyhow::Result<()> {
    let lab = Lab::new()?;
    for _ in 0..2 {
        lab.lakebolt()?.args(["demo", "demo"]).run()?.expect_code(0);
    }
    lab.lakebolt()?
        .args(["verify", "demo/lake"])
        .run()?
        .expect_code(0);
    Ok(())
}

#[test]
fn pyarrow_and_duckdb_find_every_rule_kept() -> anyhow::Result<()> {
    let lab = loaded()?;
    if let Some(script) = python::script("readback", "readback.py", lab.folder())? {
        script.arg("lake").run()?.expect_code(0);
    }
    Ok(())
}

#[test]
fn duckdb_over_the_raw_text_finds_the_same_rows() -> anyhow::Result<()> {
    let lab = loaded()?;
    if let Some(script) = python::script("compare_raw", "compare_raw.py", lab.folder())? {
        let days = [first().to_string(), last().to_string()];
        script
            .args(["input", "lake"])
            .args(days)
            .run()?
            .expect_code(0);
    }
    Ok(())
}
