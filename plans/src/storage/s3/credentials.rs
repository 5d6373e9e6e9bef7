//! Provides the credentials of the AWS SDK to `object_store`. The SDK supports profiles, SSO,
//! processes and roles, which `object_store` does not.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use tokio::sync::Mutex;

use super::ConnectError;
use crate::storage::{Role, aws};

/// Credentials are renewed this long before they expire. It is longer than the retries of a
/// request.
const EARLY: Duration = Duration::from_secs(5 * 60);

/// Credentials of the standard chain or of a role. They are cached until shortly before they
/// expire.
#[derive(Debug)]
pub(super) struct Credentials {
    provider: SharedCredentialsProvider,
    /// ARN of the role, for messages.
    role: Option<String>,
    kept: Mutex<Option<Kept>>,
}

#[derive(Debug)]
struct Kept {
    credential: Arc<AwsCredential>,
    until: Option<SystemTime>,
}

impl Credentials {
    pub(super) async fn of(role: Option<&Role>) -> Result<Self, ConnectError> {
        let config = aws::config().await;
        let provider = match role {
            Some(role) => SharedCredentialsProvider::new(assumed(role).await),
            None => config.credentials_provider().ok_or_else(|| {
                ConnectError::NoCredentials("the SDK has no credential provider".to_owned())
            })?,
        };
        Ok(Self {
            provider,
            role: role.map(|role| role.arn.clone()),
            kept: Mutex::new(None),
        })
    }

    async fn fetch(&self) -> Result<Kept, ConnectError> {
        let provided = self.provider.provide_credentials().await;
        let credentials = provided.map_err(|error| self.explained(&error))?;
        let token = credentials.session_token().map(str::to_owned);
        Ok(Kept {
            credential: Arc::new(AwsCredential {
                key_id: credentials.access_key_id().to_owned(),
                secret_key: credentials.secret_access_key().to_owned(),
                token,
            }),
            until: credentials.expiry(),
        })
    }

    fn explained(&self, error: &CredentialsError) -> ConnectError {
        let what = aws::last_cause(error);
        match (&self.role, error) {
            (Some(arn), _) => ConnectError::Role {
                arn: arn.clone(),
                what,
            },
            (None, CredentialsError::CredentialsNotLoaded(_)) => ConnectError::NoCredentials(what),
            (None, _) => ConnectError::BadCredentials(what),
        }
    }
}

impl Kept {
    fn is_fresh(&self) -> bool {
        let fresh = |until| SystemTime::now() + EARLY < until;
        self.until.is_none_or(fresh)
    }
}

#[async_trait]
impl CredentialProvider for Credentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut kept = self.kept.lock().await;
        if let Some(kept) = kept.as_ref().filter(|kept| kept.is_fresh()) {
            return Ok(kept.credential.clone());
        }
        let fetched = self.fetch().await?;
        Ok(kept.insert(fetched).credential.clone())
    }
}

async fn assumed(role: &Role) -> AssumeRoleProvider {
    let mut builder = AssumeRoleProvider::builder(&role.arn)
        .session_name("lakebolt")
        .configure(aws::config().await);
    if let Some(external_id) = &role.external_id {
        builder = builder.external_id(external_id);
    }
    builder.build().await
}
