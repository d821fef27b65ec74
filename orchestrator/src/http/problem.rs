//! Errors as answers: RFC 9457 problem details, all of one form.
//!
//! A handler returns an [`ApiError`]; [`render`] writes its body at the outermost layer, where the
//! request's trace id is known. Nothing of the inside (SQL text, paths, panics) reaches an answer: what
//! an operator needs is logged here, once.

use aide::{OperationOutput, generate::GenContext, openapi};
use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use mesh_schemas::{ErrorCode, Problem};
use schemars::JsonSchema;
use serde::Serialize;

use crate::store::StoreError;

/// What handlers return.
pub(super) type ApiResult<T> = Result<T, ApiError>;

/// The media type of every error.
pub(super) const PROBLEM_JSON: &str = "application/problem+json";

/// An answer that says what was wrong.
#[derive(Debug)]
pub(super) struct ApiError {
    problem: Box<Problem>,
    status: StatusCode,
    retry_after_secs: Option<u32>,
}

impl ApiError {
    /// With the status that belongs to the code.
    pub(super) fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Problem::new(code, detail).into()
    }

    /// A thing that does not exist, or that this caller may not know of.
    pub(super) fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(ErrorCode::NotFound, format!("there is no {what}"))
    }

    /// A fault of ours: told in one word, logged in full.
    pub(super) fn internal(error: &dyn std::error::Error) -> Self {
        tracing::error!(error = mesh_fabric::error::chain(error), "A request failed by our fault");
        Self::new(ErrorCode::Internal, "a fault of the orchestrator; its log has the trace id")
    }

    /// The stable code.
    pub(super) const fn code(&self) -> ErrorCode {
        self.problem.code
    }

    /// Answers with a status other than the code's own, for what only HTTP knows of.
    #[must_use]
    pub(super) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Says when to come back.
    #[must_use]
    pub(super) fn retry_after(mut self, secs: u32) -> Self {
        self.retry_after_secs = Some(secs);
        self
    }

    /// The problem.
    pub(super) fn problem(&self) -> &Problem {
        &self.problem
    }
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        let status = StatusCode::from_u16(problem.code.http_status())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after_secs =
            matches!(status.as_u16(), 429 | 503).then_some(if status == 429 { 1 } else { 2 });
        Self { problem: Box::new(problem), status, retry_after_secs }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Unavailable { .. } => {
                tracing::warn!(error = mesh_fabric::error::chain(&error), "The database is away");
                Self::new(ErrorCode::StoreDown, "the database is out of reach; nothing was changed")
            }
            StoreError::NotLeader { .. } => {
                Self::new(ErrorCode::NotLeader, "this orchestrator does not lead")
            }
            StoreError::Unreadable { .. } => Self::internal(&error),
            StoreError::Damaged { .. } => {
                tracing::error!("{error}");
                error.damaged().into()
            }
        }
    }
}

/// Travels from a handler to [`render`] in the answer's extensions.
#[derive(Debug, Clone)]
struct Unrendered(Problem);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if let Some(secs) = self.retry_after_secs {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(secs));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer realm=\"deskmesh\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response.extensions_mut().insert(Unrendered(*self.problem));
        response
    }
}

/// The body of every error.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ProblemDetails {
    /// A URN that ends with the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// The status.
    pub status: u16,
    /// The rest.
    #[serde(flatten)]
    pub problem: Problem,
}

/// Writes the body of an answer that carries a problem; others pass unchanged.
pub(super) fn render(mut response: Response, trace_id: &str) -> Response {
    let Some(Unrendered(mut problem)) = response.extensions_mut().remove::<Unrendered>() else {
        return response;
    };
    problem.trace_id = Some(trace_id.to_owned());
    let status = response.status();
    let details = ProblemDetails {
        kind: format!("urn:deskmesh:problem:{}", problem.code),
        title: status.canonical_reason().unwrap_or("Error").to_owned(),
        status: status.as_u16(),
        problem,
    };
    let body = serde_json::to_vec(&details).unwrap_or_default();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    *response.body_mut() = Body::from(body);
    response
}

impl OperationOutput for ApiError {
    type Inner = ProblemDetails;

    fn operation_response(
        ctx: &mut GenContext,
        _: &mut openapi::Operation,
    ) -> Option<openapi::Response> {
        let schema = openapi::SchemaObject {
            json_schema: ctx.schema.subschema_for::<ProblemDetails>(),
            example: None,
            external_docs: None,
        };
        let media = openapi::MediaType { schema: Some(schema), ..Default::default() };
        Some(openapi::Response {
            description: "What was wrong: RFC 9457 problem details with a stable code.".into(),
            content: std::iter::once((PROBLEM_JSON.to_owned(), media)).collect(),
            ..Default::default()
        })
    }

    fn inferred_responses(
        ctx: &mut GenContext,
        operation: &mut openapi::Operation,
    ) -> Vec<(Option<u16>, openapi::Response)> {
        Self::operation_response(ctx, operation)
            .map(|response| (None, response))
            .into_iter()
            .collect()
    }
}
