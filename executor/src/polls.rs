//! Makes polls idempotent, so that a network failure loses no task.
//!
//! A poll reports finished tasks and receives new ones. Ballista loses both if the call fails:
//! the scheduler then waits forever for the result of a task. Therefore each poll has a number.
//! The executor retries a failed poll with the same number, and the scheduler returns the
//! response to the first try.

use std::cmp::Ordering::{Equal, Greater, Less};
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::convert::Infallible;
use std::hash::{BuildHasher, Hasher};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use plans::reported::with_causes;
use tokio::sync::OnceCell;
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::codegen::{Body as HttpBody, Bytes, Service, StdError};
use tonic::server::NamedService;
use tracing::warn;

const PATH: &str = "/ballista.protobuf.SchedulerGrpc/PollWork";
const EXECUTOR: HeaderName = HeaderName::from_static("lakebolt-executor");
const NUMBER: HeaderName = HeaderName::from_static("lakebolt-poll");
const GRPC_STATUS: &str = "grpc-status";
const UNAUTHENTICATED: &str = "16";
/// Pause before a poll is retried.
const PAUSE: Duration = Duration::from_millis(500);
/// Responses to executors that are silent for longer are forgotten.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// A complete body with its trailers, which can be sent again.
#[derive(Clone, Debug)]
struct Buffered {
    bytes: Bytes,
    trailers: Option<HeaderMap>,
}

impl Buffered {
    async fn read<B>(body: B) -> Result<Self, StdError>
    where
        B: HttpBody<Data = Bytes>,
        B::Error: Into<StdError>,
    {
        let collected = body.collect().await.map_err(Into::into)?;
        let trailers = collected.trailers().cloned();
        Ok(Self {
            bytes: collected.to_bytes(),
            trailers,
        })
    }

    fn body(self) -> Body {
        let trailers = self.trailers;
        let body = Full::new(self.bytes);
        Body::new(body.with_trailers(async move { trailers.map(Ok) }))
    }
}

/// A client that retries polls until the scheduler responds.
#[derive(Clone, Debug)]
pub struct Polls<C> {
    client: C,
    executor: HeaderValue,
    sent: Arc<AtomicU64>,
}

impl<C> Polls<C> {
    /// Wraps a client. Each one identifies itself as a different executor.
    pub fn new(client: C) -> Self {
        // A random number: the standard library seeds each hasher differently.
        let name = RandomState::new().build_hasher().finish();
        Self {
            client,
            executor: HeaderValue::from(name),
            sent: Arc::default(),
        }
    }

    fn number(&self) -> HeaderValue {
        HeaderValue::from(self.sent.fetch_add(1, Ordering::Relaxed))
    }
}

impl<C> GrpcService<Body> for Polls<C>
where
    C: GrpcService<Body> + Clone + Send + 'static,
    C::Error: Into<StdError>,
    C::Future: Send,
    C::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
    <C::ResponseBody as HttpBody>::Error: Into<StdError>,
{
    type ResponseBody = Body;
    type Error = StdError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, StdError>> + Send>>;

    /// Always ready. Each try of a call waits for the inner client.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), StdError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let is_poll = request.uri().path() == PATH;
        if is_poll {
            let headers = request.headers_mut();
            headers.insert(EXECUTOR, self.executor.clone());
            headers.insert(NUMBER, self.number());
        }
        let mut client = self.client.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = Buffered::read(body).await?;
            let mut tries = 0u64;
            loop {
                tries += 1;
                let request = Request::from_parts(head.clone(), body.clone().body());
                match send(&mut client, request).await {
                    Err(error) if is_poll => {
                        // Logs the first failures, and then fewer and fewer.
                        if tries.is_power_of_two() {
                            let why = with_causes(error.as_ref());
                            warn!("no response from the scheduler, retrying: {why}");
                        }
                        tokio::time::sleep(PAUSE).await;
                    }
                    answer => return answer,
                }
            }
        })
    }
}

