//! Lint: compiles a source and keeps nothing but what is wrong with it.

use std::path::Path;

use crate::compiled::{CompileError, compile};
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::dialects;
use crate::dialects::Loaded;

/// What a lint found: errors forbid a run, warnings do not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    pub errors: Vec<Diagnostic>,
    pub warnings: Vec<Diagnostic>,
}

/// Lints the source at `path`, a folder or one of its files, for an OCSF version.
pub fn lint(path: &Path, version: &str) -> Findings {
    findings(dialects::load(path, version), version)
}

/// Lints a source given as texts, named like `vpc_flow/source.toml`.
pub fn lint_embedded(files: &[(&str, &str)], version: &str) -> Findings {
    findings(dialects::load_embedded(files, version), version)
}

fn findings(loaded: Result<Loaded, Diagnostics>, version: &str) -> Findings {
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(errors) => return only_errors(errors),
    };
    let at = loaded.source.format.at.clone();
    match compile(loaded, version, false) {
        Ok(compiled) => Findings {
            errors: Vec::new(),
            warnings: compiled.warnings,
        },
        Err(CompileError::Wrong { errors, warnings }) => Findings {
            errors: errors.0,
            warnings,
        },
        Err(CompileError::Version(unknown)) => {
            let mut errors = Diagnostics::default();
            errors.push(&at, unknown.to_string(), "choose one of these");
            only_errors(errors)
        }
    }
}

fn only_errors(errors: Diagnostics) -> Findings {
    Findings {
        errors: errors.0,
        warnings: Vec::new(),
    }
}
