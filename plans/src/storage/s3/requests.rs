//! Signs and sends requests that `object_store` does not support: pending uploads and the
//! lifecycle rules that abort them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{Method, StatusCode};
use object_store::CredentialProvider;
use object_store::aws::AwsAuthorizer;
use object_store::client::HttpClient;
use object_store::path::Path;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::credentials::Credentials;

const TRIES: u32 = 6;
const PAUSE: Duration = Duration::from_millis(200);
/// Unreserved characters of RFC 3986. Signatures require that all others are encoded.
pub(super) const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// An upload that is neither completed nor aborted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingUpload {
    /// Key of the object.
    pub key: String,
    /// Id of the upload.
    pub id: String,
    /// Start of the upload.
    pub since: DateTime<Utc>,
}

/// A rule of the bucket that aborts pending uploads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lifecycle {
    /// Id of the rule.
    pub rule: String,
    /// Days from the start of an upload until it is aborted.
    pub days: u32,
}

/// Signs and sends requests to a bucket.
#[derive(Debug)]
pub(super) struct Requests {
    /// URL of the bucket without a trailing slash.
    pub(super) url: String,
    pub(super) region: String,
    pub(super) credentials: Arc<Credentials>,
    pub(super) http: HttpClient,
}

impl Requests {
    pub(super) fn endpoint(&self) -> String {
        format!("{} in {}", self.url, self.region)
    }

    /// See <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html>.
    pub(super) async fn pending_uploads(
        &self,
        below: &Path,
    ) -> object_store::Result<Vec<PendingUpload>> {
        let mut pending = Vec::new();
        let mut after: Option<(String, String)> = None;
        loop {
            let page: Uploads = self.get(&query(below, after.as_ref())).await?;
            let uploads = page.upload.into_iter();
            pending.extend(uploads.map(|upload| PendingUpload {
                key: upload.key,
                id: upload.upload_id,
                since: upload.initiated,
            }));
            after = match (
                page.is_truncated,
                page.next_key_marker,
                page.next_upload_id_marker,
            ) {
                (true, Some(key), Some(id)) => Some((key, id)),
                _ => return Ok(pending),
            };
        }
    }

