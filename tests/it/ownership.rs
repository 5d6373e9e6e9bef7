//! Every record of every input object ends in exactly one of written, quarantined, filtered, or
//! a day that is not loaded; and no day is complete while one of its records is missing.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tests::days::{Day, day};
use tests::inputs::{FLOW_HEADER, write_gzip};
use tests::{Invocation, Output, Workspace, rows};

/// A flow that begins at a second of a day. Its source port is its id.
pub(crate) fn flow(day: Day, second: i64, id: u32) -> String {
    let start = day.midnight() + second;
    format!("2 111122223333 eni-0 10.0.0.1 198.51.100.1 {id} 443 6 1 40 {start} {start} ACCEPT OK")
}

pub(crate) fn write(path: &Path, lines: &[String]) -> anyhow::Result<()> {
    fs::create_dir_all(path.parent().expect("a file has a folder"))?;
    fs::write(path, format!("{FLOW_HEADER}\n{}\n", lines.join("\n")))?;
    Ok(())
}

/// The path of an object in the folder of a day.
fn dated(workspace: &Workspace, day: Day, name: &str) -> PathBuf {
    let folder = "AWSLogs/111122223333/vpcflowlogs/eu-central-1";
    let day = day.to_string().replace('-', "/");
    workspace.input().join(folder).join(day).join(name)
}

/// The ids of all events of the lake, sorted.
pub(crate) fn ids(workspace: &Workspace) -> anyhow::Result<Vec<u32>> {
    let mut ids = Vec::new();
    for object in rows::objects(&workspace.lake()) {
        for row in rows::read(&object, &["src_endpoint.port"])? {
            ids.push(row[0].parse()?);
        }
    }
    ids.sort_unstable();
    Ok(ids)
}

fn open_run(workspace: &Workspace) -> anyhow::Result<Invocation> {
    workspace.run("vpc_flow")
}

fn load(workspace: &Workspace, from: &str, to: &str) -> anyhow::Result<Invocation> {
    workspace.load(day(from), day(to))
}

/// The days in a list of the result, such as `owed`.
fn days(answer: &Output, list: &str) -> Vec<String> {
    let json = answer.json();
    let notes = json[list].as_array().cloned().unwrap_or_default();
    let day = |note: &Value| note["day"].as_str().unwrap_or_default().to_owned();
    notes.iter().map(day).collect()
}

fn plan(workspace: &Workspace, from: &str, to: &str) -> anyhow::Result<Output> {
    let plan = workspace.lakebolt()?.args(["plan", "vpc_flow"]);
    let plan = plan.args(["--input", "input", "--output", "lake", "--format", "json"]);
    plan.args(["--from", from, "--to", to]).run()
}

fn is_complete(workspace: &Workspace, month: &str) -> anyhow::Result<bool> {
    let status = workspace.lakebolt()?.args(["status", "--output", "lake"]);
    let status = status.args(["--format", "json"]).run()?.expect_code(0);
    let json = status.json();
    let periods = json["periods"].as_array().cloned().unwrap_or_default();
    let found = periods.iter().find(|period| period["period"] == month);
    let completed = found.map(|period| period["load_completed"] == Value::Bool(true));
    Ok(completed.unwrap_or(false))
}

/// Scenario 1: the rows of days that no path names.
#[test]
fn a_load_without_a_range_loads_every_day_that_holds_rows() -> anyhow::Result<()> {
    let workspace = Workspace::new()?;
    let tenth = day("2024-01-10");
    let lines = [
        flow(tenth.plus(-1), 86_340, 1),
        flow(tenth, 100, 2),
        flow(tenth, 200, 3),
        flow(tenth, 300, 4),
        flow(tenth.plus(1), 0, 5),
    ];
    write(&dated(&workspace, tenth, "a.log"), &lines)?;
    // After a gap there is another day, whose object holds a row of the month before.
    let other = day("2024-02-01");
    let lines = [flow(other.plus(-1), 86_399, 6), flow(other, 5, 7)];
    write(&dated(&workspace, other, "b.log"), &lines)?;
    let answer = open_run(&workspace)?.run()?.expect_code(0);
    assert_eq!(ids(&workspace)?, [1, 2, 3, 4, 5, 6, 7]);
    assert!(days(&answer, "owed").is_empty() && days(&answer, "not_loaded").is_empty());
    let periods = answer.periods();
    assert_eq!(periods, ["2024-01 done", "2024-02 done"]);
    let again = open_run(&workspace)?.run()?.expect_code(0);
    assert_eq!(again.periods(), ["2024-01 skipped", "2024-02 skipped"]);
    assert_eq!(ids(&workspace)?.len(), 7);
    Ok(())
}

