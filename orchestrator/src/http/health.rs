//! For those who watch this process: does it live, is it ready, how is it.

use aide::axum::{ApiRouter, routing::get_with};
use axum::{
    extract::{FromRequestParts, State},
    http::{header, request::Parts},
};
use mesh_fabric::metrics::MetricsHandle;
use mesh_schemas::ErrorCode;

use super::{
    Api,
    caller::authenticate,
    problem::{ApiError, ApiResult},
    serve::is_local,
    text::Text,
};
use crate::auth::Tokens;

/// The probes.
pub(super) fn routes() -> ApiRouter<Api> {
    ApiRouter::new()
        .api_route(
            "/healthz",
            get_with(healthz, |op| {
                op.id("healthz").summary("Does the process live?").tag("health")
            }),
        )
        .api_route(
            "/readyz",
            get_with(readyz, |op| {
                op.id("readyz").summary("Is all there that it takes to do work?").tag("health")
            }),
        )
        .api_route(
            "/metrics",
            get_with(metrics, |op| {
                op.id("metrics")
                    .summary("Prometheus metrics")
                    .description("Needs no token from the machine that the orchestrator runs on.")
                    .tag("health")
            }),
        )
}

async fn healthz() -> &'static str {
    "ok\n"
}

async fn readyz(State(api): State<Api>) -> ApiResult<&'static str> {
    api.app.store.ping().await?;
    // Refused while the engine is still loading.
    api.app.engine.totals().await?;
    if api.app.bus.connected() {
        return Ok("ready\n");
    }
    Err(ApiError::new(ErrorCode::BusDown, "NATS is out of reach"))
}

async fn metrics(_: Scraper, State(api): State<Api>) -> ApiResult<Text> {
    Ok(metrics_text(&api.app.metrics))
}

/// The page `/metrics`.
pub(super) fn metrics_text(metrics: &MetricsHandle) -> Text {
    Text { media_type: "text/plain; version=0.0.4; charset=utf-8", body: metrics.render() }
}

/// Somebody on this machine, or somebody whose token may read.
#[derive(Debug)]
struct Scraper;

impl FromRequestParts<Api> for Scraper {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        check_scraper(parts, &api.tokens).await.map(|()| Self)
    }
}

/// Lets whoever may look at the metrics pass.
pub(super) async fn check_scraper(parts: &Parts, tokens: &Tokens) -> Result<(), ApiError> {
    if is_local(parts) && !parts.headers.contains_key(header::AUTHORIZATION) {
        return Ok(());
    }
    // Every scope includes the least one, which is enough.
    authenticate(&parts.headers, tokens).await.map(drop)
}

impl aide::OperationInput for Scraper {}
