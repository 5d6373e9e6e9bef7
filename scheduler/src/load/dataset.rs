//! A dataset: the source, target, shape and name that state is kept about.

use std::collections::{BTreeMap, BTreeSet};

use plans::lake::{digest8, source_folder};
use plans::mapping::Class;
use plans::storage::Access;

use super::terms::{LoadRequest, Shape};

/// The dataset's name in the status table.
pub fn id(request: &LoadRequest) -> String {
    let shape = shape(request);
    let target = trimmed(&request.terms.output);
    let name = &request.terms.name;
    let key = [&request.source.name, target, shape, name].join("\n");
    format!("{}-{name}-{}", request.source.name, digest8(&key))
}

/// The name of the shape of the dataset's rows.
pub fn shape(request: &LoadRequest) -> &'static str {
    match request.terms.shape {
        Shape::Ocsf => "ocsf",
        Shape::Raw => "raw",
    }
}

/// The inputs in one spelling, so that those of two loads can be compared.
pub fn inputs(request: &LoadRequest) -> Vec<String> {
    let inputs = request.terms.inputs.iter();
    let mut inputs: Vec<String> = inputs.map(|uri| trimmed(uri).to_owned()).collect();
    inputs.sort();
    inputs.dedup();
    inputs
}

/// The folder of each class. A class may have its own output.
pub fn targets(request: &LoadRequest) -> BTreeMap<String, String> {
    let classes = request
        .source
        .program
        .routes
        .iter()
        .map(|route| &route.class);
    let mut targets: BTreeMap<String, String> = classes
        .map(|class| {
            (
                class.name.clone(),
                source_folder(output_of(request, class), &class.output),
            )
        })
        .collect();
    if request.terms.shape == Shape::Raw {
        let folder = source_folder(&request.terms.output, &request.source.name);
        targets.insert("raw".to_owned(), folder);
    }
    targets
}

/// Every folder that parts go to. The load must be able to write to each.
pub fn folders(request: &LoadRequest) -> BTreeSet<String> {
    let mut folders: BTreeSet<String> = targets(request).into_values().collect();
    folders.insert(trimmed(&request.terms.quarantine).to_owned());
    folders
}

/// The role that writes to each folder. Roles apply to targets, not to the quarantine or the
/// work area.
pub fn access(request: &LoadRequest) -> Access {
    let mut access = Access::default();
    let terms = &request.terms;
    access.grant(&terms.output, terms.role.clone());
    access.grant(&terms.quarantine, None);
    access.grant(&terms.work, None);
    let targets = targets(request);
    for route in &request.source.program.routes {
        let own = route
            .class
            .role
            .as_ref()
            .zip(targets.get(&route.class.name));
        if let Some((role, folder)) = own {
            access.grant(folder, Some(role.clone()));
        }
    }
    access
}

fn output_of<'a>(request: &'a LoadRequest, class: &'a Class) -> &'a str {
    class.target.as_deref().unwrap_or(&request.terms.output)
}

fn trimmed(uri: &str) -> &str {
    uri.trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use plans::storage::Role;

    use super::*;
    use crate::drive::tests::fakes::World;

    #[test]
    fn a_class_may_go_elsewhere_and_be_written_by_another() {
        let role = |arn: &str| Role {
            arn: arn.to_owned(),
            external_id: None,
        };
        let mut request = World::new().request("2024-02-01", "2024-02-01");
        request.terms.output = "s3://lake".to_owned();
        request.terms.quarantine = "s3://lake/rejected/".to_owned();
        request.terms.role = Some(role("of the load"));
        let name = |request: &LoadRequest, uri: &str| {
            let access = access(request);
            access.role(uri).map(|role| role.arn.clone())
        };
        let part = "s3://lake/ext/vpc/region=r/a.parquet";
        assert_eq!(name(&request, part).as_deref(), Some("of the load"));
        assert_eq!(name(&request, "s3://lake/rejected/a.parquet"), None);
        let class = &mut request.source.program.routes[0].class;
        class.target = Some("s3://other/x".to_owned());
        class.role = Some(role("of the class"));
        let part = "s3://other/x/ext/vpc/region=r/a.parquet";
        assert_eq!(name(&request, part).as_deref(), Some("of the class"));
        assert_eq!(name(&request, "s3://other/y"), None);
        assert!(folders(&request).contains("s3://other/x/ext/vpc"));
    }
}
