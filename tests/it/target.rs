//! One target has one owner: no second dataset or status store writes the same rows again, and
//! a lost state is adopted. Nothing that a load writes is read as its input.

use std::fs;
use std::path::PathBuf;

use tests::cloud::CloudWorkspace;
use tests::days::{Day, day};
use tests::points::{AFTER_COMMIT, BEFORE_COMMIT};
use tests::{Invocation, Output, Workspace, rows};

const STATE: &str = "lake/.lakebolt/state.db";
const OWNER: &str = "lake/ext/vpc_flow/_lakebolt.json";

fn first() -> Day {
    day("2024-02-10")
}

fn last() -> Day {
    day("2024-02-12")
}

fn loaded() -> anyhow::Result<Workspace> {
    let workspace = Workspace::with_flows(first(), last(), 40)?;
    workspace.load(first(), last())?.run()?.expect_code(0);
    Ok(workspace)
}

/// `lakebolt run vpc_flow` for the days, with flags instead of `--output lake`.
fn load_with(workspace: &Workspace, flags: &[&str]) -> anyhow::Result<Invocation> {
    Ok(workspace
        .lakebolt()?
        .args(["run", "vpc_flow", "--format", "json", "--input", "input"])
        .args(["--from", &first().to_string(), "--to", &last().to_string()])
        .args(flags))
}

fn adopt(workspace: &Workspace) -> anyhow::Result<Invocation> {
    Ok(workspace
        .lakebolt()?
        .args(["adopt", "vpc_flow", "--output", "lake", "--format", "json"]))
}

fn lose_state(workspace: &Workspace) -> anyhow::Result<()> {
    for ending in ["", "-wal", "-shm"] {
        let file = workspace.folder().join(format!("{STATE}{ending}"));
        if file.exists() {
            fs::remove_file(file)?;
        }
    }
    Ok(())
}

#[track_caller]
fn expect_refused(answer: Output, code: &str) -> Output {
    let answer = answer.expect_code(5);
    assert_eq!(answer.json()["error"]["code"], code, "{}", answer.stdout);
    let remedy = answer.json()["error"]["remedy"].to_string();
    assert!(remedy.contains("lakebolt adopt"), "{remedy}");
    answer
}

#[test]
fn no_other_dataset_or_state_loads_into_an_owned_target() -> anyhow::Result<()> {
    let workspace = loaded()?;
    std::os::unix::fs::symlink("lake", workspace.folder().join("link"))?;
    let own = format!("sqlite:{STATE}");
    let ways: &[&[&str]] = &[
        &["--output", "lake", "--as", "other"],
        &["--output", "lake", "--shape", "raw"],
        &["--output", "lake", "--state", "sqlite:other.db"],
        &[
            "--output",
            "lake",
            "--state",
            "sqlite:other.db",
            "--work",
            "work",
            "--full-load",
        ],
        &["--output", "lake/ext/vpc_flow"],
        &["--output", "lake/ext/vpc_flow", "--state", &own],
        &["--output", "link"],
        &["--output", "link/", "--state", &own, "--full-load"],
    ];
    for flags in ways {
        let answer = load_with(&workspace, flags)?.run()?;
        expect_refused(answer, "target_owned");
        workspace.assert_exact(first(), last())?;
    }
    let plan = workspace.lakebolt()?.args([
        "plan", "vpc_flow", "--input", "input", "--output", "lake", "--as", "other",
    ]);
    plan.run()?.expect_code(5);
    let again = load_with(&workspace, &["--output", "./lake/"])?.run()?;
    assert_eq!(again.expect_code(0).periods(), ["2024-02 skipped"]);
    workspace.assert_exact(first(), last())
}

#[test]
fn of_two_first_loads_of_different_datasets_one_is_refused() -> anyhow::Result<()> {
    let workspace = Workspace::with_flows(first(), last(), 40)?;
    let one = load_with(&workspace, &["--output", "lake", "--as", "one"])?.spawn()?;
    let flags = [
        "--output",
        "lake",
        "--as",
        "two",
        "--state",
        "sqlite:two.db",
        "--work",
        "work",
    ];
    let two = load_with(&workspace, &flags)?.spawn()?;
    let mut codes = [one.wait()?.code(), two.wait()?.code()];
    codes.sort_unstable();
    assert_eq!(codes, [Some(0), Some(5)]);
    workspace.assert_exact(first(), last())
}

