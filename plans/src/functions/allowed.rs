//! The functions of DataFusion that an expression may call. Others are refused: their
//! result changes from run to run, a value of a row can make them panic or fill the memory,
//! or they are of no use for one row.

use std::sync::LazyLock;

/// A function of DataFusion that an expression may call.
#[derive(Clone, Copy, Debug)]
pub struct Allowed {
    /// The name in SQL.
    pub name: &'static str,
    /// The call with the names of its arguments. Brackets surround those that may be left
    /// out. Quotes surround those that must be constants.
    pub signature: &'static str,
    /// The kind of its values.
    pub group: &'static str,
    /// One sentence about the result.
    pub help: &'static str,
}

/// Groups with the call and one sentence for each function, in alphabetical order.
static GROUPS: &[(&str, &[(&str, &str)])] = &[
    ("text", TEXT),
    ("number", NUMBER),
    ("time", TIME),
    ("condition", CONDITION),
    ("hash", HASH),
    ("encoding", ENCODING),
    ("regular expression", REGULAR_EXPRESSION),
    ("list", LIST),
];

const TEXT: &[(&str, &str)] = &[
    ("ascii(text)", "The code of the first character."),
    (
        "btrim(text[, characters])",
        "The text without spaces, or those characters, at both ends. Also `trim`.",
    ),
    (
        "character_length(text)",
        "The number of characters. Also `length` and `char_length`.",
    ),
    ("chr(n)", "The character with that code."),
    (
        "concat(text, …)",
        "The texts one after the other. NULL counts as empty.",
    ),
    (
        "concat_ws(separator, text, …)",
        "The texts that are not NULL, with the separator between them.",
    ),
    (
        "contains(text, part)",
        "Whether the text contains the part.",
    ),
    (
        "ends_with(text, part)",
        "Whether the text ends with the part.",
    ),
    (
        "initcap(text)",
        "The text with a capital letter at the start of each word.",
    ),
    (
        "left(text, n)",
        "The first n characters, or all but the last -n.",
    ),
    ("lower(text)", "The text in lower case."),
    (
        "ltrim(text[, characters])",
        "The text without spaces, or those characters, at its start.",
    ),
    ("octet_length(text)", "The number of bytes."),
    (
        "overlay(text, part, start[, length])",
        "The text with the part in place of `length` characters from `start` on.",
    ),
    (
        "replace(text, from, 'to')",
        "The text with each `from` replaced.",
    ),
    ("reverse(text)", "The characters in reverse order."),
    (
        "right(text, n)",
        "The last n characters, or all but the first -n.",
    ),
    (
        "rtrim(text[, characters])",
        "The text without spaces, or those characters, at its end.",
    ),
    (
        "split_part(text, separator, n)",
        "The n-th part from 1, or from -1 at the end. An absent part is empty; see `part`.",
    ),
    (
        "starts_with(text, part)",
        "Whether the text starts with the part.",
    ),
    (
        "strpos(text, part)",
        "The position of the part from 1, or 0. Also `position` and `instr`.",
    ),
    (
        "substr(text, start[, length])",
        "The characters from `start` on, counted from 1. Also `substring`.",
    ),
    (
        "substr_index(text, separator, n)",
        "The text before the n-th separator, or after the n-th from the end.",
    ),
    ("to_hex(n)", "The integer in hexadecimal digits."),
    (
        "translate(text, from, to)",
        "The text with each character of `from` replaced by the one of `to` at its place.",
    ),
    ("upper(text)", "The text in upper case."),
];