/// Sends a request and reads the entire response, because the connection may break.
async fn send<C>(client: &mut C, request: Request<Body>) -> Result<Response<Body>, StdError>
where
    C: GrpcService<Body>,
    C::Error: Into<StdError>,
    C::ResponseBody: HttpBody<Data = Bytes>,
    <C::ResponseBody as HttpBody>::Error: Into<StdError>,
{
    let ready = std::future::poll_fn(|context| client.poll_ready(context)).await;
    ready.map_err(Into::into)?;
    let (head, body) = client.call(request).await.map_err(Into::into)?.into_parts();
    if head
        .headers
        .get(GRPC_STATUS)
        .is_some_and(|status| status == UNAUTHENTICATED)
    {
        return Err("the scheduler refuses the token: check --token-file".into());
    }
    Ok(Response::from_parts(
        head,
        Buffered::read(body).await?.body(),
    ))
}

type ResponseCell = Arc<OnceCell<Option<(http::response::Parts, Buffered)>>>;

/// The last poll of an executor and its response.
#[derive(Debug)]
struct Last {
    number: u64,
    answer: ResponseCell,
    at: Instant,
}

/// Wraps the scheduler's service. A repeated poll gets the same response again.
#[derive(Clone, Debug)]
pub struct Deduplicated<S> {
    service: S,
    last: Arc<Mutex<HashMap<HeaderValue, Last>>>,
}

impl<S> Deduplicated<S> {
    /// Wraps a service.
    pub fn new(service: S) -> Self {
        Self {
            service,
            last: Arc::default(),
        }
    }

    /// Returns the cell with the response to this poll, which may be empty. Returns `None` for a
    /// delayed poll: the executor has already received the response to a later one.
    fn cell(&self, executor: HeaderValue, number: u64) -> Option<ResponseCell> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        last.retain(|_, last| now.duration_since(last.at) < FORGOTTEN);
        let fresh = || Last {
            number,
            answer: ResponseCell::default(),
            at: now,
        };
        let known = last.entry(executor).or_insert_with(fresh);
        match number.cmp(&known.number) {
            Less => return None,
            Equal => known.at = now,
            Greater => *known = fresh(),
        }
        Some(known.answer.clone())
    }
}

impl<S: NamedService> NamedService for Deduplicated<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Deduplicated<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let headers = request.headers();
        let named = headers.get(EXECUTOR).cloned().zip(number_of(headers));
        let (Some((executor, number)), PATH) = (named, request.uri().path()) else {
            return Box::pin(self.service.call(request));
        };
        let Some(answer) = self.cell(executor, number) else {
            let late = tonic::Status::aborted("a later poll was answered");
            return Box::pin(async move { Ok(late.into_http()) });
        };
        let mut service = self.service.clone();
        Box::pin(async move {
            // A separate task, because a closed connection must not cancel it.
            let kept = answer.clone();
            let asked = tokio::spawn(async move {
                kept.get_or_init(|| async {
                    let Ok(response) = service.call(request).await;
                    let (head, body) = response.into_parts();
                    match Buffered::read(body).await {
                        Ok(body) => Some((head, body)),
                        Err(error) => {
                            warn!(%error, "a poll failed");
                            None
                        }
                    }
                })
                .await;
            });
            if let Err(error) = asked.await {
                warn!(%error, "a poll failed");
            }
            Ok(match answer.get().cloned().flatten() {
                Some((head, body)) => Response::from_parts(head, body.body()),
                None => tonic::Status::internal("the poll was not answered").into_http(),
            })
        })
    }
}

