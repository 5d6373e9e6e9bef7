//! Parses texts to values, without allocation on the common paths.

use std::io::Write;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// The longest text of an IPv6 address.
const IP_TEXT: usize = 45;

/// Parses a 64-bit integer.
pub(crate) fn integer(text: &[u8]) -> Option<i64> {
    let (digits, negative) = match text {
        [b'-', digits @ ..] => (digits, true),
        digits => (digits, false),
    };
    if digits.is_empty() {
        return None;
    }
    // 18 digits cannot overflow, so only longer texts need the check.
    let value = if digits.len() <= 18 {
        short_integer(digits)?
    } else {
        return std::str::from_utf8(text).ok()?.parse().ok();
    };
    Some(if negative { -value } else { value })
}

fn short_integer(digits: &[u8]) -> Option<i64> {
    let mut value = 0;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(value)
}

/// Parses a finite decimal number.
pub(crate) fn double(text: &[u8]) -> Option<f64> {
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    value.is_finite().then_some(value)
}

pub(crate) fn boolean(text: &[u8]) -> Option<bool> {
    let is = |word: &str| text.eq_ignore_ascii_case(word.as_bytes());
    if is("true") || is("1") || is("yes") {
        Some(true)
    } else if is("false") || is("0") || is("no") {
        Some(false)
    } else {
        None
    }
}

/// An IP address in its canonical form.
pub(crate) enum Ip {
    /// The text is already canonical.
    AsWritten,
    Rewritten(IpText),
}

/// A short text on the stack.
pub(crate) struct IpText {
    bytes: [u8; IP_TEXT],
    length: usize,
}

impl IpText {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Parses an IPv4 or IPv6 address in any unambiguous notation.
pub(crate) fn ip(text: &[u8]) -> Option<Ip> {
    if is_ipv4(text) {
        return Some(Ip::AsWritten);
    }
    let text = std::str::from_utf8(text).ok()?;
    let canonical = ipv6_text(Ipv6Addr::from_str(text).ok()?);
    if canonical.as_bytes() == text.as_bytes() {
        Some(Ip::AsWritten)
    } else {
        Some(Ip::Rewritten(canonical))
    }
}

fn ipv6_text(address: Ipv6Addr) -> IpText {
    let mut bytes = [0; IP_TEXT];
    let mut free = &mut bytes[..];
    write!(free, "{address}").expect("45 bytes hold any IPv6 address");
    let left = free.len();
    IpText {
        bytes,
        length: IP_TEXT - left,
    }
}

/// Whether the text has four decimal octets without leading zeros, which is the canonical
/// form. It takes one pass, as most columns of flow logs are such addresses.
fn is_ipv4(text: &[u8]) -> bool {
    let (mut dots, mut digits, mut octet) = (0, 0, 0);
    for byte in text {
        let digit = u32::from(byte.wrapping_sub(b'0'));
        if *byte == b'.' && digits > 0 {
            dots += 1;
            (digits, octet) = (0, 0);
            continue;
        }
        let has_leading_zero = digits > 0 && octet == 0;
        octet = octet * 10 + digit;
        digits += 1;
        if digit > 9 || has_leading_zero || octet > 255 {
            return false;
        }
    }
    dots == 3 && digits > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_parsed_up_to_their_limits() {
        for (text, value) in [
            ("0", Some(0)),
            ("-17", Some(-17)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("", None),
            ("-", None),
            ("1a", None),
            ("+1", None),
            ("1.0", None),
        ] {
            assert_eq!(integer(text.as_bytes()), value, "{text}");
        }
    }

    fn canonical(text: &str) -> Option<String> {
        Some(match ip(text.as_bytes())? {
            Ip::AsWritten => text.to_owned(),
            Ip::Rewritten(text) => String::from_utf8_lossy(text.as_bytes()).into_owned(),
        })
    }

    #[test]
    fn addresses_become_canonical() {
        for (text, expected) in [
            ("10.0.0.1", Some("10.0.0.1")),
            ("255.255.255.255", Some("255.255.255.255")),
            ("2001:DB8:0:0:0:0:0:1", Some("2001:db8::1")),
            ("::ffff:10.0.0.1", Some("::ffff:10.0.0.1")),
            ("010.0.0.1", None),
            ("0.0.0.0", Some("0.0.0.0")),
            ("1..2.3", None),
            ("1.2.3.", None),
            ("1.2.3.4.5", None),
            ("99999999999999999999", None),
            ("10.0.0", None),
            ("10.0.0.256", None),
            ("-", None),
            ("", None),
        ] {
            assert_eq!(canonical(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn infinite_numbers_are_rejected() {
        assert_eq!(double(b"1.5e3"), Some(1500.0));
        assert_eq!(double(b"NaN"), None);
        assert_eq!(double(b"inf"), None);
    }

    #[test]
    fn booleans_have_few_spellings() {
        assert_eq!(boolean(b"True"), Some(true));
        assert_eq!(boolean(b"no"), Some(false));
        assert_eq!(boolean(b"2"), None);
    }
}
