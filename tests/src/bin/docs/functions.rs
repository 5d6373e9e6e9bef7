//! The table of SQL functions, from the one in `plans::functions`.

use plans::functions::{self, Allowed, Example, Listed};

/// The functions that users call with an example each, those of DataFusion that they may
/// call, and those that mappings build.
pub(crate) fn markdown() -> String {
    let mut text = String::from(
        "## Functions for mappings\n\n\
         | function | types | result | example | gives |\n\
         |---|---|---|---|---|\n",
    );
    let mut internal = String::from(
        "## Functions that mappings are compiled to\n\n\
         Mappings do not call these. lakebolt puts them into plans and writes their tables and \
         programs as literals.\n\n\
         | function | result |\n\
         |---|---|\n",
    );
    for listed in functions::listing() {
        match &listed.example {
            Some(example) => text.push_str(&row(listed, example)),
            None => internal.push_str(&format!("{}\n", facts(listed))),
        }
    }
    format!("{text}\n{}\n{internal}", of_datafusion())
}

/// The row of a function that users call.
fn row(listed: &Listed, example: &Example) -> String {
    let about = match listed.nulls {
        Some(nulls) => format!("{} {nulls}", listed.about),
        None => listed.about.to_owned(),
    };
    format!(
        "| {} | {} → {} | {about} | {} | {} |\n",
        code(listed.signature),
        listed.takes,
        listed.gives,
        code(example.sql),
        code(example.result)
    )
}

/// The row of a function that only compiled mappings call.
fn facts(listed: &Listed) -> String {
    format!("| {} | {} |", code(listed.signature), listed.about)
}

/// A table for each group of DataFusion's functions.
fn of_datafusion() -> String {
    let mut text = String::from("## Functions of DataFusion\n");
    let mut group = "";
    for allowed in functions::allowed() {
        if allowed.group != group {
            group = allowed.group;
            text.push_str(&format!("\n### {}\n\n", capitalised(group)));
            text.push_str("| function | result |\n|---|---|\n");
        }
        text.push_str(&format!("{}\n", entry(allowed)));
    }
    text
}

fn entry(allowed: &Allowed) -> String {
    let help = allowed.help.replace('|', "\\|");
    format!("| {} | {help} |", code(allowed.signature))
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next();
    first.map_or_else(String::new, |first| {
        first.to_uppercase().chain(characters).collect()
    })
}

/// Code in a cell of a table.
fn code(text: &str) -> String {
    format!("`{}`", text.replace('|', "\\|"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_has_a_row() {
        let text = markdown();
        for listed in functions::listing() {
            let line = match &listed.example {
                Some(example) => row(listed, example),
                None => facts(listed),
            };
            assert_eq!(text.matches(&line).count(), 1, "{}", listed.name());
        }
        for allowed in functions::allowed() {
            assert_eq!(text.matches(&entry(allowed)).count(), 1, "{}", allowed.name);
        }
    }

    #[test]
    fn a_bar_does_not_end_the_cell() {
        assert_eq!(code("a || b"), "`a \\|\\| b`");
    }
}
