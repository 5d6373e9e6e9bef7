//! What loads of clients may touch and which roles they may name. The operator of the
//! scheduler decides that, in a file that loads cannot change.

use std::collections::BTreeSet;
use std::path::Path;

use plans::scan::split::InputObject;
use plans::storage::{Place, PlaceError};
use serde::Deserialize;

use crate::load::dataset;
use crate::load::failure::{Failure, Kind};
use crate::load::terms::LoadRequest;

const LOCAL: &str = "file:///";
const REMEDY: &str =
    "ask the operator of the scheduler to allow it with --allow URI or in the --policy file";

/// A policy that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    #[error("the policy {path} cannot be read")]
    Unreadable {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the policy {path} is wrong")]
    Wrong {
        path: String,
        #[source]
        source: Box<toml::de::Error>,
    },
    #[error(transparent)]
    Place(#[from] PlaceError),
}

/// The file of a policy.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    /// Roots for everything.
    all: Vec<String>,
    inputs: Vec<String>,
    outputs: Vec<String>,
    /// Roots of work areas and quarantines.
    areas: Vec<String>,
    /// ARNs of roles.
    roles: Vec<String>,
}

/// Roots that loads have to stay below, and the roles that they may name.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    all: Vec<Place>,
    inputs: Vec<Place>,
    outputs: Vec<Place>,
    areas: Vec<Place>,
    roles: Vec<String>,
}

impl Policy {
    /// The policy of a file, or without one that of a scheduler started in `folder`. `allowed`
    /// are further roots for everything.
    pub fn new(file: Option<&Path>, folder: &str, allowed: &[String]) -> Result<Self, PolicyError> {
        let mut written = match file {
            Some(file) => read(file)?,
            None => File {
                all: vec![folder.to_owned()],
                ..File::default()
            },
        };
        written.all.extend_from_slice(allowed);
        Ok(Self {
            all: places(&written.all)?,
            inputs: places(&written.inputs)?,
            outputs: places(&written.outputs)?,
            areas: places(&written.areas)?,
            roles: written.roles,
        })
    }

    /// Refuses a load that names a place or a role that is not allowed.
    pub fn check(&self, request: &LoadRequest) -> Result<(), Failure> {
        let terms = &request.terms;
        for input in &terms.inputs {
            self.within("input", input, &self.inputs)?;
        }
        self.within("output", &terms.output, &self.outputs)?;
        for target in dataset::targets(request).values() {
            self.within("output", target, &self.outputs)?;
        }
        self.within("quarantine", &terms.quarantine, &self.areas)?;
        self.within("work area", &terms.work, &self.areas)?;
        let classes = request.source.program.routes.iter();
        let classes = classes.filter_map(|route| route.class.role.as_ref());
        for role in terms.role.iter().chain(classes) {
            if !self.roles.contains(&role.arn) {
                return Err(refused("role", &role.arn));
            }
        }
        Ok(())
    }

    /// Refuses objects below an input that a link takes to a place that is not allowed. Links
    /// may have been made since the load was submitted.
    pub fn check_objects(&self, objects: &[InputObject]) -> Result<(), Failure> {
        let mut checked = BTreeSet::new();
        let local = objects.iter().filter(|object| object.store == LOCAL);
        for object in local {
            let path = Path::new("/").join(&object.path);
            let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
            if path.is_symlink() || !checked.contains(&folder) {
                self.within("input", &path.to_string_lossy(), &self.inputs)?;
                checked.insert(folder);
            }
        }
        Ok(())
    }

    fn within(&self, what: &str, uri: &str, roots: &[Place]) -> Result<(), Failure> {
        let place = Place::of(uri)
            .map_err(|error| Failure::of(Kind::Usage, "outside_policy", &error, REMEDY))?;
        let mut roots = self.all.iter().chain(roots);
        match roots.any(|root| place.is_within(root)) {
            true => Ok(()),
            false => Err(refused(what, uri)),
        }
    }
}

fn refused(what: &str, name: &str) -> Failure {
    let message = format!("the policy of the scheduler does not allow the {what} {name}");
    Failure::new(Kind::Usage, "outside_policy", message, REMEDY)
}

fn read(file: &Path) -> Result<File, PolicyError> {
    let path = || file.display().to_string();
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|source| PolicyError::Unreadable {
        path: path(),
        source,
    })?;
    toml::from_str(&text).map_err(|source| PolicyError::Wrong {
        path: path(),
        source: Box::new(source),
    })
}

fn places(uris: &[String]) -> Result<Vec<Place>, PlaceError> {
    uris.iter().map(|uri| Place::of(uri)).collect()
}

#[cfg(test)]
mod tests {
    use plans::storage::Role;

    use super::*;
    use crate::drive::tests::fakes::World;

