//! Reads which modules a Rust file declares and which paths it names.
//!
//! Two kinds of paths are read: the leaves of `use` declarations, and paths in
//! code, such as `crate::load::Day`. Items under `#[cfg(test)]` are skipped.

use std::collections::HashSet;

use crate::tokens::{self, Kind, Token};

/// The modules and paths of one file.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    pub(crate) modules: Vec<Declared>,
    pub(crate) paths: Vec<Named>,
    /// Every word of the file outside of `use` declarations.
    pub(crate) words: HashSet<String>,
}

/// A module that has a file: `mod name;`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Declared {
    pub(crate) name: String,
    pub(crate) is_test_only: bool,
}

/// A path as the file writes it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// The inline modules around it.
    pub(crate) scope: Vec<String>,
    pub(crate) segments: Vec<String>,
    /// The name that a `use` declaration brings into scope.
    pub(crate) alias: Option<String>,
    /// Whether it is a `use` declaration with a visibility.
    pub(crate) is_re_export: bool,
}

/// Reads the outline of a file.
pub(crate) fn outline(source: &str) -> Outline {
    let mut tokens = tokens::tokens(source);
    tokens.retain(|token| matches!(token.kind, Kind::Word | Kind::Mark));
    let mut reader = Reader {
        tokens: &tokens,
        at: 0,
        depth: 0,
        scope: Vec::new(),
        outline: Outline::default(),
    };
    while reader.at < tokens.len() {
        reader.step();
    }
    reader.outline
}

struct Reader<'a> {
    tokens: &'a [Token<'a>],
    at: usize,
    /// How many braces are open.
    depth: usize,
    /// The inline modules that are open, each with the depth outside it.
    scope: Vec<(String, usize)>,
    outline: Outline,
}