const NUMBER: &[(&str, &str)] = &[
    ("abs(number)", "The number without its sign."),
    ("ceil(number)", "The nearest integer that is not smaller."),
    ("exp(number)", "The exponential."),
    ("floor(number)", "The nearest integer that is not larger."),
    ("isnan(number)", "Whether the number is NaN."),
    ("iszero(number)", "Whether the number is 0."),
    ("ln(number)", "The natural logarithm."),
    ("log(base, number)", "The logarithm to that base."),
    ("log10(number)", "The logarithm to base 10."),
    ("log2(number)", "The logarithm to base 2."),
    (
        "nanvl(number, other)",
        "The number, or the other one if it is NaN.",
    ),
    (
        "power(number, exponent)",
        "The number to that power. Also `pow`.",
    ),
    (
        "round(number[, places])",
        "The nearest number with that many decimal places.",
    ),
    ("signum(number)", "-1, 0 or 1: the sign."),
    ("sqrt(number)", "The square root."),
    (
        "trunc(number[, places])",
        "The number with the other decimal places cut off.",
    ),
];

const TIME: &[(&str, &str)] = &[
    (
        "date_bin(interval, time[, origin])",
        "The start of the interval that contains the time.",
    ),
    (
        "date_part(unit, time)",
        "A part of the time, such as its hour. Also `extract(unit FROM time)`.",
    ),
    ("date_trunc(unit, time)", "The time cut to that unit."),
    ("from_unixtime(n)", "The time that many seconds after 1970."),
    ("make_date(year, month, day)", "The date."),
    (
        "to_char(time, format)",
        "The time as text, such as `'%Y-%m-%d'`. Also `date_format`.",
    ),
    ("to_date(text[, format])", "The date that a text contains."),
    (
        "to_timestamp(text[, format])",
        "The time that a text contains, or that many seconds after 1970.",
    ),
    (
        "to_timestamp_micros(text[, format])",
        "The same from microseconds after 1970.",
    ),
    (
        "to_timestamp_millis(text[, format])",
        "The same from milliseconds after 1970.",
    ),
    (
        "to_timestamp_nanos(text[, format])",
        "The same from nanoseconds after 1970.",
    ),
    (
        "to_timestamp_seconds(text[, format])",
        "The same in whole seconds.",
    ),
    (
        "to_unixtime(text[, format])",
        "The seconds from 1970 to the time.",
    ),
];

const CONDITION: &[(&str, &str)] = &[
    ("coalesce(value, …)", "The first value that is not NULL."),
    ("greatest(value, …)", "The largest value that is not NULL."),
    ("least(value, …)", "The smallest value that is not NULL."),
    (
        "nullif(value, other)",
        "The value, or NULL if it equals the other one.",
    ),
    (
        "nvl(value, other)",
        "The value, or the other one if it is NULL. Also `ifnull`.",
    ),
    (
        "nvl2(value, other, otherwise)",
        "The second value if the first is not NULL, else the third.",
    ),
];

const HASH: &[(&str, &str)] = &[
    (
        "digest(text, algorithm)",
        "The digest as bytes, by an algorithm such as `'sha256'` or `'blake3'`.",
    ),
    ("md5(text)", "The MD5 digest in hexadecimal digits."),
    ("sha224(text)", "The SHA-224 digest as bytes."),
    (
        "sha256(text)",
        "The SHA-256 digest as bytes. `encode(…, 'hex')` makes it a text.",
    ),
    ("sha384(text)", "The SHA-384 digest as bytes."),
    ("sha512(text)", "The SHA-512 digest as bytes."),
];

const ENCODING: &[(&str, &str)] = &[
    (
        "decode(text, encoding)",
        "The bytes of a text in `'hex'` or `'base64'`. A text in another form quarantines the row.",
    ),
    (
        "encode(bytes, encoding)",
        "Bytes or a text in `'hex'` or `'base64'`.",
    ),
];

const REGULAR_EXPRESSION: &[(&str, &str)] = &[
    (
        "regexp_count(text, 'pattern'[, start[, 'flags']])",
        "How often the pattern matches.",
    ),
    (
        "regexp_instr(text, 'pattern'[, start])",
        "The position of the first match from 1, or 0.",
    ),
    (
        "regexp_like(text, 'pattern'[, 'flags'])",
        "Whether the pattern matches a part of the text.",
    ),
    (
        "regexp_match(text, 'pattern'[, 'flags'])",
        "The groups of the first match as a list, or the match if there are none.",
    ),
    (
        "regexp_replace(text, 'pattern', 'to'[, 'flags'])",
        "The text with the first match replaced, or with all for the flag `'g'`.",
    ),
];

