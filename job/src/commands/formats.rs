//! `lakebolt formats`: lists the wire formats that a source may name.

use plans::decode::Format;
use plans::formats;
use serde_json::{Value, json};

use crate::cli::ListArgs;
use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::output;
use crate::settings::OutputFormat;
use crate::table::Table;

pub(super) fn run(args: &ListArgs, context: &Context) -> Result<ExitCode, Failure> {
    match context.format(args.format) {
        OutputFormat::Human => output::print(&human())?,
        OutputFormat::Json => output::print_json(&as_json())?,
    }
    Ok(ExitCode::Done)
}

fn human() -> String {
    let mut table = Table::new(&["format", "other names", "options", ">built-in columns"]);
    for format in formats::listing() {
        table.row([
            format.name().to_owned(),
            aliases(format).join(", "),
            format.options().join(", "),
            format.columns().len().to_string(),
        ]);
    }
    table.render()
}

fn aliases(format: &dyn Format) -> Vec<&'static str> {
    formats::aliases(format.name()).collect()
}

fn as_json() -> Value {
    let one = |format: &'static dyn Format| {
        let columns = format.columns().into_iter().map(|column| column.name);
        json!({
            "name": format.name(),
            "aliases": aliases(format),
            "options": format.options(),
            "columns": columns.collect::<Vec<_>>(),
        })
    };
    let formats: Vec<Value> = formats::listing().map(one).collect();
    json!({ "schema_version": 1, "formats": formats })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_has_its_names_and_options() {
        let text = human();
        let line = |name: &str| text.lines().find(|line| line.starts_with(name));
        assert!(
            line("csv ").is_some_and(|line| line.contains("delimiter")),
            "{text}"
        );
        assert!(
            line("json_lines ").is_some_and(|line| line.contains("ndjson")),
            "{text}"
        );
        let value = as_json();
        let names: Vec<&str> = value["formats"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|format| format["name"].as_str())
            .collect();
        assert!(names.contains(&"vpc_flow"), "{names:?}");
    }
}