fn number_of(headers: &HeaderMap) -> Option<u64> {
    headers.get(NUMBER)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A scheduler that counts requests.
    #[derive(Clone, Default)]
    struct Counting(Arc<AtomicU64>);

    impl Service<Request<Body>> for Counting {
        type Response = Response<Body>;
        type Error = Infallible;
        type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: Request<Body>) -> Self::Future {
            let count = self.0.clone();
            Box::pin(async move {
                let asked = Buffered::read(request.into_body()).await.expect("whole");
                tokio::time::sleep(Duration::from_millis(5)).await;
                let number = count.fetch_add(1, Ordering::Relaxed);
                let bytes = [asked.bytes.as_ref(), number.to_string().as_bytes()].concat();
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", HeaderValue::from_static("0"));
                let whole = Buffered {
                    bytes: bytes.into(),
                    trailers: Some(trailers),
                };
                Ok(Response::new(whole.body()))
            })
        }
    }

    /// A client that loses responses: half of them while it waits, half after they arrived.
    #[derive(Clone)]
    struct Lossy {
        to: Deduplicated<Counting>,
        losses: Arc<AtomicU64>,
    }

    impl GrpcService<Body> for Lossy {
        type ResponseBody = Body;
        type Error = StdError;
        type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, StdError>> + Send>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), StdError>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: Request<Body>) -> Self::Future {
            let mut to = self.to.clone();
            let left = |left: u64| left.checked_sub(1);
            let order = Ordering::Relaxed;
            let lost = self.losses.fetch_update(order, order, left).ok();
            Box::pin(async move {
                let answer = Service::call(&mut to, request);
                match lost {
                    // Odd ones disconnect before the response, even ones after it.
                    Some(lost) if lost % 2 == 1 => {
                        let patience = Duration::from_millis(1);
                        let _ = tokio::time::timeout(patience, answer).await;
                        Err("cut".into())
                    }
                    Some(_) => {
                        let _ = answer.await;
                        Err("cut".into())
                    }
                    None => Ok(answer.await?),
                }
            })
        }
    }

    fn lossy(losses: u64) -> (Counting, Polls<Lossy>) {
        let counting = Counting::default();
        let client = Lossy {
            to: Deduplicated::new(counting.clone()),
            losses: Arc::new(AtomicU64::new(losses)),
        };
        (counting, Polls::new(client))
    }

    async fn ask(
        polls: &mut Polls<Lossy>,
        path: &str,
        text: &'static str,
    ) -> Result<Buffered, StdError> {
        let body = Body::new(Full::new(Bytes::from_static(text.as_bytes())));
        let request = Request::builder().uri(path).body(body)?;
        Buffered::read(polls.call(request).await?.into_body()).await
    }

    #[tokio::test]
    async fn a_poll_with_lost_responses_is_served_once() {
        let (counting, mut polls) = lossy(2);
        let first = ask(&mut polls, PATH, "a").await.unwrap();
        assert_eq!(first.bytes, "a0");
        assert_eq!(first.trailers.unwrap()["grpc-status"], "0");
        let second = ask(&mut polls, PATH, "b").await.unwrap();
        assert_eq!(second.bytes, "b1");
        assert_eq!(counting.0.load(Ordering::Relaxed), 2);
    }

    /// An abandoned connection may deliver its request after the next poll.
    #[tokio::test]
    async fn a_delayed_poll_is_not_served() {
        let (counting, mut polls) = lossy(0);
        ask(&mut polls, PATH, "a").await.unwrap();
        ask(&mut polls, PATH, "b").await.unwrap();
        let late = Request::builder().uri(PATH);
        let late = late.header(EXECUTOR, &polls.executor).header(NUMBER, 0);
        let late = late.body(Body::empty()).unwrap();
        let Ok(answer) = Service::call(&mut polls.client.to, late).await;
        assert_eq!(answer.headers()["grpc-status"], "10");
        assert_eq!(counting.0.load(Ordering::Relaxed), 2);
        assert_eq!(ask(&mut polls, PATH, "c").await.unwrap().bytes, "c2");
    }

    #[tokio::test]
    async fn executors_do_not_get_responses_of_others() {
        let (counting, mut one) = lossy(0);
        let mut other = Polls::new(one.client.clone());
        assert_eq!(ask(&mut one, PATH, "a").await.unwrap().bytes, "a0");
        assert_eq!(ask(&mut other, PATH, "b").await.unwrap().bytes, "b1");
        assert_eq!(counting.0.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn other_requests_are_not_retried() {
        let (_, mut polls) = lossy(1);
        let asked = ask(
            &mut polls,
            "/ballista.protobuf.SchedulerGrpc/CancelJob",
            "a",
        )
        .await;
        assert!(asked.is_err());
    }
}
