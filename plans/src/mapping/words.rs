//! The engine's errors in the words of a mapping: types are text, number or time, and no
//! message shows how the engine keeps them.

use datafusion::execution::FunctionRegistry;

use crate::{functions, session};

/// An error of the engine for the author of a mapping.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Explained {
    pub(super) message: String,
    pub(super) remedy: String,
    /// The function that the error is about.
    pub(super) name: Option<String>,
}

const FUNCTIONS: &str = "docs/functions.md lists the functions";
const CASTS: &str = "TRY_CAST(column AS BIGINT) gives a number, CAST(column AS VARCHAR) a text";
const OTHER: &str = "write it with columns, functions, CASE, comparisons and arithmetic";

/// Functions of other languages, and what to write instead.
static FOREIGN: &[(&str, &str)] = &[
    ("endswith", "ends_with(text, end)"),
    ("get_json_object", "dots: column.key"),
    ("isnotnull", "value IS NOT NULL"),
    ("isnull", "value IS NULL"),
    ("json_extract", "dots: column.key"),
    ("json_extract_scalar", "dots: column.key"),
    ("json_value", "dots: column.key"),
    ("lcase", "lower(text)"),
    ("len", "length(text)"),
    ("parse_json", "the type \"json\" under [columns]"),
    ("regexp_extract", "regexp_match(text, pattern)[1]"),
    ("startswith", "starts_with(text, start)"),
    ("str", "CAST(value AS VARCHAR)"),
    ("string", "CAST(value AS VARCHAR)"),
    ("to_int", "TRY_CAST(text AS INT)"),
    ("to_string", "CAST(value AS VARCHAR)"),
    ("toint", "TRY_CAST(text AS INT)"),
    ("tolower", "lower(text)"),
    ("tostring", "CAST(value AS VARCHAR)"),
    ("toupper", "upper(text)"),
    ("ucase", "upper(text)"),
];

/// The message and remedy for an error that is not about syntax or columns.
pub(super) fn explained(message: &str) -> Explained {
    refused_function(message)
        .or_else(|| unknown_function(message))
        .or_else(|| wrong_arguments(message))
        .or_else(|| wrong_operands(message))
        .or_else(|| unknown_type(message))
        .unwrap_or_else(|| other(message))
}

fn other(message: &str) -> Explained {
    let message = plain(message);
    let (message, remedy) = message.split_once("; ").unwrap_or((&message, OTHER));
    Explained {
        message: message.to_owned(),
        remedy: remedy.to_owned(),
        name: None,
    }
}

/// A function that exists and that mappings must not call.
fn refused_function(message: &str) -> Option<Explained> {
    let (what, remedy) = message.split_once('\n')?;
    let start = what.find("the function '")?;
    Some(Explained {
        message: what[start..].to_owned(),
        remedy: remedy.to_owned(),
        name: between(what, "the function '", "'").map(str::to_owned),
    })
}

fn unknown_function(message: &str) -> Option<Explained> {
    let name = between(message, "Invalid function '", "'")?.to_lowercase();
    let foreign = FOREIGN.iter().find(|(known, _)| *known == name);
    let remedy = match foreign {
        Some((_, instead)) => format!("write {instead}"),
        None => functions::remedy(&name),
    };
    Some(Explained {
        message: format!("there is no function `{name}`"),
        remedy,
        name: Some(name),
    })
}

fn wrong_arguments(message: &str) -> Option<Explained> {
    let name = between(message, "call to '", "'")
        .or_else(|| between(message, "Function '", "'"))
        .or_else(|| between(message, "argument types '", "("))
        .or_else(|| between(message, "function '", "'"))?;
    let is_about_arguments = ["oerc", "expects", "No function matches", "failed with"]
        .iter()
        .any(|part| message.contains(part));
    if !is_about_arguments {
        return None;
    }
    let given = between(message, "coercion from ", " to the signature")
        .or_else(|| between(message, &format!("'{name}("), ")'"));
    let reason = between(message, "expects ", "\n").or_else(|| {
        let (_, rest) = message.split_once("expects ")?;
        Some(rest)
    });
    let message = match (given, reason) {
        (Some(given), _) => format!("`{name}` does not take ({})", in_words(given)),
        (None, Some(reason)) => {
            let reason = reason.split("No function").next().unwrap_or_default();
            let reason = reason.trim().trim_end_matches(['.', '"']);
            format!(
                "`{name}` expects {}",
                in_words(reason).replace("received", "found")
            )
        }
        (None, None) => format!("`{name}` does not take these arguments"),
    };
    Some(Explained {
        message,
        remedy: match syntax(name) {
            Some(syntax) => format!("write `{syntax}`"),
            None => FUNCTIONS.to_owned(),
        },
        name: Some(name.to_owned()),
    })
}

/// How a function is called.
fn syntax(name: &str) -> Option<String> {
    let own = functions::listing().iter().find(|f| f.name() == name);
    if let Some(own) = own {
        return Some(own.signature.to_owned());
    }
    let function = session::compiling().udf(name).ok()?;
    let documentation = function.documentation()?;
    Some(documentation.syntax_example.clone())
}