impl Reader<'_> {
    /// The text of the token that is `ahead` tokens further on, or nothing.
    fn peek(&self, ahead: usize) -> &str {
        self.tokens
            .get(self.at + ahead)
            .map_or("", |token| token.text)
    }

    fn before(&self, back: usize) -> &str {
        let at = self.at.checked_sub(back);
        at.map_or("", |at| self.tokens[at].text)
    }

    fn is_word(&self, ahead: usize) -> bool {
        let token = self.tokens.get(self.at + ahead);
        token.is_some_and(|token| token.kind == Kind::Word)
    }

    fn step(&mut self) {
        match self.peek(0) {
            "#" if self.is_test_attribute() => self.skip_test_item(),
            "use" if self.peek(1) != "<" => self.read_use(),
            "mod" if self.is_word(1) => self.read_module(),
            "{" => {
                self.depth += 1;
                self.at += 1;
            }
            "}" => self.close_brace(),
            _ if self.starts_path() => self.read_path(),
            _ => self.read_word(),
        }
    }

    fn read_word(&mut self) {
        if self.is_word(0) {
            self.outline.words.insert(plain(self.peek(0)));
        }
        self.at += 1;
    }

    fn close_brace(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        if self.scope.last().is_some_and(|open| open.1 == self.depth) {
            self.scope.pop();
        }
        self.at += 1;
    }

    /// Whether `#[cfg(test)]` or `#[cfg(all(test, …))]` starts here.
    fn is_test_attribute(&self) -> bool {
        if [self.peek(1), self.peek(2), self.peek(3)] != ["[", "cfg", "("] {
            return false;
        }
        self.peek(4) == "test" || (self.peek(4) == "all" && self.peek(6) == "test")
    }

    fn skip_test_item(&mut self) {
        while self.peek(0) == "#" {
            self.skip_attribute();
        }
        if let Some(name) = self.declared_module() {
            self.declare(name, true);
        }
        // The first word after the visibility says how the item ends.
        while self.peek(0) == "pub" || self.peek(0) == "(" {
            self.skip_visibility();
        }
        let ends_with_semicolon = ["use", "const", "static", "type", "let"];
        let braces_end = !ends_with_semicolon.contains(&self.peek(0));
        self.skip_item(braces_end);
    }

    fn skip_visibility(&mut self) {
        if self.peek(0) == "(" {
            while self.at < self.tokens.len() && self.peek(0) != ")" {
                self.at += 1;
            }
        }
        self.at += 1;
    }

    fn skip_attribute(&mut self) {
        let mut open = 0;
        while self.at < self.tokens.len() {
            match self.peek(0) {
                "[" => open += 1,
                "]" => open -= 1,
                _ => {}
            }
            self.at += 1;
            if open == 0 && self.before(1) == "]" {
                return;
            }
        }
    }

    /// Skips to the end of an item: its `;`, or the `}` that closes its body.
    fn skip_item(&mut self, braces_end: bool) {
        let mut open = 0usize;
        while self.at < self.tokens.len() {
            match self.peek(0) {
                "{" | "(" | "[" => open += 1,
                // A field or an argument: the list around it ends here.
                "}" | ")" | "]" if open == 0 => return,
                "}" | ")" | "]" => open -= 1,
                _ => {}
            }
            self.at += 1;
            let last = self.before(1);
            if open == 0 && (last == ";" || (last == "}" && braces_end)) {
                return;
            }
        }
    }

    /// The module that a `mod name;` here declares, after its visibility.
    fn declared_module(&self) -> Option<String> {
        let rest = &self.tokens[self.at..];
        let at = rest.iter().take(8).position(|token| token.text == "mod")?;
        let is_visibility = rest[..at]
            .iter()
            .all(|token| matches!(token.text, "pub" | "(" | ")" | "crate" | "super" | "in"));
        let name = rest.get(at + 1)?.text;
        let is_file = rest.get(at + 2)?.text == ";";
        (is_visibility && is_file).then(|| plain(name))
    }

    fn declare(&mut self, name: String, is_test_only: bool) {
        self.outline.modules.push(Declared { name, is_test_only });
    }

    fn read_module(&mut self) {
        let name = plain(self.peek(1));
        match self.peek(2) {
            ";" => self.declare(name, false),
            "{" => {
                self.scope.push((name, self.depth));
                self.depth += 1;
            }
            _ => {}
        }
        self.at += 3;
    }

    fn read_use(&mut self) {
        let is_re_export = matches!(self.before(1), "pub" | ")");
        let first = self.outline.paths.len();
        self.at += 1;
        self.read_use_tree(&[]);
        for path in &mut self.outline.paths[first..] {
            path.is_re_export = is_re_export;
        }
    }

    /// Reads one branch of a `use` declaration, below the segments in `prefix`.
    fn read_use_tree(&mut self, prefix: &[String]) {
        let mut segments = prefix.to_vec();
        while self.at < self.tokens.len() {
            match self.peek(0) {
                "::" => self.at += 1,
                "{" => return self.read_use_list(&segments),
                "as" => {
                    let alias = plain(self.peek(1));
                    self.at += 2;
                    return self.push_use(segments, Some(alias));
                }
                "," | "}" | ";" => return self.push_use(segments, None),
                segment => {
                    segments.push(plain(segment));
                    self.at += 1;
                }
            }
        }
    }

    fn read_use_list(&mut self, prefix: &[String]) {
        self.at += 1;
        while self.at < self.tokens.len() && self.peek(0) != "}" {
            if self.peek(0) == "," {
                self.at += 1;
            } else {
                self.read_use_tree(prefix);
            }
        }
        self.at += 1;
    }

    fn push_use(&mut self, mut segments: Vec<String>, alias: Option<String>) {
        // `a::{self}` names `a`.
        if segments.len() > 1 && segments.last().is_some_and(|last| last == "self") {
            segments.pop();
        }
        let alias = alias.or_else(|| segments.last().cloned());
        self.push_path(segments, alias);
    }

    /// Whether a path of at least two segments starts here.
    fn starts_path(&self) -> bool {
        // `pub(in crate::a)` limits who sees an item; it takes nothing from there.
        let is_visibility = self.before(1) == "in" && self.before(2) == "(";
        self.is_word(0) && self.peek(1) == "::" && self.before(1) != "::" && !is_visibility
    }

    fn read_path(&mut self) {
        let mut segments = vec![plain(self.peek(0))];
        self.outline.words.insert(segments[0].clone());
        while self.peek(1) == "::" && self.is_word(2) {
            segments.push(plain(self.peek(2)));
            self.at += 2;
        }
        self.at += 1;
        if segments.len() > 1 {
            self.push_path(segments, None);
        }
    }

    fn push_path(&mut self, segments: Vec<String>, alias: Option<String>) {
        let scope = self.scope.iter().map(|(name, _)| name.clone());
        self.outline.paths.push(Named {
            scope: scope.collect(),
            segments,
            alias,
            is_re_export: false,
        });
    }
}