/// Scenario 1, with a range: rows outside of it are counted by their days.
#[test]
fn rows_of_days_outside_the_range_are_named_as_not_loaded() -> anyhow::Result<()> {
    let workspace = Workspace::new()?;
    let tenth = day("2024-01-10");
    let lines = [flow(tenth.plus(-1), 86_340, 1), flow(tenth, 0, 2)];
    write(&dated(&workspace, tenth, "a.log"), &lines)?;
    let answer = load(&workspace, "2024-01-10", "2024-01-10")?
        .run()?
        .expect_code(0);
    assert_eq!(ids(&workspace)?, [2]);
    assert_eq!(days(&answer, "not_loaded"), ["2024-01-09"]);
    assert_eq!(answer.json()["not_loaded"][0]["rows"], 1);
    // The next load without a range knows of them, although no object is of that day.
    open_run(&workspace)?.run()?.expect_code(0);
    assert_eq!(ids(&workspace)?, [1, 2]);
    Ok(())
}

/// Scenario 2: a late object holds rows of a day of another month that is loaded already.
#[test]
fn a_loaded_day_that_gets_rows_from_another_load_is_owed_them() -> anyhow::Result<()> {
    let workspace = Workspace::new()?;
    let (january, february) = (day("2024-01-31"), day("2024-02-01"));
    write(&dated(&workspace, january, "a.log"), &[flow(january, 0, 1)])?;
    write(
        &dated(&workspace, february, "a.log"),
        &[flow(february, 0, 2)],
    )?;
    load(&workspace, "2024-01-31", "2024-02-01")?
        .run()?
        .expect_code(0);
    assert!(is_complete(&workspace, "2024-02")?);
    let late = [flow(january, 50, 3), flow(february, 0, 4)];
    write(&dated(&workspace, january, "late.log"), &late)?;
    let answer = load(&workspace, "2024-01-31", "2024-01-31")?
        .run()?
        .expect_code(0);
    assert_eq!(ids(&workspace)?, [1, 2, 3]);
    assert_eq!(days(&answer, "owed"), ["2024-02-01"]);
    let note = &answer.json()["owed"][0];
    assert_eq!((&note["rows"], &note["objects"]), (&1.into(), &1.into()));
    assert!(!is_complete(&workspace, "2024-02")?, "a row is missing");
    let plan = plan(&workspace, "2024-02-01", "2024-02-01")?.expect_code(0);
    assert_eq!(days(&plan, "owed"), ["2024-02-01"]);
    let answer = open_run(&workspace)?.run()?.expect_code(0);
    assert_eq!(ids(&workspace)?, [1, 2, 3, 4]);
    assert!(days(&answer, "owed").is_empty());
    assert!(is_complete(&workspace, "2024-02")?);
    Ok(())
}

/// Scenario 3: the objects of a loaded day are merged into one that has more rows.
#[test]
fn merged_objects_with_more_rows_make_a_rewritten_day() -> anyhow::Result<()> {
    let workspace = Workspace::new()?;
    let tenth = day("2024-01-10");
    for hour in 0..4 {
        let path = dated(&workspace, tenth, &format!("{hour}.log"));
        write(&path, &[flow(tenth, i64::from(hour) * 3600, hour)])?;
    }
    load(&workspace, "2024-01-10", "2024-01-10")?
        .run()?
        .expect_code(0);
    assert!(is_complete(&workspace, "2024-01")?);
    for hour in 0..4 {
        fs::remove_file(dated(&workspace, tenth, &format!("{hour}.log")))?;
    }
    let merged: Vec<String> = (0..10)
        .map(|id| flow(tenth, i64::from(id) * 3600, id))
        .collect();
    write(&dated(&workspace, tenth, "merged.log"), &merged)?;
    for _ in 0..2 {
        let answer = load(&workspace, "2024-01-10", "2024-01-10")?
            .run()?
            .expect_code(3);
        assert_eq!(days(&answer, "rewritten"), ["2024-01-10"]);
        let note = &answer.json()["rewritten"][0];
        assert_eq!((&note["rows"], &note["gone_rows"]), (&10.into(), &4.into()));
        assert!(
            note["remedy"]
                .as_str()
                .unwrap_or_default()
                .contains("--on-vanished")
        );
        assert_eq!(
            ids(&workspace)?,
            [0, 1, 2, 3],
            "the published rows are kept"
        );
        assert!(!is_complete(&workspace, "2024-01")?);
    }
    let replace = ["--on-vanished", "replace"];
    let answer = load(&workspace, "2024-01-10", "2024-01-10")?.args(replace);
    let answer = answer.run()?.expect_code(0);
    assert!(days(&answer, "rewritten").is_empty());
    assert_eq!(ids(&workspace)?, Vec::from_iter(0..10));
    assert!(is_complete(&workspace, "2024-01")?);
    Ok(())
}

