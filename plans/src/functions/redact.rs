//! Decides which keys contain credentials. A glob without a dot is matched with the last
//! segment of a key. A glob with dots is matched with the whole dotted key.
//! `redact_query(text)` replaces such parameters in a URL or a query string.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::definition::{Definition, Returns, one_text};
use super::glob;
use super::text::{map_parts, text_type};

pub(super) static REDACT_QUERY: Definition = Definition {
    name: "redact_query",
    arguments: one_text,
    returns: Returns::Fixed(text_type),
    invoke: |args| {
        let redaction = Redaction::default();
        map_parts(args, |text| Some(redaction.query(text)))
    },
};

/// Replaces a credential.
pub(crate) const REDACTED: &str = "[redacted]";

/// Keys that contain credentials in known logs.
const DEFAULT: &[&str] = &[
    "*password*",
    "*passwd*",
    "*passphrase*",
    "*secret",
    "secret*key*",
    "*secretkey",
    "clientSecret",
    "client_secret",
    "secretString",
    "secretBinary",
    "*privateKey",
    "*privateKeyPem",
    "*private_key",
    "*private_key_pem",
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "*sessionToken",
    "*session_token",
    "*accessToken",
    "*access_token",
    "*refreshToken",
    "*refresh_token",
    "*idToken",
    "id_token",
    "*securityToken",
    "*security-token",
    "token",
    "authToken",
    "auth_token",
    "*apiKey",
    "*api_key",
    "x-api-key",
    "*credential",
    "X-Amz-Signature",
    "signature",
    "sig",
    "SAMLAssertion",
    "SAMLResponse",
    "webIdentityToken",
    "plaintext",
];

/// The rules that decide which keys contain credentials.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Redaction {
    pub(crate) globs: Vec<String>,
    pub(crate) keep: Vec<String>,
}

impl Default for Redaction {
    fn default() -> Self {
        Self::new(&[], &[])
    }
}

impl Redaction {
    pub(crate) fn new(add: &[String], keep: &[String]) -> Self {
        let defaults = DEFAULT.iter().map(|glob| (*glob).to_owned());
        let is_kept = |glob: &String| keep.iter().any(|k| k.eq_ignore_ascii_case(glob));
        Self {
            globs: defaults
                .filter(|glob| !is_kept(glob))
                .chain(add.iter().cloned())
                .collect(),
            keep: keep.to_vec(),
        }
    }

    /// Returns the literal argument of functions.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("lists of texts are JSON")
    }

    /// Whether the value at a dotted key is a credential.
    pub(crate) fn hides(&self, key: &str) -> bool {
        matches_any(&self.globs, key) && !matches_any(&self.keep, key)
    }

    /// Replaces the credentials in a URL, request target or query string.
    pub(crate) fn query<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let start = text.find('?').map_or(0, |at| at + 1);
        let (before, query) = text.split_at(start);
        let hidden = |pair: &&str| {
            let key = pair.split_once('=').map(|(key, _)| key);
            key.is_some_and(|key| self.hides(key))
        };
        if !query.split('&').any(|pair| hidden(&pair)) {
            return Cow::Borrowed(text);
        }
        let pairs: Vec<Cow<str>> = query
            .split('&')
            .map(|pair| match pair.split_once('=') {
                Some((key, _)) if hidden(&pair) => Cow::Owned(format!("{key}={REDACTED}")),
                _ => Cow::Borrowed(pair),
            })
            .collect();
        Cow::Owned(format!("{before}{}", pairs.join("&")))
    }
}

fn matches_any(globs: &[String], key: &str) -> bool {
    let name = last_segment(key);
    globs.iter().any(|glob| match glob.contains('.') {
        true => glob::matches(glob, key) || glob::matches(glob, &key.replace("[]", "")),
        false => glob::matches(glob, name),
    })
}

/// Returns the last segment without quotes and list marks.
fn last_segment(key: &str) -> &str {
    let key = key.trim_end_matches("[]");
    if let Some(inner) = key.strip_suffix('"') {
        return inner.rsplit_once('"').map_or(inner, |(_, name)| name);
    }
    key.rsplit_once('.').map_or(key, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_hidden_at_any_depth() {
        let redaction = Redaction::new(
            &["requestParameters.pin".into()],
            &["*.public.token".into()],
        );
        for key in [
            "responseElements.credentials.sessionToken",
            "a[].Password",
            "headers.\"x-amz.token\".Authorization",
            "requestParameters.pin",
            "responseElements.accessKey.secretAccessKey",
        ] {
            assert!(redaction.hides(key), "{key}");
        }
        for key in [
            "pin",
            "accessKeyId",
            "a.public.token",
            "tokenized",
            "principalId",
        ] {
            assert!(!redaction.hides(key), "{key}");
        }
    }

    #[test]
    fn a_default_is_removed_by_name() {
        let redaction = Redaction::new(&[], &["cookie".into()]);
        assert!(!redaction.hides("http.cookie"));
    }

    #[test]
    fn signed_queries_lose_their_signature() {
        let redaction = Redaction::default();
        assert_eq!(
            redaction.query("/a?X-Amz-Date=1&X-Amz-Signature=abc&x-amz-security-token=t&b"),
            "/a?X-Amz-Date=1&X-Amz-Signature=[redacted]&x-amz-security-token=[redacted]&b"
        );
        assert_eq!(redaction.query("/a?b=c"), "/a?b=c");
    }
}
