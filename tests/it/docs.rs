//! The examples of the documentation: its TOML lints without errors, and its commands run.
//!
//! A TOML block whose first line is a comment with a path is that file. A block below
//! `<!-- in: FILE -->` is a part of a file: of one that the page has, or of a skeleton in
//! `tests/it/skeletons`. The parts below one heading make one source. A block below
//! `<!-- file: PATH -->` is a file of another kind. A shell block that starts with `lakebolt`
//! runs beside these files, unless `<!-- not run: WHY -->` is above it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tests::Workspace;
use tests::process::{Invocation, binaries, binary};

const VERSIONS: [&str; 2] = ["1.1.0", "1.3.0"];

/// A fenced block of a page.
#[derive(Debug, Default)]
struct Block {
    /// Number of its first line in the page.
    line: usize,
    heading: String,
    /// The comment right above it.
    note: String,
    language: String,
    text: String,
}

impl Block {
    /// What follows `word: ` in the comment above it.
    fn note(&self, word: &str) -> Option<&str> {
        self.note.strip_prefix(word)?.strip_prefix(": ")
    }

    /// The path in the comment of its first line.
    fn file(&self) -> Option<&str> {
        let first = self.text.lines().next()?.strip_prefix("# ")?;
        let path = first.split(' ').next()?;
        path.ends_with(".toml").then_some(path)
    }
}

/// The fenced blocks of a page in their order.
fn blocks(page: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let (mut heading, mut note) = (String::new(), String::new());
    let mut lines = page.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let inner = lines.by_ref().map(|(_, line)| line);
            let inner: Vec<&str> = inner.take_while(|line| *line != "```").collect();
            found.push(Block {
                line: index + 2,
                heading: heading.clone(),
                note: std::mem::take(&mut note),
                language: language.to_owned(),
                text: inner.join("\n") + "\n",
            });
        } else if line.starts_with('#') {
            line.clone_into(&mut heading);
        } else if let Some(comment) = line.strip_prefix("<!-- ") {
            comment.trim_end_matches(" -->").clone_into(&mut note);
        } else if !line.is_empty() {
            note.clear();
        }
    }
    found
}

/// The lines of a TOML file by their table. The first table has no header.
#[derive(Debug)]
struct Tables(Vec<(String, Vec<String>)>);

impl Tables {
    fn new(text: &str) -> Self {
        let mut tables = vec![(String::new(), Vec::new())];
        for line in text.lines().filter(|line| !line.is_empty()) {
            match tables.last_mut() {
                Some((_, lines)) if !line.starts_with('[') => lines.push(line.to_owned()),
                _ => tables.push((line.to_owned(), Vec::new())),
            }
        }
        Self(tables)
    }

    /// Adds the lines of `part` to their tables. A key replaces the same one.
    fn add(&mut self, part: Self) {
        for (header, lines) in part.0 {
            let is_item = header.starts_with("[[");
            let same = |(known, _): &&mut (String, Vec<String>)| bare(known) == bare(&header);
            match self.0.iter_mut().find(same).filter(|_| !is_item) {
                Some((_, known)) => {
                    let keys: BTreeSet<&str> = lines.iter().filter_map(|line| key(line)).collect();
                    known.retain(|line| key(line).is_none_or(|key| !keys.contains(key)));
                    known.extend(lines);
                }
                None => self.0.push((header, lines)),
            }
        }
    }

    fn text(&self) -> String {
        let tables = self.0.iter();
        let lines = tables.flat_map(|(header, lines)| std::iter::once(header).chain(lines));
        lines.map(|line| format!("{line}\n")).collect()
    }
}

/// A header without the comment behind it.
fn bare(header: &str) -> &str {
    header.split('#').next().unwrap_or_default().trim()
}

/// The key of a line, unless the line belongs to a longer value.
fn key(line: &str) -> Option<&str> {
    let (key, _) = line.split_once('=')?;
    let is_part = |c: char| c.is_alphanumeric() || "_-.\"".contains(c);
    let key = key.trim();
    (!key.is_empty() && key.chars().all(is_part)).then_some(key)
}

