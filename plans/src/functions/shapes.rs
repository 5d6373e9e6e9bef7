//! The shapes of OCSF's text types, as checks of bytes.

/// Whether a text is an IPv4 address.
pub(super) fn is_ipv4(text: &[u8]) -> bool {
    if text.len() > 15 {
        return false;
    }
    let mut octets = 0;
    for octet in text.split(|byte| *byte == b'.') {
        octets += 1;
        let is_number = match octet {
            [a] => a.is_ascii_digit(),
            [b'1'..=b'9', b] => b.is_ascii_digit(),
            [b'1', b, c] => b.is_ascii_digit() && c.is_ascii_digit(),
            [b'2', b'0'..=b'4', c] => c.is_ascii_digit(),
            [b'2', b'5', c] => matches!(c, b'0'..=b'5'),
            _ => false,
        };
        if !is_number {
            return false;
        }
    }
    octets == 4
}

/// Whether a text is a name of labels between dots, which IPv4 addresses are too. Underscores
/// are allowed: names of Windows hosts and of services have them.
pub(super) fn is_hostname(text: &[u8]) -> bool {
    let name = text.strip_suffix(b".").unwrap_or(text);
    name.len() <= 253 && name.split(|byte| *byte == b'.').all(is_label)
}

fn is_label(label: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    label.len() <= 63
        && label.iter().all(allowed)
        // A lone hyphen means that there is no name.
        && label.iter().any(u8::is_ascii_alphanumeric)
}

/// Whether a text is a mail address: `local@domain` with a dot in the domain.
pub(super) fn is_email(text: &[u8]) -> bool {
    let Some(at) = text.iter().position(|byte| *byte == b'@') else {
        return false;
    };
    let (local, domain) = (&text[..at], &text[at + 1..]);
    let is_local =
        |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(byte);
    let is_domain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    let dot = domain.iter().position(|byte| *byte == b'.');
    !local.is_empty()
        && local.iter().all(is_local)
        && domain.iter().all(is_domain)
        && dot.is_some_and(|dot| dot > 0 && dot + 1 < domain.len())
}

/// Whether a text is six pairs of hexadecimal digits with colons or hyphens between them.
pub(super) fn is_mac(text: &[u8]) -> bool {
    text.len() == 17
        && text.iter().enumerate().all(|(at, byte)| match at % 3 {
            2 => matches!(byte, b':' | b'-'),
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Whether a text has no white space and no control characters, and is not empty.
pub(super) fn is_url(text: &[u8]) -> bool {
    let is_plain = |byte: &u8| matches!(byte, 0x21..=0x7e);
    let is_visible = |c: char| !c.is_whitespace() && !c.is_control();
    !text.is_empty()
        && (text.iter().all(is_plain)
            || str::from_utf8(text).is_ok_and(|text| text.chars().all(is_visible)))
}

/// Whether a text is hexadecimal digits in groups of 8, 4, 4, 4 and 12.
pub(super) fn is_uuid(text: &[u8]) -> bool {
    text.len() == 36
        && text.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(holds: fn(&[u8]) -> bool, good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(holds(text.as_bytes()), "{text}");
        }
        for text in bad {
            assert!(!holds(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn ipv4_is_read_as_the_standard_library_reads_it() {
        let mut texts: Vec<String> = (0..=300).map(|n| format!("{n}.0.255.{n}")).collect();
        for text in [
            "",
            ".",
            "1.2.3",
            "1.2.3.4.5",
            "01.2.3.4",
            "1.2.3.4 ",
            "1..2.3",
            "+1.2.3.4",
            "1.2.3.a",
            "00.0.0.0",
            "1.2.3.",
            "203.0.113.10:443",
            "255.255.255.2555",
        ] {
            texts.push(text.to_owned());
        }
        for text in texts {
            let expected = text.parse::<std::net::Ipv4Addr>().is_ok();
            assert_eq!(is_ipv4(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn hostnames_are_labels() {
        let long = "a".repeat(63);
        let name = [long.as_str(); 4].join(".");
        check(
            is_hostname,
            &[
                "h",
                "WIN_10-a.example.com.",
                "10.0.0.1",
                "_dmarc.a",
                &name[..253],
            ],
            &[
                "",
                ".",
                "-",
                "a..b",
                "h:443",
                "2001:db8::1",
                "[::1]",
                "a b",
                "é.com",
                "*.a",
                "a/b",
                &name,
                &format!("{long}a"),
            ],
        );
    }

    #[test]
    fn mail_addresses_have_one_at_sign_and_a_dotted_domain() {
        check(
            is_email,
            &[
                "a@b.c",
                "a.b+c_d-e@sub.example.com",
                "u_c.com#EXT#@t.onmicrosoft.com",
            ],
            &[
                "", "@", "a", "a@b", "@b.c", "a@.c", "a@b.", "a@b@c.d", "a b@c.d", "é@b.c",
                "a@b_c.d", "<a@b.c>",
            ],
        );
    }

    #[test]
    fn identifiers_have_their_digits() {
        check(
            is_mac,
            &["00:1A:2b:3c:4D:5e", "00-1A-2b-3c-4D-5e"],
            &[
                "",
                "001A2b3c4D5e",
                "00:1A:2b:3c:4D",
                "00:1A:2b:3c:4D:5g",
                "00:1A:2b:3c:4D:5e:6f",
                "00.1A.2b.3c.4D.5e",
            ],
        );
        check(
            is_uuid,
            &["123e4567-e89b-12d3-A456-426614174000"],
            &[
                "",
                "123e4567e89b12d3a456426614174000",
                "{123e4567-e89b-12d3-a456-426614174000}",
                "123e4567-e89b-12d3-a456-42661417400g",
            ],
        );
    }

    #[test]
    fn urls_have_no_white_space() {
        check(
            is_url,
            &["/", "https://example.com/é?a=b", "-"],
            &[
                "",
                "a b",
                "a\n",
                "a\u{7f}",
                "\u{a0}",
                "a\u{2028}b",
                "\u{85}",
            ],
        );
    }
}