    #[track_caller]
    fn refused(policy: &Policy, request: &LoadRequest, what: &str) {
        let failure = policy.check(request).unwrap_err();
        assert_eq!(
            (failure.kind, failure.code.as_str()),
            (Kind::Usage, "outside_policy")
        );
        assert!(failure.message.contains(what), "{failure}");
    }

    fn role(arn: &str) -> Option<Role> {
        Some(Role {
            arn: arn.to_owned(),
            external_id: None,
        })
    }

    #[test]
    fn a_load_stays_below_the_folder_and_the_uris_that_are_allowed() {
        let world = World::new();
        let folder = world.uri("");
        let policy = Policy::new(None, &folder, &["s3://lake".to_owned()]).unwrap();
        let mut request = world.request("2024-02-01", "2024-02-01");
        policy.check(&request).unwrap();
        request.terms.inputs = vec!["s3://lake/logs".to_owned(), "file:///etc/shadow".to_owned()];
        refused(&policy, &request, "input file:///etc/shadow");
        request.terms.inputs.pop();
        policy.check(&request).unwrap();
        for (what, uri) in [
            ("output", "s3://other/x"),
            ("work area", "file:///"),
            ("quarantine", "file:///q"),
        ] {
            let mut request = request.clone();
            match what {
                "output" => request.terms.output = uri.to_owned(),
                "quarantine" => request.terms.quarantine = uri.to_owned(),
                _ => request.terms.work = uri.to_owned(),
            }
            refused(&policy, &request, &format!("{what} {uri}"));
        }
        request.source.program.routes[0].class.target = Some("file:///home".to_owned());
        refused(&policy, &request, "output file:///home");
    }

    #[test]
    fn a_link_leads_no_load_out_of_a_root() {
        let (world, other) = (World::new(), tempfile::tempdir().unwrap());
        let policy = Policy::new(None, &world.uri(""), &[]).unwrap();
        let link = world.uri("input-link");
        let path = link.strip_prefix("file://").unwrap_or(&link);
        std::os::unix::fs::symlink(other.path(), path).unwrap();
        let mut request = world.request("2024-02-01", "2024-02-01");
        request.terms.inputs = vec![link];
        refused(&policy, &request, "input");
        request.terms.inputs = vec![world.uri("%2e%2e/other")];
        refused(&policy, &request, "input");
    }

    #[test]
    fn a_link_below_an_input_leads_no_load_out_of_a_root() {
        let world = World::new();
        let secret = tempfile::NamedTempFile::new().unwrap();
        let policy = Policy::new(None, &world.uri(""), &[]).unwrap();
        let object = |name: &str| InputObject {
            store: LOCAL.to_owned(),
            path: world.path(name).display().to_string(),
            size: 1,
            ..InputObject::default()
        };
        world.log("2024-02-01", "one.log", &["a"]);
        std::fs::create_dir_all(world.path("input")).unwrap();
        std::fs::write(world.path("input/a.log"), "").unwrap();
        std::os::unix::fs::symlink(world.path("input/a.log"), world.path("input/b.log")).unwrap();
        std::os::unix::fs::symlink(secret.path(), world.path("input/c.log")).unwrap();
        let inside = [object("input/a.log"), object("input/b.log")];
        policy.check_objects(&inside).unwrap();
        let outside = [object("input/a.log"), object("input/c.log")];
        let failure = policy.check_objects(&outside).unwrap_err();
        assert_eq!(failure.code, "outside_policy");
    }

    #[test]
    fn a_file_names_roots_for_each_use_and_the_roles() {
        let world = World::new();
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = format!(
            "inputs = [\"{}\"]\noutputs = [\"s3://lake/out\"]\nareas = [\"s3://lake\"]\n\
             roles = [\"arn:writer\"]\n",
            world.uri("")
        );
        std::fs::write(file.path(), text).unwrap();
        let policy = Policy::new(Some(file.path()), "/", &[]).unwrap();
        let mut request = world.request("2024-02-01", "2024-02-01");
        refused(&policy, &request, "output");
        request.terms.output = "s3://lake/out".to_owned();
        request.terms.work = "s3://lake/w".to_owned();
        request.terms.quarantine = "s3://lake/q".to_owned();
        policy.check(&request).unwrap();
        request.terms.role = role("arn:writer");
        policy.check(&request).unwrap();
        request.terms.role = role("arn:admin");
        refused(&policy, &request, "role arn:admin");
        request.terms.role = None;
        request.source.program.routes[0].class.role = role("arn:admin");
        refused(&policy, &request, "role arn:admin");
        std::fs::write(file.path(), "input = []").unwrap();
        let wrong = Policy::new(Some(file.path()), "/", &[]);
        assert!(matches!(wrong, Err(PolicyError::Wrong { .. })));
    }
}
