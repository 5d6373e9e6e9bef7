//! `lakebolt ocsf`: browses the schema of OCSF without a network.

mod human;
mod json;

use plans::inspect::coverage;
use plans::inspect::coverage::Coverage;
use plans::ocsf;
use plans::ocsf::{Attribute, Class, Object, Schema, Use};

use crate::cli::OcsfArgs;
use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::output;
use crate::settings::OutputFormat;

/// The schema, and what the shipped sources map of it.
struct Reference {
    schema: &'static Schema,
    coverage: Coverage,
}

/// What a name means. It may mean several things.
#[derive(Default)]
struct Meaning<'a> {
    class: Option<&'a Class>,
    object: Option<&'a Object>,
    /// The classes and objects that have an attribute of this name.
    uses: Vec<Use<'a>>,
    /// The attribute at a dotted path of a class, and the path.
    path: Option<(&'a Attribute, String)>,
}

pub(super) fn run(args: &OcsfArgs, context: &Context) -> Result<ExitCode, Failure> {
    let version = context.ocsf(args.ocsf.as_deref());
    let schema = schema(&version)?;
    let reference = Reference {
        schema,
        coverage: coverage::of_shipped(schema)?,
    };
    let is_json = context.format(args.format) == OutputFormat::Json;
    if let Some(word) = &args.search {
        let hits = schema.search(word);
        match is_json {
            true => output::print_json(&json::hits(schema, word, &hits))?,
            false => output::print(&human::hits(word, &hits))?,
        }
        return Ok(ExitCode::Done);
    }
    let Some(name) = &args.name else {
        match is_json {
            true => output::print_json(&json::classes(&reference))?,
            false => output::print(&human::classes(&reference))?,
        }
        return Ok(ExitCode::Done);
    };
    let meaning = meaning(schema, name)?;
    match is_json {
        true => output::print_json(&json::meaning(&reference, name, &meaning))?,
        false => output::print(&human::meaning(&reference, name, &meaning))?,
    }
    Ok(ExitCode::Done)
}

/// The schema of a version.
pub(super) fn schema(version: &str) -> Result<&'static Schema, Failure> {
    ocsf::schema(version)
        .map_err(|error| Failure::usage(error.to_string(), "give one of these with --ocsf"))
}

/// Finds a class by name or uid, an object, an attribute, or `CLASS.PATH`.
fn meaning<'a>(schema: &'a Schema, name: &str) -> Result<Meaning<'a>, Failure> {
    let lower = name.to_lowercase();
    let by_uid = || schema.class_by_uid(lower.parse().ok()?);
    let mut meaning = Meaning {
        class: schema.class(&lower).or_else(by_uid),
        object: schema.object(&lower),
        uses: schema.uses(&lower),
        path: None,
    };
    if let Some((class, path)) = lower.split_once('.')
        && let Some(class) = schema.class(class)
    {
        let attribute = schema.attribute(class, path).map_err(|unknown| {
            let nearest = unknown
                .nearest
                .map(|path| format!("did you mean `{path}`?"));
            let message = format!("`{}` has no attribute `{}`", class.name, unknown.path);
            Failure::usage(message, nearest.unwrap_or_default())
        })?;
        meaning.object = schema.object_of(attribute);
        meaning.path = Some((attribute, lower.clone()));
    }
    let is_known = meaning.class.is_some()
        || meaning.object.is_some()
        || meaning.path.is_some()
        || !meaning.uses.is_empty();
    match is_known {
        true => Ok(meaning),
        false => Err(unknown(schema, name, &lower)),
    }
}

fn unknown(schema: &Schema, name: &str, lower: &str) -> Failure {
    let remedy = match schema.remedy_for_name(lower) {
        none if none.is_empty() => format!("try `lakebolt ocsf --search {name}`"),
        near => near,
    };
    let version = schema.version();
    Failure::usage(
        format!("OCSF {version} has no class, object or attribute `{name}`"),
        remedy,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str) -> Meaning<'static> {
        let schema = schema("1.1.0").expect("pinned");
        meaning(schema, name).unwrap_or_else(|failure| panic!("{failure}"))
    }

    fn refused(name: &str) -> String {
        let schema = schema("1.1.0").expect("pinned");
        meaning(schema, name)
            .err()
            .map_or_else(String::new, |failure| {
                assert_eq!(failure.code, ExitCode::Usage);
                failure.to_string()
            })
    }

    #[test]
    fn a_name_means_a_class_an_object_or_an_attribute() {
        assert!(found("authentication").class.is_some());
        assert!(found("3002").class.is_some_and(|class| class.uid == 3002));
        let user = found("User");
        assert!(user.object.is_some() && !user.uses.is_empty());
        assert!(!found("src_endpoint").uses.is_empty());
        let path = found("authentication.user.name");
        assert!(
            path.path
                .is_some_and(|(attribute, _)| attribute.name == "name")
        );
    }

    #[test]
    fn an_unknown_name_suggests_a_near_one() {
        assert!(refused("authentcation").contains("did you mean `authentication`?"));
        assert!(refused("authentication.usr").contains("did you mean `user`?"));
        assert!(refused("xyzzyxyzzyxyzzy").contains("--search"));
    }
}
