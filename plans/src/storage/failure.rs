//! Explains failures of stores in one line, and how to fix them. Stores answer with XML,
//! status codes and chains of causes, which users should not have to read.

use std::error::Error;
use std::fmt;
use std::fmt::Write;

use tracing::debug;

use super::s3::ConnectError;
use crate::reported::with_causes;

/// Maximum number of characters of a store's message that are shown.
const MESSAGE: usize = 300;

/// The kind of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The object does not exist.
    NotFound,
    /// The bucket does not exist.
    NoBucket,
    /// Permissions are missing.
    Denied,
    /// No credentials were found.
    NoCredentials,
    /// The credentials are wrong or have expired.
    BadCredentials,
    /// The bucket is in another region.
    OtherRegion,
    /// The clock of this machine is wrong.
    ClockSkew,
    /// There are too many requests, or the store failed.
    Busy,
    /// The store did not answer.
    Unreachable,
    /// Any other failure.
    Other,
}

/// A failure of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreFailure {
    /// The kind of failure.
    pub cause: Cause,
    /// One line, without the name of the object.
    pub message: String,
}

impl Cause {
    /// Whether the same request may succeed later.
    pub fn retryable(self) -> bool {
        matches!(self, Self::Busy | Self::Unreachable | Self::Other)
    }

    /// Returns how to fix it, if it is not obvious from the message.
    pub fn remedy(self) -> Option<&'static str> {
        match self {
            Self::NotFound | Self::Other => None,
            Self::NoBucket => {
                Some("check the bucket's name, and that it is in this account's partition")
            }
            Self::Denied => Some(
                "give this identity the S3 permissions that docs/operating.md lists \
                 (`lakebolt doctor` shows the identity), or check the bucket's policy",
            ),
            Self::NoCredentials => Some(
                "set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, \
                 log in with `aws sso login`, or give the pod or instance a role",
            ),
            Self::BadCredentials => {
                Some("renew the credentials, and check that key and secret match")
            }
            Self::OtherRegion => Some("set AWS_REGION to the bucket's region"),
            Self::ClockSkew => {
                Some("set this machine's clock: AWS refuses more than 15 minutes of difference")
            }
            Self::Busy => Some("run it again; published data is kept"),
            Self::Unreachable => Some("check the network, and AWS_ENDPOINT_URL if it is set"),
        }
    }

    fn of_code(code: &str) -> Option<Self> {
        Some(match code {
            "NoSuchKey" | "NoSuchUpload" | "InvalidPart" => Self::NotFound,
            "NoSuchBucket" => Self::NoBucket,
            "AccessDenied" | "AllAccessDisabled" | "AccountProblem" | "Forbidden" => Self::Denied,
            "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "InvalidToken"
            | "ExpiredToken"
            | "TokenRefreshRequired"
            | "InvalidClientTokenId" => Self::BadCredentials,
            "PermanentRedirect" | "TemporaryRedirect" | "AuthorizationHeaderMalformed" => {
                Self::OtherRegion
            }
            "RequestTimeTooSkewed" | "RequestExpired" => Self::ClockSkew,
            "SlowDown"
            | "ServiceUnavailable"
            | "InternalError"
            | "RequestTimeout"
            | "Throttling"
            | "ThrottlingException"
            | "TooManyRequests" => Self::Busy,
            _ => return None,
        })
    }
}

impl StoreFailure {
    /// Finds the cause of `error`.
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        let text = with_causes(error);
        debug!("a store failed: {text}");
        if let Some(connect) = find::<ConnectError>(error) {
            return Self {
                cause: connect.cause(),
                message: connect.to_string(),
            };
        }
        let code = element(&text, "Code");
        let cause = code.and_then(Cause::of_code);
        let cause = cause
            .or_else(|| cause_of_error(error))
            .unwrap_or_else(|| cause_of_text(&text));
        Self {
            cause,
            message: message(cause, code, &text),
        }
    }
}

impl fmt::Display for StoreFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for StoreFailure {}

impl From<object_store::Error> for StoreFailure {
    fn from(error: object_store::Error) -> Self {
        Self::of(&error)
    }
}

