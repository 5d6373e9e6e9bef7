//! The module tree of one crate, and which file takes what from which other file.
//!
//! A *room* is a folder directly below a crate's `src`, with all files below it. A
//! file directly in `src` is a room too. `src/a.rs` and the files of `src/a/` are one
//! room.
//!
//! A path leads to the file whose module it names last. `crate::load::days::Day`
//! leads to `load/days.rs`, and `crate::load::Day` to `load/mod.rs`, unless that
//! file re-exports `Day` from one of its child modules: then it leads to the file
//! that the re-export names. For this reason a re-export of a module's own child
//! counts as a use only if the file mentions the name a second time.
//!
//! Files that only tests compile are left out, and so is `src/bin`.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::imports::{self, Named, Outline};
use crate::sources::Source;

/// Re-exports that lead to re-exports are followed so many times.
const MOST_HOPS: usize = 8;

/// The names that one file takes from another.
pub(crate) type Edges = BTreeMap<(usize, usize), BTreeSet<String>>;

/// The files of a crate and what they take from each other.
pub(crate) struct Crate {
    /// The folder above `src`.
    pub(crate) folder: String,
    pub(crate) files: Vec<File>,
    pub(crate) edges: Edges,
}

/// A file that is not only compiled for tests.
pub(crate) struct File {
    /// The path below `src`.
    pub(crate) path: String,
    pub(crate) room: String,
    pub(crate) lines: usize,
    module: Vec<String>,
    outline: Outline,
}

/// The crates that the sources belong to, in the order of their folders.
pub(crate) fn crates(sources: &[Source]) -> Vec<Crate> {
    let mut folders: BTreeMap<&str, Vec<File>> = BTreeMap::new();
    for source in sources.iter().filter(|source| source.is_rust()) {
        let Some((folder, path)) = source.path.split_once("/src/") else {
            continue;
        };
        if !path.starts_with("bin/") {
            let files = folders.entry(folder).or_default();
            files.push(file(path, source));
        }
    }
    let folders = folders.into_iter();
    folders
        .map(|(folder, files)| build(folder, files))
        .collect()
}

fn file(path: &str, source: &Source) -> File {
    let stem = path.trim_end_matches(".rs");
    let stem = stem.strip_suffix("/mod").unwrap_or(stem);
    let room = stem.split('/').next().unwrap_or(stem);
    let module = match stem {
        "lib" | "main" => Vec::new(),
        stem => stem.split('/').map(str::to_owned).collect(),
    };
    File {
        path: path.to_owned(),
        room: room.to_owned(),
        lines: source.code().count(),
        module,
        outline: imports::outline(&source.text),
    }
}

fn build(folder: &str, mut files: Vec<File>) -> Crate {
    let test_only = test_only(&files);
    files.retain(|file| {
        let mut ancestors = (1..=file.module.len()).map(|end| &file.module[..end]);
        !ancestors.any(|module| test_only.contains(module))
    });
    let tree = Tree::new(folder, &files);
    let mut edges = Edges::new();
    for (from, file) in files.iter().enumerate() {
        for (to, name) in tree.uses(file) {
            if from != to {
                edges.entry((from, to)).or_default().insert(name);
            }
        }
    }
    Crate {
        folder: folder.to_owned(),
        files,
        edges,
    }
}

/// The modules that are declared under `#[cfg(test)]`.
fn test_only(files: &[File]) -> HashSet<Vec<String>> {
    let mut modules = HashSet::new();
    for file in files {
        let declared = file.outline.modules.iter();
        for module in declared.filter(|module| module.is_test_only) {
            modules.insert(below(&file.module, &module.name));
        }
    }
    modules
}

fn below(module: &[String], name: &str) -> Vec<String> {
    let mut path = module.to_vec();
    path.push(name.to_owned());
    path
}

/// Finds the file that a path leads to.
struct Tree<'a> {
    /// The name under which `main.rs` knows the library beside it.
    library: &'a str,
    by_module: HashMap<&'a [String], usize>,
    /// What `use` declarations bring into the scope of a module.
    aliases: HashMap<(Vec<String>, &'a str), &'a Named>,
}

