//! Loads the shared configuration of the AWS SDK. Only this module does so.
//!
//! Credentials, region and endpoints come from the standard chain: environment, profile
//! (SSO, processes and roles included), web identity, container (ECS, EKS Pod Identity),
//! instance. See <https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>.

use std::error::Error;
use std::sync::OnceLock;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::error::ProvideErrorMetadata;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use tokio::sync::OnceCell;

/// Returns the configuration of this process, which is loaded once.
///
/// # Panics
/// Panics outside a Tokio runtime.
pub async fn config() -> &'static SdkConfig {
    static CONFIG: OnceLock<OnceCell<SdkConfig>> = OnceLock::new();
    let config = CONFIG.get_or_init(OnceCell::new);
    config.get_or_init(load).await
}

async fn load() -> SdkConfig {
    // All TLS uses ring. A second provider would add a second C library.
    let tls = Provider::Rustls(CryptoMode::Ring);
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(Builder::new().tls_provider(tls).build_https())
        .load()
        .await
}

/// The reason why the identity of this process is unknown.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The credential chain found nothing.
    #[error("no AWS credentials were found")]
    NoCredentials,
    /// A credential provider failed.
    #[error("the AWS credentials cannot be read ({0})")]
    Unreadable(String),
    /// STS rejected the credentials.
    #[error("AWS does not accept the credentials ({0})")]
    Refused(String),
    /// STS did not answer.
    #[error("STS cannot be reached ({0})")]
    Unreachable(String),
}

impl IdentityError {
    /// Returns how to fix it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NoCredentials => {
                "set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, log in with \
                 `aws sso login`, or give the pod or instance a role"
            }
            Self::Unreadable(_) => "check AWS_PROFILE and the profile, or log in again",
            Self::Refused(_) => "renew the credentials, and check this machine's clock",
            Self::Unreachable(_) => {
                "check the network and AWS_ENDPOINT_URL; without STS, S3 and DynamoDB may still work"
            }
        }
    }
}

/// Returns the ARN of the identity of this process.
///
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>
pub async fn identity() -> Result<String, IdentityError> {
    let config = config().await;
    let provider = config.credentials_provider();
    let provider = provider.ok_or(IdentityError::NoCredentials)?;
    provider
        .provide_credentials()
        .await
        .map_err(|error| match error {
            CredentialsError::CredentialsNotLoaded(_) => IdentityError::NoCredentials,
            error => IdentityError::Unreadable(last_cause(&error)),
        })?;
    // STS answers the same in every region, so any region will do if none is set.
    let region = config.region().cloned();
    let region = region.unwrap_or(Region::from_static("us-east-1"));
    let client = aws_sdk_sts::config::Builder::from(config).region(region);
    let client = aws_sdk_sts::Client::from_conf(client.build());
    let answer = client.get_caller_identity().send().await;
    let answer = answer.map_err(|error| match (error.code(), error.message()) {
        (Some(code), message) => {
            IdentityError::Refused(format!("{code}: {}", message.unwrap_or_default()))
        }
        (None, _) => IdentityError::Unreachable(last_cause(&error)),
    })?;
    Ok(answer.arn.unwrap_or_default())
}

/// Returns the message of an error's last cause in one line, because the outer errors have no
/// details. Providers of the credential chain that are not configured are left out.
pub fn last_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    one_line(&cause.to_string())
}

fn one_line(text: &str) -> String {
    let mut lines = text.lines().map(str::trim);
    let first = lines.next().unwrap_or_default();
    let first = first
        .trim_end_matches("Attempted:")
        .trim_end_matches(['.', ' ']);
    let failed = lines.filter(|line| !line.is_empty() && !line.contains("was not enabled"));
    let messages: Vec<&str> = std::iter::once(first).chain(failed).collect();
    messages.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_failed_providers_of_a_chain_are_named() {
        let text = "no credentials found in chain. Attempted:\n  \
             Environment: the credential provider was not enabled: variable not set\n  \
             WebIdentityToken: the token file cannot be read\n";
        assert_eq!(
            one_line(text),
            "no credentials found in chain; WebIdentityToken: the token file cannot be read"
        );
    }
}
