//! A source's configuration judged as a whole: its grammar, OCSF, the formats, and
//! whatever else the caller can tell, such as SQL that does not compile.

use std::path::Path;

use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::dialects::Loaded;
use crate::mapping::FormatOptions;
use crate::spec::Source;
use crate::{dialects, formats, mapping, ocsf};

/// The options of the formats that exist, for `Rules::formats`.
pub fn known_formats(name: &str) -> Result<&'static [&'static str], String> {
    match formats::find(name) {
        Ok(format) => Ok(format.options()),
        Err(unknown) => Err(format!("known: {}", unknown.known)),
    }
}

/// What a lint found: errors forbid a run, warnings do not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    pub errors: Vec<Diagnostic>,
    pub warnings: Vec<Diagnostic>,
}

/// What a lint needs besides the configuration.
pub struct Rules<'a> {
    pub ocsf_version: &'a str,
    pub formats: &'a FormatOptions<'a>,
    /// More checks over a source whose grammar is right, such as compiling its SQL.
    pub more: &'a dyn Fn(&Source) -> Diagnostics,
}

/// Lints the source at `path`: a folder or one of its files.
pub fn lint(path: &Path, rules: &Rules<'_>) -> Findings {
    findings(dialects::load(path, rules.ocsf_version), rules)
}

/// Lints a source given as texts, named like `vpc_flow/source.toml`.
pub fn lint_embedded(files: &[(&str, &str)], rules: &Rules<'_>) -> Findings {
    findings(dialects::load_embedded(files, rules.ocsf_version), rules)
}

/// Lints a source that was read already.
pub fn lint_source(source: &Source, rules: &Rules<'_>) -> Findings {
    let mut verdict = match ocsf::schema(rules.ocsf_version) {
        Ok(schema) => mapping::check(source, schema, rules.formats),
        Err(error) => {
            let mut errors = Diagnostics::default();
            errors.push(&source.format.at, error.to_string(), "choose one of these");
            return Findings {
                errors: errors.0,
                ..Findings::default()
            };
        }
    };
    verdict.errors.append((rules.more)(source));
    verdict.errors.sort();
    Findings {
        errors: verdict.errors.0,
        warnings: verdict.warnings.0,
    }
}

fn findings(loaded: Result<Loaded, Diagnostics>, rules: &Rules<'_>) -> Findings {
    match loaded {
        Ok(loaded) => {
            let mut found = lint_source(&loaded.source, rules);
            found.warnings.splice(0..0, loaded.warnings);
            found
        }
        Err(found) => Findings {
            errors: found.0,
            ..Findings::default()
        },
    }
}
