//! Public items have a sentence of documentation, 95 of 100 at least; and a module with
//! children is a `mod.rs`.

use std::collections::BTreeSet;

use crate::sources::{self, Source};

/// Public items of which so many per cent are documented.
const LEAST_PERCENT: usize = 95;

/// The crates that the rule is about.
const CRATES: &[&str] = &["plans/src/", "scheduler/src/", "executor/src/", "job/src/"];

/// Keywords that begin an item which needs a sentence. A module has its own `//!`.
const ITEMS: &[&str] = &[
    "struct", "enum", "trait", "fn", "async", "const", "static", "type", "unsafe",
];

pub(crate) fn check() -> anyhow::Result<Vec<String>> {
    let sources = sources::all()?;
    let own: Vec<&Source> = sources.iter().filter(|source| is_own(source)).collect();
    let mut findings = split_modules(&own);
    findings.extend(undocumented(&own));
    Ok(findings)
}

fn is_own(source: &Source) -> bool {
    let own = CRATES.iter().any(|folder| source.path.starts_with(folder));
    let is_test = source.path.contains("/tests/") || source.path.ends_with("/tests.rs");
    source.is_rust() && own && !is_test
}

/// Files `name.rs` beside a folder `name/`: the other style of modules.
fn split_modules(sources: &[&Source]) -> Vec<String> {
    let folders: BTreeSet<&str> = sources
        .iter()
        .filter_map(|source| Some(source.path.rsplit_once('/')?.0))
        .collect();
    let has_folder = |source: &&&Source| {
        let stem = source.path.strip_suffix(".rs");
        stem.is_some_and(|stem| folders.contains(stem))
    };
    sources
        .iter()
        .filter(has_folder)
        .map(|source| {
            format!(
                "{}: has a folder beside it: make it its `mod.rs`",
                source.path
            )
        })
        .collect()
}

/// Every undocumented item, where there are too many of them.
fn undocumented(sources: &[&Source]) -> Vec<String> {
    let items: Vec<Item> = sources.iter().flat_map(|source| items(source)).collect();
    let missing: Vec<&Item> = items.iter().filter(|item| !item.documented).collect();
    if (items.len() - missing.len()) * 100 >= items.len() * LEAST_PERCENT {
        return Vec::new();
    }
    let mut findings = vec![format!(
        "{} of {} public items have no documentation:",
        missing.len(),
        items.len()
    )];
    findings.extend(missing.iter().map(|item| item.place.clone()));
    findings
}

struct Item {
    place: String,
    documented: bool,
}

fn items(source: &Source) -> Vec<Item> {
    let mut items = Vec::new();
    let mut documented = false;
    for (number, line) in (1..).zip(source.code()) {
        let line = line.trim_start();
        if line.starts_with("///") {
            documented = true;
            continue;
        }
        // Attributes may follow the documentation, over several lines.
        if line.starts_with("#[") || line.starts_with(')') || line.starts_with(']') {
            continue;
        }
        if is_public_item(line) {
            items.push(Item {
                place: format!("{}:{number}: {line}", source.path),
                documented,
            });
        }
        documented = false;
    }
    items
}

fn is_public_item(line: &str) -> bool {
    let Some(rest) = line.strip_prefix("pub ") else {
        return false;
    };
    let keyword = rest.split_whitespace().next().unwrap_or_default();
    ITEMS.contains(&keyword)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn documentation_may_be_followed_by_attributes() {
        let text = "/// What it is.\n#[derive(Debug)]\npub struct A;\npub fn b() {}\npub(crate) fn c() {}\n";
        let items = items(&source("plans/src/a.rs", text));
        let documented: Vec<bool> = items.iter().map(|item| item.documented).collect();
        assert_eq!(documented, [true, false]);
    }

    #[test]
    fn a_module_beside_its_folder_is_found() {
        let (beside, below) = (source("plans/src/a.rs", ""), source("plans/src/a/b.rs", ""));
        assert_eq!(split_modules(&[&beside, &below]).len(), 1);
        let (inside, below) = (
            source("plans/src/a/mod.rs", ""),
            source("plans/src/a/b.rs", ""),
        );
        assert!(split_modules(&[&inside, &below]).is_empty());
    }
}
