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

/// A source that was read from its configuration.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The source.
    pub source: Source,
    /// Mistakes that do not prevent its use.
    pub warnings: Vec<Diagnostic>,
}

/// A configuration file.
#[derive(Clone, Debug)]
pub struct File {
    /// Name as errors show it.
    pub name: Arc<str>,
    /// Content of the file.
    pub text: String,
}

type Gathered = Result<Vec<File>, Diagnostics>;

/// A format for the configuration of a source.
struct Dialect {
    /// Returns the files of the source at `path`, or `None` if it has another dialect.
    gather: fn(&Path) -> Option<Gathered>,
    /// Whether the files are of this dialect.
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

/// Reads the source at `path`, which is a folder or one of its files.
pub fn load(path: &Path, ocsf_version: &str) -> Result<Loaded, Diagnostics> {
    known_version(path, ocsf_version)?;
    let (dialect, files) = gather(path)?;
    (dialect.read)(&files, ocsf_version)
}

/// Returns the files that [`load`] reads.
pub fn files(path: &Path) -> Result<Vec<File>, Diagnostics> {
    gather(path).map(|(_, files)| files)
}

fn gather(path: &Path) -> Result<(&'static Dialect, Vec<File>), Diagnostics> {
    for dialect in DIALECTS {
        if let Some(files) = (dialect.gather)(path) {
            return Ok((dialect, files?));
        }
    }
    Err(broken_file(path, "no source found here", expected_files()))
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
    let path = PathBuf::from(first.unwrap_or_default());
    known_version(&path, ocsf_version)?;
    match DIALECTS.iter().find(|dialect| (dialect.accepts)(&files)) {
        Some(dialect) => (dialect.read)(&files, ocsf_version),
        None => Err(broken_file(&path, "no source found here", expected_files())),
    }
}

/// Returns the names of the column types of the native dialect.
pub fn column_types() -> impl Iterator<Item = &'static str> {
    native::columns::KINDS.iter().map(|(name, _)| *name)
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

/// Returns one error about an entire file.
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

/// Reads a text file. Invalid UTF-8 is an error.
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

/// Returns the files of a folder with an extension, sorted by name.
fn files_with(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    paths.sort();
    paths
}

/// Reads all files. Reports every file that is unreadable.
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
    /// Returns the name without the folder.
    pub fn base_name(&self) -> &str {
        base_name(&self.name)
    }
}

/// Returns the part of a file name after the last slash.
fn base_name(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}
