//! The protocol's `Load` and our terms.

use super::proto;
use crate::load::check::Invalid;
use crate::load::terms::Terms;

/// Refuses what is not a load's id: 32 hexadecimal digits.
pub fn load_id(field: &'static str, id: &str) -> Result<(), Invalid> {
    let is_digit = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    match id.len() == 32 && id.bytes().all(is_digit) {
        true => Ok(()),
        false => Err(Invalid::new(
            field,
            "is not the id of a load",
            "send 32 hexadecimal digits",
        )),
    }
}

/// The terms of a load that a client sent, checked.
pub fn received(load: &proto::Load) -> Result<Terms, Invalid> {
    let terms: Terms = serde_json::from_str(&load.terms_json).map_err(|error| {
        Invalid::new(
            "load.terms_json",
            format!("cannot be read: {error}"),
            "use the same version of lakebolt on both sides",
        )
    })?;
    terms.check()?;
    Ok(terms)
}

/// The terms as they are sent.
pub fn sent(terms: &Terms) -> Result<proto::Load, serde_json::Error> {
    Ok(proto::Load {
        terms_json: serde_json::to_string(terms)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::terms::example;

    #[test]
    fn terms_are_received_as_they_were_sent() {
        let load = sent(&example()).expect("they are JSON");
        assert_eq!(received(&load), Ok(example()));
    }

    #[track_caller]
    fn refused(terms_json: String) -> Invalid {
        let invalid = received(&proto::Load { terms_json });
        let invalid = invalid.expect_err("it is refused");
        assert!(!invalid.remedy.is_empty());
        invalid
    }

    #[test]
    fn terms_that_cannot_be_read_are_refused_with_the_reason() {
        let json = |change: &dyn Fn(&mut serde_json::Value)| {
            let mut json = serde_json::to_value(example()).expect("they are JSON");
            change(&mut json);
            json.to_string()
        };
        for (terms_json, what) in [
            (String::new(), "EOF while parsing"),
            ("{}".to_owned(), "missing field `inputs`"),
            (
                json(&|terms| terms["example"] = 1.into()),
                "unknown field `example`",
            ),
            (
                json(&|terms| terms["shape"] = "cooked".into()),
                "unknown variant `cooked`",
            ),
            (
                json(&|terms| terms["range"] = "Never".into()),
                "unknown variant `Never`",
            ),
            (
                json(&|terms| terms["max_quarantine"] = ().into()),
                "invalid type: null",
            ),
            (
                json(&|terms| terms["margin"] = (-1).into()),
                "invalid value",
            ),
        ] {
            let invalid = refused(terms_json);
            assert_eq!(invalid.field, "load.terms_json");
            assert!(invalid.what.contains(what), "{}", invalid.what);
            assert!(invalid.remedy.contains("same version"));
        }
    }

    #[test]
    fn terms_out_of_bounds_are_refused() {
        let mut terms = example();
        terms.max_attempts = 0;
        let load = sent(&terms).expect("they are JSON");
        assert_eq!(refused(load.terms_json).field, "max_attempts");
    }

    #[test]
    fn an_id_is_32_hexadecimal_digits() {
        assert!(load_id("load_id", &"0a".repeat(16)).is_ok());
        for wrong in ["", "0a", &"0A".repeat(16), &"zz".repeat(16)] {
            assert!(load_id("load_id", wrong).is_err(), "{wrong}");
        }
    }
}
