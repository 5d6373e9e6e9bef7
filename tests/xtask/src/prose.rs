//! Habits that a line of text shows: where the environment is read, paths of a
//! machine, markers of unfinished work.

use crate::sources::{self, Source};

/// Folders that exist on somebody's machine only. Joined here, so that this file passes.
const MACHINES: &[&str] = &[
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
    concat!("/wo", "rk/"),
];

/// Markers of work that is not done.
const MARKERS: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("dbg", "!("),
];

pub(crate) fn check() -> anyhow::Result<Vec<String>> {
    let sources = sources::all()?;
    let own = sources.iter().filter(|source| !is_foreign(&source.path));
    Ok(own.flat_map(findings).collect())
}

/// Files whose text is not ours to judge.
fn is_foreign(path: &str) -> bool {
    path == "LICENSE" || path == "Cargo.lock" || path.contains("/samples/")
}

fn findings(source: &Source) -> Vec<String> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(source.text.lines()) {
        let place = format!("{}:{number}", source.path);
        if let Some(folder) = MACHINES.iter().find(|&&folder| names(line, folder)) {
            findings.push(format!("{place}: `{folder}` is a path of one machine"));
        }
        if !source.is_rust() {
            continue;
        }
        if let Some(marker) = MARKERS.iter().find(|&&marker| line.contains(marker)) {
            findings.push(format!("{place}: `{marker}`: finish it or drop it"));
        }
        if reads_environment(line) && !may_read_environment(&source.path, line) {
            findings.push(format!("{place}: only config.rs reads the environment"));
        }
    }
    let of_tests = source.path.ends_with("/tests.rs");
    if source.is_rust() && !of_tests && !opens_with_docs(&source.text) {
        findings.push(format!("{}: does not open with `//!`", source.path));
    }
    findings
}

/// Whether `line` holds an absolute path that starts with `folder`.
fn names(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|before| before.is_whitespace() || "\"'`(=<>:,[".contains(before))
            || line[..at].ends_with("//")
    })
}

fn reads_environment(line: &str) -> bool {
    let calls = ["env::var(", "env::var_os(", "env::vars("];
    calls.iter().any(|call| line.contains(call)) && !line.trim_start().starts_with("//")
}

fn may_read_environment(path: &str, line: &str) -> bool {
    // Cargo names the folder that a build script writes to in a variable only.
    let is_set_by_cargo = path.ends_with("/build.rs") && line.contains("\"OUT_DIR\"");
    // This file names the calls.
    path.ends_with("/config.rs") || path == "tests/xtask/src/prose.rs" || is_set_by_cargo
}

fn opens_with_docs(text: &str) -> bool {
    let first = text.lines().find(|line| !line.starts_with("#!["));
    first.is_some_and(|line| line.starts_with("//!"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        findings(&Source {
            path: path.to_owned(),
            text: text.to_owned(),
        })
        .len()
    }

    #[test]
    fn a_path_of_a_machine_is_found_and_a_relative_one_is_not() {
        let home = MACHINES[0];
        assert_eq!(found("a.md", &format!("see `{home}me/x`")), 1);
        assert_eq!(found("a.md", &format!("file://{home}me/x")), 1);
        assert_eq!(found("a.md", &format!("below target{home}x")), 0);
    }

    #[test]
    fn the_environment_is_read_in_config_only() {
        let line = "//! Docs.\nlet home = std::env::var(\"HOME\");";
        assert_eq!(found("job/src/run.rs", line), 1);
        assert_eq!(found("job/src/config.rs", line), 0);
        assert_eq!(found("plans/build.rs", line), 1);
    }

    #[test]
    fn a_module_without_docs_is_found() {
        assert_eq!(found("plans/src/a.rs", "use std::fs;"), 1);
        assert_eq!(found("plans/src/a.rs", "//! What it is for."), 0);
    }
}
