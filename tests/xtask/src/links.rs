//! Links between documents lead somewhere. docs/architecture.md names only files and tests
//! that exist, and names every room.
//!
//! A link is relative to its document; its fragment is a heading of the document that it
//! leads to. In docs/architecture.md a path in backticks counts from the root or from the
//! `src` of a crate, a long name with underscores is a function, and a name in capitals is a
//! static or a constant.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use crate::shell;
use crate::sources::{self, Source};

/// The document whose names in backticks are checked.
const MAP: &str = "docs/architecture.md";

/// The folders that a path in backticks may count from.
const FOLDERS: &[&str] = &["", "plans/src", "scheduler/src", "executor/src", "job/src"];

/// Ends of names that make a word in backticks a path.
const PATH_ENDS: &[&str] = &["/", ".rs", ".md", ".toml", ".proto", ".py", ".sh", ".json"];

/// A name with fewer words is no test's.
const SHORTEST_TEST: usize = 4;

/// A word in capitals with fewer letters is an abbreviation.
const SHORTEST_CONSTANT: usize = 4;

pub(crate) fn check() -> anyhow::Result<Vec<String>> {
    let sources = sources::all()?;
    let mut findings = links(&sources);
    findings.extend(names(&sources));
    findings.extend(rooms(&sources));
    Ok(findings)
}

/// A document and its lines outside of code blocks, each with its number.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_code = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence && !line.starts_with("    ")
    })
}

fn links(sources: &[Source]) -> Vec<String> {
    let is_document = |path: &str| path.ends_with(".md") && !path.contains("/samples/");
    let mut findings = Vec::new();
    for document in sources.iter().filter(|source| is_document(&source.path)) {
        for (number, line) in prose(&document.text) {
            for target in targets(line) {
                if !leads_somewhere(&document.path, &target, sources) {
                    let place = &document.path;
                    findings.push(format!("{place}:{number}: `{target}` leads nowhere"));
                }
            }
        }
    }
    findings
}

/// What the links of a line lead to, without code spans and without addresses of the web.
fn targets(line: &str) -> Vec<String> {
    let text: String = line.split('`').step_by(2).collect();
    let links = text.split("](").skip(1);
    let targets = links.filter_map(|rest| rest.split_once(')'));
    targets
        .map(|(target, _)| target.to_owned())
        .filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
        .collect()
}

fn leads_somewhere(document: &str, target: &str, sources: &[Source]) -> bool {
    let (path, fragment) = target.split_once('#').unwrap_or((target, ""));
    let path = match path {
        "" => PathBuf::from(document),
        path => joined(document, path),
    };
    if fragment.is_empty() {
        return shell::root().join(&path).exists();
    }
    let found = sources
        .iter()
        .find(|source| Path::new(&source.path) == path);
    found.is_some_and(|found| anchors(&found.text).contains(fragment))
}

/// `path` as seen from the folder of `document`, from the root.
fn joined(document: &str, path: &str) -> PathBuf {
    let mut joined = PathBuf::from(document);
    joined.pop();
    for component in Path::new(path).components() {
        match component {
            Component::ParentDir => _ = joined.pop(),
            Component::CurDir => {}
            other => joined.push(other),
        }
    }
    joined
}

/// The anchors of a document's headings, made as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter(|(_, line)| line.starts_with('#'));
    headings
        .map(|(_, line)| anchor(line.trim_start_matches('#').trim()))
        .collect()
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter_map(|character| match character {
        ' ' => Some('-'),
        '-' | '_' => Some(character),
        other => other.is_alphanumeric().then_some(other),
    });
    kept.flat_map(char::to_lowercase).collect()
}

/// The names in backticks of the map of the code that do not exist.
fn names(sources: &[Source]) -> Vec<String> {
    let Some(map) = sources.iter().find(|source| source.path == MAP) else {
        return vec![format!("{MAP} is missing")];
    };
    let mut findings = Vec::new();
    for (number, line) in prose(&map.text) {
        for name in line.split('`').skip(1).step_by(2) {
            let is_missing = match kind(name) {
                Some(Name::Path) => !exists(name),
                Some(Name::Function) => !is_function(name, sources),
                Some(Name::Constant) => !is_constant(name, sources),
                None => false,
            };
            if is_missing {
                findings.push(format!("{MAP}:{number}: `{name}` does not exist"));
            }
        }
    }
    findings
}

/// The rooms of the crates that the map of the code does not name.
fn rooms(sources: &[Source]) -> BTreeSet<String> {
    let map = sources.iter().find(|source| source.path == MAP);
    let map = map.map_or("", |map| map.text.as_str());
    let paths = sources.iter().map(|source| source.path.as_str());
    let rooms = paths.filter_map(room);
    rooms
        .filter(|(folder, room)| {
            let (short, long) = (format!("`{room}`"), format!("`{folder}/{room}`"));
            !map.contains(&short) && !map.contains(&long)
        })
        .map(|(folder, room)| format!("{MAP}: the room `{folder}/{room}` is missing"))
        .collect()
}

