//! The scheduler's one port: Ballista's service, the load service, health, REST and metrics.

use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use executor::engine::MESSAGE_BYTES;
use executor::polls::Deduplicated;
use executor::transport::KEEP_ALIVE;
use tokio::sync::oneshot;
use tonic::service::Routes;
use tonic::transport::{Server, ServerTlsConfig};
use tonic_health::pb::health_server::{Health, HealthServer};
use tracing::info;

use super::loads::{Loads, REQUEST_BYTES, Stage};
use super::metrics;
use super::proto::loads_server::LoadsServer;
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

/// Serves until `stop` ends, and then drains.
pub async fn serve(
    listen: SocketAddr,
    tls: Option<ServerTlsConfig>,
    scheduler: Scheduler,
    loads: Loads,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ListenError> {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_not_serving::<LoadsServer<Loads>>().await;
    let routes = routes(&scheduler, &loads, health);
    let mut server = Server::builder()
        .accept_http1(true)
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE));
    if let Some(tls) = tls {
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
        served = server.add_routes(routes).serve_with_shutdown(listen, stop) => Ok(served?),
        () = late => Ok(()),
        error = resumed => Err(error.into()),
    }
}

fn routes(scheduler: &Scheduler, loads: &Loads, health: HealthServer<impl Health>) -> Routes {
    let service = LoadsServer::new(loads.clone())
        .max_decoding_message_size(REQUEST_BYTES)
        .max_encoding_message_size(MESSAGE_BYTES);
    let grpc = Routes::new(Deduplicated::new(scheduler.service()))
        .add_service(service)
        .add_service(health);
    let http = scheduler.rest().merge(probes(scheduler, loads));
    Routes::from(grpc.into_axum_router().merge(http))
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
