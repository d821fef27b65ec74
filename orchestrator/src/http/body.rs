//! Request bodies: bounded in bytes and time before anything is read from them.

use aide::{
    OperationInput,
    generate::GenContext,
    openapi::{MediaType, Operation, RequestBody, SchemaObject},
    operation::set_body,
};
use axum::{
    body::Body,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
};
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use mesh_schemas::ErrorCode;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::{
    Api,
    limits::{BODY_BYTES_MAX, BODY_WAIT_MAX, Limits, Permit},
    problem::ApiError,
    strict_json,
};

/// A JSON body of at most [`BODY_BYTES_MAX`].
#[derive(Debug)]
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Api> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Api) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        require_json(&parts.headers)?;
        let body = read(&parts.headers, body, BODY_BYTES_MAX, &api.limits).await?;
        Ok(Self(strict_json::read(&body.bytes)?))
    }
}

/// A JSON body, or none, which means the default.
#[derive(Debug)]
pub(super) struct OptionalBody<T>(pub(super) T);

impl<T: DeserializeOwned + Default> FromRequest<Api> for OptionalBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Api) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let body = read(&parts.headers, body, BODY_BYTES_MAX, &api.limits).await?;
        if body.bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        require_json(&parts.headers)?;
        Ok(Self(strict_json::read(&body.bytes)?))
    }
}

/// What arrived. A large one holds its place among the large ones while this lives.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) bytes: Bytes,
    pub(super) large: Option<Permit>,
}

/// Reads a whole body.
///
/// # Errors
/// 413 `E_TOO_LARGE` before the surplus is kept, 408 `E_TIMEOUT` when it dawdles, 415 `E_MEDIA_TYPE`
/// when it is compressed.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
    limits: &Limits,
) -> Result<Received, ApiError> {
    refuse_encoding(headers)?;
    if announced(headers).is_some_and(|length| length > bytes_max as u64) {
        return Err(too_large(bytes_max));
    }
    tokio::time::timeout(BODY_WAIT_MAX, collect(body, bytes_max, limits)).await.map_err(|_| {
        ApiError::new(
            ErrorCode::Timeout,
            format!("the body did not arrive within {} s", BODY_WAIT_MAX.as_secs()),
        )
        .status(StatusCode::REQUEST_TIMEOUT)
    })?
}

async fn collect(body: Body, bytes_max: usize, limits: &Limits) -> Result<Received, ApiError> {
    let mut stream = body.into_data_stream();
    let (mut bytes, mut large) = (BytesMut::new(), None);
    while let Some(piece) = stream.next().await {
        let piece = piece
            .map_err(|_| ApiError::new(ErrorCode::Syntax, "the body broke off before its end"))?;
        if bytes.len() + piece.len() > bytes_max {
            return Err(too_large(bytes_max));
        }
        if large.is_none() && bytes.len() + piece.len() > BODY_BYTES_MAX {
            large = Some(limits.large_body().await?);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(Received { bytes: bytes.freeze(), large })
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large(bytes_max: usize) -> ApiError {
    ApiError::new(ErrorCode::TooLarge, format!("the body has more than {bytes_max} bytes"))
}

/// A compressed body could unfold without end; nobody needs to send one.
fn refuse_encoding(headers: &HeaderMap) -> Result<(), ApiError> {
    match headers.get(header::CONTENT_ENCODING) {
        Some(encoding) if encoding != "identity" => {
            Err(ApiError::new(ErrorCode::MediaType, "a compressed body is not accepted"))
        }
        Some(_) | None => Ok(()),
    }
}

/// The media type without its parameters, in lower case.
pub(super) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or(value).trim().to_ascii_lowercase())
}

/// Refuses everything but JSON.
pub(super) fn require_json(headers: &HeaderMap) -> Result<(), ApiError> {
    if media_type(headers).as_deref() == Some("application/json") {
        return Ok(());
    }
    Err(ApiError::new(ErrorCode::MediaType, "the body must be application/json"))
}

/// Describes a body of these media types.
pub(super) fn describe<T: JsonSchema>(
    ctx: &mut GenContext,
    operation: &mut Operation,
    types: &[&str],
    required: bool,
) {
    let media = MediaType {
        schema: Some(SchemaObject {
            json_schema: ctx.schema.subschema_for::<T>(),
            example: None,
            external_docs: None,
        }),
        ..MediaType::default()
    };
    let content = types.iter().map(|name| ((*name).to_owned(), media.clone())).collect();
    set_body(ctx, operation, RequestBody { content, required, ..RequestBody::default() });
}

impl<T: JsonSchema> OperationInput for JsonBody<T> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        describe::<T>(ctx, operation, &["application/json"], true);
    }
}

impl<T: JsonSchema> OperationInput for OptionalBody<T> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        describe::<T>(ctx, operation, &["application/json"], false);
    }
}
