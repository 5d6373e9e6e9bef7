//! Writing a source as a user does: trying it out, comparing its samples, and looking things up.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::Workspace;

const SOURCE: &str = r#"format = "json_lines"
events = ["logins", "others"]

[columns]
at = "epoch_s"
user = "text"
source_ip = "ip"
outcome = "text"
kind = "text"
tenant = "text"

[[filter]]
when = "kind = 'noise'"
reason = "noise"

[base.set]
metadata.product.name = "Door"
metadata.product.vendor_name = "Example"
severity_id = 1
"#;

const LOGINS: &str = r#"class = "authentication"
when = "kind = 'login'"

[set]
activity_id = 1
service.name = "door"

[map]
time = "at"
user.name = "user"
src_endpoint.ip = "source_ip"

[map.status_id]
match = "outcome"
to = { ok = "Success", "fail*" = "Failure" }
"#;

const OTHERS: &str = r#"class = "authentication"

[set]
activity_id = 99
service.name = "door"

[map]
time = "at"
user.name = "user"
"#;

const LOG: &str = r#"{"at": 1705881600, "user": "ann", "source_ip": "10.0.0.1", "outcome": "ok", "kind": "login", "shade": "blue"}
{"at": 1705881601, "user": "bob", "outcome": "failed", "kind": "login"}
{"at": 1705881602, "kind": "noise"}
{"user": "eve", "kind": "login"}
{"at": 1705881603, "user": "joe", "kind": "other"}
"#;

/// A source that keeps every promise, with one sample.
fn door(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let folder = workspace.folder().join("door");
    fs::create_dir_all(folder.join("samples"))?;
    fs::write(folder.join("source.toml"), SOURCE)?;
    fs::write(folder.join("logins.toml"), LOGINS)?;
    fs::write(folder.join("others.toml"), OTHERS)?;
    fs::write(folder.join("samples/door.log"), LOG)?;
    Ok(folder)
}

fn edit(path: &Path, old: &str, new: &str) -> anyhow::Result<()> {
    let text = fs::read_to_string(path)?;
    assert!(text.contains(old), "{} has no `{old}`", path.display());
    Ok(fs::write(path, text.replacen(old, new, 1))?)
}

/// Runs a command and returns its stdout, after it ended with `code`.
#[track_caller]
fn run(workspace: &Workspace, line: &str, code: i32) -> anyhow::Result<(String, String)> {
    let answer = workspace.lakebolt()?.args(line.split(' ')).run()?;
    let said = (answer.stdout.clone(), answer.stderr.clone());
    answer.expect_code(code);
    Ok(said)
}

#[test]
fn map_counts_events_rejected_and_filtered_rows() -> anyhow::Result<()> {
    let workspace = Workspace::new()?;
    door(&workspace)?;
    let (stdout, stderr) = run(&workspace, "map door door/samples/door.log", 0)?;
    assert_eq!(stdout.lines().count(), 3);
    assert!(
        stderr.ends_with("3 events, 1 rejected, 1 filtered\n"),
        "{stderr}"
    );
    Ok(())
}

#[test]
fn map_without_events_still_counts_rows() -> anyhow::Result<()> {
    let workspace = Workspace::new()?;
    door(&workspace)?;
    fs::write(
        workspace.folder().join("noise.log"),
        "{\"kind\": \"noise\", \"at\": 1705881600}\n",
    )?;
    let (stdout, stderr) = run(&workspace, "map door noise.log", 0)?;
    assert_eq!(stdout, "");
    assert_eq!(stderr, "0 events, 0 rejected, 1 filtered\n");
    Ok(())
}

#[test]
fn a_load_counts_the_objects_that_it_leaves_out_as_map_does() -> anyhow::Result<()> {
    let workspace = Workspace::new()?;
    let folder = door(&workspace)?;
    let system = "src_endpoint.os.name = \"tenant\"\nuser.name";
    edit(&folder.join("logins.toml"), "user.name", system)?;
    let kind = "[map.src_endpoint.os.type_id]\nmatch = \"outcome\"\n\
                to = { ok = \"Linux\", \"fail*\" = \"Windows\" }\n\n[map.status_id]";
    edit(&folder.join("logins.toml"), "[map.status_id]", kind)?;
    let line = "map door door/samples/door.log --report --format json";
    let mapped: Value = serde_json::from_str(&run(&workspace, line, 0)?.0)?;
    let left_out = serde_json::json!({"src_endpoint.os": 2});
    assert_eq!(mapped["report"]["left_out"], left_out);
    let line = "run door --input door/samples/door.log --output lake --region eu-west-1 \
                --from 2024-01-22 --to 2024-01-22 --format json --progress none";
    let loaded: Value = serde_json::from_str(&run(&workspace, line, 0)?.0)?;
    assert_eq!(loaded["periods"][0]["left_out"], left_out, "{loaded}");
    // Two events of one class have one schema, though they map different attributes.
    run(&workspace, "verify lake", 0)?;
    Ok(())
}

