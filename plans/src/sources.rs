//! The shipped sources: every folder of `plans/sources`. The build script embeds them,
//! and they are found by name or alias.

use std::sync::LazyLock;

use crate::diagnostics::{Diagnostics, nearest};
use crate::dialects::Loaded;
use crate::{dialects, ocsf};

/// A shipped source.
#[derive(Debug)]
pub struct Shipped {
    /// Name of its folder.
    pub name: &'static str,
    files: &'static [(&'static str, &'static str)],
    samples: &'static [(&'static str, &'static [u8])],
}

include!(concat!(env!("OUT_DIR"), "/shipped.rs"));

/// The aliases of each shipped source, in the order of `SHIPPED`.
static ALIASES: LazyLock<Vec<Vec<String>>> =
    LazyLock::new(|| SHIPPED.iter().map(Shipped::read_aliases).collect());

/// The error for a name that no shipped source has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown source `{asked}`{}; shipped sources: {known}", suggestion(.nearest.as_deref()))]
pub struct UnknownSource {
    /// The name that was given.
    pub asked: String,
    /// A known name or alias with similar spelling.
    pub nearest: Option<String>,
    /// Names of all shipped sources, separated by commas.
    pub known: String,
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"))
}

/// Returns every shipped source, sorted by name.
pub fn list() -> &'static [Shipped] {
    SHIPPED
}

/// Finds a source by name or alias. Case is ignored, and `-` equals `_`.
pub fn find(name: &str) -> Result<&'static Shipped, UnknownSource> {
    find_among(SHIPPED, &ALIASES, name)
}

fn find_among<'a>(
    shipped: &'a [Shipped],
    aliases: &[Vec<String>],
    name: &str,
) -> Result<&'a Shipped, UnknownSource> {
    let wanted = normal(name);
    let matches = |(source, aliases): &(&Shipped, &Vec<String>)| {
        normal(source.name) == wanted || aliases.iter().any(|alias| normal(alias) == wanted)
    };
    if let Some((source, _)) = shipped.iter().zip(aliases).find(matches) {
        return Ok(source);
    }
    let names = shipped.iter().map(|source| source.name);
    let all = names
        .clone()
        .chain(aliases.iter().flatten().map(String::as_str));
    Err(UnknownSource {
        asked: name.to_owned(),
        nearest: nearest(&name.to_lowercase(), all).map(str::to_owned),
        known: names.collect::<Vec<_>>().join(", "),
    })
}

fn normal(name: &str) -> String {
    name.to_lowercase().replace('-', "_")
}

impl Shipped {
    /// Loads the source for an OCSF version.
    pub fn load(&self, ocsf_version: &str) -> Result<Loaded, Diagnostics> {
        dialects::load_embedded(self.files, ocsf_version)
    }

    /// Returns the configuration files, named like `vpc_flow/source.toml`.
    pub fn files(&self) -> &'static [(&'static str, &'static str)] {
        self.files
    }

    /// Returns the sample logs: file names and contents.
    pub fn samples(&self) -> &'static [(&'static str, &'static [u8])] {
        self.samples
    }

    /// Returns the other names of the source.
    pub fn aliases(&self) -> &'static [String] {
        let index = SHIPPED.iter().position(|source| source.name == self.name);
        index
            .and_then(|index| ALIASES.get(index))
            .map_or(&[], Vec::as_slice)
    }

    /// A source that does not load has no aliases. `load` reports the mistake.
    fn read_aliases(&self) -> Vec<String> {
        let loaded = self.load(ocsf::DEFAULT_VERSION);
        loaded
            .map(|loaded| loaded.source.aliases)
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::{Findings, lint_embedded};

    static DEMO: &[Shipped] = &[Shipped {
        name: "vpc_flow",
        files: &[
            (
                "vpc_flow/source.toml",
                "format = \"vpc_flow\"\nevents = [\"flow\"]\naliases = [\"vpc-flow-log\"]\n",
            ),
            ("vpc_flow/flow.toml", "class = \"network_activity\"\n"),
        ],
        samples: &[("a.log", b"1 2 3\n")],
    }];

    #[test]
    fn a_source_is_found_by_name_and_alias_in_any_spelling() {
        let aliases: Vec<_> = DEMO.iter().map(Shipped::read_aliases).collect();
        for name in ["vpc_flow", "VPC-Flow", "vpc_flow_log", "Vpc-flow-log"] {
            assert!(find_among(DEMO, &aliases, name).is_ok(), "{name}");
        }
        let unknown = find_among(DEMO, &aliases, "vpc_flwo").expect_err("wrong");
        assert_eq!(
            unknown.to_string(),
            "unknown source `vpc_flwo` (did you mean `vpc_flow`?); shipped sources: vpc_flow"
        );
    }

    #[test]
    fn names_and_aliases_of_shipped_sources_are_unique() {
        let mut names: Vec<String> = Vec::new();
        for source in list() {
            let mut own = vec![normal(source.name)];
            own.extend(source.aliases().iter().map(|alias| normal(alias)));
            own.sort();
            own.dedup();
            names.extend(own);
        }
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count, "{names:?}");
    }

    #[test]
    fn every_shipped_source_passes_lint_for_every_version() {
        let versions = || ocsf::versions();
        for (source, ocsf_version) in list().iter().flat_map(|s| versions().map(move |v| (s, v))) {
            let found = lint_embedded(source.files(), ocsf_version);
            assert_eq!(
                found,
                Findings::default(),
                "{} for {ocsf_version}",
                source.name
            );
        }
    }
}