impl<'a> Tree<'a> {
    fn new(folder: &'a str, files: &'a [File]) -> Self {
        let mut by_module = HashMap::new();
        let mut aliases = HashMap::new();
        for (at, file) in files.iter().enumerate() {
            // Where both exist, `lib.rs` comes first and is the root.
            by_module.entry(file.module.as_slice()).or_insert(at);
            for path in &file.outline.paths {
                if let Some(alias) = &path.alias {
                    aliases.insert((scope(file, path), alias.as_str()), path);
                }
            }
        }
        let library = folder.rsplit('/').next().unwrap_or(folder);
        Self {
            library,
            by_module,
            aliases,
        }
    }

    /// The files that `file` takes something from, with the name that it takes.
    fn uses(&self, file: &File) -> Vec<(usize, String)> {
        let mut uses = Vec::new();
        for path in &file.outline.paths {
            let scope = scope(file, path);
            if is_passed_on(file, path) && self.is_own_child(&scope, path) {
                continue;
            }
            let absolute = self.absolute(&scope, &path.segments, MOST_HOPS);
            uses.extend(absolute.and_then(|absolute| self.target(&absolute)));
        }
        uses
    }

    /// Whether a `use` declaration takes from a module that its own module declares.
    fn is_own_child(&self, scope: &[String], path: &Named) -> bool {
        let absolute = self.absolute(scope, &path.segments, 0);
        absolute.is_some_and(|absolute| {
            absolute.starts_with(scope)
                && absolute.len() > scope.len() + 1
                && self.by_module.contains_key(&absolute[..=scope.len()])
        })
    }

    /// The path from the crate's root, or nothing if it leads to another crate.
    fn absolute(&self, scope: &[String], segments: &[String], hops: usize) -> Option<Vec<String>> {
        let (first, rest) = segments.split_first()?;
        let mut path = match first.as_str() {
            "crate" => Vec::new(),
            "self" => scope.to_vec(),
            "super" => scope[..scope.len().checked_sub(1)?].to_vec(),
            name if self.by_module.contains_key(below(scope, name).as_slice()) => {
                below(scope, name)
            }
            name => match self.aliases.get(&(scope.to_vec(), name)) {
                Some(alias) if hops > 0 => self.absolute(scope, &alias.segments, hops - 1)?,
                None if name == self.library => Vec::new(),
                _ => return None,
            },
        };
        for segment in rest {
            match segment.as_str() {
                "super" => drop(path.pop()?),
                segment => path.push(segment.to_owned()),
            }
        }
        Some(self.through_re_exports(path, hops))
    }

    /// The path behind `path`, where the module that it names only re-exports it.
    fn through_re_exports(&self, path: Vec<String>, hops: usize) -> Vec<String> {
        if hops == 0 {
            return path;
        }
        let (module, rest) = path.split_at(self.depth(&path));
        let Some((name, rest)) = rest.split_first() else {
            return path;
        };
        let Some(re_export) = self.aliases.get(&(module.to_vec(), name)) else {
            return path;
        };
        if !self.is_own_child(module, re_export) {
            return path;
        }
        let behind = self.absolute(module, &re_export.segments, hops - 1);
        behind.map_or(path.clone(), |mut behind| {
            behind.extend_from_slice(rest);
            behind
        })
    }

    /// How many of a path's first segments name a module that has a file.
    fn depth(&self, path: &[String]) -> usize {
        let depths = (0..=path.len()).rev();
        let mut found = depths.filter(|&depth| self.by_module.contains_key(&path[..depth]));
        found.next().unwrap_or(0)
    }

    /// The file that an absolute path leads to, and the name that is taken from it.
    fn target(&self, path: &[String]) -> Option<(usize, String)> {
        let depth = self.depth(path);
        let file = *self.by_module.get(&path[..depth])?;
        let name = path.get(depth).or(path.last());
        name.map(|name| (file, name.clone()))
    }
}

/// Whether a file re-exports a name without using it.
fn is_passed_on(file: &File, path: &Named) -> bool {
    let alias = path.alias.as_ref();
    path.is_re_export && alias.is_some_and(|alias| !file.outline.words.contains(alias))
}

