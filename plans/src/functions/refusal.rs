//! Says why an expression may not call a function, and what to call in its place.

use datafusion::logical_expr::expr::ScalarFunction;

use super::allowed::allowed;
use super::{FUNCTIONS, Listed};
use crate::diagnostics::nearest;

/// What to write in place of functions that other systems have or that are refused.
const INSTEAD: &[(&str, &str)] = &[
    ("array_compact", "use `list_compact`"),
    ("array_remove", "use `array_remove_all`"),
    ("from_json", "declare the column as \"json\" and use dots"),
    (
        "get_json_object",
        "use `json_get`, or dots into a column of type \"json\"",
    ),
    ("if", "use CASE WHEN … THEN … ELSE … END"),
    ("iff", "use CASE WHEN … THEN … ELSE … END"),
    ("isnull", "use IS NULL"),
    (
        "json_extract",
        "use `json_get`, or dots into a column of type \"json\"",
    ),
    (
        "json_value",
        "use `json_get`, or dots into a column of type \"json\"",
    ),
    ("regexp_extract", "use `regexp_match`"),
    ("regexp_substr", "use `regexp_match`"),
    ("string_to_array", "use `split`"),
];

/// Returns why an expression may not make this call, with a remedy on a second line.
pub(crate) fn refusal(call: &ScalarFunction, sql: &str) -> Option<String> {
    let name = written(call, sql);
    let ours = FUNCTIONS.iter().find(|listed| listed.name() == call.name());
    let theirs = || allowed().iter().find(|allowed| allowed.name == call.name());
    let signature = match ours {
        Some(listed) if listed.is_internal() => {
            let what = format!("the function '{name}' is only for compiled mappings");
            return Some(format!("{what}\n{}", remedy(name)));
        }
        Some(listed) => Some(listed.signature),
        None => theirs().map(|allowed| allowed.signature),
    };
    let Some(signature) = signature else {
        let what = format!("the function '{name}' cannot be used here");
        return Some(format!("{what}\n{}", remedy(name)));
    };
    let mut pairs = arguments(signature).into_iter().zip(&call.args);
    let (argument, _) =
        pairs.find(|(argument, value)| argument.is_constant && value.any_column_refs())?;
    Some(format!(
        "the function '{name}' needs a constant as its `{}`\n\
         write it in single quotes: with a value of a row it could take too long",
        argument.name
    ))
}

/// Returns what to call in place of a function that is unknown or refused.
pub(crate) fn remedy(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    if let Some((_, instead)) = INSTEAD.iter().find(|instead| instead.0 == name) {
        return (*instead).to_owned();
    }
    let ours = FUNCTIONS.iter().filter(|listed| !listed.is_internal());
    let names = allowed().iter().map(|allowed| allowed.name);
    match nearest(&name, names.chain(ours.map(Listed::name))) {
        Some(found) => format!("did you mean `{found}`?"),
        None => "docs/functions.md lists the functions that can be used".to_owned(),
    }
}

/// The name by which the SQL calls a function that has several.
fn written<'a>(call: &'a ScalarFunction, sql: &str) -> &'a str {
    let sql = sql.to_ascii_lowercase();
    let aliases = call.func.aliases().iter().map(String::as_str);
    let mut names = std::iter::once(call.name()).chain(aliases);
    names
        .find(|name| sql.contains(name))
        .unwrap_or_else(|| call.name())
}

/// An argument of a signature.
pub(super) struct Argument<'a> {
    pub(super) name: &'a str,
    pub(super) is_constant: bool,
}

/// Reads the arguments of the first call in a signature.
pub(super) fn arguments<'a>(signature: &'a str) -> Vec<Argument<'a>> {
    let inside = signature.split_once('(').map_or("", |(_, rest)| rest);
    let inside = inside.split(')').next().unwrap_or_default();
    let names = inside.split([',', '[', ']']).map(str::trim);
    let argument = |name: &'a str| Argument {
        name: name.trim_matches('\''),
        is_constant: name.starts_with('\''),
    };
    names
        .filter(|name| !name.is_empty())
        .map(argument)
        .collect()
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::common::DFSchema;
    use datafusion::logical_expr::Expr;

    use super::*;
    use crate::session;

    #[test]
    fn arguments_say_what_is_constant() {
        let found = arguments("f(text, 'pattern'[, start[, 'flags']]) or f(x)");
        let read: Vec<_> = found
            .iter()
            .map(|argument| (argument.name, argument.is_constant))
            .collect();
        assert_eq!(
            read,
            [
                ("text", false),
                ("pattern", true),
                ("start", false),
                ("flags", true),
            ]
        );
        assert!(arguments("f()").is_empty());
    }

    fn refused(sql: &str) -> String {
        let fields = vec![Field::new("x", DataType::Utf8View, true)];
        let schema = DFSchema::try_from(Schema::new(fields)).expect("it is one column");
        let expr = session::compiling().create_logical_expr(sql, &schema);
        let expr = expr.expect("it plans").unalias_nested().data.unalias();
        match expr {
            Expr::ScalarFunction(call) => refusal(&call, sql).unwrap_or_default(),
            other => panic!("{other} is no call"),
        }
    }

    #[test]
    fn a_refusal_names_the_function_as_written_and_a_remedy() {
        let check = |sql: &str, expected: &str| assert_eq!(refused(sql), expected, "{sql}");
        check(
            "lpad(x, 9999999)",
            "the function 'lpad' cannot be used here\ndocs/functions.md lists the functions that can be used",
        );
        check(
            "list_repeat(x, 9)",
            "the function 'list_repeat' cannot be used here\ndocs/functions.md lists the functions that can be used",
        );
        check(
            "string_to_array(x, ',')",
            "the function 'string_to_array' cannot be used here\nuse `split`",
        );
        check(
            "of_type(x, 'ip')",
            "the function 'of_type' is only for compiled mappings\ndocs/functions.md lists the functions that can be used",
        );
        check(
            "regexp_like(x, x)",
            "the function 'regexp_like' needs a constant as its `pattern`\nwrite it in single quotes: with a value of a row it could take too long",
        );
        check(
            "json_get(x, x)",
            "the function 'json_get' needs a constant as its `key`\nwrite it in single quotes: with a value of a row it could take too long",
        );
        for fine in [
            "regexp_like(x, 'a')",
            "json_get(x, 'a')",
            "length(x)",
            "SUBSTRING(x FROM 2)",
            "POSITION('a' IN x)",
            "EXTRACT(HOUR FROM to_timestamp(x))",
            "TRIM(x)",
            "[x, 'a']",
            "[x, 'a'][1]",
            "[x][1:2]",
            "split(x, ',')",
            "[x] || [x]",
            "[x] || x",
            "OVERLAY(x PLACING 'a' FROM 2)",
            "CEIL(1.5)",
        ] {
            check(fine, "");
        }
    }

    #[test]
    fn unknown_functions_have_a_remedy() {
        assert_eq!(remedy("IF"), "use CASE WHEN … THEN … ELSE … END");
        assert_eq!(remedy("regex_like"), "did you mean `regexp_like`?");
        assert_eq!(remedy("json_fnd"), "did you mean `json_find`?");
    }
}