#[test]
fn a_target_whose_state_is_lost_is_refused_until_it_is_adopted() -> anyhow::Result<()> {
    let workspace = Workspace::with_flows(first(), last(), 40)?;
    workspace.load(first(), first())?.run()?.expect_code(0);
    workspace.load(first(), last())?.run()?.expect_code(0);
    lose_state(&workspace)?;
    let refused = workspace.load(first(), last())?.run()?;
    expect_refused(refused, "target_owned");
    workspace.assert_exact(first(), last())?;
    let adopted = adopt(&workspace)?.run()?.expect_code(0).json();
    assert_eq!(adopted["periods"][0]["period"], "2024-02");
    assert_eq!(adopted["periods"][0]["days"], 3, "{adopted}");
    assert_eq!(adopted["periods"][0]["written"], true);
    let again = workspace.load(first(), last())?.run()?.expect_code(0);
    assert_eq!(again.periods(), ["2024-02 skipped"]);
    let adopted = adopt(&workspace)?.run()?.expect_code(0).json();
    assert_eq!(adopted["periods"][0]["written"], false);
    // A late object is loaded as if the state had never been lost.
    tests::inputs::Flows::default().write(&workspace.input(), first().plus(1), 9, 25)?;
    workspace.load(first(), last())?.run()?.expect_code(0);
    workspace.assert_exact(first(), last())
}

#[test]
fn a_state_that_is_older_than_its_target_is_refused_and_adopted() -> anyhow::Result<()> {
    let workspace = Workspace::with_flows(first(), last(), 40)?;
    workspace.load(first(), first())?.run()?.expect_code(0);
    let backup = workspace.folder().join("backup.db");
    fs::copy(workspace.folder().join(STATE), &backup)?;
    workspace.load(first(), last())?.run()?.expect_code(0);
    lose_state(&workspace)?;
    fs::copy(&backup, workspace.folder().join(STATE))?;
    let refused = workspace.load(first(), last())?.run()?;
    expect_refused(refused, "target_has_parts");
    workspace.assert_exact(first(), last())?;
    adopt(&workspace)?.run()?.expect_code(0);
    let again = workspace.load(first(), last())?.run()?.expect_code(0);
    assert_eq!(again.periods(), ["2024-02 skipped"]);
    workspace.assert_exact(first(), last())
}

#[test]
fn another_name_adopts_a_target_and_replaces_its_rows() -> anyhow::Result<()> {
    let workspace = loaded()?;
    adopt(&workspace)?
        .args(["--as", "other"])
        .run()?
        .expect_code(0);
    expect_refused(workspace.load(first(), last())?.run()?, "target_owned");
    let flags = ["--output", "lake", "--as", "other"];
    let other = load_with(&workspace, &flags)?.run()?.expect_code(0);
    assert_eq!(other.periods(), ["2024-02 skipped"]);
    load_with(&workspace, &flags)?
        .arg("--full-load")
        .run()?
        .expect_code(0);
    workspace.assert_exact(first(), last())
}

#[test]
fn a_state_lost_at_any_point_of_a_full_load_is_adopted_exactly() -> anyhow::Result<()> {
    for point in BEFORE_COMMIT.iter().chain(&AFTER_COMMIT) {
        let workspace = loaded()?;
        let crashed = workspace
            .load(first(), last())?
            .arg("--full-load")
            .crash_at(point);
        assert!(crashed.run()?.was_killed(), "{point}");
        lose_state(&workspace)?;
        adopt(&workspace)?.run()?.expect_code(0);
        workspace.load_again(first(), last())?.run()?.expect_code(0);
        workspace.assert_exact(first(), last())?;
    }
    Ok(())
}

#[test]
fn a_lake_of_the_version_before_gets_its_owner_from_its_state() -> anyhow::Result<()> {
    let workspace = loaded()?;
    let owner = workspace.folder().join(OWNER);
    fs::remove_file(&owner)?;
    workspace.load(first(), last())?.run()?.expect_code(0);
    assert!(owner.exists());
    // Without its state nobody knows whose parts these are.
    fs::remove_file(&owner)?;
    lose_state(&workspace)?;
    let other = load_with(&workspace, &["--output", "lake", "--as", "other"])?;
    expect_refused(other.run()?, "target_has_parts");
    adopt(&workspace)?.run()?.expect_code(0);
    let again = workspace.load(first(), last())?.run()?.expect_code(0);
    assert_eq!(again.periods(), ["2024-02 skipped"]);
    workspace.assert_exact(first(), last())
}

/// Copies a part of the first day to the folder of the last day, which is not loaded.
fn copy_to_last_day(
    workspace: &Workspace,
    rename: impl Fn(&str) -> String,
) -> anyhow::Result<PathBuf> {
    let part = rows::objects(&workspace.lake()).remove(0);
    let text = part.to_string_lossy().into_owned();
    let text = text.replace(
        &format!("eventDay={}", first().compact()),
        &format!("eventDay={}", last().compact()),
    );
    let copy = PathBuf::from(text);
    let name = rename(&copy.file_name().unwrap_or_default().to_string_lossy());
    let copy = copy.with_file_name(name);
    fs::create_dir_all(copy.parent().unwrap_or(&copy))?;
    fs::copy(part, &copy)?;
    Ok(copy)
}