#[test]
fn a_report_names_lost_unseen_and_undeclared_columns() -> anyhow::Result<()> {
    let workspace = Workspace::new()?;
    door(&workspace)?;
    let line = "map door door/samples/door.log --report --format json";
    let (stdout, _) = run(&workspace, line, 0)?;
    let answer: Value = serde_json::from_str(&stdout)?;
    let report = &answer["report"];
    assert_eq!(report["rows"], 5);
    assert_eq!(report["events"]["authentication"], 3);
    assert_eq!(report["filtered"]["noise"], 1);
    assert_eq!(
        report["quarantined"].as_object().map(|all| all.len()),
        Some(1)
    );
    assert_eq!(report["never_seen"], serde_json::json!(["tenant"]));
    assert_eq!(report["undeclared"]["shade"], 1);
    let column = |name: &str| {
        let columns = report["columns"].as_array().into_iter().flatten();
        let mut columns = columns.filter(|column| column["name"] == name);
        columns.next().cloned().unwrap_or_default()
    };
    assert_eq!(column("kind")["seen"], 5);
    assert_eq!(column("kind")["unmapped"], 3);
    assert_eq!(column("user")["unmapped"], 0);
    assert_eq!(
        column("user")["attributes"]["authentication"][0],
        "user.name"
    );

    let (text, _) = run(&workspace, "map door door/samples/door.log --report", 0)?;
    assert!(text.contains("declared, never seen:\n  tenant"), "{text}");
    Ok(())
}

#[test]
fn an_explanation_names_the_route_and_the_place_of_each_value() -> anyhow::Result<()> {
    let workspace = Workspace::new()?;
    door(&workspace)?;
    let line = "map door door/samples/door.log --explain 5";
    let (text, _) = run(&workspace, line, 0)?;
    let of = |start: &str| {
        text.lines()
            .find(|line| line.trim_start().starts_with(start))
    };
    assert!(
        of("logins").is_some_and(|line| line.contains("false")),
        "{text}"
    );
    assert!(
        of(">  others").is_some_and(|line| line.contains("no condition")),
        "{text}"
    );
    let name = of("user.name").unwrap_or_default();
    assert!(
        name.contains("joe") && name.contains("door/others.toml:9"),
        "{text}"
    );
    let product = of("metadata.product.name").unwrap_or_default();
    assert!(product.contains("door/source.toml:"), "{text}");
    assert!(
        of("type_uid").is_some_and(|line| line.contains("derived")),
        "{text}"
    );

    let (text, _) = run(&workspace, "map door door/samples/door.log --explain 3", 0)?;
    assert!(text.contains(">  noise"), "{text}");
    let (_, stderr) = run(&workspace, "map door door/samples/door.log --explain 99", 2)?;
    assert!(stderr.contains("no record starts at line 99"), "{stderr}");
    Ok(())
}

