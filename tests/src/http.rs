//! Plain HTTP between the tests and the stand-ins on loopback.

use std::sync::LazyLock;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::runtime::{Builder, Runtime};

/// The time limit of a request to a stand-in.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The runtime of the harness's servers and clients. Tests themselves are plain threads.
pub(crate) static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build();
    runtime.expect("threads can be started")
});

static CLIENT: LazyLock<HttpClient> =
    LazyLock::new(|| Client::builder(TokioExecutor::new()).build(HttpConnector::new()));

pub(crate) type HttpClient = Client<HttpConnector, Full<Bytes>>;

/// A complete answer.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub body: Bytes,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns itself if the status is a success; fails otherwise.
    pub fn expect_success(self, what: &str) -> anyhow::Result<Self> {
        anyhow::ensure!(
            self.status.is_success(),
            "{what}: {}: {}",
            self.status,
            self.text()
        );
        Ok(self)
    }
}

/// Sends a request and waits for the complete answer.
pub fn send(
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> anyhow::Result<Reply> {
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into()))?;
    RUNTIME.block_on(async {
        let answer = tokio::time::timeout(TIMEOUT, CLIENT.request(request)).await;
        whole(answer.with_context(|| format!("{url}: no answer"))??).await
    })
}

async fn whole(answer: Response<hyper::body::Incoming>) -> anyhow::Result<Reply> {
    Ok(Reply {
        status: answer.status(),
        body: answer.into_body().collect().await?.to_bytes(),
    })
}
