//! The grammar of `tgt_column`: `segment ("." segment)*` with `segment = name ":" type`.

use super::table::Cell;
use crate::diagnostics::{Diagnostics, Origin, did_you_mean};
use crate::spec::{ColumnKind, Constant};

/// The names of types, and the types that columns are parsed to. `timestamp` and `object`
/// are handled separately.
const SCALARS: &[(&str, ColumnKind)] = &[
    ("string", ColumnKind::Text),
    ("bigint", ColumnKind::Int64),
    ("long", ColumnKind::Int64),
    ("int", ColumnKind::Int32),
    ("integer", ColumnKind::Int32),
    ("double", ColumnKind::Double),
    ("float", ColumnKind::Double),
    ("boolean", ColumnKind::Boolean),
    ("ip", ColumnKind::Ip),
    ("json", ColumnKind::Json),
];

const OBJECT: &str = "object";
const TIMESTAMP: &str = "timestamp";

/// A parsed target: the attribute and its type.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Target {
    pub(super) segments: Vec<String>,
    pub(super) leaf: Leaf,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Leaf {
    Timestamp,
    Scalar(ColumnKind),
    /// A list of one kind of value.
    Array(Box<Leaf>),
}

impl Target {
    pub(super) fn path(&self) -> String {
        self.segments.join(".")
    }
}

/// Parses a target. Mistakes are reported at their segment.
pub(super) fn target(cell: &Cell, found: &mut Diagnostics) -> Option<Target> {
    let mut segments = Vec::new();
    let mut leaf = None;
    let mut column = cell.at.column;
    let parts: Vec<&str> = cell.text.split('.').collect();
    for (index, part) in parts.iter().enumerate() {
        let at = Origin {
            column,
            ..cell.at.clone()
        };
        let is_last = index + 1 == parts.len();
        let (name, read) = segment(part, is_last, &at, found)?;
        segments.push(name);
        leaf = read;
        column += u32::try_from(part.chars().count() + 1).unwrap_or(u32::MAX);
    }
    Some(Target {
        segments,
        leaf: leaf?,
    })
}

fn segment(
    part: &str,
    is_last: bool,
    at: &Origin,
    found: &mut Diagnostics,
) -> Option<(String, Option<Leaf>)> {
    let Some((name, ty)) = part.split_once(':') else {
        let message = format!("`{part}` has no type");
        found.push(
            at,
            message,
            format!("write `{part}:string`, or `{part}:object` before a dot"),
        );
        return None;
    };
    let (name, ty) = (name.trim(), ty.trim().to_ascii_lowercase());
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_name {
        found.push(
            at,
            format!("`{name}` is not an attribute's name"),
            "use letters, digits and `_`",
        );
        return None;
    }
    if is_last {
        return Some((name.to_lowercase(), Some(leaf(&ty, at, found)?)));
    }
    if ty != OBJECT {
        let message = format!("`{name}` has type `{ty}`, though attributes follow it");
        found.push(at, message, format!("write `{name}:object`"));
        return None;
    }
    Some((name.to_lowercase(), None))
}

fn leaf(ty: &str, at: &Origin, found: &mut Diagnostics) -> Option<Leaf> {
    if let Some(item) = ty
        .strip_prefix("array<")
        .and_then(|rest| rest.strip_suffix('>'))
    {
        return Some(Leaf::Array(Box::new(leaf(item.trim(), at, found)?)));
    }
    if ty == TIMESTAMP {
        return Some(Leaf::Timestamp);
    }
    if ty == OBJECT {
        found.push(
            at,
            "an object cannot be set from a column",
            "name one of its attributes, or write `json`",
        );
        return None;
    }
    let scalar = SCALARS.iter().find(|(word, _)| *word == ty);
    if scalar.is_none() {
        let words = SCALARS
            .iter()
            .map(|(word, _)| *word)
            .chain([TIMESTAMP, OBJECT]);
        found.push(at, format!("unknown type `{ty}`"), did_you_mean(ty, words));
    }
    scalar.map(|(_, kind)| Leaf::Scalar(kind.clone()))
}

/// Parses a constant of the target's type.
pub(super) fn constant(text: &str, leaf: &Leaf) -> Result<Constant, String> {
    let wrong = |what: &str| format!("`{text}` is not {what}");
    match leaf {
        Leaf::Scalar(ColumnKind::Int32) => {
            let value: Result<i32, _> = text.parse();
            value
                .map(|v| Constant::Integer(v.into()))
                .map_err(|_| wrong("a 32-bit integer"))
        }
        Leaf::Scalar(ColumnKind::Int64) | Leaf::Timestamp => text
            .parse()
            .map(Constant::Integer)
            .map_err(|_| wrong("an integer")),
        Leaf::Scalar(ColumnKind::Double) => text
            .parse()
            .map(Constant::Double)
            .map_err(|_| wrong("a number")),
        Leaf::Scalar(ColumnKind::Boolean) => {
            let value = text.to_ascii_lowercase().parse();
            value
                .map(Constant::Boolean)
                .map_err(|_| wrong("true or false"))
        }
        Leaf::Scalar(_) => Ok(Constant::Text(text.to_owned())),
        Leaf::Array(item) => {
            let inner = text.trim().trim_start_matches('[').trim_end_matches(']');
            let items = inner
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty());
            let items: Result<_, _> = items
                .map(|one| constant(one.trim_matches(['"', '\'']), item))
                .collect();
            items.map(Constant::List)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(String, Leaf), String> {
        let at = Origin {
            line: 2,
            column: 5,
            ..Origin::default()
        };
        let mut found = Diagnostics::default();
        let target = target(
            &Cell {
                text: text.to_owned(),
                at,
            },
            &mut found,
        );
        target
            .map(|t| (t.path(), t.leaf))
            .ok_or_else(|| found.to_string())
    }

    #[test]
    fn targets_are_paths_with_types() {
        let check = |text: &str, path: &str, leaf: Leaf| {
            assert_eq!(read(text), Ok((path.to_owned(), leaf)))
        };
        let text = || Leaf::Scalar(ColumnKind::Text);
        check(
            "metadata:object.product:object.version:string",
            "metadata.product.version",
            text(),
        );
        check("time:timestamp", "time", Leaf::Timestamp);
        check(
            "traffic:object.bytes:BIGINT",
            "traffic.bytes",
            Leaf::Scalar(ColumnKind::Int64),
        );
        check("x:array<string>", "x", Leaf::Array(Box::new(text())));
    }

    #[test]
    fn a_broken_target_is_reported_at_its_segment() {
        let check = |text: &str, expected: &str| {
            let message = read(text).expect_err("wrong");
            assert!(message.contains(expected), "{message}");
        };
        check("time", ":2:5: `time` has no type");
        check("a:object.b", ":2:14: `b` has no type");
        check("a:string.b:string", "write `a:object`");
        check("a:strng", "did you mean `string`?");
        check("a:object", "an object cannot be set");
        check(":string", "`` is not an attribute's name");
    }

    #[test]
    fn constants_have_their_targets_type() {
        let long = Leaf::Scalar(ColumnKind::Int64);
        assert_eq!(constant("12", &long), Ok(Constant::Integer(12)));
        assert!(constant("x", &long).is_err());
        let list = Leaf::Array(Box::new(Leaf::Scalar(ColumnKind::Text)));
        let expected = ["cloud", "host"].map(|name| Constant::Text(name.to_owned()));
        assert_eq!(
            constant("[cloud, host]", &list),
            Ok(Constant::List(expected.to_vec()))
        );
    }
}
