//! The table of exit codes, from the one in `scheduler::load::exit`.

use scheduler::load::exit::{EXIT_CODES, Row};

/// A row for each exit code. The fourth column says whether the same command may succeed later.
pub(crate) fn markdown() -> String {
    let mut text = String::from(
        "| code | name | meaning | a retry may help | what to do |\n\
         |---|---|---|---|---|\n",
    );
    for row in EXIT_CODES {
        text.push_str(&line(row));
    }
    text
}

fn line(row: &Row) -> String {
    let retry = if row.retry_may_help { "yes" } else { "no" };
    let remedy = if row.remedy.is_empty() {
        "–"
    } else {
        row.remedy
    };
    format!(
        "| {} | `{}` | {} | {retry} | {remedy} |\n",
        row.code, row.name, row.meaning
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_row_of_five_cells() {
        let text = markdown();
        let rows = text.lines().skip(2);
        assert_eq!(rows.clone().count(), EXIT_CODES.len());
        for row in rows {
            assert_eq!(row.matches('|').count(), 6, "{row}");
        }
    }
}
