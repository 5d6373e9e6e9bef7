//! The wire formats with their options and columns, from the table in `plans::formats`.

use plans::decode::{Format, FormatOption};
use plans::formats;

/// A section for each format.
pub(crate) fn markdown() -> String {
    let sections: Vec<String> = formats::listing().map(section).collect();
    sections.join("\n")
}

fn section(format: &dyn Format) -> String {
    let mut text = format!("## {}\n\n{}.\n", format.name(), capitalised(format.help()));
    let aliases: Vec<String> = formats::aliases(format.name()).map(code).collect();
    if !aliases.is_empty() {
        text.push_str(&format!("\nOther names: {}.\n", aliases.join(", ")));
    }
    if !format.options().is_empty() {
        text.push_str("\n| option | values | default | what it does |\n|---|---|---|---|\n");
        format
            .options()
            .iter()
            .for_each(|option| text.push_str(&row(option)));
    }
    let columns: Vec<String> = format.columns().iter().map(|c| code(&c.name)).collect();
    if !columns.is_empty() {
        text.push_str(&format!("\nColumns: {}.\n", columns.join(", ")));
    }
    text
}

fn row(option: &FormatOption) -> String {
    let cells = [option.values, option.default, option.help];
    let [values, default, help] = cells.map(|cell| cell.replace('|', "\\|"));
    format!(
        "| {} | {values} | {default} | {help} |\n",
        code(option.name)
    )
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next();
    first.map_or_else(String::new, |first| {
        first.to_uppercase().chain(characters).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_has_a_section_with_its_options() {
        let text = markdown();
        for format in formats::listing() {
            assert!(text.contains(&format!("## {}\n", format.name())));
            let is_there = |option: &FormatOption| text.contains(&row(option));
            assert!(format.options().iter().all(is_there), "{}", format.name());
        }
    }
}
