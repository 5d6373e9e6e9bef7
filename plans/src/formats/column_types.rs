//! The types that a column may be declared with.

use crate::spec::{Column, ColumnKind, Composite, TimeUnit};

/// A type of columns, as `source.toml` names it.
#[derive(Debug)]
pub struct ColumnType {
    /// Name in `source.toml`.
    pub name: &'static str,
    /// What it reads, in one line.
    pub reads: &'static str,
    /// A text that it reads.
    pub example: &'static str,
    /// The type of the column's own values.
    pub kind: ColumnKind,
    /// How its texts are cut into parts, if they are.
    pub composite: Option<Composite>,
}

impl ColumnType {
    const fn plain(
        name: &'static str,
        kind: ColumnKind,
        reads: &'static str,
        example: &'static str,
    ) -> Self {
        Self {
            name,
            reads,
            example,
            kind,
            composite: None,
        }
    }

    const fn composite(
        name: &'static str,
        composite: Composite,
        kind: ColumnKind,
        reads: &'static str,
        example: &'static str,
    ) -> Self {
        Self {
            name,
            reads,
            example,
            kind,
            composite: Some(composite),
        }
    }
}

/// Every type. Other times are written `{ strftime = "…" }`, and several formats
/// `{ time = ["epoch_s", "rfc3339"] }`.
#[rustfmt::skip]
pub static COLUMN_TYPES: &[ColumnType] = {
    use ColumnKind::{Boolean, Double, Epoch, Int32, Int64, Ip, Json, Rfc3339, Text};
    &[
        ColumnType::plain("text", Text, "any text", "alice"),
        ColumnType::plain("int", Int32, "an integer of 32 bits", "443"),
        ColumnType::plain("long", Int64, "an integer of 64 bits", "5000000000"),
        ColumnType::plain("double", Double, "a decimal number", "0.25"),
        ColumnType::plain("boolean", Boolean, "true, false, yes, no, 1 or 0, in any case", "true"),
        ColumnType::plain("ip", Ip, "an IPv4 or IPv6 address, which is stored in its shortest form", "2001:db8::1"),
        ColumnType::plain("json", Json, "JSON; `column.member` reads into it", r#"{"member": 1}"#),
        ColumnType::plain("epoch_s", Epoch(TimeUnit::Second), "seconds since 1970, also with a fraction", "1705312800.25"),
        ColumnType::plain("epoch_ms", Epoch(TimeUnit::Millisecond), "milliseconds since 1970", "1705312800250"),
        ColumnType::plain("epoch_us", Epoch(TimeUnit::Microsecond), "microseconds since 1970", "1705312800250000"),
        ColumnType::plain("epoch_ns", Epoch(TimeUnit::Nanosecond), "nanoseconds since 1970", "1705312800250000000"),
        ColumnType::plain("rfc3339", Rfc3339, "a date and time, with T or a space; without an offset it is UTC", "2024-01-15 10:00:00+01:00"),
        ColumnType::composite("ip_port", Composite::IpPort, Text, "an address and a port: `column.ip`, `column.port`", "[2001:db8::1]:443"),
        ColumnType::composite("windows_user", Composite::WindowsUser, Text, "a user of a domain, or name@domain: `column.domain`, `column.name`", r"EXAMPLE\alice"),
        ColumnType::composite("request_line", Composite::RequestLine, Text, "an HTTP request: `column.method`, `column.path`, `column.version`", "GET /index.html HTTP/1.1"),
        ColumnType::composite("pairs", Composite::Pairs, Json, "names and values, which `column.name` reads", r#"a=1, b="x y""#),
    ]
};

/// Returns the type of a column as `source.toml` has it, such as `epoch_s`.
pub fn declared_type(column: &Column) -> String {
    let name = |kind: &ColumnKind, composite: Option<Composite>| {
        let is_it = |ty: &&ColumnType| ty.kind == *kind && ty.composite == composite;
        COLUMN_TYPES.iter().find(is_it).map(|ty| ty.name)
    };
    if let Some(name) = name(&column.kind, column.composite) {
        return name.to_owned();
    }
    match &column.kind {
        ColumnKind::Strftime(pattern) => format!("{{ strftime = \"{pattern}\" }}"),
        ColumnKind::Times(kinds) => {
            let formats = kinds.iter().map(|kind| match kind {
                ColumnKind::Strftime(pattern) => format!("\"{pattern}\""),
                kind => format!("\"{}\"", name(kind, None).unwrap_or_default()),
            });
            format!("{{ time = [{}] }}", formats.collect::<Vec<_>>().join(", "))
        }
        kind => format!("{kind:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::column::{ARENA, ColumnBuilder, Span};
    use crate::decode::composite;

    #[test]
    fn every_type_reads_its_example() {
        for ty in COLUMN_TYPES {
            let mut builder = ColumnBuilder::new(&Column::new(ty.name, ty.kind.clone()));
            let text = Span {
                bytes: ty.example.as_bytes(),
                buffer: ARENA,
                offset: 0,
            };
            assert_eq!(builder.set(0, text, &mut Vec::new()), Ok(()), "{}", ty.name);
            let Some(composite) = ty.composite else {
                continue;
            };
            assert_eq!(composite.kind(), ty.kind, "{}", ty.name);
            let parts = composite::parts(composite, ty.example);
            let count = composite.parts().len();
            let is_cut = parts.is_some_and(|parts| parts[..count].iter().all(Option::is_some));
            assert!(is_cut || composite == Composite::Pairs, "{}", ty.name);
        }
    }

    #[test]
    fn types_are_shown_as_they_are_declared() {
        for ty in COLUMN_TYPES {
            let column = Column {
                composite: ty.composite,
                ..Column::new("a", ty.kind.clone())
            };
            assert_eq!(declared_type(&column), ty.name);
        }
        let day = ColumnKind::Strftime("%Y".to_owned());
        let column = Column::new("a", day.clone());
        assert_eq!(declared_type(&column), "{ strftime = \"%Y\" }");
        let times = ColumnKind::Times(vec![ColumnKind::Rfc3339, day]);
        let column = Column::new("a", times);
        assert_eq!(declared_type(&column), "{ time = [\"rfc3339\", \"%Y\"] }");
    }
}