/// A name without the mark of a raw identifier.
fn plain(name: &str) -> String {
    name.trim_start_matches("r#").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(source: &str) -> Vec<String> {
        let paths = outline(source).paths;
        paths.iter().map(|path| path.segments.join("::")).collect()
    }

    #[test]
    fn nested_use_declarations_are_flattened() {
        let found = paths("pub use crate::{a::{self, B as C}, d::*};");
        assert_eq!(found, ["crate::a", "crate::a::B", "crate::d::*"]);
    }

    #[test]
    fn an_alias_is_the_name_in_scope() {
        let outline = outline("use super::a::B as C;\nuse crate::d;");
        let aliases: Vec<_> = outline.paths.iter().map(|path| &path.alias).collect();
        assert_eq!(aliases, [&Some("C".to_owned()), &Some("d".to_owned())]);
    }

    #[test]
    fn a_use_with_a_visibility_is_a_re_export() {
        let outline = outline("pub(crate) use a::{B, c::D};\npub use e::F;\nuse g::H;");
        let found: Vec<_> = outline.paths.iter().map(|path| path.is_re_export).collect();
        assert_eq!(found, [true, true, true, false]);
    }

    #[test]
    fn paths_in_code_are_read_and_plain_names_are_not() {
        let found = paths("fn a(b: crate::c::D) -> E { super::f::<T>(b.g) }");
        assert_eq!(found, ["crate::c::D", "super::f"]);
        assert_eq!(paths("pub(in crate::a) fn b() {}"), [""; 0]);
    }

    #[test]
    fn strings_and_comments_name_nothing() {
        assert_eq!(
            paths("// crate::a::B\nconst C: &str = \"crate::d\";"),
            [""; 0]
        );
    }

    #[test]
    fn tests_are_skipped_and_the_code_after_them_is_not() {
        let source = "#[cfg(test)]\n#[expect(dead_code)]\npub(crate) mod tests { use crate::a; }
            #[cfg(test)]\nuse crate::b::{C, D};\n#[cfg(test)]\nfn e() { crate::f::g() }
            use crate::h;";
        assert_eq!(paths(source), ["crate::h"]);
    }

    #[test]
    fn modules_with_files_are_declared() {
        let modules = outline("mod a;\n#[cfg(test)]\npub(crate) mod b;\nmod c {}\nmod d;").modules;
        let found: Vec<_> = modules
            .iter()
            .map(|module| (module.name.as_str(), module.is_test_only))
            .collect();
        assert_eq!(found, [("a", false), ("b", true), ("d", false)]);
    }

    #[test]
    fn paths_know_the_inline_modules_around_them() {
        let outline = outline("mod a { fn b() { super::c::d() } }\nuse super::e;");
        assert_eq!(outline.paths[0].scope, ["a"]);
        assert!(outline.paths[1].scope.is_empty());
    }
}
