//! For tests: a DynamoDB in this process, and a proxy in front of it that fails on demand.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Config, Credentials, Region};
use bytes::Bytes;
use dynoxide::Database;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::client::legacy::Client as Forward;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

use super::{DynamoDb, client};
use crate::status::StatusStore;

/// An in-memory database with its own port.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) url: String,
    stores: AtomicUsize,
}

impl Server {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let database = Database::memory().expect("a database");
        tokio::spawn(dynoxide::server::serve_on(listener, database));
        let stores = AtomicUsize::new(0);
        Self { url, stores }
    }

    pub(super) fn client(&self) -> Client {
        Client::from_conf(config(&self.url))
    }

    /// A store with this prefix. Its tables may not exist.
    pub(super) fn store(&self, prefix: &str) -> DynamoDb {
        DynamoDb::with_client(prefix, self.client()).expect("a prefix")
    }

    /// A new store with its tables.
    pub(super) async fn new_store(&self) -> Arc<DynamoDb> {
        let number = self.stores.fetch_add(1, Ordering::Relaxed);
        let store = self.store(&format!("test-{number}"));
        store.prepare().await.expect("prepared");
        Arc::new(store)
    }
}

/// The client settings of the program, with its real timeouts.
pub(super) fn config(url: &str) -> Config {
    client::patient(builder(url))
}

fn builder(url: &str) -> Builder {
    Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("key", "secret", None, None, "test"))
        .endpoint_url(url)
}

/// Two quick tries, for tests of errors that are reported.
pub(super) fn impatient(url: &str) -> Config {
    let retries = RetryConfig::standard()
        .with_max_attempts(2)
        .with_initial_backoff(Duration::from_millis(1));
    let config = client::patient(builder(url)).to_builder();
    config.retry_config(retries).build()
}

/// What the proxy does with a request.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// Answers instead of the database.
    Says {
        status: u16,
        code: &'static str,
        message: &'static str,
    },
    /// Forwards the request, then closes the connection instead of answering.
    LosesAnswer,
    /// Never answers.
    Hangs,
}

/// A proxy in front of a server, with faults for the next requests of an action.
#[derive(Clone, Debug)]
pub(super) struct Proxy {
    pub(super) url: String,
    faults: Arc<Mutex<VecDeque<(&'static str, Fault)>>>,
}

#[derive(Debug, thiserror::Error)]
#[error("the answer is lost")]
struct Lost;

impl Proxy {
    pub(super) async fn in_front_of(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let proxy = Self {
            url: format!("http://{}", listener.local_addr().expect("bound")),
            faults: Arc::default(),
        };
        tokio::spawn(proxy.clone().serve(listener, server.url.clone()));
        proxy
    }

    /// Applies `fault` to the next `count` requests of `action`.
    pub(super) fn next(&self, count: usize, action: &'static str, fault: &Fault) {
        let mut faults = self.faults.lock().expect("whole");
        faults.extend(std::iter::repeat_n((action, fault.clone()), count));
    }

    pub(super) fn is_clear(&self) -> bool {
        self.faults.lock().expect("whole").is_empty()
    }

    fn fault(&self, target: &str) -> Option<Fault> {
        let mut faults = self.faults.lock().expect("whole");
        let is_next = |(action, _): &mut (&str, Fault)| target.ends_with(&format!(".{action}"));
        faults.pop_front_if(is_next).map(|(_, fault)| fault)
    }

    async fn serve(self, listener: TcpListener, server: String) {
        while let Ok((stream, _)) = listener.accept().await {
            let (proxy, server) = (self.clone(), server.clone());
            let service = service_fn(move |request| {
                let (proxy, server) = (proxy.clone(), server.clone());
                async move { proxy.pass(request, &server).await }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    }

    async fn pass(
        &self,
        request: Request<Incoming>,
        server: &str,
    ) -> Result<Response<Full<Bytes>>, Lost> {
        let target = request.headers().get("x-amz-target");
        let target = target.and_then(|target| target.to_str().ok());
        let fault = self.fault(target.unwrap_or_default());
        match fault {
            None => Ok(forwarded(request, server).await),
            Some(Fault::LosesAnswer) => {
                forwarded(request, server).await;
                Err(Lost)
            }
            Some(Fault::Hangs) => {
                let never: Infallible = std::future::pending().await;
                match never {}
            }
            Some(Fault::Says {
                status,
                code,
                message,
            }) => Ok(said(status, code, message)),
        }
    }
}

async fn forwarded(request: Request<Incoming>, server: &str) -> Response<Full<Bytes>> {
    let (mut head, body) = request.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    head.uri = server.parse().expect("a URL");
    let forward = Forward::builder(TokioExecutor::new()).build_http();
    let request = Request::from_parts(head, Full::new(body));
    let answer = forward.request(request).await.expect("an answer");
    let (head, body) = answer.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    Response::from_parts(head, Full::new(body))
}

fn said(status: u16, code: &str, message: &str) -> Response<Full<Bytes>> {
    let kind = format!("com.amazonaws.dynamodb.v20120810#{code}");
    let body = serde_json::json!({"__type": kind, "message": message});
    let mut answer = Response::new(Full::new(Bytes::from(body.to_string())));
    *answer.status_mut() = StatusCode::from_u16(status).expect("a status");
    answer
}

/// A credentials chain that finds none.
#[derive(Debug)]
struct NoCredentials;

impl ProvideCredentials for NoCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("none in the chain")))
    }
}

pub(super) fn without_credentials() -> Config {
    let config = impatient("http://127.0.0.1:9").to_builder();
    config.credentials_provider(NoCredentials).build()
}
