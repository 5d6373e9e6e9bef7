//! The acceptance scripts, which read a lake with independent readers. They need the virtual
//! environment that `cargo xtask test` creates in the target folder.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::process::{Invocation, binaries};

/// An acceptance script without arguments. `None` if Python is missing, which is printed and
/// counted: `cargo xtask test` then fails.
pub fn script(test: &str, name: &str, folder: &Path) -> anyhow::Result<Option<Invocation>> {
    let Some(python) = interpreter(test)? else {
        return Ok(None);
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("acceptance")
        .join(name);
    Ok(Some(Invocation::new(&python, folder).arg(script)))
}

/// The interpreter with the packages of the acceptance tests; `None` as in `script`.
pub fn interpreter(test: &str) -> anyhow::Result<Option<PathBuf>> {
    let target = target()?;
    let python = target.join("acceptance-venv/bin/python");
    if python.exists() {
        return Ok(Some(python));
    }
    let reason = "the target folder has no acceptance-venv: run `cargo xtask test`";
    skip(&target, test, reason)?;
    Ok(None)
}

/// A file of the folder `shared` beside the checkout. It has public samples and schemas that
/// are too large to ship; most machines do not have it.
pub fn beside(path: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    let found = root.parent()?.join("shared").join(path);
    found.exists().then_some(found)
}

fn target() -> anyhow::Result<PathBuf> {
    let profile = binaries()?;
    let target = profile
        .parent()
        .context("a profile is in the target folder")?;
    Ok(target.to_owned())
}

/// Says aloud that a test cannot run here, and counts it.
pub fn skipped(test: &str, reason: &str) -> anyhow::Result<()> {
    skip(&target()?, test, reason)
}

fn skip(target: &Path, test: &str, reason: &str) -> anyhow::Result<()> {
    let folder = target.join("lakebolt-skipped");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(test), reason)?;
    // Not `eprintln!`, whose output `cargo test` captures.
    writeln!(std::io::stderr(), "COULD NOT RUN {test}: {reason}")?;
    Ok(())
}
