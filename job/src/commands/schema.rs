//! `lakebolt schema`: JSON Schemas of a source's files, for editors.

use plans::diagnostics::did_you_mean;
use plans::inspect::json_schema;

use super::ocsf;
use crate::cli::{SchemaArgs, SchemaKind};
use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::output;

pub(super) fn run(args: &SchemaArgs, context: &Context) -> Result<ExitCode, Failure> {
    let schema = ocsf::schema(&context.ocsf(args.ocsf.as_deref()))?;
    let printed = match (args.of, &args.class) {
        (SchemaKind::Source, None) => json_schema::source(schema),
        (SchemaKind::Source, Some(class)) => {
            let remedy = format!("write `lakebolt schema event {class}`");
            return Err(Failure::usage("source.toml belongs to no class", remedy));
        }
        (SchemaKind::Event, None) => {
            let remedy =
                "such as `lakebolt schema event authentication`; `lakebolt ocsf` lists them";
            return Err(Failure::usage("an event's file belongs to a class", remedy));
        }
        (SchemaKind::Event, Some(name)) => {
            let class = schema.class(name).ok_or_else(|| {
                let message = format!("OCSF {} has no class `{name}`", schema.version());
                let names = schema.classes().map(|class| class.name.as_str());
                let remedy = match did_you_mean(name, names) {
                    none if none.is_empty() => "`lakebolt ocsf` lists the classes".to_owned(),
                    near => near,
                };
                Failure::usage(message, remedy)
            })?;
            json_schema::event(schema, class)
        }
    };
    output::print_json(&printed)?;
    Ok(ExitCode::Done)
}