fn wrong_operands(message: &str) -> Option<Explained> {
    const OPERATORS: &[&str] = &[
        " = ", " != ", " <> ", " <= ", " >= ", " < ", " > ", " + ", " - ", " * ", " / ", " % ",
        " AND ", " OR ", " || ", " LIKE ", " ~ ", " & ", " | ",
    ];
    let operation = ["operation ", "arithmetic expression "]
        .iter()
        .find_map(|before| message.split_once(before))?
        .1;
    let operation = operation.split(" to valid types").next()?;
    let operation = operation.split(": ").next()?;
    let operator = OPERATORS
        .iter()
        .filter(|operator| operation.contains(**operator))
        .min_by_key(|operator| operation.find(**operator))?;
    let (left, right) = operation.split_once(operator)?;
    let (left, right) = (in_words(left), in_words(right));
    let operator = operator.trim();
    let remedy = match (operator, left.as_str(), right.as_str()) {
        ("AND" | "OR", ..) => "compare the value, such as `column = 'x'`",
        ("||", ..) => "CAST(value AS VARCHAR) gives a text",
        ("+" | "-", "time", _) | ("+", _, "time") => {
            "write time + INTERVAL '5 seconds', or add_ms(time, milliseconds)"
        }
        _ => CASTS,
    };
    Some(Explained {
        message: format!("`{operator}` cannot take {left} and {right}"),
        remedy: remedy.to_owned(),
        name: None,
    })
}

fn unknown_type(message: &str) -> Option<Explained> {
    let (_, kind) = message.split_once("Unsupported SQL type ")?;
    let kind = kind.lines().next().unwrap_or_default().trim();
    Some(Explained {
        message: format!("there is no type `{kind}`"),
        remedy: "write VARCHAR, INT, BIGINT, DOUBLE, BOOLEAN or TIMESTAMP".to_owned(),
        name: Some(kind.to_owned()),
    })
}

/// The parser's message and a remedy.
pub(super) fn parsing(message: &str) -> (String, &'static str) {
    let text = message.replace("EOF", "the end");
    let text = text
        .replace("Expected: ", "expected ")
        .replace("found: ", "found ");
    let remedy = if message.contains("Expected: )") || message.contains("Expected: (") {
        "check the parentheses and commas"
    } else if message.contains("end of expression") {
        "an operator or comma is missing before it"
    } else if message.contains("an expression, found: EOF") {
        "the expression is not complete"
    } else if message.contains("END") || message.contains("WHEN") || message.contains("THEN") {
        "write CASE WHEN … THEN … ELSE … END"
    } else {
        "constants belong under [set]; put columns with odd names in double quotes"
    };
    (lowered(&text), remedy)
}

/// A message without the engine's notation: what follows a dump of its types is left out.
pub(super) fn plain(message: &str) -> String {
    let first = message.lines().next().unwrap_or_default();
    let is_dump = first.contains(" { ") || first.contains("Some(") || first.contains("sqltorel");
    match is_dump {
        true => "this SQL cannot be used here".to_owned(),
        false => lowered(&in_words(first)),
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    Some(rest.split_once(after)?.0)
}

/// A text whose names of types are words.
pub(super) fn in_words(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = rest.find(|c: char| !is_part(c)).unwrap_or(rest.len());
        if end == 0 {
            // The marks of columns and named expressions are ours.
            if !matches!(first, '\u{2060}' | '\u{2061}') {
                words.push(first);
            }
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let (word, after) = rest.split_at(end);
        match type_word(word) {
            Some(known) => {
                words.push_str(known);
                rest = &after[parameters(after)..];
            }
            None => {
                words.push_str(word);
                rest = after;
            }
        }
    }
    words
}

fn type_word(name: &str) -> Option<&'static str> {
    Some(match name {
        "Utf8" | "LargeUtf8" | "Utf8View" | "String" => "text",
        "Int8" | "Int16" | "Int32" | "Int64" | "UInt8" | "UInt16" | "UInt32" | "UInt64"
        | "Float16" | "Float32" | "Float64" | "Decimal32" | "Decimal64" | "Decimal128"
        | "Decimal256" | "Numeric" => "number",
        "Timestamp" | "Date32" | "Date64" | "Time32" | "Time64" => "time",
        "Interval" | "Duration" => "duration",
        "Boolean" => "true or false",
        "List" | "LargeList" | "FixedSizeList" | "ListView" => "list",
        "Struct" => "object",
        "Map" => "map",
        "Null" => "NULL",
        "Binary" | "LargeBinary" | "BinaryView" | "FixedSizeBinary" => "bytes",
        _ => return None,
    })
}

/// The length of a type's parameters in parentheses.
fn parameters(text: &str) -> usize {
    if !text.starts_with('(') {
        return 0;
    }
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    text.len()
}

fn lowered(text: &str) -> String {
    let text = text.trim().trim_end_matches('.');
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_words() {
        let check = |text: &str, expected: &str| assert_eq!(in_words(text), expected);
        check("Utf8View, Int64", "text, number");
        check(
            "Timestamp(ms, \"UTC\") and List(Struct(\"a\": Utf8))",
            "time and list",
        );
        check("a String(8", "a text");
        check("ä\u{2060}@x", "ä@x");
    }

    #[test]
    fn operands_are_named_with_a_remedy() {
        let message =
            "Cannot coerce arithmetic expression Timestamp(ms, \"UTC\") + Int64 to valid types";
        let found = explained(message);
        assert_eq!(found.message, "`+` cannot take time and number");
        assert!(found.remedy.contains("INTERVAL"), "{}", found.remedy);
    }

    #[test]
    fn a_dump_of_the_parsers_types_is_never_shown() {
        let message = "Unsupported ast node in sqltorel: Identifier(Ident { value: \"x\" })";
        assert_eq!(explained(message).message, "this SQL cannot be used here");
    }
}