/// How many blocks were tried.
#[derive(Debug, Default)]
struct Tried {
    files: usize,
    parts: usize,
    commands: usize,
    not_run: usize,
}

/// The files of a page while its blocks are tried.
struct Page {
    name: String,
    workspace: Workspace,
    /// Folders of sources that were not linted since their last change.
    changed: BTreeSet<PathBuf>,
    /// The files of the source that the parts below the heading make.
    parts: Vec<(String, Tables)>,
    tried: Tried,
}

impl Page {
    fn new(name: &str) -> anyhow::Result<Self> {
        Ok(Self {
            name: name.to_owned(),
            workspace: Workspace::new()?,
            changed: BTreeSet::new(),
            parts: Vec::new(),
            tried: Tried::default(),
        })
    }

    fn run(mut self, page: &str) -> anyhow::Result<Tried> {
        let mut heading = String::new();
        for block in blocks(page) {
            let at = format!("{}:{}", self.name, block.line);
            if heading != block.heading {
                self.lint_parts(&heading)?;
                heading.clone_from(&block.heading);
            }
            self.block(&block).context(at)?;
        }
        self.lint_parts(&heading)?;
        self.lint_changed()?;
        Ok(self.tried)
    }

    fn block(&mut self, block: &Block) -> anyhow::Result<()> {
        if let Some(path) = block.note("file") {
            return self.write(path, &block.text);
        }
        match block.language.as_str() {
            "toml" => self.toml(block),
            "sh" if block.text.starts_with("lakebolt") => self.commands(block),
            _ => Ok(()),
        }
    }

    fn toml(&mut self, block: &Block) -> anyhow::Result<()> {
        match (block.note("in"), block.file()) {
            (Some(file), _) => self.part(file, &block.text),
            (None, Some(file)) => {
                self.tried.files += 1;
                self.write(file, &block.text)
            }
            (None, None) => bail!("add `# PATH.toml` as its first line, or `<!-- in: FILE -->`"),
        }
    }

    fn write(&mut self, path: &str, text: &str) -> anyhow::Result<()> {
        let file = self.workspace.folder().join(path);
        let folder = file.parent().context("a file has a folder")?;
        fs::create_dir_all(folder)?;
        fs::write(&file, text)?;
        if path.ends_with(".toml") {
            self.changed.insert(folder.to_owned());
        }
        Ok(())
    }

    /// Adds a part to a file of the page, or to that of a skeleton.
    fn part(&mut self, file: &str, text: &str) -> anyhow::Result<()> {
        self.tried.parts += 1;
        let part = Tables::new(text);
        if let Ok(own) = fs::read_to_string(self.workspace.folder().join(file)) {
            let mut own = Tables::new(&own);
            own.add(part);
            return self.write(file, &own.text());
        }
        match self.parts.iter_mut().find(|(known, _)| known == file) {
            Some((_, tables)) => tables.add(part),
            None => {
                let mut tables = skeleton(file)?;
                tables.add(part);
                self.parts.push((file.to_owned(), tables));
            }
        }
        Ok(())
    }

    /// Lints the source that the parts below a heading make.
    fn lint_parts(&mut self, heading: &str) -> anyhow::Result<()> {
        let mut parts = std::mem::take(&mut self.parts);
        if parts.is_empty() {
            return Ok(());
        }
        if parts.iter().all(|(file, _)| file == "source.toml") {
            parts.push((
                "authentication.toml".to_owned(),
                skeleton("authentication.toml")?,
            ));
        }
        let root = parts.iter().position(|(file, _)| file == "source.toml");
        let mut root = match root {
            Some(index) => parts.remove(index).1,
            None => skeleton("source.toml")?,
        };
        let names = parts.iter().map(|(file, _)| file.trim_end_matches(".toml"));
        let names: Vec<&str> = names.collect();
        root.add(Tables::new(&format!("events = {names:?}")));
        let folder = tempfile::tempdir_in(self.workspace.folder())?;
        let folder = folder.path().join("parts");
        fs::create_dir(&folder)?;
        fs::write(folder.join("source.toml"), root.text())?;
        for (file, tables) in &parts {
            fs::write(folder.join(file), tables.text())?;
        }
        self.lint(&folder)
            .with_context(|| format!("{}: {heading}", self.name))
    }

