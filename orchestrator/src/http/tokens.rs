//! Tokens: list, make, delete.

use aide::{
    axum::{
        ApiRouter,
        routing::{delete_with, get_with},
    },
    transform::TransformOperation,
};
use axum::{Json, extract::State, response::NoContent};
use mesh_schemas::{
    TokenId,
    api::{NewToken, Page, TokenRequest, TokenView},
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Api,
    body::JsonBody,
    caller::{Admin, Caller},
    created::Created,
    page::{self, Listing},
    params::{InPath, InQuery, TokenPath},
    problem::{ApiError, ApiResult},
};
use crate::auth::MakeTokenError;

/// The routes of tokens.
pub(super) fn routes() -> ApiRouter<Api> {
    ApiRouter::new()
        .api_route("/tokens", get_with(list, doc_list).post_with(make, doc_make))
        .api_route("/tokens/{token}", delete_with(delete, doc_delete))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// `next` of the page before.
    cursor: Option<String>,
    /// Rows of a page, from 1 to 1000; 100 when not said.
    limit: Option<u32>,
}

fn doc_list(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("list_tokens").summary("List tokens, without their secrets").tag("tokens")
}

async fn list(
    _: Caller<Admin>,
    State(api): State<Api>,
    InQuery(query): InQuery<ListQuery>,
) -> ApiResult<Json<Page<TokenView>>> {
    let limit = page::rows(query.limit)?;
    let listing = Listing::new("tokens", &[]);
    let after = query.cursor.map(|cursor| listing.place::<TokenId>(&cursor)).transpose()?;
    let mut rows = api.tokens.list().await?;
    rows.sort_by_key(|token| token.id);
    rows.retain(|token| after.is_none_or(|after| token.id > after));
    Ok(Json(listing.page(rows, limit, |token| token.id)))
}

fn doc_make(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("make_token")
        .summary("Make a token")
        .description(
            "Its secret is shown once. It holds for 90 days when no `ttl` is given, and at \
                      most.",
        )
        .tag("tokens")
}

async fn make(
    caller: Caller<Admin>,
    State(api): State<Api>,
    JsonBody(request): JsonBody<TokenRequest>,
) -> ApiResult<Created<NewToken>> {
    let token = api.tokens.make(&request).await?;
    caller.audit("make_token", &token.view.id);
    Ok(Created(token))
}

fn doc_delete(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("delete_token").summary("Delete a token; it stops working at once").tag("tokens")
}

async fn delete(
    caller: Caller<Admin>,
    State(api): State<Api>,
    InPath(TokenPath { token }): InPath<TokenPath>,
) -> ApiResult<NoContent> {
    caller.audit("delete_token", &token);
    if api.tokens.delete(token).await? {
        return Ok(NoContent);
    }
    Err(ApiError::not_found(format!("token {token}")))
}

impl From<MakeTokenError> for ApiError {
    fn from(error: MakeTokenError) -> Self {
        match error {
            MakeTokenError::Refused(problem) => problem.into(),
            MakeTokenError::Store(error) => error.into(),
        }
    }
}