#[test]
fn parts_that_no_manifest_names_are_refused_and_other_objects_are_warned_about()
-> anyhow::Result<()> {
    let workspace = Workspace::with_flows(first(), last(), 40)?;
    workspace.load(first(), first())?.run()?.expect_code(0);
    let part = copy_to_last_day(&workspace, str::to_owned)?;
    let refused = workspace.load(first(), last())?.run()?;
    let refused = expect_refused(refused, "target_has_parts");
    let name = part
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    assert!(
        refused.json()["error"]["message"]
            .to_string()
            .contains(&name)
    );
    let listed = adopt(&workspace)?.run()?.expect_code(5);
    assert!(listed.stdout.contains(&name), "{}", listed.stdout);
    fs::remove_file(part)?;
    copy_to_last_day(&workspace, |_| "other.parquet".to_owned())?;
    let answer = workspace.load(first(), last())?.run()?.expect_code(0);
    let warnings = answer.json()["warnings"].to_string();
    assert!(warnings.contains("other.parquet"), "{warnings}");
    Ok(())
}

#[test]
fn a_load_does_not_read_what_it_writes() -> anyhow::Result<()> {
    let workspace = Workspace::with_flows(first(), last(), 10)?;
    std::os::unix::fs::symlink("input", workspace.folder().join("link"))?;
    let ways: &[&[&str]] = &[
        &["--output", "input/lake"],
        &["--output", "link/lake"],
        &["--output", "input"],
        &["--output", "."],
        &["--output", "lake", "--work", "input/work"],
        &["--output", "lake", "--quarantine", "link/rejected"],
    ];
    for flags in ways {
        let answer = load_with(&workspace, flags)?.run()?.expect_code(2);
        assert!(
            answer.stdout.contains("inside"),
            "{flags:?}: {}",
            answer.stdout
        );
    }
    assert_eq!(
        fs::read_dir(workspace.input())?.count(),
        1,
        "nothing was written"
    );
    let inner = workspace
        .run("vpc_flow")?
        .args(["--input", "lake/ext/vpc_flow"]);
    inner.run()?.expect_code(2);
    let plan = workspace.lakebolt()?.args([
        "plan",
        "vpc_flow",
        "--input",
        "input",
        "--output",
        "input/lake",
    ]);
    plan.run()?.expect_code(2);
    Ok(())
}

#[test]
fn a_target_on_s3_has_one_owner_and_is_adopted_by_another_table() -> anyhow::Result<()> {
    let test = "a_target_on_s3_has_one_owner";
    let Some(workspace) = CloudWorkspace::with_flows(test, first(), last(), 30)? else {
        return Ok(());
    };
    workspace.load(first(), last())?.run()?.expect_code(0);
    workspace.assert_exact(first(), last())?;
    let state = "sqlite:other.db";
    let other = |command| -> anyhow::Result<Invocation> {
        let command = workspace
            .lakebolt()?
            .args([command, "vpc_flow", "--format", "json"]);
        Ok(command
            .args(["--output", &workspace.bucket.uri("lake"), "--state", state])
            .args(["--from", &first().to_string(), "--to", &last().to_string()]))
    };
    let load =
        || Ok::<_, anyhow::Error>(other("run")?.args(["--input", &workspace.bucket.uri("in/")]));
    expect_refused(load()?.run()?, "target_owned");
    let named = workspace.load(first(), last())?.args(["--as", "other"]);
    expect_refused(named.run()?, "target_owned");
    workspace.assert_exact(first(), last())?;
    other("adopt")?.run()?.expect_code(0);
    assert_eq!(load()?.run()?.expect_code(0).periods(), ["2024-02 skipped"]);
    load()?.arg("--full-load").run()?.expect_code(0);
    expect_refused(workspace.load(first(), last())?.run()?, "target_owned");
    let inside = workspace
        .lakebolt()?
        .args(["run", "vpc_flow", "--state", state]);
    let inside = inside
        .args(["--input", &workspace.bucket.uri("in/")])
        .args(["--output", &workspace.bucket.uri("in/lake")]);
    let refused = inside.run()?.expect_code(2);
    assert!(
        refused.stderr.contains("inside an input"),
        "{}",
        refused.stderr
    );
    workspace.assert_exact(first(), last())
}