/// The module that a path is written in.
fn scope(file: &File, path: &Named) -> Vec<String> {
    let mut scope = file.module.clone();
    scope.extend_from_slice(&path.scope);
    scope
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The one crate of a small tree of files, each with its path below `src`.
    pub(crate) fn tree(files: &[(&str, &str)]) -> Crate {
        let sources = files.iter().map(|(path, text)| Source {
            path: format!("house/src/{path}"),
            text: (*text).to_owned(),
        });
        let sources: Vec<Source> = sources.collect();
        crates(&sources).remove(0)
    }

    /// Every edge as `from -> to: names`.
    fn edges(files: &[(&str, &str)]) -> Vec<String> {
        let of = tree(files);
        let edges = of.edges.iter().map(|((from, to), names)| {
            let (from, to) = (&of.files[*from].path, &of.files[*to].path);
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            format!("{from} -> {to}: {}", names.join(" "))
        });
        edges.collect()
    }

    #[test]
    fn both_module_styles_resolve() {
        let found = edges(&[
            ("a/b.rs", "use crate::{c::D, e::F, e::g::H};"),
            ("c.rs", ""),
            ("c/i.rs", "use super::D;\nuse super::super::e::F;"),
            ("e/g.rs", "use super::F;"),
            ("e/mod.rs", ""),
            ("lib.rs", ""),
        ]);
        let expected = [
            "a/b.rs -> c.rs: D",
            "a/b.rs -> e/g.rs: H",
            "a/b.rs -> e/mod.rs: F",
            "c/i.rs -> c.rs: D",
            "c/i.rs -> e/mod.rs: F",
            "e/g.rs -> e/mod.rs: F",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_folder_and_the_file_that_opens_it_are_one_room() {
        let of = tree(&[
            ("a.rs", ""),
            ("a/b/c.rs", ""),
            ("d/mod.rs", ""),
            ("main.rs", ""),
        ]);
        let rooms: Vec<&str> = of.files.iter().map(|file| file.room.as_str()).collect();
        assert_eq!(rooms, ["a", "a", "d", "main"]);
    }

    #[test]
    fn a_re_exported_name_leads_to_the_file_that_defines_it() {
        let found = edges(&[
            ("a.rs", "use crate::b::{D, E};\nuse crate::b::c::G;"),
            ("b/c.rs", "use super::D;"),
            ("b/mod.rs", "mod c;\npub use c::D;\npub struct E;"),
            ("lib.rs", "mod a;\nmod b;\npub use b::D;"),
        ]);
        assert_eq!(found, ["a.rs -> b/c.rs: D G", "a.rs -> b/mod.rs: E"]);
    }

    #[test]
    fn a_re_export_that_its_own_file_uses_too_is_an_edge() {
        let text = "mod c;\npub use c::D;\npub fn e() -> D { c::f() }";
        let found = edges(&[("b/c.rs", ""), ("b/mod.rs", text), ("lib.rs", "")]);
        assert_eq!(found, ["b/mod.rs -> b/c.rs: D f"]);
    }

    #[test]
    fn paths_in_code_lead_where_use_declarations_lead() {
        let found = edges(&[
            (
                "a/b.rs",
                "use crate::c;\nfn f() -> super::work::X { c::d::e(c::G::H) }",
            ),
            ("a/mod.rs", "static T: &[u8] = work::Y;"),
            ("a/work.rs", ""),
            ("c/d.rs", ""),
            ("c/mod.rs", "fn other() { serde::c::d(); std::fs::read() }"),
            ("lib.rs", ""),
        ]);
        let expected = [
            "a/b.rs -> a/work.rs: X",
            "a/b.rs -> c/d.rs: e",
            "a/b.rs -> c/mod.rs: G c",
            "a/mod.rs -> a/work.rs: Y",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn inline_modules_shift_super_by_one() {
        let text = "mod inner { use super::super::c::D; use super::Own; }";
        let found = edges(&[("a/b.rs", text), ("a/c.rs", ""), ("lib.rs", "")]);
        assert_eq!(found, ["a/b.rs -> a/c.rs: D"]);
    }

    #[test]
    fn what_only_tests_compile_is_left_out() {
        let of = tree(&[
            ("a.rs", "#[cfg(test)]\nmod tests { use crate::b::C; }"),
            ("b.rs", "#[cfg(test)]\nmod fakes;\nmod real;"),
            ("b/fakes.rs", "use crate::a::D;"),
            ("b/fakes/more.rs", ""),
            ("b/real.rs", ""),
            ("bin/tool.rs", "use house::a::D;"),
            ("lib.rs", ""),
        ]);
        let paths: Vec<&str> = of.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["a.rs", "b.rs", "b/real.rs", "lib.rs"]);
        assert!(of.edges.is_empty());
    }

    #[test]
    fn a_binary_beside_a_library_uses_it_by_name() {
        let found = edges(&[
            ("a.rs", ""),
            ("lib.rs", ""),
            ("main.rs", "use house::a::B;"),
        ]);
        assert_eq!(found, ["main.rs -> a.rs: B"]);
    }
}