    fn lint_changed(&mut self) -> anyhow::Result<()> {
        for folder in std::mem::take(&mut self.changed) {
            self.lint(&folder).with_context(|| self.name.clone())?;
        }
        Ok(())
    }

    fn lint(&self, folder: &Path) -> anyhow::Result<()> {
        for version in VERSIONS {
            let lint = self.workspace.lakebolt()?.arg("lint").arg(folder);
            let answer = lint.args(["--ocsf", version]).run()?;
            if answer.code() != Some(0) {
                bail!("OCSF {version}: {}{}", answer.stdout, answer.stderr);
            }
        }
        Ok(())
    }

    fn commands(&mut self, block: &Block) -> anyhow::Result<()> {
        if block.note("not run").is_some() {
            self.tried.not_run += 1;
            return Ok(());
        }
        self.lint_changed()?;
        self.tried.commands += 1;
        binary("lakebolt")?;
        let path = format!("{}:/usr/bin:/bin", binaries()?.display());
        let shell = Invocation::new(Path::new("/bin/sh"), self.workspace.folder());
        let answer = shell.args(["-euc", &block.text]).env("PATH", &path).run()?;
        if answer.code() != Some(0) {
            bail!("{:?}: {}{}", answer.code(), answer.stdout, answer.stderr);
        }
        Ok(())
    }
}

fn skeleton(file: &str) -> anyhow::Result<Tables> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("it/skeletons");
    let text = fs::read_to_string(folder.join(file));
    let text = text.with_context(|| format!("tests/it/skeletons has no `{file}`"))?;
    Ok(Tables::new(&text))
}

/// README.md and the pages of docs, with their texts.
fn pages() -> anyhow::Result<Vec<(String, String)>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = vec![root.join("README.md")];
    for entry in fs::read_dir(root.join("docs"))? {
        found.push(entry?.path());
    }
    found.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    found.sort();
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap_or_default();
        Ok((
            name.to_string_lossy().into_owned(),
            fs::read_to_string(&path)?,
        ))
    };
    found.into_iter().map(read).collect()
}

#[test]
fn every_example_of_the_documentation_works() -> anyhow::Result<()> {
    let mut all = Tried::default();
    for (name, text) in pages()? {
        let tried = Page::new(&name)?.run(&text)?;
        all.files += tried.files;
        all.parts += tried.parts;
        all.commands += tried.commands;
        all.not_run += tried.not_run;
    }
    eprintln!("{all:?}");
    assert!(
        all.files > 4 && all.parts > 30 && all.commands > 4,
        "{all:?}"
    );
    assert!(all.not_run < all.commands, "{all:?}");
    Ok(())
}

#[test]
fn a_part_is_put_into_the_tables_of_its_file() {
    let mut file = Tables::new("a = 1\nb = 2\n[t] # a table\nx = 1\ny = 2\n[[l]]\nz = 1\n");
    file.add(Tables::new(
        "b = 3\n[t]\ny.z = 4\ny = 5\n[[l]]\nz = 2\n[u]\nv = 1\n",
    ));
    assert_eq!(
        file.text(),
        "\na = 1\nb = 3\n[t] # a table\nx = 1\ny.z = 4\ny = 5\n[[l]]\nz = 1\n[[l]]\nz = 2\n[u]\nv = 1\n"
    );
}

#[test]
fn blocks_have_their_heading_and_the_comment_right_above_them() {
    let page = "# A\n<!-- in: x.toml -->\n```toml\na = 1\n```\n<!-- not run: no -->\ntext\n## B\n```sh\nlakebolt\n```\n";
    let found = blocks(page);
    let [first, second] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!((first.note("in"), first.line), (Some("x.toml"), 4));
    assert_eq!(
        (first.heading.as_str(), first.text.as_str()),
        ("# A", "a = 1\n")
    );
    assert_eq!(
        (second.heading.as_str(), second.note.as_str()),
        ("## B", "")
    );
}