/// Returns the cause by the kind of error. The response to a HEAD has no body with a code.
fn cause_of_error(error: &(dyn Error + 'static)) -> Option<Cause> {
    match find::<object_store::Error>(error)? {
        object_store::Error::NotFound { .. } => Some(Cause::NotFound),
        object_store::Error::PermissionDenied { .. } => Some(Cause::Denied),
        object_store::Error::Unauthenticated { .. } => Some(Cause::BadCredentials),
        _ => None,
    }
}

fn cause_of_text(text: &str) -> Cause {
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if has(&[
        "redirect without LOCATION",
        "301 Moved Permanently",
        "307 Temporary Redirect",
    ]) {
        Cause::OtherRegion
    } else if has(&["status code: 5", "429 Too Many"]) {
        Cause::Busy
    } else if has(&[
        "HTTP error",
        "error sending request",
        "onnection",
        "timed out",
        "dns error",
    ]) {
        Cause::Unreachable
    } else {
        Cause::Other
    }
}

fn message(cause: Cause, code: Option<&str>, text: &str) -> String {
    let what = match cause {
        Cause::NotFound => "no such object",
        Cause::NoBucket => "there is no such bucket",
        Cause::Denied => "access is denied",
        Cause::NoCredentials => "no AWS credentials were found",
        Cause::BadCredentials => "the AWS credentials are not accepted",
        Cause::OtherRegion => "the bucket is in another region",
        Cause::ClockSkew => "this machine's clock is wrong",
        Cause::Busy => "the store is overloaded or failing",
        Cause::Unreachable => "the store cannot be reached",
        Cause::Other => return shortened(text),
    };
    let mut line = what.to_owned();
    // Writing to a string does not fail.
    let _ = match (code, element(text, "Message")) {
        (Some(code), Some(message)) => write!(line, " ({code}: {})", shortened(message)),
        (Some(code), None) => write!(line, " ({code})"),
        (None, _) if cause == Cause::Unreachable => write!(line, " ({})", shortened(last(text))),
        (None, _) => Ok(()),
    };
    if let (Cause::OtherRegion, Some(region)) = (cause, element(text, "Region")) {
        let _ = write!(line, ": it is in {region}");
    }
    line
}

/// Returns the text of an XML element. Error responses of S3 are flat.
fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let (_, rest) = text.split_once(&open)?;
    rest.split_once(&close).map(|(inside, _)| inside.trim())
}

/// Returns the last cause, which is the message of the operating system.
fn last(text: &str) -> &str {
    text.rsplit_once(": ").map_or(text, |(_, last)| last)
}

fn shortened(text: &str) -> String {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(MESSAGE) {
        line.truncate(end);
        line.push('…');
    }
    line
}

/// Returns the first cause of a type.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut error = Some(error);
    while let Some(one) = error {
        if let Some(found) = one.downcast_ref() {
            return Some(found);
        }
        error = one.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: &str, body: &str) -> object_store::Error {
        object_store::Error::Generic {
            store: "S3",
            source: format!("Server returned non-2xx status code: {status}: {body}").into(),
        }
    }

    fn xml(code: &str, rest: &str) -> String {
        format!("<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code>{rest}</Error>")
    }

    #[test]
    fn a_response_becomes_one_line_with_its_cause() {
        for (code, cause) in [
            ("NoSuchBucket", Cause::NoBucket),
            ("AccessDenied", Cause::Denied),
            ("SignatureDoesNotMatch", Cause::BadCredentials),
            ("AuthorizationHeaderMalformed", Cause::OtherRegion),
            ("RequestTimeTooSkewed", Cause::ClockSkew),
            ("SlowDown", Cause::Busy),
        ] {
            let body = xml(code, "<Message>Some\nwords.</Message>");
            let failure = StoreFailure::from(answer("4xx", &body));
            assert_eq!(failure.cause, cause, "{failure}");
            assert!(
                failure.message.ends_with(&format!("({code}: Some words.)")),
                "{failure}"
            );
            assert!(!failure.message.contains('<'), "{failure}");
        }
    }

    #[test]
    fn the_right_region_is_shown_if_the_store_names_it() {
        let body = xml("AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>");
        let failure = StoreFailure::from(answer("400 Bad Request", &body));
        assert!(failure.message.ends_with("it is in eu-west-1"), "{failure}");
    }

    #[test]
    fn a_response_without_a_body_has_the_cause_of_its_kind() {
        let denied = object_store::Error::PermissionDenied {
            path: "a".to_owned(),
            source: "403 Forbidden".into(),
        };
        assert_eq!(StoreFailure::from(denied).cause, Cause::Denied);
        assert_eq!(StoreFailure::from(answer("500", "")).cause, Cause::Busy);
    }

    #[test]
    fn only_temporary_failures_are_retryable() {
        assert!(Cause::Busy.retryable() && Cause::Unreachable.retryable());
        assert!(!Cause::Denied.retryable() && !Cause::NoBucket.retryable());
    }
}