/// Scenario 3, the other answer: the new objects are other data.
#[test]
fn new_objects_can_be_added_beside_rows_whose_objects_are_gone() -> anyhow::Result<()> {
    let workspace = Workspace::new()?;
    let tenth = day("2024-01-10");
    write(&dated(&workspace, tenth, "a.log"), &[flow(tenth, 0, 1)])?;
    write(&dated(&workspace, tenth, "b.log"), &[flow(tenth, 0, 2)])?;
    load(&workspace, "2024-01-10", "2024-01-10")?
        .run()?
        .expect_code(0);
    fs::remove_file(dated(&workspace, tenth, "a.log"))?;
    write(&dated(&workspace, tenth, "c.log"), &[flow(tenth, 0, 3)])?;
    let add = load(&workspace, "2024-01-10", "2024-01-10")?.args(["--on-vanished", "add"]);
    add.run()?.expect_code(0);
    assert_eq!(ids(&workspace)?, [1, 2, 3]);
    assert!(is_complete(&workspace, "2024-01")?);
    let answer = load(&workspace, "2024-01-10", "2024-01-10")?
        .run()?
        .expect_code(0);
    assert_eq!(answer.periods(), ["2024-01 skipped"]);
    assert_eq!(ids(&workspace)?, [1, 2, 3]);
    Ok(())
}

/// Scenario 4: logs without a date in their names are rotated.
#[test]
fn rotated_logs_are_renamed_and_no_published_row_is_deleted() -> anyhow::Result<()> {
    let workspace = Workspace::new()?;
    let log = |name: &str| workspace.input().join(name);
    let days_of = [day("2024-01-10"), day("2024-01-11"), day("2024-01-12")];
    write(&log("app.log.1"), &[flow(days_of[0], 5, 1)])?;
    write(&log("app.log"), &[flow(days_of[1], 5, 2)])?;
    load(&workspace, "2024-01-10", "2024-01-12")?
        .run()?
        .expect_code(0);
    assert_eq!(ids(&workspace)?, [1, 2]);
    fs::remove_file(log("app.log.1"))?;
    fs::rename(log("app.log"), log("app.log.1"))?;
    write(&log("app.log"), &[flow(days_of[2], 5, 3)])?;
    load(&workspace, "2024-01-10", "2024-01-12")?
        .run()?
        .expect_code(0);
    assert_eq!(ids(&workspace)?, [1, 2, 3]);
    Ok(())
}

/// Scenario 4, dated: one object expires and another one arrives.
#[test]
fn an_expired_object_and_a_late_one_are_not_taken_for_each_other() -> anyhow::Result<()> {
    let workspace = Workspace::new()?;
    let tenth = day("2024-01-10");
    write(&dated(&workspace, tenth, "a.log"), &[flow(tenth, 0, 1)])?;
    write(&dated(&workspace, tenth, "b.log"), &[flow(tenth, 0, 2)])?;
    load(&workspace, "2024-01-10", "2024-01-10")?
        .run()?
        .expect_code(0);
    fs::remove_file(dated(&workspace, tenth, "a.log"))?;
    write(&dated(&workspace, tenth, "c.log"), &[flow(tenth, 0, 3)])?;
    let answer = load(&workspace, "2024-01-10", "2024-01-10")?
        .run()?
        .expect_code(3);
    assert_eq!(days(&answer, "rewritten"), ["2024-01-10"]);
    assert_eq!(ids(&workspace)?, [1, 2]);
    let full = load(&workspace, "2024-01-10", "2024-01-10")?.arg("--full-load");
    let answer = full.run()?.expect_code(0);
    assert_eq!(ids(&workspace)?, [2, 3]);
    let warnings = answer.json()["warnings"].to_string();
    assert!(warnings.contains("1 published rows"), "{warnings}");
    Ok(())
}

