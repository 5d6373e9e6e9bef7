//! `http_method`, `http_path` and `http_version`: the parts of a request line such as
//! `GET /a?b=c HTTP/1.1`. The target may contain spaces. `-` means that a part is missing.

use std::borrow::Cow;

use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

use super::definition::{Definition, Returns, one_text};
use super::text::{map_parts, text_type};

pub(super) static HTTP_METHOD: Definition = Definition {
    name: "http_method",
    arguments: one_text,
    returns: Returns::Fixed(text_type),
    invoke: |args| part(args, |line| line.method),
};

pub(super) static HTTP_PATH: Definition = Definition {
    name: "http_path",
    arguments: one_text,
    returns: Returns::Fixed(text_type),
    invoke: |args| part(args, |line| line.target),
};

pub(super) static HTTP_VERSION: Definition = Definition {
    name: "http_version",
    arguments: one_text,
    returns: Returns::Fixed(text_type),
    invoke: |args| part(args, |line| line.version),
};

struct RequestLine<'a> {
    method: &'a str,
    target: &'a str,
    version: &'a str,
}

fn part(
    args: &ScalarFunctionArgs,
    choose: impl for<'a> Fn(RequestLine<'a>) -> &'a str,
) -> Result<ColumnarValue> {
    map_parts(args, |line| {
        let part = choose(split(line));
        (!part.is_empty() && part != "-").then_some(Cow::Borrowed(part))
    })
}

fn split(line: &str) -> RequestLine<'_> {
    let (method, rest) = line.split_once(' ').unwrap_or((line, ""));
    let (target, version) = match rest.rsplit_once(' ') {
        Some((target, version)) if version.starts_with("HTTP/") || version == "-" => {
            (target, version)
        }
        None if rest.starts_with("HTTP/") => ("", rest),
        _ => (rest, ""),
    };
    RequestLine {
        method,
        target: target.trim_ascii(),
        version: version.trim_ascii(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: [&str; 3]) {
        let found = split(line);
        assert_eq!([found.method, found.target, found.version], expected);
    }

    #[test]
    fn a_request_line_is_split_into_three_parts() {
        check("GET /a?b=c HTTP/1.1", ["GET", "/a?b=c", "HTTP/1.1"]);
        check("GET /a b c HTTP/1.1", ["GET", "/a b c", "HTTP/1.1"]);
        check("- http://x:80- -", ["-", "http://x:80-", "-"]);
        check("GET /a", ["GET", "/a", ""]);
        check("-", ["-", "", ""]);
        check("", ["", "", ""]);
    }
}
