//! Texts that are not UTF-8: what is shown of them, and the bytes that this leaves out.

use std::fmt::Write;

/// The text with U+FFFD in place of bytes that are not UTF-8, and these bytes as escapes. A
/// space separates the bytes of two places. `None` if the text is UTF-8.
pub(crate) fn replaced(text: &[u8]) -> Option<(String, String)> {
    if std::str::from_utf8(text).is_ok() {
        return None;
    }
    let mut shown = String::with_capacity(text.len() + 8);
    let mut bytes = String::new();
    for chunk in text.utf8_chunks() {
        shown.push_str(chunk.valid());
        if chunk.invalid().is_empty() {
            continue;
        }
        shown.push(char::REPLACEMENT_CHARACTER);
        if !bytes.is_empty() {
            bytes.push(' ');
        }
        for byte in chunk.invalid() {
            // Writing to a text cannot fail.
            let _ = write!(bytes, "\\x{byte:02x}");
        }
    }
    Some((shown, bytes))
}

/// The key in `_extra` of the bytes that a column's text cannot show.
pub(crate) fn bytes_key(column: &str) -> String {
    format!("{column}_bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_not_shown_are_named_in_order() {
        assert_eq!(replaced("é".as_bytes()), None);
        let text = b"a\xd7\xc2\xbd\xe2\x82 \xff\xfe";
        assert_eq!(
            replaced(text),
            Some((
                "a\u{fffd}½\u{fffd} \u{fffd}\u{fffd}".to_owned(),
                r"\xd7 \xe2\x82 \xff \xfe".to_owned()
            ))
        );
    }
}
