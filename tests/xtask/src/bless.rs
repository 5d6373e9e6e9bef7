//! Rewrites golden files and plan snapshots from what the code does now.

use anyhow::{Context, bail};

use crate::shell;

/// Runs the tests that own golden files in the mode in which they write them.
pub(crate) fn run() -> anyhow::Result<()> {
    let mut command = shell::command("cargo", &["test", "--package", "plans", "--locked"]);
    command.env("LAKEBOLT_BLESS", "1");
    command.env("INSTA_UPDATE", "always");
    eprintln!("$ LAKEBOLT_BLESS=1 INSTA_UPDATE=always cargo test --package plans");
    let status = command.status().context("cannot start `cargo`")?;
    if !status.success() {
        bail!("some tests fail even while they rewrite what they expect");
    }
    shell::run("git", &["status", "--short"])?;
    eprintln!("bless: read the difference before you commit it");
    Ok(())
}
