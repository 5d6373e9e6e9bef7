//! Creates the client of a bucket from the configuration of the SDK.

use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_types::service_config::ServiceConfigKey;
use http::{Method, StatusCode};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{HttpClient, HttpConnector, ReqwestConnector};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use tracing::debug;

use super::ConnectError;
use super::credentials::Credentials;
use super::requests::Requests;
use crate::storage::{Role, aws};

/// Region for servers that accept any, if none is set.
const ANY_REGION: &str = "us-east-1";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Timeout of one try of a request. A part of 8 MiB takes this long at 2 Mbit/s.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(40);
/// Failures are retried for this long. Signatures are valid for 15 minutes.
const RETRY_TIMEOUT: Duration = Duration::from_secs(120);
const RETRIES: usize = 8;
/// Pauses between the requests for the region of a bucket.
const REGION_PAUSES: &[Duration] = &[Duration::from_millis(200), Duration::from_secs(1)];

/// Connects to `bucket` with `role`, or with the identity of this process.
pub(super) async fn connect(
    bucket: &str,
    role: Option<&Role>,
) -> Result<(AmazonS3, Requests), ConnectError> {
    let config = aws::config().await;
    let credentials = Arc::new(Credentials::of(role).await?);
    let endpoint = endpoint(config).await;
    let options = options(endpoint.as_deref());
    let http = client(&options)?;
    let region = match &endpoint {
        Some(_) => set_region(config).unwrap_or_else(|| ANY_REGION.to_owned()),
        None => region(config, &http, bucket).await?,
    };
    let url = match &endpoint {
        Some(endpoint) => format!("{}/{bucket}", endpoint.trim_end_matches('/')),
        None => format!("https://s3.{region}.{}/{bucket}", domain(&region)),
    };
    debug!("bucket {bucket} is at {url}, region {region}");
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(&region)
        .with_credentials(credentials.clone())
        .with_client_options(options)
        .with_retry(retries())
        .with_disable_tagging(true);
    if let Some(endpoint) = &endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    let store = builder
        .build()
        .map_err(|error| ConnectError::Client(error.to_string()))?;
    let requests = Requests {
        url,
        region,
        credentials,
        http,
    };
    Ok((store, requests))
}

fn options(endpoint: Option<&str>) -> ClientOptions {
    let plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    ClientOptions::new()
        .with_allow_http(plain)
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_timeout(REQUEST_TIMEOUT)
}

fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(10),
            base: 2.0,
        },
        max_retries: RETRIES,
        retry_timeout: RETRY_TIMEOUT,
    }
}

fn client(options: &ClientOptions) -> Result<HttpClient, ConnectError> {
    let connected = ReqwestConnector::default().connect(options);
    connected.map_err(|error| ConnectError::Client(error.to_string()))
}

/// Returns the configured endpoint for S3, or the one for all services.
async fn endpoint(config: &SdkConfig) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id("s3")
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build();
    let own = config.service_config().zip(key.ok());
    let own = own.and_then(|(services, key)| services.load_config(key));
    own.or_else(|| config.endpoint_url().map(str::to_owned))
}

fn set_region(config: &SdkConfig) -> Option<String> {
    config.region().map(|region| region.as_ref().to_owned())
}

/// Returns the region of the bucket. The configured region may differ, because a lake and its
/// logs may be in two regions. Every response to a HEAD has the region, even without access.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html>
async fn region(
    config: &SdkConfig,
    http: &HttpClient,
    bucket: &str,
) -> Result<String, ConnectError> {
    let set = set_region(config);
    let near = set.as_deref().unwrap_or(ANY_REGION);
    let url = format!("https://s3.{near}.{}/{bucket}", domain(near));
    let reported = reported_region(http, &url).await?;
    reported.or(set).ok_or(ConnectError::NoRegion)
}

/// Returns the region in the response to a HEAD of `url`. A failure is an error, because a
/// guessed region would be used for the lifetime of this process.
async fn reported_region(http: &HttpClient, url: &str) -> Result<Option<String>, ConnectError> {
    for pause in REGION_PAUSES {
        match head(http, url).await {
            Err(error) if error.cause().retryable() => debug!("HEAD {url}: {error}"),
            answer => return answer,
        }
        tokio::time::sleep(*pause).await;
    }
    head(http, url).await
}

async fn head(http: &HttpClient, url: &str) -> Result<Option<String>, ConnectError> {
    let request = http::Request::builder().method(Method::HEAD).uri(url);
    let request = request.body(Vec::new().into());
    let request = request.map_err(|error| ConnectError::Client(error.to_string()))?;
    let answer = http.execute(request).await;
    let answer = answer.map_err(|error| ConnectError::Unreachable(aws::last_cause(&error)))?;
    let status = answer.status();
    match answer.headers().get("x-amz-bucket-region") {
        Some(region) => Ok(region.to_str().ok().map(str::to_owned)),
        None if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            Err(ConnectError::Busy(status.to_string()))
        }
        None => Ok(None),
    }
}

fn domain(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::storage::Cause;

    /// Returns the region from a server that sends one response on each connection. `None`
    /// closes the connection.
    async fn region_from(
        answers: Vec<Option<&'static str>>,
    ) -> Result<Option<String>, ConnectError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/lake", listener.local_addr().expect("bound"));
        let http = client(&options(Some(&url)))?;
        let serve = async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.expect("a client");
                let _ = stream.read(&mut [0; 4096]).await;
                if let Some(answer) = answer {
                    let head = format!("HTTP/1.1 {answer}\r\nconnection: close\r\n\r\n");
                    let _ = stream.write_all(head.as_bytes()).await;
                }
            }
        };
        let server = tokio::spawn(serve);
        let region = reported_region(&http, &url).await;
        server.abort();
        region
    }

    const FAILS: Option<&str> = Some("503 Slow Down\r\ncontent-length: 0");
    const HAS_REGION: Option<&str> =
        Some("403 Forbidden\r\ncontent-length: 0\r\nx-amz-bucket-region: eu-west-3");

    #[tokio::test]
    async fn a_region_is_found_after_a_failed_request() {
        for first in [FAILS, None] {
            let region = region_from(vec![first, HAS_REGION])
                .await
                .expect("it answers");
            assert_eq!(region.as_deref(), Some("eu-west-3"));
        }
    }

    #[tokio::test]
    async fn repeated_failures_are_a_retryable_error() {
        let error = region_from(vec![FAILS; 3])
            .await
            .expect_err("it is overloaded");
        assert_eq!(error.cause(), Cause::Busy);
        let error = region_from(vec![None; 3]).await.expect_err("it hangs up");
        assert_eq!(error.cause(), Cause::Unreachable);
        assert!(error.cause().retryable());
    }

    #[tokio::test]
    async fn a_response_may_have_no_region() {
        let answer = Some("404 Not Found\r\ncontent-length: 0");
        assert_eq!(region_from(vec![answer]).await.expect("it answers"), None);
    }
}
