//! Everything that is checked without running a test.

use anyhow::bail;

use crate::{circles, docs, documented, graph, links, prose, shape, shell, words};

/// A check gives its findings, each a line for the user.
type Check = fn() -> anyhow::Result<Vec<String>>;

/// Every check, cheapest first.
static CHECKS: &[(&str, Check)] = &[
    ("the crate graph", graph::check),
    ("circles between rooms", circles::check),
    ("prose and habits", prose::check),
    ("words", words::check),
    ("links of documents", links::check),
    ("shape of code", shape::check),
    ("documentation of public items", documented::check),
    ("format", format),
    ("lints", clippy),
    ("generated docs", docs),
    ("licences and sources", deny),
];

/// Runs every check and reports all findings before it fails.
pub(crate) fn run() -> anyhow::Result<()> {
    let mut failed = Vec::new();
    for (name, check) in CHECKS {
        let findings = check()?;
        let verdict = if findings.is_empty() { "ok" } else { "FAILED" };
        eprintln!("gate: {name}: {verdict}");
        for finding in &findings {
            eprintln!("  {}", finding.trim_end());
        }
        if !findings.is_empty() {
            failed.push(*name);
        }
    }
    match failed.as_slice() {
        [] => Ok(()),
        failed => bail!("the gate is shut by {}", failed.join(", ")),
    }
}

fn format() -> anyhow::Result<Vec<String>> {
    Ok(finding_of(shell::run(
        "cargo",
        &["fmt", "--all", "--check"],
    )))
}

fn clippy() -> anyhow::Result<Vec<String>> {
    let arguments = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ];
    Ok(finding_of(shell::run("cargo", &arguments)))
}

fn docs() -> anyhow::Result<Vec<String>> {
    Ok(finding_of(docs::check()))
}

/// Needs cargo-deny. A machine without it gets a warning only, since CI has it.
fn deny() -> anyhow::Result<Vec<String>> {
    if !shell::works("cargo", &["deny", "--version"]) {
        eprintln!(
            "gate: the next check is SKIPPED: cargo-deny is not installed \
             (cargo install --locked cargo-deny)"
        );
        return Ok(Vec::new());
    }
    let arguments = ["deny", "check", "licenses", "bans", "sources"];
    Ok(finding_of(shell::run("cargo", &arguments)))
}

fn finding_of(outcome: anyhow::Result<()>) -> Vec<String> {
    outcome
        .err()
        .map(|error| error.to_string())
        .into_iter()
        .collect()
}
