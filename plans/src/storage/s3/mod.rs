//! Amazon S3 and compatible stores. Opening a bucket sends no request: it connects at its
//! first use.

use std::collections::HashMap;
use std::fmt;
use std::fmt::{Debug, Display};
use std::net::Ipv4Addr;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use object_store::aws::AmazonS3;
use object_store::path::Path;
use tokio::sync::OnceCell;

use super::{Cause, Located, Role, StoreError};

mod connect;
mod credentials;
mod listing;
mod requests;
mod store;

pub use requests::{Lifecycle, PendingUpload};

use requests::Requests;

/// Failures before the first request is sent.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The credential chain found nothing.
    #[error("no AWS credentials were found")]
    NoCredentials(String),
    /// A credential provider failed.
    #[error("the AWS credentials are not accepted ({0})")]
    BadCredentials(String),
    /// The role cannot be assumed.
    #[error("the role {arn} cannot be assumed ({what})")]
    Role { arn: String, what: String },
    /// The region is unknown.
    #[error("no AWS region is set, and the region of the bucket is unknown")]
    NoRegion,
    /// S3 did not answer.
    #[error("cannot find the region of the bucket: S3 cannot be reached ({0})")]
    Unreachable(String),
    /// S3 is overloaded or fails.
    #[error("cannot find the region of the bucket: S3 is overloaded or failing ({0})")]
    Busy(String),
    /// The client cannot be configured.
    #[error("the S3 client cannot be created ({0})")]
    Client(String),
}

impl ConnectError {
    pub(super) fn cause(&self) -> Cause {
        match self {
            Self::NoCredentials(_) => Cause::NoCredentials,
            Self::BadCredentials(_) => Cause::BadCredentials,
            Self::Role { .. } => Cause::Denied,
            Self::NoRegion => Cause::OtherRegion,
            Self::Unreachable(_) => Cause::Unreachable,
            Self::Busy(_) => Cause::Busy,
            Self::Client(_) => Cause::Other,
        }
    }
}

impl From<ConnectError> for object_store::Error {
    fn from(error: ConnectError) -> Self {
        Self::Generic {
            store: "S3",
            source: Box::new(error),
        }
    }
}

/// A bucket that is accessed with one identity. Clones share their connections.
#[derive(Clone)]
pub struct Bucket(Arc<Inner>);

struct Inner {
    name: String,
    role: Option<Role>,
    client: OnceCell<Client>,
}

/// A connected bucket.
struct Client {
    store: AmazonS3,
    requests: Requests,
}

impl Bucket {
    /// Returns the bucket and the key of an `s3://` URI, for a role or for the identity of this
    /// process. A process opens every bucket once for each identity.
    pub fn locate(uri: &str, role: Option<&Role>) -> Result<(Self, Path), StoreError> {
        let (name, key) = split(uri)?;
        Ok((Self::shared(name, role), key))
    }

    fn shared(name: &str, role: Option<&Role>) -> Self {
        type Opened = Mutex<HashMap<(String, Option<Role>), Bucket>>;
        static OPENED: LazyLock<Opened> = LazyLock::new(Mutex::default);
        let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = opened.entry((name.to_owned(), role.cloned()));
        let bucket = bucket.or_insert_with(|| {
            Self(Arc::new(Inner {
                name: name.to_owned(),
                role: role.cloned(),
                client: OnceCell::new(),
            }))
        });
        bucket.clone()
    }

    /// Returns `s3://` and the name.
    pub fn uri(&self) -> String {
        format!("s3://{}", self.0.name)
    }

    /// Returns the uploads below a prefix that are neither completed nor aborted.
    pub async fn pending_uploads(&self, below: &Path) -> object_store::Result<Vec<PendingUpload>> {
        self.client().await?.requests.pending_uploads(below).await
    }

    /// Returns the lifecycle rule that aborts uploads below a prefix first, if there is one.
    pub async fn lifecycle(&self, below: &Path) -> object_store::Result<Option<Lifecycle>> {
        self.client().await?.requests.lifecycle(below).await
    }

    /// Returns region and endpoint as text.
    pub async fn endpoint(&self) -> object_store::Result<String> {
        Ok(self.client().await?.requests.endpoint())
    }

    async fn client(&self) -> object_store::Result<&Client> {
        let inner = &self.0;
        let connected = inner.client.get_or_try_init(|| async {
            let (store, requests) = connect::connect(&inner.name, inner.role.as_ref()).await?;
            Ok::<_, ConnectError>(Client { store, requests })
        });
        Ok(connected.await?)
    }
}

impl Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket")
            .field("name", &self.0.name)
            .field("role", &self.0.role)
            .finish_non_exhaustive()
    }
}

impl Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.uri())
    }
}

/// Opens the store of an `s3://` URI with the identity of this process.
pub(super) fn locate(uri: &str) -> Result<Located, StoreError> {
    let (bucket, path) = Bucket::locate(uri, None)?;
    Ok(Located {
        uri: bucket.uri(),
        names: Arc::new(bucket.clone()),
        store: Arc::new(bucket),
        path,
        local: None,
    })
}

/// Splits `s3://bucket/key`. Keys are used unchanged, because S3 URIs are not percent-encoded.
fn split(uri: &str) -> Result<(&str, Path), StoreError> {
    let bad = |what| StoreError::BadName {
        uri: uri.to_owned(),
        what,
    };
    let rest = uri.strip_prefix("s3://").unwrap_or(uri);
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    if !is_bucket(bucket) {
        return Err(bad(
            "not the name of a bucket: 3 to 63 of a-z, 0-9, `.` and `-`",
        ));
    }
    let key = key.trim_end_matches('/');
    let path = Path::parse(key)
        .map_err(|_| bad("a key with an empty part, `.` or `..` cannot be addressed"))?;
    Ok((bucket, path))
}

/// Whether a bucket may have this name.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
pub fn is_bucket(name: &str) -> bool {
    let edge = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    (3..=63).contains(&bytes.len())
        && bytes.iter().all(|byte| edge(byte) || b".-".contains(byte))
        && [bytes.first(), bytes.last()]
            .into_iter()
            .flatten()
            .all(edge)
        && !name.contains("..")
        && name.parse::<Ipv4Addr>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_is_split_into_bucket_and_unchanged_key() {
        for (uri, bucket, key) in [
            ("s3://logs", "logs", ""),
            ("s3://logs/", "logs", ""),
            ("s3://logs/a b/c+d/é/50%25/", "logs", "a b/c+d/é/50%25"),
        ] {
            let (found, path) = split(uri).expect("a good uri");
            assert_eq!((found, path.as_ref()), (bucket, key), "{uri}");
        }
        for uri in [
            "s3://",
            "s3:///a",
            "s3://Up/a",
            "s3://ab",
            "s3://logs/a//b",
            "s3://logs/../b",
        ] {
            assert!(split(uri).is_err(), "{uri}");
        }
    }

    #[test]
    fn a_bucket_is_opened_once_for_each_role() {
        let role = Role {
            arn: "arn:aws:iam::111122223333:role/a".to_owned(),
            external_id: None,
        };
        let open = |role: Option<&Role>| Bucket::locate("s3://once/a", role).expect("known").0;
        assert!(Arc::ptr_eq(&open(None).0, &open(None).0));
        assert!(!Arc::ptr_eq(&open(None).0, &open(Some(&role)).0));
    }
}
