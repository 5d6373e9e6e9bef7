//! Keeps the texts of values that would be written differently from how the source has them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::rows::write_json_string;

/// Whether any column of the current row keeps a text. The columns and their rows share it, and
/// no other thread does.
#[derive(Clone, Debug, Default)]
pub(crate) struct AnyKept(Arc<AtomicBool>);

impl AnyKept {
    /// Whether a text was kept since the last call.
    pub(crate) fn take(&self) -> bool {
        let is_kept = self.0.load(Ordering::Relaxed);
        if is_kept {
            self.0.store(false, Ordering::Relaxed);
        }
        is_kept
    }

    fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The text of one column in the current row, if it is kept.
pub(crate) struct Written {
    /// The name of the column as a JSON key, with its colon.
    key: Vec<u8>,
    text: Vec<u8>,
    is_kept: bool,
    any: AnyKept,
}

impl Written {
    pub(crate) fn new(column: &str, any: AnyKept) -> Self {
        let mut key = Vec::new();
        write_json_string(&mut key, column);
        key.push(b':');
        Self {
            key,
            text: Vec::new(),
            is_kept: false,
            any,
        }
    }

    pub(crate) fn keep(&mut self, text: &[u8]) {
        self.text.clear();
        self.text.extend_from_slice(text);
        self.is_kept = true;
        self.any.set();
    }

    pub(crate) fn forget(&mut self) {
        self.is_kept = false;
    }

    /// Appends the text as a member of a JSON object, and forgets it.
    pub(crate) fn take(&mut self, members: &mut Vec<u8>) {
        if !std::mem::take(&mut self.is_kept) {
            return;
        }
        if !members.is_empty() {
            members.push(b',');
        }
        members.extend_from_slice(&self.key);
        write_json_string(members, &String::from_utf8_lossy(&self.text));
    }
}

/// Whether the integer in `text` is written as `text`.
pub(crate) fn is_plain_integer(text: &[u8]) -> bool {
    match text {
        b"0" => true,
        [b'0', ..] | [b'-', b'0', ..] => false,
        _ => true,
    }
}

/// Whether everything that writes numbers writes the double in `text` as `text`. Very large and
/// very small numbers are not, as their exponents are written in several ways.
pub(crate) fn is_plain_double(text: &[u8]) -> bool {
    let text = std::str::from_utf8(text).unwrap_or_default();
    let Ok(number) = text.parse::<f64>() else {
        return false;
    };
    let is_usual = number == 0.0 || (1e-3..1e15).contains(&number.abs());
    is_usual && format!("{number:?}") == text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_numbers_are_written_as_they_are() {
        for text in ["0", "7", "-17", "9223372036854775807"] {
            assert!(is_plain_integer(text.as_bytes()), "{text}");
        }
        for text in ["00", "007", "-0", "-07"] {
            assert!(!is_plain_integer(text.as_bytes()), "{text}");
        }
        for text in ["0.0", "1.5", "-0.001", "123456.789"] {
            assert!(is_plain_double(text.as_bytes()), "{text}");
        }
        for text in ["1", "1.50", "1e3", "01.5", "+1.5", "1e300", "0.00001"] {
            assert!(!is_plain_double(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn a_text_is_taken_once() {
        let any = AnyKept::default();
        let mut written = Written::new("a\"b", any.clone());
        assert!(!any.take());
        let mut members = b"\"x\":\"1\"".to_vec();
        written.keep(b"00\n");
        assert!(any.take() && !any.take());
        written.take(&mut members);
        written.take(&mut members);
        assert_eq!(
            String::from_utf8(members).unwrap(),
            r#""x":"1","a\"b":"00\n""#
        );
    }
}
