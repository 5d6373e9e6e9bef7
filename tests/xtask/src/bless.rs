//! Rewrites golden files, plan snapshots and the generated parts of documents.

use anyhow::{Context, bail};

use crate::{docs, shell};

/// Runs the tests that own golden files in the mode in which they write them.
pub(crate) fn run() -> anyhow::Result<()> {
    // The workspace's features, so that nothing is built that `test` has not built.
    let arguments = [
        "test",
        "--workspace",
        "--locked",
        "--test",
        "sources",
        "--test",
        "rejected",
    ];
    let mut command = shell::command("cargo", &arguments);
    command.env("LAKEBOLT_BLESS", "1");
    command.env("INSTA_UPDATE", "always");
    let line = arguments.join(" ");
    eprintln!("$ LAKEBOLT_BLESS=1 INSTA_UPDATE=always cargo {line}");
    let status = command.status().context("cannot start `cargo`")?;
    if !status.success() {
        bail!("some tests fail even while they rewrite what they expect");
    }
    docs::bless()?;
    shell::run("git", &["status", "--short"])?;
    eprintln!("bless: read the difference before you commit it");
    Ok(())
}