/// Scenario 4, its kind: an object that was copied back, and one that grew.
#[test]
fn a_restored_file_is_no_change_and_a_grown_one_supersedes_itself() -> anyhow::Result<()> {
    let workspace = Workspace::new()?;
    let tenth = day("2024-01-10");
    let path = dated(&workspace, tenth, "a.log");
    write(&path, &[flow(tenth, 0, 1)])?;
    load(&workspace, "2024-01-10", "2024-01-10")?
        .run()?
        .expect_code(0);
    let modified = fs::metadata(&path)?.modified()?;
    let copy = path.with_extension("copy");
    fs::copy(&path, &copy)?;
    fs::rename(&copy, &path)?;
    fs::File::options()
        .append(true)
        .open(&path)?
        .set_modified(modified)?;
    let answer = load(&workspace, "2024-01-10", "2024-01-10")?
        .run()?
        .expect_code(0);
    assert_eq!(answer.periods(), ["2024-01 skipped"]);
    write(&path, &[flow(tenth, 0, 1), flow(tenth, 9, 2)])?;
    load(&workspace, "2024-01-10", "2024-01-10")?
        .run()?
        .expect_code(0);
    assert_eq!(ids(&workspace)?, [1, 2]);
    // A shorter version is published, with a warning.
    write(&path, &[flow(tenth, 0, 1)])?;
    let answer = load(&workspace, "2024-01-10", "2024-01-10")?
        .run()?
        .expect_code(0);
    let warnings = answer.json()["warnings"].to_string();
    assert!(
        warnings.contains("gives 1 rows, and the one before gave 2"),
        "{warnings}"
    );
    assert_eq!(ids(&workspace)?, [1]);
    Ok(())
}

/// Scenario 6: garbage in an object without a date belongs to the load that reads it first.
#[test]
fn unreadable_rows_of_an_undated_object_are_quarantined_by_the_first_load() -> anyhow::Result<()> {
    let workspace = Workspace::new()?;
    let log = |name: &str| workspace.input().join(name);
    write(&log("first.log"), &[flow(day("2024-01-10"), 5, 1)])?;
    load(&workspace, "2024-01-10", "2024-01-10")?
        .run()?
        .expect_code(0);
    let garbage = vec!["this is no flow".to_owned(); 1000];
    write(&log("second.log"), &garbage)?;
    let again = load(&workspace, "2024-01-12", "2024-01-12")?
        .run()?
        .expect_code(3);
    let error = again.json()["periods"][0]["error"]["code"].clone();
    assert_eq!(error, "too_many_quarantined", "{}", again.stdout);
    let all = load(&workspace, "2024-01-12", "2024-01-12")?.args(["--max-quarantine", "100"]);
    let all = all.run()?.expect_code(0);
    assert_eq!(all.rows("quarantined"), 1000);
    // Later loads of other days leave the rows where they are.
    let other = load(&workspace, "2024-01-14", "2024-01-14")?
        .run()?
        .expect_code(0);
    assert_eq!(other.rows("quarantined"), 0);
    assert!(days(&other, "owed").is_empty());
    Ok(())
}

/// An undated time of 1970, such as seconds that were taken for milliseconds, is named.
#[test]
fn rows_of_a_wrong_year_are_named_with_their_day() -> anyhow::Result<()> {
    let workspace = Workspace::new()?;
    let path = workspace.input().join("app.log");
    write(
        &path,
        &[flow(day("2004-01-20"), 5, 1), flow(day("2024-01-10"), 5, 2)],
    )?;
    let answer = load(&workspace, "2024-01-10", "2024-01-10")?
        .run()?
        .expect_code(0);
    assert_eq!(days(&answer, "not_loaded"), ["2004-01-20"]);
    assert_eq!(answer.rows("other_period"), 1);
    Ok(())
}

