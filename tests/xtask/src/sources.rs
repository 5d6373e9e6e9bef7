//! The project's own text files, as the checks see them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::shell;

/// Names that hold nothing of ours; `.git` is a file in a worktree.
const SKIPPED: &[&str] = &["target", "lakebolt-demo", "__pycache__", ".git"];

/// A text file, with its path from the root.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The file's lines before its unit tests.
    pub(crate) fn code(&self) -> impl Iterator<Item = &str> {
        self.text
            .lines()
            .take_while(|line| !line.starts_with("#[cfg(test)]"))
    }
}

/// Every text file below the root, in the order of their paths.
pub(crate) fn all() -> anyhow::Result<Vec<Source>> {
    let root = shell::root();
    let mut paths = Vec::new();
    walk(root, &mut paths)?;
    paths.sort();
    let texts = paths
        .iter()
        .filter_map(|path| Some((path, fs::read_to_string(path).ok()?)));
    let sources = texts.map(|(path, text)| Source {
        path: path
            .strip_prefix(root)
            .unwrap_or(path)
            .display()
            .to_string(),
        text,
    });
    Ok(sources.collect())
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("{}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if SKIPPED.contains(&&*name) || name.starts_with(".venv") {
            continue;
        }
        match entry.file_type()? {
            kind if kind.is_file() => paths.push(entry.path()),
            kind if kind.is_dir() => walk(&entry.path(), paths)?,
            _ => {}
        }
    }
    Ok(())
}
