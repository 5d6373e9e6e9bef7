//! `try_ip(text)`: the canonical form of an IP address, or NULL if the text is not one.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};

use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

use super::definition::{Definition, Returns, one_text};
use super::text::{map_parts, text_type};

pub(super) static TRY_IP: Definition = Definition {
    name: "try_ip",
    arguments: one_text,
    returns: Returns::Fixed(text_type),
    invoke,
};

fn invoke(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    map_parts(args, canonical)
}

/// Returns the canonical form of an address.
pub(super) fn canonical(text: &str) -> Option<Cow<'_, str>> {
    let trimmed = text.trim_ascii();
    if trimmed.parse::<Ipv4Addr>().is_ok() {
        return Some(Cow::Borrowed(trimmed));
    }
    let address: IpAddr = trimmed.parse().ok()?;
    Some(Cow::Owned(address.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_texts_are_null() {
        assert_eq!(canonical(" 10.0.0.1 ").as_deref(), Some("10.0.0.1"));
        assert_eq!(canonical("2001:DB8:0::1").as_deref(), Some("2001:db8::1"));
        for other in ["-", "", "ec2.amazonaws.com", "10.0.0.1:80", "300.1.1.1"] {
            assert_eq!(canonical(other), None, "{other}");
        }
    }
}