#[test]
fn watch_maps_again_when_a_file_is_saved() -> anyhow::Result<()> {
    let workspace = Workspace::new()?;
    let folder = door(&workspace)?;
    let watch = ["map", "door", "door/samples/door.log", "--watch"];
    let mut running = workspace.lakebolt()?.args(watch).spawn()?;
    let wait_for = |running: &mut tests::Running, sought: &str| -> anyhow::Result<()> {
        let since = Instant::now();
        while !running.stderr_so_far()?.contains(sought) {
            assert!(running.is_running()?, "{}", running.stderr_so_far()?);
            assert!(since.elapsed() < Duration::from_secs(60), "no `{sought}`");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    };
    wait_for(&mut running, "3 events, 1 rejected, 1 filtered")?;
    edit(
        &folder.join("source.toml"),
        "kind = 'noise'",
        "kind = 'login'",
    )?;
    wait_for(&mut running, "---- run 2: source.toml changed ----")?;
    wait_for(&mut running, "2 filtered")?;
    edit(&folder.join("source.toml"), "format =", "formt =")?;
    wait_for(&mut running, "formt")?;
    running.interrupt()?;
    running.wait()?;
    Ok(())
}

#[test]
fn a_source_is_tested_against_its_expected_rows() -> anyhow::Result<()> {
    let workspace = Workspace::new()?;
    let folder = door(&workspace)?;
    let (stdout, _) = run(&workspace, "test door", 6)?;
    assert!(
        stdout.contains("expected/3002.json: 0 rows expected, 3 found"),
        "{stdout}"
    );
    let (stdout, _) = run(&workspace, "test door --bless", 0)?;
    assert!(stdout.contains("wrote door/expected/3002.json"), "{stdout}");
    run(&workspace, "test door", 0)?;
    // The folder of all sources holds this one.
    let (stdout, _) = run(&workspace, "test .", 0)?;
    assert!(stdout.contains("1 source: 1 passed, 0 failed"), "{stdout}");

    edit(
        &folder.join("logins.toml"),
        "user.name = \"user\"",
        "user.name = \"upper(user)\"",
    )?;
    let (stdout, _) = run(&workspace, "test door", 6)?;
    let difference = "user.name: expected \"ann\", found \"ANN\"";
    assert!(stdout.contains("door.log:1"), "{stdout}");
    assert!(stdout.contains(difference), "{stdout}");
    let (_, stderr) = run(&workspace, "test door/samples", 2)?;
    assert!(stderr.contains("holds no source"), "{stderr}");
    Ok(())
}

#[test]
fn ocsf_is_browsed_by_name_and_by_word() -> anyhow::Result<()> {
    let workspace = Workspace::new()?;
    let (stdout, _) = run(&workspace, "ocsf", 0)?;
    assert!(
        stdout
            .lines()
            .any(|line| line.contains("4001  network_activity")),
        "{stdout}"
    );
    let (stdout, _) = run(&workspace, "ocsf network_activity --format json", 0)?;
    let answer: Value = serde_json::from_str(&stdout)?;
    assert_eq!(answer["schema_version"], 1);
    let attributes = answer["class"]["attributes"].as_array();
    let mut named = attributes.into_iter().flatten();
    let endpoint = named.find(|attribute| attribute["name"] == "src_endpoint");
    let endpoint = endpoint.cloned().unwrap_or_default();
    assert_eq!(endpoint["type"], "network_endpoint");
    let sources = endpoint["sources"].as_array();
    assert!(sources.is_some_and(|all| all.contains(&Value::from("vpc_flow"))));
    let (stdout, _) = run(&workspace, "ocsf --search LOGON", 0)?;
    assert!(stdout.contains("1 Logon"), "{stdout}");
    let (_, stderr) = run(&workspace, "ocsf authentcation", 2)?;
    assert!(
        stderr.contains("did you mean `authentication`?"),
        "{stderr}"
    );
    Ok(())
}

#[test]
fn schemas_functions_and_formats_are_printed() -> anyhow::Result<()> {
    let workspace = Workspace::new()?;
    let (stdout, _) = run(&workspace, "schema event authentication", 0)?;
    let schema: Value = serde_json::from_str(&stdout)?;
    let captions = &schema["properties"]["set"]["properties"]["activity_id"]["enum"];
    assert!(
        captions
            .as_array()
            .is_some_and(|all| all.contains(&Value::from("Logon")))
    );
    let (stdout, _) = run(&workspace, "schema", 0)?;
    let schema: Value = serde_json::from_str(&stdout)?;
    assert_eq!(schema["required"], serde_json::json!(["format", "events"]));
    let (_, stderr) = run(&workspace, "schema event authentcation", 2)?;
    assert!(
        stderr.contains("did you mean `authentication`?"),
        "{stderr}"
    );
    let (stdout, _) = run(&workspace, "functions", 0)?;
    assert!(stdout.contains("try_ip(text)"), "{stdout}");
    let (stdout, _) = run(&workspace, "formats --format json", 0)?;
    let formats: Value = serde_json::from_str(&stdout)?;
    assert!(
        formats["formats"]
            .as_array()
            .is_some_and(|all| !all.is_empty())
    );
    Ok(())
}
