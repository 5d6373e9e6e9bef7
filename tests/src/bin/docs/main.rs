//! Writes the parts of Markdown files that are made from tables in the code.
//!
//! Run it in the root of the workspace. `docs` rewrites each region whose text
//! differs; `docs --check` only names those regions and fails. `cargo xtask gate` and
//! `cargo xtask bless` run it.

mod exit_codes;
mod formats;
mod functions;
mod regions;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};

use crate::regions::Generator;

/// Every region's name, and the function that makes its Markdown.
static GENERATORS: &[Generator] = &[
    ("exit-codes", exit_codes::markdown),
    ("formats", formats::markdown),
    ("functions", functions::markdown),
];

/// Files and folders of documents, from the root of the workspace.
const DOCUMENTS: &[&str] = &["README.md", "CONTRIBUTING.md", "docs"];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_check = match arguments.as_slice() {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => {
            eprintln!("usage: docs [--check]");
            return ExitCode::from(2);
        }
    };
    match run(is_check) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("docs: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(is_check: bool) -> anyhow::Result<()> {
    let mut missing: Vec<&str> = GENERATORS.iter().map(|(name, _)| *name).collect();
    let mut stale = Vec::new();
    for path in documents()? {
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let renewed = regions::renew(&text, GENERATORS);
        let renewed = renewed.with_context(|| path.display().to_string())?;
        missing.retain(|name| !renewed.found.contains(name));
        for name in renewed.stale {
            stale.push(format!("{}: `{name}`", path.display()));
        }
        if !is_check && renewed.text != text {
            fs::write(&path, renewed.text)?;
        }
    }
    if !missing.is_empty() {
        bail!("no document has a region for {}", missing.join(", "));
    }
    report(is_check, &stale)
}

fn report(is_check: bool, stale: &[String]) -> anyhow::Result<()> {
    if is_check && !stale.is_empty() {
        bail!(
            "regions that are not current, `cargo xtask bless` rewrites them:\n  {}",
            stale.join("\n  ")
        );
    }
    for region in stale {
        println!("docs: rewrote {region}");
    }
    Ok(())
}

/// Every Markdown file, in the order of their paths.
fn documents() -> anyhow::Result<Vec<PathBuf>> {
    let mut documents = Vec::new();
    for path in DOCUMENTS.iter().map(Path::new) {
        if path.is_dir() {
            walk(path, &mut documents)?;
        } else if path.exists() {
            documents.push(path.to_owned());
        }
    }
    if documents.is_empty() {
        bail!("there are no documents here: run it in the root of the workspace");
    }
    documents.sort();
    Ok(documents)
}

fn walk(folder: &Path, documents: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, documents)?;
        } else if path.extension().is_some_and(|extension| extension == "md") {
            documents.push(path);
        }
    }
    Ok(())
}
