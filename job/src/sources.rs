//! SOURCE on the command line: a folder, one of the user's sources, or a shipped source.

use std::fs;
use std::path::{Path, PathBuf};

use plans::compiled::CompileError;
use plans::dialects::{File, Loaded};
use plans::{compiled, dialects};

pub(crate) use plans::compiled::Compiled;

use crate::failure::Failure;

/// The places that sources are read from, and the OCSF version that they map to.
#[derive(Clone, Debug)]
pub(crate) struct SourceIndex {
    /// The folder of the user's own sources.
    pub(crate) own: Option<PathBuf>,
    pub(crate) ocsf: String,
}

impl SourceIndex {
    /// Reads the source called `name`.
    pub(crate) fn find(&self, name: &str) -> Result<Loaded, Failure> {
        if let Some(path) = self.path_of(name) {
            return Ok(dialects::load(&path, &self.ocsf)?);
        }
        let shipped = plans::sources::find(name).map_err(|error| {
            Failure::usage(
                error.to_string(),
                "or give the path of a source folder of your own",
            )
        })?;
        Ok(shipped.load(&self.ocsf)?)
    }

    /// The files of the source called `name`; none for a shipped source.
    pub(crate) fn own_files(&self, name: &str) -> Result<Vec<File>, Failure> {
        match self.path_of(name) {
            Some(path) => Ok(dialects::files(&path)?),
            None => Ok(Vec::new()),
        }
    }

    /// Reads and compiles the source called `name`.
    pub(crate) fn compile(&self, name: &str, raw: bool) -> Result<Compiled, Failure> {
        compile(self.find(name)?, &self.ocsf, raw)
    }

    /// The user's own sources, ordered by name.
    pub(crate) fn own_sources(&self) -> Result<Vec<PathBuf>, Failure> {
        match &self.own {
            Some(own) if !own.is_dir() => Err(Failure::usage(
                format!("--config {} is not a folder", own.display()),
                "give the folder that holds your source folders",
            )),
            Some(own) => Ok(sources_in(own)),
            None => Ok(Vec::new()),
        }
    }

    /// The user's own source of that name, or the file or folder at that path. A folder of
    /// the current folder does not hide the shipped source of the same name.
    pub(crate) fn path_of(&self, name: &str) -> Option<PathBuf> {
        let own = self.own.as_ref().map(|own| own.join(name));
        let own = own.filter(|path| path.exists());
        let is_path = name.contains(['/', '.']) || plans::sources::find(name).is_err();
        // As it was typed, so that errors show the user's own spelling.
        let path = PathBuf::from(name);
        own.or((is_path && path.exists()).then_some(path))
    }
}

/// The sources at `path`: the path itself if it is a source, else the sources it holds.
pub(crate) fn sources_in(path: &Path) -> Vec<PathBuf> {
    if path.is_file() || path.join("source.toml").is_file() {
        return vec![path.to_path_buf()];
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        let child = entry.path();
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if hidden {
            continue;
        }
        if child.join("source.toml").is_file() || is_metadata_csv(&child) {
            found.push(child);
        }
    }
    found.sort();
    found
}

/// Whether the ETL framework would read it as the metadata of a source.
fn is_metadata_csv(path: &Path) -> bool {
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    path.is_file() && name.ends_with(".csv") && name.contains("metadata")
}

/// Compiles a source that was read.
pub(crate) fn compile(loaded: Loaded, version: &str, raw: bool) -> Result<Compiled, Failure> {
    compiled::compile(loaded, version, raw).map_err(|error| match error {
        CompileError::Version(error) => {
            Failure::usage(error.to_string(), "give one of these with --ocsf")
        }
        CompileError::Wrong { errors, .. } => errors.into(),
    })
}