    /// See <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLifecycleConfiguration.html>.
    pub(super) async fn lifecycle(&self, below: &Path) -> object_store::Result<Option<Lifecycle>> {
        let found: Result<Configuration, _> = self.get("lifecycle=").await;
        match found {
            Ok(found) => Ok(found.soonest(below.as_ref())),
            // A bucket without rules has no such document.
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends `GET /?query`, with retries, and parses the response.
    pub(super) async fn get<T: for<'de> Deserialize<'de>>(
        &self,
        query: &str,
    ) -> object_store::Result<T> {
        let mut tries = 1;
        loop {
            let failed = match self.answer(query).await {
                Ok((StatusCode::OK, body)) => match parse(&body) {
                    Ok(read) => return Ok(read),
                    // The body is probably incomplete.
                    Err(error) => generic(error),
                },
                Ok((status, body)) if !is_temporary(status) => {
                    return Err(self.rejected(status, &body));
                }
                Ok((status, body)) => self.rejected(status, &body),
                Err(error) => error,
            };
            if tries >= TRIES {
                return Err(failed);
            }
            tokio::time::sleep(PAUSE * 2u32.pow(tries)).await;
            tries += 1;
        }
    }

    async fn answer(&self, query: &str) -> object_store::Result<(StatusCode, Bytes)> {
        let credential = self.credentials.get_credential().await?;
        let uri = format!("{}/?{query}", self.url);
        let request = http::Request::builder().method(Method::GET).uri(uri);
        let mut request = request.body(Vec::new().into()).map_err(generic)?;
        AwsAuthorizer::new(&credential, "s3", &self.region).authorize(&mut request, None);
        let answer = self.http.execute(request).await.map_err(generic)?;
        let status = answer.status();
        let body = answer.into_body().bytes().await.map_err(generic)?;
        Ok((status, body))
    }

    fn rejected(&self, status: StatusCode, body: &[u8]) -> object_store::Error {
        let text = format!("status code: {status}: {}", String::from_utf8_lossy(body));
        match status {
            StatusCode::NOT_FOUND if !text.contains("NoSuchBucket") => {
                object_store::Error::NotFound {
                    path: self.url.clone(),
                    source: text.into(),
                }
            }
            StatusCode::FORBIDDEN => object_store::Error::PermissionDenied {
                path: self.url.clone(),
                source: text.into(),
            },
            _ => generic(text),
        }
    }
}

fn is_temporary(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}

fn generic(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> object_store::Error {
    object_store::Error::Generic {
        store: "S3",
        source: source.into(),
    }
}

pub(super) fn parse<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, quick_xml::DeError> {
    quick_xml::de::from_reader(body)
}

/// Returns the query. Signatures require that the names are sorted.
fn query(below: &Path, after: Option<&(String, String)>) -> String {
    let encode = |text: &str| utf8_percent_encode(text, QUERY).to_string();
    let prefix = match below.as_ref() {
        "" => String::new(),
        folder => format!("prefix={}%2F&", encode(folder)),
    };
    match after {
        None => format!("{prefix}uploads="),
        Some((key, id)) => {
            let (key, id) = (encode(key), encode(id));
            format!("key-marker={key}&{prefix}upload-id-marker={id}&uploads=")
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Uploads {
    #[serde(default)]
    upload: Vec<Upload>,
    #[serde(default)]
    is_truncated: bool,
    next_key_marker: Option<String>,
    next_upload_id_marker: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Upload {
    key: String,
    upload_id: String,
    initiated: DateTime<Utc>,
}

#[derive(Debug, Deserialize)]
struct Configuration {
    #[serde(default, rename = "Rule")]
    rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Rule {
    #[serde(default, rename = "ID")]
    id: String,
    #[serde(default)]
    status: String,
    prefix: Option<String>,
    filter: Option<Filter>,
    abort_incomplete_multipart_upload: Option<Abort>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Filter {
    prefix: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Abort {
    days_after_initiation: u32,
}

impl Configuration {
    fn soonest(self, key: &str) -> Option<Lifecycle> {
        let rules = self.rules.into_iter();
        let rules = rules.filter_map(|rule| {
            let days = rule.applies(key)?;
            Some(Lifecycle {
                rule: rule.id,
                days,
            })
        });
        rules.min_by_key(|rule| rule.days)
    }
}

impl Rule {
    /// Returns the days of the rule if it applies to any key below `folder`.
    fn applies(&self, folder: &str) -> Option<u32> {
        let own = self
            .filter
            .as_ref()
            .and_then(|filter| filter.prefix.as_deref());
        let prefix = own.or(self.prefix.as_deref()).unwrap_or_default();
        let touches = folder.starts_with(prefix) || prefix.starts_with(folder);
        let abort = self.abort_incomplete_multipart_upload.as_ref()?;
        (self.status == "Enabled" && touches).then_some(abort.days_after_initiation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_uploads_is_read_with_its_continuation() {
        let page: Uploads = parse(
            b"<ListMultipartUploadsResult><Bucket>b</Bucket><NextKeyMarker>k</NextKeyMarker>\
              <NextUploadIdMarker>i</NextUploadIdMarker><IsTruncated>true</IsTruncated>\
              <Upload><Key>a b/c&amp;d</Key><UploadId>x</UploadId>\
              <Initiated>2024-01-02T03:04:05.000Z</Initiated></Upload></ListMultipartUploadsResult>",
        )
        .expect("a page");
        assert_eq!(page.upload[0].key, "a b/c&d");
        assert!(page.is_truncated);
        let next = page.next_key_marker.zip(page.next_upload_id_marker);
        assert_eq!(
            query(&Path::from("lake"), next.as_ref()),
            "key-marker=k&prefix=lake%2F&upload-id-marker=i&uploads="
        );
        let empty: Uploads = parse(b"<ListMultipartUploadsResult/>").expect("no uploads");
        assert!(empty.upload.is_empty());
    }

    #[test]
    fn a_prefix_is_encoded_for_signatures() {
        let below = Path::parse("a b/ü+").expect("a key");
        assert_eq!(query(&below, None), "prefix=a%20b%2F%C3%BC%2B%2F&uploads=");
        assert_eq!(query(&Path::default(), None), "uploads=");
    }

    #[test]
    fn the_rule_that_aborts_soonest_below_a_folder_is_found() {
        let rules: Configuration = parse(
            b"<LifecycleConfiguration>\
              <Rule><ID>off</ID><Status>Disabled</Status><Filter><Prefix/></Filter>\
              <AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>\
              <Rule><ID>all</ID><Status>Enabled</Status><Filter></Filter>\
              <AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>\
              <Rule><ID>lake</ID><Status>Enabled</Status><Filter><Prefix>lake/</Prefix></Filter>\
              <AbortIncompleteMultipartUpload><DaysAfterInitiation>2</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>\
              <Rule><ID>expiry</ID><Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule>\
              </LifecycleConfiguration>",
        )
        .expect("rules");
        let found = rules.soonest("lake").expect("a rule");
        assert_eq!((found.rule.as_str(), found.days), ("lake", 2));
    }
}
