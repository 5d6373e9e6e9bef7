//! What state is kept about: a source, a target, a shape and a name. Pure.

use std::collections::BTreeMap;

use super::request::{LoadRequest, Shape};
use super::work::digest8;

/// The dataset's name in the status table.
pub fn id(request: &LoadRequest) -> String {
    let shape = match request.shape {
        Shape::Ocsf => "ocsf",
        Shape::Raw => "raw",
    };
    let target = trimmed(&request.output);
    let key = [&request.source, target, shape, &request.name].join("\n");
    format!("{}-{}-{}", request.source, request.name, digest8(&key))
}

/// The inputs in one spelling, to tell whether another load read the same.
pub fn inputs(request: &LoadRequest) -> Vec<String> {
    let inputs = request.inputs.iter();
    let mut inputs: Vec<String> = inputs.map(|uri| trimmed(uri).to_owned()).collect();
    inputs.sort();
    inputs.dedup();
    inputs
}

/// The folder of each class: `{output}/ext/{name}`, unless the output is that already.
pub fn targets(request: &LoadRequest) -> BTreeMap<String, String> {
    let classes = request.program.routes.iter().map(|route| &route.class);
    let mut targets: BTreeMap<String, String> = classes
        .map(|class| (class.name.clone(), target(&request.output, &class.output)))
        .collect();
    if request.shape == Shape::Raw {
        targets.insert("raw".to_owned(), target(&request.output, &request.source));
    }
    targets
}

fn target(output: &str, name: &str) -> String {
    let output = trimmed(output);
    let own = format!("ext/{name}");
    if output.ends_with(&format!("/{own}")) {
        output.to_owned()
    } else {
        format!("{output}/{own}")
    }
}

fn trimmed(uri: &str) -> &str {
    uri.trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_stands_once_in_a_target() {
        assert_eq!(target("file:///lake/", "vpc"), "file:///lake/ext/vpc");
        assert_eq!(
            target("file:///lake/ext/vpc/", "vpc"),
            "file:///lake/ext/vpc"
        );
        assert_eq!(
            target("file:///lake/next/vpc", "vpc"),
            "file:///lake/next/vpc/ext/vpc"
        );
    }
}
