//! Runs every test on a machine that has only a Rust toolchain, a C compiler and
//! Python: what else the tests need is set up below the target folder.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, bail};

use crate::shell;

/// What the acceptance tests import.
const REQUIREMENTS: &str = "tests/acceptance/requirements.txt";

/// Sets up, builds, tests; fails too when a test could not run.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    let target = shell::target_folder()?;
    let python = python(&target)?;
    eprintln!("test: python is {}", python.display());
    let skipped = target.join("lakebolt-skipped");
    if skipped.exists() {
        fs::remove_dir_all(&skipped)?;
    }
    // Tests run the real binaries, which `cargo test` alone does not build. All targets, since
    // fewer would be built with other features, and everything below them twice.
    let build = ["build", "--workspace", "--all-targets", "--locked"];
    shell::run("cargo", &build)?;
    let counts = cargo_test(arguments)?;
    let skips = skips(&skipped);
    println!(
        "test: {} passed, {} failed, {} ignored, {} could not run",
        counts.passed,
        counts.failed,
        counts.ignored,
        skips.len()
    );
    if counts.broken {
        bail!("cargo test failed");
    }
    if !skips.is_empty() {
        bail!("tests that could not run:\n  {}", skips.join("\n  "));
    }
    Ok(())
}

/// The interpreter of the venv below the target folder, which is made when absent
/// and filled again when the requirements change.
fn python(target: &Path) -> anyhow::Result<PathBuf> {
    let venv = target.join("acceptance-venv");
    let python = venv.join("bin/python");
    let wanted = fs::read_to_string(shell::root().join(REQUIREMENTS)).context(REQUIREMENTS)?;
    let stamp = venv.join("requirements.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    let folder = venv.to_str().context("the target folder is not UTF-8")?;
    if !shell::works("python3", &["-c", "import venv, ensurepip"]) {
        bail!("the tests need Python 3.9 or newer with venv: apt-get install python3-venv");
    }
    shell::run("python3", &["-m", "venv", folder])?;
    let interpreter = python.to_str().context("the target folder is not UTF-8")?;
    let install = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--requirement",
        REQUIREMENTS,
    ];
    shell::run(interpreter, &install)
        .context("the acceptance tests' packages could not be installed from PyPI")?;
    fs::write(&stamp, wanted)?;
    Ok(python)
}

#[derive(Default)]
struct Counts {
    passed: u64,
    failed: u64,
    ignored: u64,
    broken: bool,
}

impl Counts {
    /// Adds one of cargo's `test result: ok. 3 passed; 0 failed; 1 ignored; …` lines.
    fn add(&mut self, summary: &str) {
        let count = |what: &str| {
            let parts = summary.split([';', '.']).map(str::trim);
            let mut found = parts.filter_map(|part| part.strip_suffix(what)?.trim().parse().ok());
            found.next().unwrap_or(0u64)
        };
        self.passed += count("passed");
        self.failed += count("failed");
        self.ignored += count("ignored");
    }
}

/// Shows cargo's output as it comes and adds up its summaries.
fn cargo_test(arguments: &[String]) -> anyhow::Result<Counts> {
    let mut command = shell::command(
        "cargo",
        &["test", "--workspace", "--locked", "--no-fail-fast"],
    );
    command.args(arguments).stdout(Stdio::piped());
    eprintln!(
        "$ cargo test --workspace --locked --no-fail-fast {}",
        arguments.join(" ")
    );
    let mut child = command.spawn().context("cannot start `cargo`")?;
    let stdout = child.stdout.take().context("cargo has no output")?;
    let mut counts = Counts::default();
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        writeln!(std::io::stdout(), "{line}")?;
        if let Some(summary) = line.strip_prefix("test result:") {
            counts.add(summary);
        }
    }
    counts.broken = !child.wait()?.success();
    Ok(counts)
}

/// What the harness noted of tests whose services were not there.
fn skips(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut skips: Vec<String> = entries
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let reason = fs::read_to_string(entry.path()).unwrap_or_default();
            format!("{name}: {}", reason.trim())
        })
        .collect();
    skips.sort();
    skips
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_summaries_are_added_up() {
        let mut counts = Counts::default();
        counts.add(
            " ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s",
        );
        counts.add(
            " FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s",
        );
        assert_eq!((counts.passed, counts.failed, counts.ignored), (15, 2, 1));
    }
}
