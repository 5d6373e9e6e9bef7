//! From a source's configuration to what a load runs: checked against OCSF and compiled.
//! Client and scheduler do this alike, and compare the digests.

use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::dialects::Loaded;
use crate::mapping::Program;
use crate::spec::Source;
use crate::{formats, lint, mapping, ocsf};

/// A source that is ready to load.
#[derive(Debug)]
pub struct Compiled {
    pub source: Source,
    pub program: Program,
    /// What was accepted though it should be mended.
    pub warnings: Vec<Diagnostic>,
}

/// Why a source cannot be loaded. None of it is mended by trying again.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    #[error(transparent)]
    Version(#[from] ocsf::UnknownVersion),
    #[error("{at}: {source}")]
    Format {
        /// `file:line:column`
        at: String,
        source: formats::UnknownFormat,
    },
    #[error("{0}")]
    Wrong(Diagnostics),
}

/// Compiles a source that was read; `raw` writes the parsed columns as they are.
pub fn compile(loaded: Loaded, version: &str, raw: bool) -> Result<Compiled, CompileError> {
    let Loaded {
        source,
        mut warnings,
    } = loaded;
    let schema = ocsf::schema(version)?;
    let format = formats::find(&source.format.name).map_err(|error| {
        let at = &source.format.at;
        CompileError::Format {
            at: format!("{}:{}:{}", at.file, at.line, at.column),
            source: error,
        }
    })?;
    let mut verdict = mapping::check(&source, schema, &lint::known_formats);
    warnings.append(&mut verdict.warnings.0);
    let compiled = mapping::compile(&source, schema, format.columns(), raw);
    let program = match (verdict.errors.is_empty(), compiled) {
        (true, compiled) => compiled.map_err(CompileError::Wrong)?,
        (false, Ok(_)) => return Err(CompileError::Wrong(verdict.errors)),
        (false, Err(more)) => {
            verdict.errors.append(more);
            verdict.errors.sort();
            return Err(CompileError::Wrong(verdict.errors));
        }
    };
    Ok(Compiled {
        source,
        program,
        warnings,
    })
}
