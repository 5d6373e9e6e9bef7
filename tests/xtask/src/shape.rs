//! Sizes: nine functions in ten under forty lines, files that hold one noun.

use crate::sources::{self, Source};

/// Lines of a function that reads at a glance.
const LONG_FUNCTION: usize = 40;
/// Lines of a file, without its tests, past which it must be cut.
const LONGEST_FILE: usize = 600;
/// One function in so many may be long.
const ONE_LONG_IN: usize = 10;

pub(crate) fn check() -> anyhow::Result<Vec<String>> {
    let sources = sources::all()?;
    let rust: Vec<&Source> = sources.iter().filter(|source| source.is_rust()).collect();
    let mut findings: Vec<String> = rust.iter().filter_map(|source| too_long(source)).collect();
    let functions: Vec<Function> = rust.iter().flat_map(|source| functions(source)).collect();
    let long = functions
        .iter()
        .filter(|function| function.lines > LONG_FUNCTION);
    let long: Vec<&Function> = long.collect();
    if long.len() * ONE_LONG_IN > functions.len() {
        findings.push(format!(
            "{} of {} functions are longer than {LONG_FUNCTION} lines:",
            long.len(),
            functions.len()
        ));
        findings.extend(
            long.iter()
                .map(|long| format!("{}: {}", long.place, long.lines)),
        );
    }
    Ok(findings)
}

fn too_long(source: &Source) -> Option<String> {
    let lines = source.code().count();
    (lines > LONGEST_FILE).then(|| {
        format!(
            "{}: {lines} lines without tests: look for a second noun",
            source.path
        )
    })
}

struct Function {
    place: String,
    lines: usize,
}

/// The functions of a formatted file: from the line with `fn` to the brace that
/// closes it in the same column.
fn functions(source: &Source) -> Vec<Function> {
    let lines: Vec<&str> = source.code().collect();
    let starts = lines.iter().enumerate().filter(|(_, line)| is_start(line));
    let functions = starts.filter_map(|(at, line)| {
        let indent = line.len() - line.trim_start().len();
        let close = format!("{}}}", &line[..indent]);
        let length = lines[at..].iter().position(|line| *line == close)?;
        Some(Function {
            place: format!("{}:{}", source.path, at + 1),
            lines: length + 1,
        })
    });
    functions.collect()
}

fn is_start(line: &str) -> bool {
    let words = line.trim_start();
    let named = words.split_once("fn ").map(|(before, _)| before);
    let starts = named.is_some_and(|before| {
        before.split_whitespace().all(|word| {
            word.starts_with("pub") || matches!(word, "async" | "const" | "unsafe" | "extern")
        })
    });
    // A signature that ends here has no body, or one on its own line.
    starts && !words.ends_with(';') && !words.ends_with('}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_measured_to_its_closing_brace() {
        let text = "impl A {\n    pub(crate) async fn b(\n        &self,\n    ) -> C {\n        {\n        }\n    }\n\n    fn d() {}\n}\n";
        let functions = functions(&Source {
            path: "a.rs".to_owned(),
            text: text.to_owned(),
        });
        let lengths: Vec<usize> = functions.iter().map(|function| function.lines).collect();
        assert_eq!(lengths, [6]);
    }
}