/// Scenario 8: the margin is the dataset's.
#[test]
fn another_margin_neither_doubles_nor_loses_a_row() -> anyhow::Result<()> {
    for (first, second) in [
        (["2024-01-12", "2024-01-16"], ["2024-01-12", "2024-01-16"]),
        (["2024-01-12", "2024-01-14"], ["2024-01-15", "2024-01-16"]),
    ] {
        let workspace = Workspace::new()?;
        let object_day = day("2024-01-16");
        let lines = [flow(object_day.plus(-4), 5, 1), flow(object_day, 5, 2)];
        write(&dated(&workspace, object_day, "a.log"), &lines)?;
        let most = ["--max-quarantine", "100"];
        let empty = "--allow-empty";
        load(&workspace, first[0], first[1])?
            .args(most)
            .arg(empty)
            .run()?
            .expect_code(0);
        let wide = load(&workspace, second[0], second[1])?.args(["--margin", "7"]);
        let answer = wide.args(most).run()?.expect_code(0);
        let replay = workspace
            .lakebolt()?
            .args(["replay", "vpc_flow", "--input", "input"]);
        let replay = replay.args(["--output", "lake", "--margin", "7", "--format", "json"]);
        replay.run()?.expect_code(0);
        let quarantined = rows::count_all(&workspace.folder().join("lake.quarantine"))?;
        let written = ids(&workspace)?;
        if first == second {
            assert_eq!((written.as_slice(), quarantined), (&[2][..], 1));
            let reload = load(&workspace, second[0], second[1])?.args(["--margin", "7"]);
            reload.args(["--on-stale", "reload"]).run()?.expect_code(0);
        } else {
            assert_eq!(days(&answer, "owed"), ["2024-01-12"]);
            open_run(&workspace)?
                .args(["--margin", "7"])
                .run()?
                .expect_code(0);
        }
        assert_eq!(ids(&workspace)?, [1, 2]);
        let quarantined = rows::count_all(&workspace.folder().join("lake.quarantine"))?;
        assert_eq!(quarantined, 0);
    }
    Ok(())
}

/// Scenario 11: the day of a damaged object is not complete.
#[test]
fn a_day_of_a_damaged_object_is_broken_until_it_is_replaced_or_accepted() -> anyhow::Result<()> {
    let tenth = day("2024-01-10");
    let lines: Vec<String> = (0..2000).map(|id| flow(tenth, 0, id)).collect();
    let text = format!("{FLOW_HEADER}\n{}\n", lines.join("\n"));
    for accepts in [true, false] {
        let workspace = Workspace::new()?;
        let path = dated(&workspace, tenth, "a.log.gz");
        write_gzip(&path, &text)?;
        let whole = fs::read(&path)?;
        fs::write(&path, &whole[..whole.len() / 2])?;
        for _ in 0..2 {
            let answer = load(&workspace, "2024-01-10", "2024-01-10")?
                .run()?
                .expect_code(3);
            assert_eq!(days(&answer, "broken"), ["2024-01-10"]);
            assert!(!is_complete(&workspace, "2024-01")?);
            let good = ids(&workspace)?;
            assert!(!good.is_empty() && good.len() < 2000, "{}", good.len());
            let quarantine = workspace.folder().join("lake.quarantine");
            assert_eq!(rows::count_all(&quarantine)?, 1);
        }
        let again = load(&workspace, "2024-01-10", "2024-01-10")?;
        let again = match accepts {
            true => again.arg("--accept-broken"),
            false => {
                fs::write(&path, &whole)?;
                again
            }
        };
        let answer = again.run()?.expect_code(0);
        assert!(days(&answer, "broken").is_empty());
        assert!(is_complete(&workspace, "2024-01")?);
        assert_eq!(ids(&workspace)?.len() == 2000, !accepts);
    }
    Ok(())
}

/// The guard against another input looks at every month.
#[test]
fn another_input_is_refused_whatever_month_was_loaded_last() -> anyhow::Result<()> {
    let workspace = Workspace::new()?;
    let (january, february) = (day("2024-01-10"), day("2024-02-10"));
    for (folder, day) in [("input", january), ("other", february)] {
        let path = workspace
            .folder()
            .join(folder)
            .join("AWSLogs/111122223333/vpcflowlogs/eu-central-1");
        let path = path.join(day.to_string().replace('-', "/")).join("a.log");
        write(&path, &[flow(day, 0, 1)])?;
    }
    load(&workspace, "2024-01-10", "2024-01-10")?
        .run()?
        .expect_code(0);
    let other = |day: &str| -> anyhow::Result<Invocation> {
        let run = workspace
            .lakebolt()?
            .args(["run", "vpc_flow", "--format", "json"]);
        let run = run.args(["--input", "other", "--output", "lake"]);
        Ok(run.args(["--from", day, "--to", day]))
    };
    other("2024-02-10")?.run()?.expect_code(2);
    other("2024-02-10")?
        .arg("--full-load")
        .run()?
        .expect_code(0);
    // Both inputs are now in manifests that count, so each is another one.
    other("2024-02-11")?.run()?.expect_code(2);
    load(&workspace, "2024-01-11", "2024-01-11")?
        .run()?
        .expect_code(2);
    Ok(())
}
