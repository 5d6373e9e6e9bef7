//! Starting other programs, in the workspace's root.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// The workspace's root folder.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("this package is two folders below the root")
}

/// Variables that `cargo run` sets for this package. Some build scripts, such as ring's, run
/// again when one of them changes. A second checkout would rebuild all that depends on them.
const OWN: [&str; 8] = [
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_LINKS",
    "CARGO_MANIFEST_PATH",
    "CARGO_PKG_NAME",
    "CARGO_PKG_VERSION_MAJOR",
    "CARGO_PKG_VERSION_MINOR",
    "CARGO_PKG_VERSION_PATCH",
    "CARGO_PKG_VERSION_PRE",
];

/// A command that runs in the root and says what it is.
pub(crate) fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    for name in OWN {
        command.env_remove(name);
    }
    command
}

/// Runs a command whose output the user sees; anything but success is an error.
pub(crate) fn run(program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let line = format!("{program} {}", arguments.join(" "));
    eprintln!("$ {line}");
    let status = command(program, arguments).status();
    match status.with_context(|| format!("cannot start `{program}`"))? {
        status if status.success() => Ok(()),
        status => bail!("`{line}` failed: {status}"),
    }
}

/// What a command prints; anything but success is an error.
pub(crate) fn read(program: &str, arguments: &[&str]) -> anyhow::Result<Vec<u8>> {
    let output = command(program, arguments)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start `{program}`"))?;
    if !output.status.success() {
        bail!("`{program} {}` failed", arguments.join(" "));
    }
    Ok(output.stdout)
}

/// Whether a command starts and succeeds; its output is thrown away.
pub(crate) fn works(program: &str, arguments: &[&str]) -> bool {
    let mut command = command(program, arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// `cargo metadata` of the workspace's own packages.
pub(crate) fn metadata() -> anyhow::Result<serde_json::Value> {
    let arguments = ["metadata", "--no-deps", "--format-version", "1"];
    let text = read("cargo", &arguments)?;
    serde_json::from_slice(&text).context("cargo metadata printed no JSON")
}

/// Where cargo builds to.
pub(crate) fn target_folder() -> anyhow::Result<PathBuf> {
    let metadata = metadata()?;
    let folder = metadata["target_directory"].as_str();
    folder
        .map(PathBuf::from)
        .context("cargo metadata names no target_directory")
}
