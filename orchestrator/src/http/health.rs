//! For those who watch this process: does it live, is it ready, how is it.

use aide::axum::{ApiRouter, routing::get_with};
use axum::{
    extract::{FromRequestParts, State},
    http::{header, request::Parts},
    response::IntoResponse,
};
use mesh_schemas::{ErrorCode, api::Scope};

use super::{
    Api,
    caller::{Need, Read, authenticate},
    problem::{ApiError, ApiResult},
    serve::is_local,
};

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
                op.id("readyz").summary("Does the database answer?").tag("health")
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
    if api.app.bus.connected() {
        return Ok("ready\n");
    }
    Err(ApiError::new(ErrorCode::BusDown, "NATS is out of reach"))
}

async fn metrics(_: Scraper, State(api): State<Api>) -> impl IntoResponse + aide::OperationOutput {
    Text(api.app.metrics.render())
}

/// Prometheus' text.
struct Text(String);

impl IntoResponse for Text {
    fn into_response(self) -> axum::response::Response {
        ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], self.0).into_response()
    }
}

impl aide::OperationOutput for Text {
    type Inner = String;
}

/// Somebody on this machine, or somebody whose token may read.
#[derive(Debug)]
struct Scraper;

impl FromRequestParts<Api> for Scraper {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        if is_local(parts) && !parts.headers.contains_key(header::AUTHORIZATION) {
            return Ok(Self);
        }
        // Every scope includes the least one.
        let _: Scope = Read::SCOPE;
        authenticate(&parts.headers, api).await.map(|_| Self)
    }
}

impl aide::OperationInput for Scraper {}
