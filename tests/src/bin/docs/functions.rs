//! The table of SQL functions, from the one in `plans::functions`.

use plans::functions::{self, Listed};

/// The functions that users call with an example each, then those that mappings build.
pub(crate) fn markdown() -> String {
    let mut text = String::from(
        "## Functions for mappings\n\n\
         | function | result | example | gives |\n\
         |---|---|---|---|\n",
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
            Some(example) => {
                let (sql, result) = (code(example.sql), code(example.result));
                text.push_str(&format!("{} {sql} | {result} |\n", facts(listed)));
            }
            None => internal.push_str(&format!("{}\n", facts(listed))),
        }
    }
    format!("{text}\n{internal}")
}

/// The first two cells of a function's row.
fn facts(listed: &Listed) -> String {
    format!("| {} | {} |", code(listed.signature), listed.about)
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
            assert_eq!(text.matches(&facts(listed)).count(), 1, "{}", listed.name());
        }
    }

    #[test]
    fn a_bar_does_not_end_the_cell() {
        assert_eq!(code("a || b"), "`a \\|\\| b`");
    }
}
