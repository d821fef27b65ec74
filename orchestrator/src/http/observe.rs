//! The outermost layer: trace, guard, limit, time-out, panics, errors' bodies, headers, metrics.

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use aide::OperationInput;
use axum::{
    extract::{FromRequestParts, MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures::FutureExt as _;
use mesh_fabric::ids;
use mesh_schemas::{ErrorCode, TraceParent, trace::TRACEPARENT_HEADER};
use tracing::Instrument as _;

use super::{
    guard,
    limits::{ANSWER_WAIT_MAX, Limits},
    problem::{self, ApiError},
};
use crate::ledger;

/// The trace that a request belongs to: the caller's, or a new one.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestTrace(pub(super) TraceParent);

/// Marks an answer that was held back on purpose: its duration says nothing about this server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waited;

/// See the module.
pub(super) async fn observe(
    State(limits): State<Limits>,
    mut request: Request,
    next: Next,
) -> Response {
    let begin = Instant::now();
    let trace = trace_of(request.headers());
    request.extensions_mut().insert(RequestTrace(trace));
    let method = method_label(request.method());
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or("none", MatchedPath::as_str);
    let trace_id = trace.trace_id();
    let span =
        tracing::info_span!("http", trace.id = trace_id, http.method = method, http.route = route);
    let answer = answer(&limits, request, next, route).instrument(span.clone());
    let response = ledger::within(trace, answer).await;
    let mut response = problem::render(response, &trace_id);
    secure(response.headers_mut());
    span.in_scope(|| count(method, route, &response, begin.elapsed()));
    response
}

async fn answer(limits: &Limits, request: Request, next: Next, route: &str) -> Response {
    if let Err(refused) = guard::check(&request) {
        return refused.into_response();
    }
    // Whoever asks whether this process lives must get through when it is busy.
    let is_probe = matches!(route, "/healthz" | "/readyz" | "/metrics");
    let _permit = match limits.request() {
        Err(busy) if !is_probe => return busy.into_response(),
        permit => permit.ok(),
    };
    let handled = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(ANSWER_WAIT_MAX, handled).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => panicked(panic.as_ref()).into_response(),
        Err(_) => ApiError::new(
            ErrorCode::Timeout,
            format!("no answer within {} s", ANSWER_WAIT_MAX.as_secs()),
        )
        .into_response(),
    }
}

/// A fault of ours: the log gets its words, the caller does not.
fn panicked(panic: &(dyn std::any::Any + Send)) -> ApiError {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    tracing::error!(panic = text, "A request handler panicked");
    ApiError::new(ErrorCode::Internal, "a fault of the orchestrator; its log has the trace id")
}

/// The caller's trace seen from a span of ours. A header that cannot be read begins a new trace, as the
/// standard wants.
fn trace_of(headers: &HeaderMap) -> TraceParent {
    let header = headers.get(TRACEPARENT_HEADER).and_then(|value| value.to_str().ok());
    match header.and_then(|text| text.parse::<TraceParent>().ok()) {
        Some(parent) => parent.child(ids::span_id()),
        None => ids::trace_parent(),
    }
}

/// Bounded, as it becomes a label.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

const SECURITY_HEADERS: [(HeaderName, HeaderValue); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
];

fn secure(headers: &mut HeaderMap) {
    for (name, value) in SECURITY_HEADERS {
        headers.insert(name, value);
    }
}

fn count(method: &'static str, route: &str, response: &Response, took: Duration) {
    let status = response.status();
    let route = route.to_owned();
    let labels = [
        ("route", route.clone()),
        ("method", method.into()),
        ("status", status.as_str().to_owned()),
    ];
    metrics::counter!("mesh_http_requests_total", &labels).increment(1);
    if response.extensions().get::<Waited>().is_none() {
        metrics::histogram!("mesh_http_request_seconds", "route" => route, "method" => method)
            .record(took.as_secs_f64());
    }
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    if status == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::warn!(http.status = status.as_u16(), duration_ms, "Answered with a fault of ours");
    } else {
        tracing::debug!(http.status = status.as_u16(), duration_ms, "Answered");
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RequestTrace {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let known = parts.extensions.get::<Self>().copied();
        Ok(known.unwrap_or_else(|| Self(trace_of(&parts.headers))))
    }
}

impl OperationInput for RequestTrace {
    fn operation_input(
        ctx: &mut aide::generate::GenContext,
        operation: &mut aide::openapi::Operation,
    ) {
        let about = "W3C trace context, version 00; a new trace begins without it.";
        super::sse::header_parameter(ctx, operation, TRACEPARENT_HEADER, about);
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, middleware, routing::get};
    use tower::ServiceExt as _;

    use super::*;

    async fn boom() -> &'static str {
        panic!("secret words")
    }

    #[tokio::test]
    async fn a_panic_is_an_answer_that_tells_nothing() {
        let layer = middleware::from_fn_with_state(Limits::default(), observe);
        let app = Router::new().route("/boom", get(boom)).layer(layer);
        let response =
            app.oneshot(Request::get("/boom").body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let text = std::str::from_utf8(&body).unwrap();
        assert!(text.contains("E_INTERNAL") && !text.contains("secret"), "{text}");
    }

    #[tokio::test]
    async fn a_full_server_says_when_to_come_back_and_still_answers_probes() {
        let limits = Limits::default();
        let held: Vec<_> = std::iter::from_fn(|| limits.request().ok()).collect();
        let layer = middleware::from_fn_with_state(limits, observe);
        let fine = || async { "fine" };
        let app = Router::new().route("/x", get(fine)).route("/healthz", get(fine)).layer(layer);
        let ask = async |path: &str| {
            app.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap()
        };
        let busy = ask("/x").await;
        assert_eq!(busy.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(busy.headers()["retry-after"], "1");
        assert_eq!(ask("/healthz").await.status(), StatusCode::OK);
        drop(held);
        assert_eq!(ask("/x").await.status(), StatusCode::OK);
    }
}
