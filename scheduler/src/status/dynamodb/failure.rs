//! Maps errors of DynamoDB to one line for the user.
//! Codes:
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html>

use std::error::Error as StdError;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use plans::storage::aws::last_cause;

use super::DynamoDb;
use crate::status::StatusError;

impl DynamoDb {
    /// Explains why `action` on `table` failed after all retries.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the signature that `map_err` needs"
    )]
    pub(super) fn failed<E>(&self, action: &str, table: &str, error: SdkError<E>) -> StatusError
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        match &error {
            SdkError::ServiceError(context) => {
                let status = context.raw().status().as_u16();
                let answer = Answer {
                    code: error.code().unwrap_or("no code"),
                    message: error.message().unwrap_or("no message"),
                };
                self.answered(action, table, status, &answer)
            }
            SdkError::TimeoutError(_) => self.unreachable(self.in_region("no answer in time")),
            _ => self.unsent(&error),
        }
    }

    fn answered(&self, action: &str, table: &str, status: u16, answer: &Answer<'_>) -> StatusError {
        let uri = self.uri();
        match answer.meaning() {
            Meaning::NoTable => self.no_table(table),
            Meaning::Denied => StatusError::Denied {
                uri,
                action: format!("dynamodb:{action}"),
                table: table.to_owned(),
            },
            Meaning::BadCredentials => StatusError::NoCredentials {
                uri,
                what: answer.message.to_owned(),
            },
            Meaning::Skewed => StatusError::Skewed { uri },
            Meaning::TooLarge => StatusError::TooLarge {
                uri,
                table: table.to_owned(),
            },
            Meaning::Busy => self.unreachable(answer.line()),
            Meaning::Other if status >= 500 => self.unreachable(answer.line()),
            Meaning::Other => self.rejected(action, table, &answer.line()),
        }
    }

    /// Explains a request without an answer, or with one that is not from DynamoDB.
    fn unsent<E: StdError + 'static>(&self, error: &SdkError<E>) -> StatusError {
        let mut cause: &dyn StdError = error;
        loop {
            if let Some(error) = cause.downcast_ref::<CredentialsError>() {
                return StatusError::NoCredentials {
                    uri: self.uri(),
                    what: last_cause(error),
                };
            }
            match cause.source() {
                Some(source) => cause = source,
                None => return self.unreachable(self.in_region(&cause.to_string())),
            }
        }
    }

    pub(super) fn no_table(&self, table: &str) -> StatusError {
        StatusError::NoTable {
            uri: self.uri(),
            table: table.to_owned(),
            region: self.region(),
        }
    }

    pub(super) fn rejected(&self, action: &str, table: &str, what: &dyn ToString) -> StatusError {
        StatusError::Rejected {
            uri: self.uri(),
            what: format!("{action} on table {table}: {}", what.to_string()),
        }
    }

    pub(super) fn unreachable(&self, why: String) -> StatusError {
        StatusError::Unreachable {
            uri: self.uri(),
            source: why.into(),
        }
    }

    fn in_region(&self, what: &str) -> String {
        format!("{what}, region {}", self.region())
    }

    fn region(&self) -> String {
        let client = self.client.get();
        let region = client.and_then(|client| client.config().region());
        region.map_or_else(|| "unknown".to_owned(), ToString::to_string)
    }
}

/// The error answer of DynamoDB.
struct Answer<'a> {
    code: &'a str,
    message: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    NoTable,
    Denied,
    BadCredentials,
    Skewed,
    TooLarge,
    Busy,
    Other,
}

impl Answer<'_> {
    fn meaning(&self) -> Meaning {
        match self.code {
            "ResourceNotFoundException" => Meaning::NoTable,
            "AccessDeniedException" | "AccessDenied" | "NotAuthorized" | "OptInRequired" => {
                Meaning::Denied
            }
            "RequestExpired" | "RequestTimeTooSkewed" => Meaning::Skewed,
            "InvalidSignatureException" if self.is_about_time() => Meaning::Skewed,
            "InvalidSignatureException"
            | "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "ExpiredTokenException"
            | "ExpiredToken"
            | "IncompleteSignature"
            | "IncompleteSignatureException"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException" => Meaning::BadCredentials,
            "ValidationException" if self.message.contains("Item size") => Meaning::TooLarge,
            "ProvisionedThroughputExceededException"
            | "ThrottlingException"
            | "Throttling"
            | "RequestLimitExceeded"
            | "LimitExceededException"
            | "TransactionConflictException"
            | "InternalServerError"
            | "ServiceUnavailable" => Meaning::Busy,
            _ => Meaning::Other,
        }
    }

    /// `Signature expired: 20240101T000000Z is now earlier than …`, or `not yet current`.
    fn is_about_time(&self) -> bool {
        ["Signature expired", "not yet current"]
            .iter()
            .any(|phrase| self.message.contains(phrase))
    }

    fn line(&self) -> String {
        let message = self.message.lines().next().unwrap_or_default();
        format!("{}: {message}", self.code)
    }
}
