//! Who may use the scheduler's port. Without TLS every request needs the token, except those that
//! ask whether the scheduler is alive. Web pages get no answer at all.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, ORIGIN};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use executor::token::Token;
use tonic::Status;

/// Paths that only report whether the scheduler is alive and ready.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];
const OPEN_SERVICE: &str = "/grpc.health.v1.Health/";
const GRPC: &[u8] = b"application/grpc";
const REFUSED: &str = "this scheduler asks for its token\n\
    give --token-file with the file that the scheduler was started with";

/// Puts the guard before every route. Without a token it lets everybody in: TLS has checked them.
pub fn guarded(routes: Router, token: Option<Token>) -> Router {
    let token = token.map(Arc::new);
    routes.layer(middleware::from_fn_with_state(token, guard))
}

async fn guard(State(token): State<Option<Arc<Token>>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    // Only browsers send it, for a page of another origin; the scheduler has no pages.
    if headers.contains_key(ORIGIN) {
        return (StatusCode::FORBIDDEN, "web pages get no answer\n").into_response();
    }
    let admitted = token.is_none_or(|token| has(&token, headers));
    if !admitted && !is_open(request.uri().path()) {
        return refusal(headers);
    }
    let mut response = next.run(request).await;
    let is_for_pages = |name: &HeaderName| name.as_str().starts_with("access-control-");
    let headers = response.headers_mut();
    let for_pages: Vec<_> = headers
        .keys()
        .filter(|name| is_for_pages(name))
        .cloned()
        .collect();
    for name in for_pages {
        headers.remove(name);
    }
    response
}

fn has(token: &Token, headers: &HeaderMap) -> bool {
    let mut sent = headers.get_all(AUTHORIZATION).iter();
    match (sent.next(), sent.next()) {
        (Some(header), None) => token.is_in(header),
        _ => false,
    }
}

fn is_open(path: &str) -> bool {
    OPEN.contains(&path) || path.starts_with(OPEN_SERVICE)
}

fn refusal(headers: &HeaderMap) -> Response {
    let kind = headers.get(CONTENT_TYPE);
    match kind.is_some_and(|kind| kind.as_bytes().starts_with(GRPC)) {
        true => Status::unauthenticated(REFUSED).into_http(),
        false => (StatusCode::UNAUTHORIZED, REFUSED).into_response(),
    }
}
