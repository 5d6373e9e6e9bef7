//! Successful loads: they load the selected days, no others, and none twice.

use tests::days::day;
use tests::inputs::Flows;
use tests::{Workspace, inputs, rows};

/// A workspace with flows of some days of two months.
fn two_months(rows: u64) -> anyhow::Result<Workspace> {
    let workspace = Workspace::new()?;
    Flows::default().write_days(
        &workspace.input(),
        day("2024-01-15"),
        day("2024-02-25"),
        rows,
    )?;
    Ok(workspace)
}

#[test]
fn two_months_are_clipped_to_the_selected_days() -> anyhow::Result<()> {
    let workspace = two_months(60)?;
    let answer = workspace
        .load(day("2024-01-22"), day("2024-02-21"))?
        .run()?
        .expect_code(0);
    assert_eq!(answer.periods(), ["2024-01 done", "2024-02 done"]);
    assert_eq!(answer.json()["state"], "done");
    let days = answer.json()["periods"][0]["days"].clone();
    assert_eq!(days.as_array().map(Vec::len), Some(10));
    assert_eq!(days[0], "2024-01-22");
    workspace.assert_exact(day("2024-01-22"), day("2024-02-21"))
}

#[test]
fn every_row_read_is_in_the_ledger_once() -> anyhow::Result<()> {
    let workspace = two_months(60)?;
    let answer = workspace
        .load(day("2024-01-22"), day("2024-02-21"))?
        .run()?
        .expect_code(0);
    let into = answer.rows("read") + answer.rows("duplicated");
    let out = ["written", "quarantined", "filtered", "other_period"].map(|what| answer.rows(what));
    assert_eq!(into, out.iter().sum::<u64>(), "{}", answer.stdout);
    assert_eq!(answer.rows("written"), rows::count_all(&workspace.lake())?);
    assert_eq!(answer.rows("quarantined"), 0);
    assert!(
        answer.rows("other_period") > 0,
        "the files of the margin have rows of other periods"
    );
    Ok(())
}

#[test]
fn a_second_run_skips_every_period_and_keeps_the_objects() -> anyhow::Result<()> {
    let workspace = two_months(40)?;
    workspace
        .load(day("2024-01-22"), day("2024-02-21"))?
        .run()?
        .expect_code(0);
    let before = rows::objects(&workspace.lake());
    let answer = workspace
        .load(day("2024-01-22"), day("2024-02-21"))?
        .run()?
        .expect_code(0);
    assert_eq!(answer.periods(), ["2024-01 skipped", "2024-02 skipped"]);
    assert_eq!(rows::objects(&workspace.lake()), before);
    Ok(())
}

#[test]
fn a_wider_range_loads_only_the_missing_days() -> anyhow::Result<()> {
    let workspace = two_months(40)?;
    workspace
        .load(day("2024-01-22"), day("2024-02-10"))?
        .run()?
        .expect_code(0);
    let before = rows::objects(&workspace.lake());
    let answer = workspace
        .load(day("2024-01-22"), day("2024-02-14"))?
        .run()?
        .expect_code(0);
    assert_eq!(answer.periods(), ["2024-01 skipped", "2024-02 done"]);
    let after = rows::objects(&workspace.lake());
    assert!(
        before.iter().all(|object| after.contains(object)),
        "earlier days keep their objects"
    );
    let expected = rows::raw_flows(&workspace.input(), day("2024-02-11"), day("2024-02-14"))?;
    assert_eq!(answer.rows("written"), expected.len() as u64);
    workspace.assert_exact(day("2024-01-22"), day("2024-02-14"))
}

