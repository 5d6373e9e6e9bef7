//! Configuration dialects: what users already have, read into `spec`. One file or
//! folder per dialect, one line in the table. Reading reports every error of every
//! file at once, and judges only the grammar; `mapping::compile` knows OCSF.

pub mod csv;
pub mod native;
mod text;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::diagnostics::{Diagnostic, Diagnostics, Origin};
use crate::ocsf;
use crate::spec::Source;

/// A source as its configuration describes it.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub source: Source,
    /// What was accepted though it should be mended.
    pub warnings: Vec<Diagnostic>,
}

/// A configuration file: the name that errors show, and its text.
#[derive(Clone, Debug)]
pub struct File {
    pub name: Arc<str>,
    pub text: String,
}

type Gathered = Result<Vec<File>, Diagnostics>;

/// One way to write a source down.
struct Dialect {
    /// The files of the dialect that belong to `path`; `None` when it is not its.
    gather: fn(&Path) -> Option<Gathered>,
    /// Whether these files are its.
    accepts: fn(&[File]) -> bool,
    read: fn(&[File], &str) -> Result<Loaded, Diagnostics>,
}

/// Every dialect, tried in this order.
static DIALECTS: &[Dialect] = &[
    Dialect {
        gather: native::gather,
        accepts: native::accepts,
        read: native::read,
    },
    Dialect {
        gather: csv::gather,
        accepts: csv::accepts,
        read: csv::read,
    },
];

/// Reads the source that stands at `path`: a folder, or one of its files.
pub fn load(path: &Path, ocsf_version: &str) -> Result<Loaded, Diagnostics> {
    known_version(path, ocsf_version)?;
    let (dialect, files) = gather(path)?;
    (dialect.read)(&files, ocsf_version)
}

/// The files that [`load`] reads, such as to send them elsewhere.
pub fn files(path: &Path) -> Result<Vec<File>, Diagnostics> {
    gather(path).map(|(_, files)| files)
}

fn gather(path: &Path) -> Result<(&'static Dialect, Vec<File>), Diagnostics> {
    for dialect in DIALECTS {
        if let Some(files) = (dialect.gather)(path) {
            return Ok((dialect, files?));
        }
    }
    Err(broken_file(path, "no source stands here", expected_files()))
}

/// Reads a source from texts, named like `vpc_flow/source.toml`.
pub fn load_embedded(files: &[(&str, &str)], ocsf_version: &str) -> Result<Loaded, Diagnostics> {
    let files: Vec<File> = files
        .iter()
        .map(|(name, text)| File {
            name: Arc::from(*name),
            text: (*text).to_owned(),
        })
        .collect();
    let first = files.first().map(|file| file.name.to_string());
    let place = PathBuf::from(first.unwrap_or_default());
    known_version(&place, ocsf_version)?;
    match DIALECTS.iter().find(|dialect| (dialect.accepts)(&files)) {
        Some(dialect) => (dialect.read)(&files, ocsf_version),
        None => Err(broken_file(
            &place,
            "no source stands here",
            expected_files(),
        )),
    }
}

fn expected_files() -> &'static str {
    "give a folder with a source.toml, or a metadata CSV beside its mapping CSV"
}

fn known_version(path: &Path, version: &str) -> Result<(), Diagnostics> {
    match ocsf::schema(version) {
        Ok(_) => Ok(()),
        Err(error) => Err(broken_file(path, error.to_string(), "choose one of these")),
    }
}

/// One error about a file as a whole.
fn broken_file(path: &Path, message: impl Into<String>, remedy: impl Into<String>) -> Diagnostics {
    let mut found = Diagnostics::default();
    found.push(&origin(path), message, remedy);
    found
}

fn origin(path: &Path) -> Origin {
    Origin {
        file: Arc::from(path.to_string_lossy()),
        ..Origin::default()
    }
}

/// Reads a file as text; bad UTF-8 is an error with its place.
fn read_file(path: &Path) -> Result<File, Diagnostics> {
    let bytes =
        fs::read(path).map_err(|error| broken_file(path, error.to_string(), "check the path"))?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(File {
            name: Arc::from(path.to_string_lossy()),
            text,
        }),
        Err(error) => {
            let offset = error.utf8_error().valid_up_to();
            let message = format!("byte {offset} is not UTF-8");
            Err(broken_file(path, message, "save the file as UTF-8"))
        }
    }
}

/// The files of a folder whose extension is `extension`, by name.
fn files_with(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    paths.sort();
    paths
}

/// Reads all of them; every unreadable one is reported.
fn read_files(paths: &[PathBuf]) -> Result<Vec<File>, Diagnostics> {
    let mut files = Vec::new();
    let mut found = Diagnostics::default();
    for path in paths {
        match read_file(path) {
            Ok(file) => files.push(file),
            Err(broken) => found.append(broken),
        }
    }
    found.into_result(files)
}

impl File {
    /// Its name without the folder.
    pub fn base_name(&self) -> &str {
        base_name(&self.name)
    }
}

/// The part of a file's name behind the last slash.
fn base_name(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}
