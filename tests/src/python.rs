//! The acceptance checks, which read a lake with other people's readers. They need
//! the virtual environment that `cargo xtask test` makes below the target folder.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::process::{Invocation, binaries};

/// An acceptance script, ready for its arguments; `None` when there is no Python for
/// it, which is said aloud and counted: `cargo xtask test` then fails.
pub fn script(test: &str, name: &str, folder: &Path) -> anyhow::Result<Option<Invocation>> {
    let Some(python) = interpreter(test)? else {
        return Ok(None);
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("acceptance")
        .join(name);
    Ok(Some(Invocation::new(&python, folder).arg(script)))
}

/// The interpreter with the acceptance tests' packages; `None` as in `script`.
pub fn interpreter(test: &str) -> anyhow::Result<Option<PathBuf>> {
    let target = target()?;
    let python = target.join("acceptance-venv/bin/python");
    if python.exists() {
        return Ok(Some(python));
    }
    let reason = "no acceptance-venv below the target folder: run `cargo xtask test`";
    skip(&target, test, reason)?;
    Ok(None)
}

/// A file of the folder that stands beside the checkout on machines that have it:
/// public samples and schemas, too large to ship.
pub fn beside(path: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    let found = root.parent()?.join("shared").join(path);
    found.exists().then_some(found)
}

fn target() -> anyhow::Result<PathBuf> {
    let profile = binaries()?;
    let target = profile
        .parent()
        .context("a profile stands in the target folder")?;
    Ok(target.to_owned())
}

fn skip(target: &Path, test: &str, reason: &str) -> anyhow::Result<()> {
    let folder = target.join("lakebolt-skipped");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(test), reason)?;
    // Past the capture of `cargo test`, which would hide it.
    writeln!(std::io::stderr(), "COULD NOT RUN {test}: {reason}")?;
    Ok(())
}
