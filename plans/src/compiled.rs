//! From a source's configuration to what a load runs: checked against OCSF and compiled.
//! Client and scheduler do this alike, and compare the digests.

use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::dialects::Loaded;
use crate::mapping::Program;
use crate::spec::Source;
use crate::{mapping, ocsf};

/// A source that is ready to load.
#[derive(Debug)]
pub struct Compiled {
    pub source: Source,
    pub program: Program,
    /// What is accepted though it should be fixed.
    pub warnings: Vec<Diagnostic>,
}

/// Why a source cannot be loaded. Trying again does not help.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    #[error(transparent)]
    Version(#[from] ocsf::UnknownVersion),
    #[error("{errors}")]
    Wrong {
        errors: Diagnostics,
        warnings: Vec<Diagnostic>,
    },
}

/// Compiles a source that was read; `raw` writes the parsed columns as they are.
pub fn compile(loaded: Loaded, version: &str, raw: bool) -> Result<Compiled, CompileError> {
    let Loaded {
        source,
        mut warnings,
    } = loaded;
    let schema = ocsf::schema(version)?;
    let compilation = mapping::compile(&source, schema, raw);
    warnings.extend(compilation.warnings.0);
    match compilation.program {
        Ok(program) => Ok(Compiled {
            source,
            program,
            warnings,
        }),
        Err(errors) => Err(CompileError::Wrong { errors, warnings }),
    }
}
