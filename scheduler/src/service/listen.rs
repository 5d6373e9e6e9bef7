//! The scheduler's one port: Ballista's service, the load service, health and metrics, and on
//! demand Ballista's REST.

use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use executor::engine::MESSAGE_BYTES;
use executor::polls::Deduplicated;
use executor::token::Token;
use executor::transport::KEEP_ALIVE;
use tokio::sync::oneshot;
use tonic::service::Routes;
use tonic::transport::{Server, ServerTlsConfig};
use tonic_health::pb::health_server::{Health, HealthServer};
use tracing::info;

use super::loads::{Loads, REQUEST_BYTES, Stage};
use super::proto::loads_server::LoadsServer;
use super::{guard, metrics};
use crate::cluster::Scheduler;
use crate::status::StatusError;

/// How long a drained scheduler waits for its connections to close.
const CLOSING: Duration = Duration::from_secs(5);

/// Why the scheduler does not serve, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("the port cannot be served")]
    Port(#[from] tonic::transport::Error),
    #[error("{0}; {remedy}", remedy = .0.remedy())]
    Status(#[from] StatusError),
}

/// How the port is served.
#[derive(Clone, Debug)]
pub struct Listener {
    pub address: SocketAddr,
    pub tls: Option<ServerTlsConfig>,
    /// What clients and executors have to send.
    pub token: Option<Token>,
    /// Also serves Ballista's REST interface.
    pub rest: bool,
}

/// Serves until `stop` ends, and then drains.
pub async fn serve(
    listener: Listener,
    scheduler: Scheduler,
    loads: Loads,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ListenError> {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_not_serving::<LoadsServer<Loads>>().await;
    let routes = routes(&scheduler, &loads, health, &listener);
    let mut server = Server::builder()
        .accept_http1(true)
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE));
    if let Some(tls) = listener.tls {
        server = server.tls_config(tls)?;
    }
    let (drained, closing) = oneshot::channel();
    let (draining, leaving) = (loads.clone(), reporter.clone());
    let stop = async move {
        stop.await;
        info!("scheduler stops; unfinished loads are left to the next one");
        leaving.set_not_serving::<LoadsServer<Loads>>().await;
        draining.drain().await;
        // The listener may have failed already.
        let _ = drained.send(());
    };
    let late = async {
        match closing.await {
            Ok(()) => tokio::time::sleep(CLOSING).await,
            Err(_) => pending().await,
        }
    };
    let resumed = async {
        match loads.resume().await {
            Ok(()) => {
                if loads.stage() == Stage::Serving {
                    reporter.set_serving::<LoadsServer<Loads>>().await;
                }
                pending().await
            }
            Err(error) => error,
        }
    };
    tokio::select! {
        served = server.add_routes(routes).serve_with_shutdown(listener.address, stop) => Ok(served?),
        () = late => Ok(()),
        error = resumed => Err(error.into()),
    }
}

fn routes(
    scheduler: &Scheduler,
    loads: &Loads,
    health: HealthServer<impl Health>,
    listener: &Listener,
) -> Routes {
    let service = LoadsServer::new(loads.clone())
        .max_decoding_message_size(REQUEST_BYTES)
        .max_encoding_message_size(MESSAGE_BYTES);
    let grpc = Routes::new(Deduplicated::new(scheduler.service()))
        .add_service(service)
        .add_service(health);
    let mut all = grpc.into_axum_router().merge(probes(scheduler, loads));
    if listener.rest {
        all = all.merge(scheduler.rest());
    }
    Routes::from(guard::guarded(all, listener.token.clone()))
}

fn probes(scheduler: &Scheduler, loads: &Loads) -> Router {
    let ready = loads.clone();
    let ready = move || async move {
        match ready.stage() {
            Stage::Serving => (StatusCode::OK, "ready\n"),
            Stage::Resuming => (StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
            Stage::Draining => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
        }
    };
    let (scheduler, loads) = (scheduler.clone(), loads.clone());
    let counted = move || async move { counted(&scheduler, &loads).await };
    Router::new()
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(counted))
}

async fn counted(scheduler: &Scheduler, loads: &Loads) -> Response {
    match metrics::text(&loads.runner().registry, scheduler).await {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::TEXT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
