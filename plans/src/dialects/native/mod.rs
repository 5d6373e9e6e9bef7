//! The native dialect: a folder with `source.toml` and one TOML file for each route. Values
//! under `map` are SQL. Values under `set` are constants.

mod attributes;
pub(super) mod columns;
mod event;
mod section;
mod shared;
mod source;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::rc::Rc;

use toml::de::DeTable;

use super::text::Text;
use super::{File, Loaded, base_name, files_with, read_files};
use crate::diagnostics::Diagnostics;
use section::{Reader, Section};
use shared::Shared;

const ROOT: &str = "source.toml";

/// Reads the TOML files of a source. `path` is its folder or one of the files.
pub(super) fn gather(path: &Path) -> Option<Result<Vec<File>, Diagnostics>> {
    let is_toml = path
        .extension()
        .is_some_and(|extension| extension == "toml");
    let folder = if is_toml { path.parent()? } else { path };
    if !folder.join(ROOT).is_file() {
        return None;
    }
    Some(read_files(&files_with(folder, "toml")).map(named_by_folder))
}

/// Replaces relative names such as `./source.toml` by full paths. The name of the folder is
/// the name of the source.
fn named_by_folder(mut files: Vec<File>) -> Vec<File> {
    for file in &mut files {
        let path = Path::new(&*file.name);
        let has_name = path
            .parent()
            .is_some_and(|folder| folder.file_name().is_some());
        if let (false, Ok(full)) = (has_name, path.canonicalize()) {
            file.name = full.to_string_lossy().into();
        }
    }
    files
}

pub(super) fn accepts(files: &[File]) -> bool {
    files.iter().any(|file| base_name(&file.name) == ROOT)
}

/// Reads a source and its routes for an OCSF version.
pub(super) fn read(files: &[File], version: &str) -> Result<Loaded, Diagnostics> {
    let mut found = Diagnostics::default();
    let mut documents = Vec::new();
    for file in files {
        documents.extend(document(file, &mut found));
    }
    let source = source::source(&documents, version, &mut found);
    found.sort();
    match source {
        Some(source) => found.into_result(Loaded {
            source,
            warnings: Vec::new(),
        }),
        None => Err(found),
    }
}

/// A file and its table. A file with invalid syntax has no table.
struct Document<'a> {
    text: Text<'a>,
    table: Option<DeTable<'a>>,
}

impl<'a> Document<'a> {
    fn base_name(&self) -> &str {
        base_name(&self.text.file)
    }

    /// Returns the keys of the file, and a reader that collects mistakes.
    fn open<'t>(&'t self, shared: Rc<Shared>) -> Option<(Reader<'a>, Section<'t>)> {
        let section = Section::new(self.table.as_ref()?, "", 0);
        let reader = Reader {
            text: self.text.clone(),
            found: Diagnostics::default(),
            shared,
        };
        Some((reader, section))
    }
}

fn document<'a>(file: &'a File, found: &mut Diagnostics) -> Option<Document<'a>> {
    let text = Text::new(file);
    let (table, errors) = DeTable::parse_recoverable(&file.text);
    for error in &errors {
        let offset = error.span().map_or(0, |span| span.start);
        let message = format!("TOML syntax: {}", error.message());
        let at = text.origin(offset, key_at(&file.text, offset));
        found.push(
            &at,
            message,
            "write `key = value` or `[table]`, and text in quotes",
        );
    }
    let table = errors.is_empty().then(|| table.into_inner());
    Some(Document { text, table })
}

/// Returns the key on the line of a byte offset, as far as it is readable.
fn key_at(text: &str, offset: usize) -> &str {
    let start = text.get(..offset).and_then(|before| before.rfind('\n'));
    let line = text.get(start.map_or(0, |at| at + 1)..).unwrap_or_default();
    let line = line.lines().next().unwrap_or_default();
    let key = line.split('=').next().unwrap_or_default();
    key.trim().trim_matches(['[', ']'])
}
