//! A proxy in front of a stand-in. It injects the faults of networks and busy services:
//! errors, resets, lost and truncated answers, either at random from a seed or at chosen
//! requests.
//!
//! It forwards the Host header as the client signed it; the stand-ins check no signatures.

mod answers;
mod faults;
mod operations;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use self::answers::{Broken, FaultyBody};
use self::faults::Faults;
use crate::http::{HttpClient, RUNTIME};

pub use self::faults::{Fault, RandomFaults, ScriptedFault};

/// A running proxy. It ends when the test drops it.
#[derive(Debug)]
pub struct FaultProxy {
    url: String,
    faults: Arc<Mutex<Faults>>,
    server: JoinHandle<()>,
}

impl FaultProxy {
    /// Starts a proxy for `upstream`, such as `http://127.0.0.1:5000`, without faults.
    pub fn start(upstream: &str) -> anyhow::Result<Self> {
        let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let url = format!("http://{}", listener.local_addr()?);
        let faults = Arc::new(Mutex::new(Faults::default()));
        let handler = Handler {
            upstream: upstream.to_owned(),
            client: Client::builder(TokioExecutor::new()).build(HttpConnector::new()),
            faults: faults.clone(),
        };
        let server = RUNTIME.spawn(serve(listener, handler));
        Ok(Self {
            url,
            faults,
            server,
        })
    }

    /// The URL of the proxy.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Injects random faults from now on.
    pub fn set_random_faults(&self, seed: u64, chances: Vec<RandomFaults>) {
        self.faults().set_random(seed, chances);
    }

    /// Injects a fault into chosen requests from now on.
    pub fn add_script(&self, script: ScriptedFault) {
        self.faults().add_script(script);
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.faults().clear();
    }

    /// Resets every connection while `down` is set.
    pub fn set_down(&self, down: bool) {
        self.faults().set_down(down);
    }

    /// The number of requests of an operation, including those with faults.
    pub fn requests(&self, operation: &str) -> u64 {
        self.faults().requests(operation)
    }

    /// The number of requests of all operations.
    pub fn all_requests(&self) -> u64 {
        self.faults().all_requests()
    }

    /// The counts of injected faults, by `OPERATION FAULT`.
    pub fn injected(&self) -> BTreeMap<String, u64> {
        self.faults().injected()
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Handles the requests of a connection.
#[derive(Clone, Debug)]
struct Handler {
    upstream: String,
    client: HttpClient,
    faults: Arc<Mutex<Faults>>,
}

async fn serve(listener: TcpListener, handler: Handler) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(connection(stream, handler.clone()));
    }
}

async fn connection(stream: TcpStream, handler: Handler) {
    let service = service_fn(|request| handler.answer(request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    // An error here is an injected fault or a killed client.
    let _ = connection.await;
}

impl Handler {
    /// The answer, or `Broken` if the connection must end without one.
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<FaultyBody>, Broken> {
        let (head, body) = request.into_parts();
        let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
        let operation = operations::recognise(&head.method, path, query, &head.headers);
        let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
        let text = String::from_utf8_lossy(&body);
        let fault = {
            let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
            let place = head.uri.to_string();
            faults.decide(operation, |part| {
                text.contains(part) || place.contains(part)
            })
        };
        let is_dynamo = head.headers.contains_key("x-amz-target");
        match fault {
            Some(Fault::Reset) => return Err(Broken),
            Some(Fault::InternalError) => return Ok(answers::internal_error(is_dynamo)),
            Some(Fault::SlowDown) => return Ok(answers::slow_down(is_dynamo)),
            Some(Fault::Refused(status, code, message)) => {
                return Ok(answers::refused(is_dynamo, status, code, message));
            }
            _ => {}
        }
        let answer = self.forward(Request::from_parts(head, body)).await?;
        match fault {
            Some(Fault::Lost) => Err(Broken),
            Some(Fault::Truncated) => Ok(answers::truncated(answer)),
            Some(Fault::Slow(delay)) => {
                tokio::time::sleep(delay).await;
                Ok(answers::whole(answer))
            }
            _ => Ok(answers::whole(answer)),
        }
    }

    async fn forward(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Broken> {
        let (mut head, body) = request.into_parts();
        let target = head
            .uri
            .path_and_query()
            .map_or("/", |target| target.as_str());
        let uri: Uri = format!("{}{target}", self.upstream)
            .parse()
            .map_err(|_| Broken)?;
        head.uri = uri;
        for hop in [CONNECTION, EXPECT, TRANSFER_ENCODING] {
            head.headers.remove(hop);
        }
        head.headers.insert(CONTENT_LENGTH, body.len().into());
        let request = Request::from_parts(head, Full::new(body));
        let answer = self.client.request(request).await.map_err(|_| Broken)?;
        let (mut head, body) = answer.into_parts();
        for hop in [CONNECTION, TRANSFER_ENCODING] {
            head.headers.remove(hop);
        }
        let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
        Ok(Response::from_parts(head, body))
    }
}
