//! `lakebolt formats`: lists the wire formats that a source may name.

use plans::decode::{Format, FormatOption};
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
    let mut text = String::new();
    for format in formats::listing() {
        text.push_str(&format!("{}\n    {}\n", format.name(), format.help()));
        let others = aliases(format).join(", ");
        if !others.is_empty() {
            text.push_str(&format!("    other names: {others}\n"));
        }
        for option in format.options() {
            text.push_str(&format!(
                "    option {} = {} (default {}): {}\n",
                option.name, option.values, option.default, option.help
            ));
        }
        let columns = format.columns();
        if !columns.is_empty() {
            let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
            text.push_str(&format!("    columns: {}\n", names.join(", ")));
        }
    }
    let mut table = Table::new(&["column type", "reads", "example"]);
    for kind in formats::COLUMN_TYPES {
        let [name, reads, example] = [kind.name, kind.reads, kind.example];
        table.row([name.to_owned(), reads.to_owned(), example.to_owned()]);
    }
    format!("{text}\n{}", table.render())
}

fn aliases(format: &dyn Format) -> Vec<&'static str> {
    formats::aliases(format.name()).collect()
}

fn as_json() -> Value {
    let option = |option: &FormatOption| {
        json!({
            "name": option.name, "values": option.values,
            "default": option.default, "help": option.help,
        })
    };
    let one = |format: &'static dyn Format| {
        let columns = format.columns().into_iter().map(|column| column.name);
        json!({
            "name": format.name(),
            "aliases": aliases(format),
            "help": format.help(),
            "options": format.options().iter().map(option).collect::<Vec<_>>(),
            "columns": columns.collect::<Vec<_>>(),
        })
    };
    let formats: Vec<Value> = formats::listing().map(one).collect();
    let kinds = formats::COLUMN_TYPES.iter();
    let kinds: Vec<Value> = kinds
        .map(|kind| {
            json!({
                "name": kind.name, "reads": kind.reads, "example": kind.example,
            })
        })
        .collect();
    json!({ "schema_version": 1, "formats": formats, "column_types": kinds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_has_its_names_and_options() {
        let text = human();
        assert!(text.contains("    option delimiter = "), "{text}");
        assert!(text.contains("ndjson"), "{text}");
        assert!(text.contains("ip_port"), "{text}");
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
