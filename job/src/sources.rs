//! SOURCE on the command line: a folder, one of the user's own, or one that ships.

use std::path::{Path, PathBuf};

use plans::dialects::{self, Loaded};
use plans::diagnostics::Diagnostic;
use plans::mapping::{self, Program};
use plans::spec::Source;
use plans::{formats, ocsf};

use crate::failure::Failure;

/// A source that is ready to load.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) source: Source,
    pub(crate) program: Program,
    /// What was accepted though it should be mended.
    pub(crate) warnings: Vec<Diagnostic>,
}

/// Where sources are looked for, and which OCSF they map to.
#[derive(Clone, Debug)]
pub(crate) struct Shelf<'a> {
    /// Where relative paths start.
    pub(crate) folder: &'a Path,
    /// The folder of the user's own sources.
    pub(crate) own: Option<PathBuf>,
    pub(crate) ocsf: String,
}

impl Shelf<'_> {
    /// Reads the source called `name`.
    pub(crate) fn find(&self, name: &str) -> Result<Loaded, Failure> {
        if let Some(path) = self.path_of(name) {
            return Ok(dialects::load(&path, &self.ocsf)?);
        }
        match plans::sources::find(name) {
            Some(shipped) => Ok(shipped.load(&self.ocsf)?),
            None => Err(unknown(name)),
        }
    }

    /// Reads and compiles the source called `name`.
    pub(crate) fn compile(&self, name: &str, raw: bool) -> Result<Compiled, Failure> {
        compile(self.find(name)?, &self.ocsf, raw)
    }

    /// The user's own source of that name, or the file or folder at that path.
    fn path_of(&self, name: &str) -> Option<PathBuf> {
        let own = self.own.as_ref().map(|own| own.join(name));
        let own = own.filter(|path| path.exists());
        own.or_else(|| {
            let path = self.folder.join(name);
            let is_path = name.contains(['/', '.']) || plans::sources::find(name).is_none();
            (is_path && path.exists()).then_some(path)
        })
    }
}

/// Compiles a source that was read.
pub(crate) fn compile(loaded: Loaded, version: &str, raw: bool) -> Result<Compiled, Failure> {
    let Loaded { source, warnings } = loaded;
    let schema = ocsf::schema(version).map_err(|error| {
        Failure::usage(error.to_string(), "give one of these with --ocsf")
    })?;
    let format = formats::find(&source.format.name).map_err(|error| {
        let at = &source.format.at;
        let message = format!("{}:{}:{}: {error}", at.file, at.line, at.column);
        Failure::usage(message, "write one of these under `format`")
    })?;
    let program = mapping::compile(&source, schema, &format.columns(), raw)?;
    Ok(Compiled { source, program, warnings })
}

fn unknown(name: &str) -> Failure {
    let shipped: Vec<&str> = plans::sources::list().iter().map(|shipped| shipped.name).collect();
    Failure::usage(
        format!("`{name}` is no source that ships, no alias and no folder"),
        format!("sources that ship: {}; or give the path of a source folder", shipped.join(", ")),
    )
}
