//! Regions of Markdown between `<!-- generated: NAME -->` and `<!-- end -->`.

use anyhow::{Context, bail};

const OPEN: &str = "<!-- generated: ";
const CLOSE: &str = "<!-- end -->";

/// A region's name and the function that makes the text between its marks.
pub(crate) type Generator = (&'static str, fn() -> String);

/// A document with all of its regions generated again.
pub(crate) struct Renewed {
    pub(crate) text: String,
    /// The names of its regions.
    pub(crate) found: Vec<&'static str>,
    /// The names of the regions whose text has changed.
    pub(crate) stale: Vec<&'static str>,
}

/// Generates the regions of a document. A mark must be alone on its line.
pub(crate) fn renew(document: &str, generators: &[Generator]) -> anyhow::Result<Renewed> {
    let mut renewed = Renewed {
        text: String::with_capacity(document.len()),
        found: Vec::new(),
        stale: Vec::new(),
    };
    let mut lines = document.split_inclusive('\n');
    while let Some(line) = lines.next() {
        renewed.text.push_str(line);
        let Some(name) = opened(line) else {
            continue;
        };
        let known = generators.iter().find(|generator| generator.0 == name);
        let (name, generate) = known.with_context(|| unknown(name, generators))?;
        let before = region(&mut lines).with_context(|| format!("region `{name}`"))?;
        let now = format!("\n{}\n\n", generate().trim());
        if before != now {
            renewed.stale.push(name);
        }
        renewed.found.push(name);
        renewed.text.push_str(&now);
        renewed.text.push_str(CLOSE);
        renewed.text.push('\n');
    }
    Ok(renewed)
}

/// The name of the region that a line opens.
fn opened(line: &str) -> Option<&str> {
    let name = line.trim_end().strip_prefix(OPEN)?.strip_suffix("-->")?;
    Some(name.trim())
}

/// The text up to the closing mark. The mark is consumed too.
fn region<'a>(lines: &mut impl Iterator<Item = &'a str>) -> anyhow::Result<String> {
    let mut text = String::new();
    for line in lines {
        if line.trim_end() == CLOSE {
            return Ok(text);
        }
        if opened(line).is_some() {
            bail!("another region opens before `{CLOSE}`");
        }
        text.push_str(line);
    }
    bail!("there is no `{CLOSE}`")
}

fn unknown(name: &str, generators: &[Generator]) -> String {
    let known: Vec<&str> = generators.iter().map(|generator| generator.0).collect();
    format!("`{name}` has no generator; use one of {}", known.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    static GENERATORS: &[Generator] = &[
        ("one", || "1\n".to_owned()),
        ("two", || "| a |\n| b |".to_owned()),
    ];

    fn error(document: &str) -> String {
        let error = renew(document, GENERATORS).err().expect("it is refused");
        format!("{error:#}")
    }

    #[test]
    fn regions_are_replaced_and_the_rest_stays() {
        let document = "# A\n<!-- generated: one -->\nold\n<!-- end -->\nb\n\
                        <!-- generated: two -->\n<!-- end -->\nc";
        let expected = "# A\n<!-- generated: one -->\n\n1\n\n<!-- end -->\nb\n\
                        <!-- generated: two -->\n\n| a |\n| b |\n\n<!-- end -->\nc";
        let renewed = renew(document, GENERATORS).expect("it is sound");
        assert_eq!(renewed.text, expected);
        assert_eq!(renewed.stale, ["one", "two"]);
        let again = renew(expected, GENERATORS).expect("it is sound");
        assert_eq!(again.text, expected);
        assert_eq!((again.found.len(), again.stale.len()), (2, 0));
    }

    #[test]
    fn broken_regions_are_named() {
        let found = error("<!-- generated: three -->\n<!-- end -->\n");
        assert_eq!(found, "`three` has no generator; use one of one, two");
        let found = error("<!-- generated: one -->\nold\n");
        assert_eq!(found, "region `one`: there is no `<!-- end -->`");
        let found = error("<!-- generated: one -->\n<!-- generated: two -->\n<!-- end -->\n");
        assert_eq!(
            found,
            "region `one`: another region opens before `<!-- end -->`"
        );
    }

    #[test]
    fn a_mark_within_a_line_is_text() {
        let document = "Write `<!-- generated: one -->` to open a region.\n";
        assert_eq!(
            renew(document, GENERATORS).expect("it is sound").text,
            document
        );
    }
}
