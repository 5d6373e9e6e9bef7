//! `map --explain LINE`: why one record becomes what it becomes.

use std::fmt::Write;

use plans::inspect::explain::{Answer, Condition, EventParts, Explanation, explain};
use plans::inspect::preview::Request;
use serde_json::json;

use super::{code, unreadable};
use crate::cli::MapArgs;
use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::{Failure, with_causes};
use crate::settings::OutputFormat;
use crate::sources::Compiled;
use crate::table::Table;
use crate::{output, wire};

/// The most characters of a value or an expression in the table.
const WIDTH: usize = 60;

pub(super) fn run(
    args: &MapArgs,
    compiled: &Compiled,
    request: Request,
    line: u64,
    context: &Context,
) -> Result<ExitCode, Failure> {
    let explanation = wire::block_on(async {
        explain(&compiled.source, &compiled.program, request, line)
            .await
            .map_err(|error| unreadable(&with_causes(&error)))
    })?;
    let Some(explanation) = explanation else {
        let message = format!("{}: no record starts at line {line}", args.file.display());
        let remedy = "give the line of a record; a header or an empty line is none";
        return Err(Failure::usage(message, remedy));
    };
    let invalid = explanation.events.iter().map(|event| event.invalid.len());
    let code = code(invalid.sum::<usize>() as u64);
    match context.format(args.format) {
        OutputFormat::Human => output::print(&human(&explanation))?,
        OutputFormat::Json => output::print_json(&json!({
            "schema_version": 1,
            "exit_code": code.number(),
            "source": compiled.source.name,
            "explanation": explanation,
        }))?,
    }
    Ok(code)
}

fn human(explanation: &Explanation) -> String {
    let mut text = format!("line {}\n\ncolumns:\n", explanation.line);
    let mut columns = Table::new(&["column", "value"]);
    for column in &explanation.columns {
        let note = if column.declared {
            ""
        } else {
            " (not declared)"
        };
        columns.row([format!("{}{note}", column.name), short(&column.value)]);
    }
    text.push_str(&columns.render());
    conditions(&mut text, "filters", &explanation.filters);
    conditions(&mut text, "routes", &explanation.routes);
    for rejection in &explanation.rejections {
        let detail = match rejection.detail.as_str() {
            "" => String::new(),
            detail => format!(": {}", short(detail)),
        };
        // Writing to a string does not fail.
        let _ = writeln!(text, "\nquarantined as {}{detail}", rejection.reason);
    }
    for event in &explanation.events {
        text.push_str(&attributes(event));
    }
    text
}

fn conditions(text: &mut String, title: &str, conditions: &[Condition]) {
    if conditions.is_empty() {
        return;
    }
    let mut table = Table::new(&["", "name", "class", "result", "when", "place"]);
    for condition in conditions {
        table.row([
            if condition.takes { ">" } else { "" }.to_owned(),
            condition.name.clone(),
            condition.class.clone().unwrap_or_default(),
            answer(condition),
            short(condition.when.as_deref().unwrap_or_default()),
            condition.place.clone(),
        ]);
    }
    let _ = writeln!(text, "\n{title}, in order (> takes the record):");
    text.push_str(&table.render());
}

fn answer(condition: &Condition) -> String {
    let answer = match &condition.result {
        Answer::True => "true",
        Answer::False => "false",
        Answer::Null => "NULL",
        Answer::Always => "no condition",
        Answer::NotTried => "not tried",
        Answer::Failed(error) => return format!("error: {}", short(error)),
    };
    match condition.also {
        true => format!("{answer} (also)"),
        false => answer.to_owned(),
    }
}

fn attributes(event: &EventParts) -> String {
    let mut table = Table::new(&["attribute", "value", "from", "place"]);
    for attribute in &event.attributes {
        table.row([
            attribute.path.clone(),
            short(&attribute.value),
            short(attribute.expression.as_deref().unwrap_or_default()),
            attribute.place.clone().unwrap_or_default(),
        ]);
    }
    let mut text = format!("\nevent {} ({}):\n", event.event, event.class_uid);
    text.push_str(&table.render());
    for finding in &event.invalid {
        let _ = writeln!(text, "invalid: {finding}");
    }
    text
}

/// The text as one short line, without control characters.
fn short(text: &str) -> String {
    let mut short: String = text.chars().take(WIDTH).map(output::printable).collect();
    if text.chars().nth(WIDTH).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_route_is_marked_and_later_ones_are_not_tried() {
        let condition = |name: &str, result: Answer| Condition {
            name: name.to_owned(),
            class: Some("authentication".to_owned()),
            when: Some("kind = 'x'".to_owned()),
            place: "a.toml:2".to_owned(),
            takes: result == Answer::True,
            result,
            also: false,
        };
        let mut text = String::new();
        let routes = [
            condition("first", Answer::Null),
            condition("second", Answer::True),
            condition("third", Answer::NotTried),
        ];
        conditions(&mut text, "routes", &routes);
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[3].starts_with("   first") && lines[3].contains("NULL"),
            "{text}"
        );
        assert!(
            lines[4].starts_with(">  second") && lines[4].contains("true"),
            "{text}"
        );
        assert!(lines[5].contains("not tried"), "{text}");
    }

    #[test]
    fn long_values_are_cut_and_control_characters_are_replaced() {
        assert_eq!(short("a\u{1b}b"), "a\u{fffd}b");
        let long = "x".repeat(WIDTH + 1);
        assert_eq!(short(&long).chars().count(), WIDTH + 1);
        assert!(short(&long).ends_with('…'));
    }
}
