//! Path and query parameters, strict: an unknown, doubled or unreadable one is refused by its name.

use aide::{
    OperationInput,
    generate::GenContext,
    openapi::Operation,
    operation::{ParamLocation, add_parameters, parameters_from_schema},
};
use axum::{
    extract::{
        FromRequestParts, Path, Query,
        path::ErrorKind,
        rejection::{PathRejection, QueryRejection},
    },
    http::request::Parts,
};
use mesh_schemas::{ErrorCode, JobId, NodeId, Problem, TokenId, api::NodeAction};
use schemars::JsonSchema;
use serde::{Deserialize, de::DeserializeOwned};

use super::problem::ApiError;

/// `/jobs/{job}`
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub(super) struct JobPath {
    /// The job.
    pub(super) job: JobId,
}

/// `/jobs/{job}/tasks/{task}`
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub(super) struct TaskPath {
    /// The job.
    pub(super) job: JobId,
    /// The task's index.
    pub(super) task: u32,
}

/// `/nodes/{node}`
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub(super) struct NodePath {
    /// The node.
    pub(super) node: NodeId,
}

/// `/nodes/{node}/{action}`
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub(super) struct NodeActionPath {
    /// The node.
    pub(super) node: NodeId,
    /// What to do to it.
    pub(super) action: NodeAction,
}

/// `/tokens/{token}`
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub(super) struct TokenPath {
    /// The token.
    pub(super) token: TokenId,
}

/// The parameters in the path.
#[derive(Debug)]
pub(super) struct InPath<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for InPath<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(params)) => Ok(Self(params)),
            Err(rejection) => Err(path_problem(rejection).into()),
        }
    }
}

impl<T: JsonSchema> OperationInput for InPath<T> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        add::<T>(ctx, operation, ParamLocation::Path);
    }
}

/// The parameters in the query.
#[derive(Debug)]
pub(super) struct InQuery<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for InQuery<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(params)) => Ok(Self(params)),
            Err(rejection) => Err(query_problem(&rejection).into()),
        }
    }
}

impl<T: JsonSchema> OperationInput for InQuery<T> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        add::<T>(ctx, operation, ParamLocation::Query);
    }
}

fn add<T: JsonSchema>(ctx: &mut GenContext, operation: &mut Operation, location: ParamLocation) {
    // Inlined: the properties become parameters, and nobody refers to the whole.
    let schema = T::json_schema(&mut ctx.schema);
    let parameters = parameters_from_schema(ctx, schema, location);
    add_parameters(ctx, operation, parameters);
}

fn path_problem(rejection: PathRejection) -> Problem {
    let PathRejection::FailedToDeserializePathParams(failed) = rejection else {
        return Problem::new(ErrorCode::Internal, "the route has no parameters");
    };
    #[expect(clippy::wildcard_enum_match_arm, reason = "axum may add kinds; all mean unreadable")]
    match failed.into_kind() {
        ErrorKind::ParseErrorAtKey { key, expected_type, .. } => {
            Problem::invalid(key.clone(), format!("{key} in the path must be a {expected_type}"))
        }
        ErrorKind::DeserializeError { key, message, .. } => {
            Problem::invalid(key.clone(), format!("{key} in the path: {message}"))
        }
        ErrorKind::InvalidUtf8InPathParam { key } => {
            Problem::invalid(key.clone(), format!("{key} in the path is not UTF-8"))
        }
        _ => Problem::new(ErrorCode::Invalid, "the path's parameters cannot be read"),
    }
}

/// The reader's words, as the crate gives them: `name: message` when it knows the name.
fn query_problem(rejection: &QueryRejection) -> Problem {
    let text = rejection.body_text();
    let text = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
    let text: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
    if let Some(name) = text.split("unknown field `").nth(1) {
        let name: String = name.split('`').next().unwrap_or(name).chars().take(64).collect();
        return Problem::new(
            ErrorCode::UnknownField,
            format!("there is no parameter {}", mesh_schemas::text::shown(&name)),
        )
        .at(name);
    }
    let problem = Problem::new(ErrorCode::Invalid, format!("the query cannot be read: {text}"));
    match text.split_once(": ") {
        Some((name, _)) if name.chars().all(|c| c.is_ascii_lowercase() || c == '_') => {
            problem.at(name)
        }
        Some(_) | None => problem,
    }
}
