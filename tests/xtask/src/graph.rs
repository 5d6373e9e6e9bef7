//! Which crate may use which. Any other edge is a design change and needs an ADR.

use anyhow::Context;

use crate::shell;

/// Every package of the workspace with the packages of the workspace it may use.
static ALLOWED: &[(&str, &[&str])] = &[
    ("executor", &["plans"]),
    ("lakebolt", &["plans", "scheduler"]),
    ("plans", &[]),
    ("scheduler", &["executor", "plans"]),
    ("tests", &["executor", "lakebolt", "plans", "scheduler"]),
    ("xtask", &[]),
];

pub(crate) fn check() -> anyhow::Result<Vec<String>> {
    let metadata = shell::metadata()?;
    let edges = edges(&metadata).context("cargo metadata has an unknown form")?;
    Ok(findings(&edges))
}

/// A package and the packages of the workspace that it depends on, whatever for.
type Edges = Vec<(String, Vec<String>)>;

fn edges(metadata: &serde_json::Value) -> Option<Edges> {
    let packages = metadata["packages"].as_array()?;
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array()?;
            let own = dependencies
                .iter()
                .filter(|dependency| dependency["path"].is_string());
            let names = own.filter_map(|dependency| dependency["name"].as_str());
            let name = package["name"].as_str()?.to_owned();
            Some((name, names.map(str::to_owned).collect()))
        })
        .collect()
}

fn findings(edges: &Edges) -> Vec<String> {
    let mut findings = Vec::new();
    for (package, uses) in edges {
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| name == package) else {
            findings.push(format!(
                "package `{package}` is not in the graph: add it to tests/xtask/src/graph.rs and write an ADR"
            ));
            continue;
        };
        let wrong = uses.iter().filter(|used| !allowed.contains(&used.as_str()));
        findings.extend(wrong.map(|used| format!("`{package}` must not use `{used}`")));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(package: &str, uses: &[&str]) -> (String, Vec<String>) {
        (
            package.to_owned(),
            uses.iter().map(|&name| name.to_owned()).collect(),
        )
    }

    #[test]
    fn the_graph_of_the_style_guide_passes() {
        let edges = vec![
            edge("lakebolt", &["scheduler", "plans"]),
            edge("scheduler", &["executor", "plans"]),
            edge("executor", &["plans"]),
            edge("plans", &[]),
        ];
        assert!(findings(&edges).is_empty());
    }

    #[test]
    fn an_edge_against_the_arrows_is_found() {
        let found = findings(&vec![edge("plans", &["scheduler"])]);
        assert_eq!(found, ["`plans` must not use `scheduler`"]);
    }

    #[test]
    fn an_unknown_package_is_found() {
        assert_eq!(findings(&vec![edge("helpers", &[])]).len(), 1);
    }
}
