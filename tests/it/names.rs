//! Names that cannot be addressed: empty parts, `..`, control characters, bytes that are not
//! UTF-8, and names that the store's client leaves out. They are counted and named, and the
//! rest of the listing is loaded.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use serde_json::Value;
use tests::days::{Day, day};
use tests::inputs::Flows;
use tests::{CloudWorkspace, Output, Workspace};

fn first() -> Day {
    day("2024-02-10")
}

fn last() -> Day {
    day("2024-02-12")
}

/// Fails unless `names` are the result's, in any order, and each is in a warning.
#[track_caller]
fn expect_named(plan: &Output, outcome: &Output, names: &[&str]) {
    let plan = plan.json();
    assert_eq!(plan["ignored"]["unaddressable"], names.len(), "{plan:#}");
    let shown = plan["unaddressable"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let outcome = outcome.json();
    assert_eq!(outcome["unaddressable"], plan["unaddressable"]);
    let warnings = &outcome["warnings"];
    let warnings: Vec<&str> = warnings
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let warnings = warnings.join("\n");
    for name in names {
        let is_it = |value: &Value| value.as_str().is_some_and(|shown| shown.ends_with(name));
        assert!(shown.iter().any(is_it), "{name}: {shown:?}");
        assert!(warnings.contains(name), "{name}: {warnings}");
    }
}

#[test]
fn keys_that_cannot_be_addressed_are_named_and_hide_no_other() -> anyhow::Result<()> {
    let test = "keys_that_cannot_be_addressed";
    let Some(workspace) = CloudWorkspace::with_flows(test, first(), last(), 60)? else {
        return Ok(());
    };
    let folder = Flows::default().path("in".as_ref(), first(), 0);
    let folder = folder.parent().expect("a folder").display().to_string();
    for key in [
        "in//x.log".to_owned(),
        "in/AWSLogs/../x.log".to_owned(),
        "in/AWSLogs/\u{1}x.log".to_owned(),
        format!("{folder}//x.log"),
        format!("{folder}/./x.log"),
        format!("{folder}/a\u{7f}\t.log"),
        format!("{folder}/folder/"),
    ] {
        workspace.bucket.put(&key, "not read\n")?;
    }
    // Neither is input: an empty marker, and a hidden folder.
    workspace.bucket.put(&format!("{folder}//"), "")?;
    workspace.bucket.put("in/_temporary//x", "not read\n")?;
    let range = ["--from", "2024-02-10", "--to", "2024-02-12"];
    let plan = workspace.command(workspace.lakebolt()?, "plan", "vpc_flow");
    let plan = plan.args(range).run()?.expect_code(0);
    let outcome = workspace.load(first(), last())?.run()?.expect_code(0);
    // A folder counts once.
    expect_named(
        &plan,
        &outcome,
        &[
            "in//",
            "in/AWSLogs/../",
            "in/AWSLogs/\\u{1}x.log",
            "10//x.log",
            "10/./x.log",
            "10/a\\u{7f}\\t.log",
            "10/folder/",
        ],
    );
    workspace.assert_exact(first(), last())
}

#[test]
fn an_object_named_as_the_prefix_does_not_hide_what_is_below_it() -> anyhow::Result<()> {
    let test = "an_object_named_as_the_prefix";
    for content in ["", "no flow\n"] {
        let Some(workspace) = CloudWorkspace::with_flows(test, first(), last(), 60)? else {
            return Ok(());
        };
        workspace.bucket.put("in", content)?;
        workspace.bucket.put("in/", "")?;
        let load = workspace.load(first(), last())?;
        load.run()?.expect_code(0);
        workspace.assert_exact(first(), last())?;
    }
    Ok(())
}

#[test]
fn files_that_cannot_be_addressed_are_named_and_hide_no_other() -> anyhow::Result<()> {
    let workspace = Workspace::with_flows(first(), last(), 60)?;
    let inputs = Flows::default().path(&workspace.input(), first(), 0);
    let folder = inputs.parent().expect("a folder");
    let bad = |bytes: &'static [u8]| OsStr::from_bytes(bytes);
    fs::write(folder.join("x.log#1"), "not read\n")?;
    fs::write(folder.join("a\u{1}.log"), "not read\n")?;
    fs::write(folder.join(bad(b"b\xff.log")), "not read\n")?;
    fs::create_dir(workspace.input().join(bad(b"c\xff")))?;
    fs::write(
        workspace.input().join(bad(b"c\xff")).join("x.log"),
        "not read\n",
    )?;
    let plan = workspace
        .lakebolt()?
        .args(["plan", "vpc_flow", "--format", "json"]);
    let plan = plan.args(["--input", "input", "--output", "lake"]);
    let plan = plan.args(["--from", "2024-02-10", "--to", "2024-02-12"]);
    let plan = plan.run()?.expect_code(0);
    let outcome = workspace.load(first(), last())?.run()?.expect_code(0);
    expect_named(
        &plan,
        &outcome,
        &["x.log#1", "a\\u{1}.log", "b\u{fffd}.log", "c\u{fffd}"],
    );
    for name in [bad(b"x.log#1"), bad(b"a\x01.log"), bad(b"b\xff.log")] {
        fs::remove_file(folder.join(name))?;
    }
    fs::remove_dir_all(workspace.input().join(bad(b"c\xff")))?;
    workspace.assert_exact(first(), last())
}
