//! Decides whether a text is a value of a column's type, without a column to put it into.

use super::time::TimeFormat;
use super::value;
use crate::spec::ColumnKind;

/// The test of a type that not every text has.
#[derive(Debug)]
pub(crate) enum KindCheck {
    Ip,
    Int32,
    Int64,
    Double,
    Boolean,
    Time(TimeFormat),
}

impl KindCheck {
    /// Returns the test of a type. `None`: every text is a value of it.
    pub(crate) fn of(kind: &ColumnKind) -> Option<Self> {
        if let Some(format) = TimeFormat::of(kind) {
            return Some(Self::Time(format));
        }
        Some(match kind {
            ColumnKind::Ip => Self::Ip,
            ColumnKind::Int32 => Self::Int32,
            ColumnKind::Int64 => Self::Int64,
            ColumnKind::Double => Self::Double,
            ColumnKind::Boolean => Self::Boolean,
            _ => return None,
        })
    }

    pub(crate) fn fits(&self, text: &[u8]) -> bool {
        match self {
            Self::Ip => value::ip(text).is_some(),
            Self::Int32 => value::integer(text).is_some_and(|value| i32::try_from(value).is_ok()),
            Self::Int64 => value::integer(text).is_some(),
            Self::Double => value::double(text).is_some(),
            Self::Boolean => value::boolean(text).is_some(),
            Self::Time(format) => format.read(text).is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::TimeUnit;

    #[test]
    fn a_text_fits_if_the_column_would_take_it() {
        for (kind, good, bad) in [
            (ColumnKind::Ip, "192.0.2.1", "192.0.2"),
            (ColumnKind::Int32, "-7", "5000000000"),
            (ColumnKind::Int64, "5000000000", "5.0"),
            (ColumnKind::Double, "1.5", "NaN"),
            (ColumnKind::Boolean, "yes", "maybe"),
            (ColumnKind::Epoch(TimeUnit::Second), "1700000000", "now"),
        ] {
            let check = KindCheck::of(&kind).unwrap();
            assert!(check.fits(good.as_bytes()), "{kind:?} {good}");
            assert!(!check.fits(bad.as_bytes()), "{kind:?} {bad}");
        }
        assert!(KindCheck::of(&ColumnKind::Text).is_none());
    }
}
