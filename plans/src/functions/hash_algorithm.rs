//! `hash_algorithm(hex)`: the caption of the algorithm that makes digests of that length.

use std::sync::Arc;

use arrow::array::StringViewArray;
use datafusion::logical_expr::ColumnarValue;

use super::definition::{Definition, Returns, one_text};
use super::text::{column, text_type};

pub(super) static HASH_ALGORITHM: Definition = Definition {
    name: "hash_algorithm",
    arguments: one_text,
    returns: Returns::Fixed(text_type),
    invoke: |args| {
        let source = column(args, 0)?;
        let captions: StringViewArray = source.iter().map(|hex| algorithm(hex?)).collect();
        Ok(ColumnarValue::Array(Arc::new(captions)))
    },
};

/// Returns a caption of the enum `algorithm_id` of OCSF's fingerprints.
fn algorithm(hex: &str) -> Option<&'static str> {
    let caption = match hex.len() {
        32 => "MD5",
        40 => "SHA-1",
        64 => "SHA-256",
        128 => "SHA-512",
        _ => return None,
    };
    let is_hex = hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then_some(caption)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ocsf;

    #[test]
    fn every_caption_is_one_of_ocsf() {
        for version in ocsf::versions() {
            let schema = ocsf::schema(version).expect("it is pinned");
            let fingerprint = schema.object("fingerprint").expect("all versions have it");
            let ids = fingerprint
                .attributes
                .get("algorithm_id")
                .expect("it has an id");
            let ids = ids.enumeration.as_ref().expect("it is an enum");
            for length in [32, 40, 64, 128] {
                let caption = algorithm(&"0aF".repeat(43)[..length]).expect("it is a digest");
                assert!(ids.id(caption).is_some(), "{caption} in {version}");
            }
        }
    }

    #[test]
    fn other_texts_are_no_digests() {
        for text in ["", "a", "g".repeat(32).as_str(), "é".repeat(16).as_str()] {
            assert_eq!(algorithm(text), None, "{text}");
        }
    }
}