#[test]
fn a_full_load_replaces_every_object_and_duplicates_no_row() -> anyhow::Result<()> {
    let workspace = two_months(40)?;
    workspace
        .load(day("2024-01-22"), day("2024-02-21"))?
        .run()?
        .expect_code(0);
    let before = rows::objects(&workspace.lake());
    let again = workspace
        .load(day("2024-01-22"), day("2024-02-21"))?
        .arg("--full-load");
    let answer = again.run()?.expect_code(0);
    assert_eq!(answer.periods(), ["2024-01 done", "2024-02 done"]);
    let after = rows::objects(&workspace.lake());
    assert!(
        before.iter().all(|object| !after.contains(object)),
        "a full load writes new objects"
    );
    workspace.assert_exact(day("2024-01-22"), day("2024-02-21"))
}

#[test]
fn a_full_load_of_some_days_keeps_the_months_other_days() -> anyhow::Result<()> {
    let workspace = two_months(40)?;
    workspace
        .load(day("2024-02-01"), day("2024-02-20"))?
        .run()?
        .expect_code(0);
    let again = workspace
        .load(day("2024-02-05"), day("2024-02-06"))?
        .arg("--full-load");
    again.run()?.expect_code(0);
    workspace.assert_exact(day("2024-02-01"), day("2024-02-20"))
}

#[test]
fn a_historical_load_over_a_daily_one_has_each_row_once() -> anyhow::Result<()> {
    let workspace = Workspace::new()?;
    let yesterday = tests::Day::today().plus(-1);
    Flows::default().write_days(&workspace.input(), yesterday.plus(-6), yesterday, 40)?;
    workspace
        .run("vpc_flow")?
        .args(["--daily=2", "--lateness", "0"])
        .run()?
        .expect_code(0);
    workspace.assert_exact(yesterday.plus(-1), yesterday)?;
    let wider = workspace
        .load(yesterday.plus(-4), yesterday)?
        .args(["--lateness", "0"]);
    wider.run()?.expect_code(0);
    workspace.assert_exact(yesterday.plus(-4), yesterday)
}

#[test]
fn each_account_and_region_has_its_own_folder() -> anyhow::Result<()> {
    let workspace = Workspace::new()?;
    for (seed, region) in (2..).zip(["eu-central-1", "us-east-1"]) {
        let flows = Flows {
            account: format!("44445555666{seed}"),
            region: region.to_owned(),
            seed,
        };
        flows.write_days(&workspace.input(), day("2024-03-01"), day("2024-03-04"), 50)?;
    }
    workspace
        .load(day("2024-03-01"), day("2024-03-03"))?
        .run()?
        .expect_code(0);
    workspace.assert_exact(day("2024-03-01"), day("2024-03-03"))
}

#[test]
fn s3_access_logs_of_every_shape_are_loaded() -> anyhow::Result<()> {
    let workspace = Workspace::new()?;
    for day in day("2024-01-30").to(day("2024-02-02")) {
        inputs::write_s3_access(&workspace.input(), day, 50)?;
    }
    let run = workspace
        .run("s3_access")?
        .args(["--from", "2024-01-30", "--to", "2024-02-02"]);
    let answer = run
        .args(["--region", "eu-central-1", "--account", "111122223333"])
        .run()?;
    let answer = answer.expect_code(0);
    assert_eq!(answer.periods(), ["2024-01 done", "2024-02 done"]);
    assert_eq!(
        (answer.rows("written"), answer.rows("quarantined")),
        (200, 0)
    );
    assert_eq!(rows::count_all(&workspace.lake())?, 200);
    Ok(())
}

#[test]
fn no_range_means_every_day_found_in_the_input() -> anyhow::Result<()> {
    let workspace = Workspace::new()?;
    Flows::default().write_days(&workspace.input(), day("2024-03-30"), day("2024-04-02"), 30)?;
    workspace.run("vpc_flow")?.run()?.expect_code(0);
    // The first flow of the first file starts on a day without a file.
    let found = rows::lake_flows(&workspace.lake())?;
    let expected = rows::raw_flows(&workspace.input(), day("2024-03-30"), day("2024-04-02"))?;
    assert!(expected.iter().all(|row| found.contains(row)));
    assert!(found.len() - expected.len() <= 1);
    Ok(())
}