const LIST: &[(&str, &str)] = &[
    ("array_any_value(list)", "The first item that is not NULL."),
    (
        "array_append(list, value)",
        "The list with the value at its end. Also `list || value`.",
    ),
    (
        "array_concat(list, …)",
        "The lists one after the other. Also `list || list`.",
    ),
    ("array_distinct(list)", "The list without repeated items."),
    (
        "array_element(list, n)",
        "The n-th item from 1, or from -1 at the end. Also `list[n]`.",
    ),
    (
        "array_except(list, other)",
        "The items that are not in the other list.",
    ),
    (
        "array_has(list, value)",
        "Whether the value is an item. Also `value = ANY(list)`.",
    ),
    (
        "array_has_all(list, other)",
        "Whether all items of the other list are in the list.",
    ),
    (
        "array_has_any(list, other)",
        "Whether any item of the other list is in the list.",
    ),
    (
        "array_intersect(list, other)",
        "The items that are in both lists.",
    ),
    ("array_length(list)", "The number of items."),
    ("array_max(list)", "The largest item."),
    ("array_min(list)", "The smallest item."),
    (
        "array_position(list, value)",
        "The position of the value from 1.",
    ),
    (
        "array_prepend(value, list)",
        "The list with the value at its start. Also `value || list`.",
    ),
    (
        "array_remove_all(list, value)",
        "The list without the value.",
    ),
    ("array_reverse(list)", "The items in reverse order."),
    (
        "array_slice(list, start, end)",
        "The items from `start` to `end`. Also `list[start:end]`.",
    ),
    ("array_sort(list)", "The items in their order."),
    (
        "array_to_string(list, 'separator')",
        "The items as one text.",
    ),
    (
        "array_union(list, other)",
        "The items of both lists, each once.",
    ),
    (
        "cardinality(list)",
        "The number of items, 0 for an empty list.",
    ),
    ("empty(list)", "Whether the list has no items."),
    (
        "make_array(value, …)",
        "A list of the values. Also `[value, …]`.",
    ),
];

/// Returns the functions of DataFusion that an expression may call, by group.
pub fn allowed() -> &'static [Allowed] {
    static ALL: LazyLock<Vec<Allowed>> = LazyLock::new(|| {
        let of_group =
            |(group, functions): &(&'static str, &'static [(&'static str, &'static str)])| {
                let group = *group;
                functions.iter().map(move |(signature, help)| Allowed {
                    name: signature.split('(').next().unwrap_or_default(),
                    signature,
                    group,
                    help,
                })
            };
        GROUPS.iter().flat_map(of_group).collect()
    });
    &ALL
}

#[cfg(test)]
mod tests {
    use datafusion::execution::FunctionRegistry;
    use datafusion::logical_expr::Volatility;

    use super::*;
    use crate::session;

    #[test]
    fn every_function_exists_under_its_own_name_and_does_not_change() {
        let state = session::compiling();
        for allowed in allowed() {
            let function = state.udf(allowed.name).expect(allowed.name);
            assert_eq!(function.name(), allowed.name);
            assert_eq!(
                function.signature().volatility,
                Volatility::Immutable,
                "{}",
                allowed.name
            );
        }
    }

    #[test]
    fn groups_are_sorted_and_other_names_are_names_too() {
        let state = session::compiling();
        for (group, functions) in GROUPS {
            assert!(functions.is_sorted_by(|a, b| a.0 < b.0), "{group}");
        }
        for allowed in allowed() {
            assert!(allowed.help.ends_with('.'), "{}", allowed.name);
            let Some((_, also)) = allowed.help.split_once("Also ") else {
                continue;
            };
            for name in also
                .split('`')
                .skip(1)
                .step_by(2)
                .filter(|name| !name.contains([' ', '[']))
            {
                let function = state.udf(name).expect(name);
                assert_eq!(function.name(), allowed.name);
            }
        }
    }
}