/// The crate's folder and the room that a file is in: `decode/` or `spec.rs`.
fn room(path: &str) -> Option<(&str, &str)> {
    let folders = FOLDERS.iter().filter(|folder| !folder.is_empty());
    let mut below = folders.filter_map(|folder| Some((folder, path.strip_prefix(folder)?)));
    let (folder, rest) = below.next()?;
    let rest = rest.strip_prefix('/')?;
    let end = rest.find('/').map_or(rest.len(), |at| at + 1);
    let room = &rest[..end];
    let is_root = room == "lib.rs" || room == "main.rs";
    (!is_root).then_some((*folder, room))
}

#[derive(Debug, PartialEq, Eq)]
enum Name {
    Path,
    Function,
    /// A static or a constant.
    Constant,
}

/// What a word in backticks names, unless it is code or holds a placeholder.
fn kind(word: &str) -> Option<Name> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    if !word.chars().all(is_plain) || word.starts_with('.') {
        return None;
    }
    if PATH_ENDS.iter().any(|end| word.ends_with(end)) {
        return Some(Name::Path);
    }
    if is_in_capitals(word) {
        return Some(Name::Constant);
    }
    let is_long = word.split('_').count() >= SHORTEST_TEST;
    (is_long && !word.contains(['.', '/', '-'])).then_some(Name::Function)
}

fn is_in_capitals(word: &str) -> bool {
    let may_hold = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let letters = word.chars().filter(char::is_ascii_uppercase);
    letters.count() >= SHORTEST_CONSTANT && word.chars().all(may_hold)
}

fn exists(path: &str) -> bool {
    let root = shell::root();
    FOLDERS
        .iter()
        .any(|folder| root.join(folder).join(path).exists())
}

fn is_function(name: &str, sources: &[Source]) -> bool {
    is_defined(&[format!("fn {name}(")], sources)
}

fn is_constant(name: &str, sources: &[Source]) -> bool {
    let definitions = ["static", "const"].map(|keyword| format!("{keyword} {name}:"));
    is_defined(&definitions, sources)
}

fn is_defined(definitions: &[String], sources: &[Source]) -> bool {
    let mut rust = sources.iter().filter(|source| source.is_rust());
    rust.any(|source| {
        let mut definitions = definitions.iter();
        definitions.any(|definition| source.text.contains(definition))
    })
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

    fn found(text: &str) -> Vec<String> {
        let other = source("docs/other.md", "# Two words, `one` of code\n");
        links(&[source("docs/a.md", text), other])
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found_with_its_line() {
        let text = "# A\n\n[b](none.md) and [root](../Cargo.toml)\n";
        assert_eq!(found(text), ["docs/a.md:3: `none.md` leads nowhere"]);
    }

    #[test]
    fn a_fragment_is_a_heading_of_its_document() {
        assert!(found("# A\n[a](#a) [b](other.md#two-words-one-of-code)\n").is_empty());
        assert_eq!(found("# A\n[a](#b) [b](other.md#three)\n").len(), 2);
    }

    #[test]
    fn code_and_the_web_are_no_links() {
        let text = "`[a](b)` [c](https://example.com/d)\n\n    [e](f)\n\n```\n[g](h)\n```\n";
        assert!(found(text).is_empty());
    }

    #[test]
    fn words_in_backticks_are_paths_functions_constants_or_none() {
        for path in ["scan/", "job/src/wire.rs", "docs/operating.md"] {
            assert_eq!(kind(path), Some(Name::Path), "{path}");
        }
        assert_eq!(kind("a_row_is_read_once"), Some(Name::Function));
        for constant in ["ROOMS", "LIST_OF_S3_KEYS"] {
            assert_eq!(kind(constant), Some(Name::Constant), "{constant}");
        }
        for other in ["LoadRequest", "load_id", "sources/<name>/", "a::b", ".rs"] {
            assert_eq!(kind(other), None, "{other}");
        }
        for other in ["S3", "TLS", "--ALLOW", "Done"] {
            assert_eq!(kind(other), None, "{other}");
        }
    }

    #[test]
    fn a_room_that_the_map_does_not_name_is_found() {
        let map = source(MAP, "`decode/` and `plans/src/spec.rs`\n");
        let paths = ["decode/mod.rs", "decode/time.rs", "spec.rs", "scan/mod.rs"];
        let files = paths.map(|path| source(&format!("plans/src/{path}"), ""));
        let sources: Vec<Source> = files.into_iter().chain([map]).collect();
        let expected = "docs/architecture.md: the room `plans/src/scan/` is missing";
        assert_eq!(Vec::from_iter(rooms(&sources)), [expected]);
    }

    #[test]
    fn names_that_do_not_exist_are_found() {
        let map = source(
            MAP,
            "`scan/` `scan/none.rs` `a_test_of_ours` `a_test_of_none` `OURS` `OTHERS` `NONE`\n",
        );
        let code = "fn a_test_of_ours() {}\nstatic OURS: u8 = 1;\nconst OTHERS: u8 = 2;";
        let code = source("plans/src/a.rs", code);
        let found = names(&[map, code]);
        let expected = [
            "docs/architecture.md:1: `scan/none.rs` does not exist",
            "docs/architecture.md:1: `a_test_of_none` does not exist",
            "docs/architecture.md:1: `NONE` does not exist",
        ];
        assert_eq!(found, expected);
    }
}
