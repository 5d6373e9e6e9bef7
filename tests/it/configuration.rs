//! Invalid configuration is rejected with file, line, key and remedy, before anything is
//! written.

use std::fs;

use tests::Workspace;
use tests::days::day;
use tests::inputs::Flows;

/// Edits that break a valid source, each with a word that the message must contain.
static BROKEN: &[(&str, &str, &str, &str)] = &[
    // file, old text, new text, word of the message
    ("flow.toml", "severity_id = 1", "severity = 1", "severity"),
    (
        "flow.toml",
        "severity_id = 1",
        "severity_id = \"grave\"",
        "severity_id",
    ),
    (
        "flow.toml",
        "severity_id = 1",
        "severity_id = 42",
        "severity_id",
    ),
    (
        "flow.toml",
        "src_endpoint.ip =",
        "src_endpoint.adress =",
        "adress",
    ),
    (
        "flow.toml",
        "\"srcaddr\"",
        "\"nosuchcolumn\"",
        "nosuchcolumn",
    ),
    (
        "flow.toml",
        "\"srcaddr\"",
        "\"coalesce(srcaddr\"",
        "src_endpoint.ip",
    ),
    (
        "flow.toml",
        "class = \"network_activity\"",
        "class = \"network_activty\"",
        "network_activity",
    ),
    ("flow.toml", "[\"cloud\"]", "[\"clowd\"]", "clowd"),
    ("flow.toml", "[set]", "[sett]", "sett"),
    ("flow.toml", "[set]", "[set", "flow.toml"),
    ("flow.toml", "\"Refuse\"", "\"Refused\"", "Refused"),
    ("flow.toml", "time = \"start\"\n", "", "time"),
    (
        "source.toml",
        "format = \"vpc_flow\"",
        "format = \"vpc_flows\"",
        "vpc_flow",
    ),
    (
        "source.toml",
        "events = [\"flow\"]",
        "events = [\"flows\"]",
        "flows",
    ),
    ("source.toml", "events = [\"flow\"]", "", "events"),
    (
        "source.toml",
        "account = [\"account_id\"]",
        "account = [\"acount_id\"]",
        "acount_id",
    ),
];

#[test]
fn every_broken_source_is_rejected_with_its_file_and_key() -> anyhow::Result<()> {
    for (file, good, bad, named) in BROKEN {
        let workspace = Workspace::new()?;
        let source = workspace.source("broken", 1)?;
        let text = fs::read_to_string(source.join(file))?;
        assert!(text.contains(good), "{file} has no `{good}`");
        fs::write(source.join(file), text.replacen(good, bad, 1))?;
        let answer = workspace.lakebolt()?.args(["lint", "broken"]).run()?;
        let said = format!("{}{}", answer.stdout, answer.stderr);
        answer.expect_code(2);
        assert!(said.contains(file), "`{bad}`: no file in: {said}");
        assert!(said.contains(named), "`{bad}`: no `{named}` in: {said}");
        let line = said
            .lines()
            .find(|line| line.contains(file))
            .unwrap_or_default();
        let numbers = line
            .split(':')
            .filter(|part| part.trim().parse::<u32>().is_ok());
        assert!(
            numbers.count() >= 2,
            "`{bad}`: no line and column in: {said}"
        );
    }
    Ok(())
}

#[test]
fn a_valid_source_passes_lint() -> anyhow::Result<()> {
    let workspace = Workspace::new()?;
    workspace.source("good", 1)?;
    workspace
        .lakebolt()?
        .args(["lint", "good"])
        .run()?
        .expect_code(0);
    Ok(())
}

#[test]
fn run_rejects_a_broken_source_before_it_writes_anything() -> anyhow::Result<()> {
    let workspace = Workspace::new()?;
    Flows::default().write_days(&workspace.input(), day("2024-02-10"), day("2024-02-10"), 5)?;
    let source = workspace.source("broken", 1)?;
    fs::write(source.join("flow.toml"), "class = 1\n")?;
    let run = workspace
        .run("./broken")?
        .args(["--from", "2024-02-10", "--to", "2024-02-10"]);
    run.run()?.expect_code(2);
    assert!(!workspace.lake().exists());
    Ok(())
}

#[test]
fn invalid_usage_exits_with_2() -> anyhow::Result<()> {
    let workspace = Workspace::new()?;
    let wrong = [
        "run vpc_flow --input i --output o --from 2024-01-01 --to 2024-01-02 --days 3",
        "run vpc_flow --input i --output o --from 2024-13-01 --to 2024-01-02",
        "run vpc_flow --input i --output o --from 2024-02-02 --to 2024-01-02",
        "run no_such_source --input i --output o",
        "run vpc_flow --output o --from 2024-01-01 --to 2024-01-02",
        "runn",
    ];
    for line in wrong {
        let arguments: Vec<&str> = line.split(' ').collect();
        workspace.lakebolt()?.args(&arguments).run()?.expect_code(2);
        assert!(
            !workspace.folder().join("o").exists(),
            "{line:?} wrote to the target"
        );
    }
    Ok(())
}

#[test]
fn a_rejected_load_prints_one_json_object() -> anyhow::Result<()> {
    let workspace = Workspace::new()?;
    let run = workspace
        .run("no_such_source")?
        .args(["--from", "2024-01-01", "--to", "2024-01-02"]);
    let answer = run.run()?.expect_code(2);
    assert_eq!(answer.json()["state"], "refused");
    assert_eq!(answer.json()["exit_code"], 2);
    Ok(())
}
