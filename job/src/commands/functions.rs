//! `lakebolt functions`: lists the SQL functions for mappings.

use plans::functions;
use plans::functions::Listed;
use serde_json::{Value, json};

use crate::cli::ListArgs;
use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::output;
use crate::settings::OutputFormat;

pub(super) fn run(args: &ListArgs, context: &Context) -> Result<ExitCode, Failure> {
    // Functions without an example are called only by compiled mappings.
    let listed = functions::listing().iter();
    let listed: Vec<&Listed> = listed.filter(|one| one.example.is_some()).collect();
    match context.format(args.format) {
        OutputFormat::Human => output::print(&human(&listed))?,
        OutputFormat::Json => output::print_json(&as_json(&listed))?,
    }
    Ok(ExitCode::Done)
}

fn human(listed: &[&Listed]) -> String {
    let mut text = String::new();
    for function in listed {
        text.push_str(&format!("{}\n    {}\n", function.signature, function.about));
        text.push_str(&format!(
            "    takes {}; gives {}\n",
            function.takes, function.gives
        ));
        if let Some(nulls) = function.nulls {
            text.push_str(&format!("    NULL: {nulls}\n"));
        }
        if let Some(example) = &function.example {
            text.push_str(&format!("    {} = {}\n", example.sql, example.result));
        }
    }
    let mut group = "";
    for allowed in functions::allowed() {
        if allowed.group != group {
            group = allowed.group;
            text.push_str(&format!("\nDataFusion: {group}\n"));
        }
        text.push_str(&format!("{}\n    {}\n", allowed.signature, allowed.help));
    }
    text
}

fn as_json(listed: &[&Listed]) -> Value {
    let functions: Vec<Value> = listed.iter().map(|function| one(function)).collect();
    let datafusion = functions::allowed().iter().map(|allowed| {
        json!({
            "name": allowed.name,
            "signature": allowed.signature,
            "group": allowed.group,
            "about": allowed.help,
        })
    });
    json!({
        "schema_version": 1,
        "functions": functions,
        "datafusion": datafusion.collect::<Vec<_>>(),
    })
}

fn one(function: &Listed) -> Value {
    let example = function.example.as_ref();
    json!({
        "name": function.name(),
        "signature": function.signature,
        "takes": function.takes,
        "gives": function.gives,
        "nulls": function.nulls.unwrap_or("NULL"),
        "about": function.about,
        "example": example.map(|example| json!({ "sql": example.sql, "result": example.result })),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_for_users_has_its_example() {
        let listed: Vec<&Listed> = functions::listing()
            .iter()
            .filter(|one| one.example.is_some())
            .collect();
        let text = human(&listed);
        assert!(
            text.contains("    try_ip('2001:DB8:0::1') = 2001:db8::1\n"),
            "{text}"
        );
        let value = as_json(&listed);
        assert_eq!(
            value["functions"].as_array().map(Vec::len),
            Some(listed.len())
        );
        assert!(value["functions"][0]["example"]["sql"].is_string());
    }
}
