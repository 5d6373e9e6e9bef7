//! The generated parts of the documents, which the binary `docs` of package `tests` writes.

use anyhow::Context;

use crate::shell;

/// The features of `test`, so that nothing is built twice.
const BUILD: &[&str] = &["build", "--workspace", "--all-targets", "--locked"];

/// Names the parts that are not current.
pub(crate) fn check() -> anyhow::Result<()> {
    run(&["--check"])
}

/// Rewrites the parts that are not current.
pub(crate) fn bless() -> anyhow::Result<()> {
    run(&[])
}

fn run(arguments: &[&str]) -> anyhow::Result<()> {
    shell::run("cargo", BUILD)?;
    let program = shell::target_folder()?.join("debug/docs");
    let program = program.to_str().context("the target folder is not UTF-8")?;
    shell::run(program, arguments)
}
