//! Who asks, as the first argument of a handler: `Caller<Read>`, `Caller<Submit>`, `Caller<Admin>`.
//!
//! The same argument writes the operation's security into the OpenAPI document, so that what is said and
//! what is checked cannot drift apart.

use std::marker::PhantomData;

use aide::{OperationInput, generate::GenContext, openapi::Operation};
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use mesh_schemas::{ErrorCode, api::Scope};

use super::{Api, problem::ApiError};
use crate::auth;

/// The name of the security scheme in the document.
pub(super) const SCHEME: &str = "token";

/// What a route asks of a token.
pub(super) trait Need: Send + Sync + 'static {
    /// The least scope that will do.
    const SCOPE: Scope;
}

/// See [`Scope::Read`].
#[derive(Debug)]
pub(super) struct Read;
/// See [`Scope::Submit`].
#[derive(Debug)]
pub(super) struct Submit;
/// See [`Scope::Admin`].
#[derive(Debug)]
pub(super) struct Admin;

impl Need for Read {
    const SCOPE: Scope = Scope::Read;
}
impl Need for Submit {
    const SCOPE: Scope = Scope::Submit;
}
impl Need for Admin {
    const SCOPE: Scope = Scope::Admin;
}

/// A caller whose token allows what the route needs.
#[derive(Debug)]
pub(super) struct Caller<N> {
    who: auth::Caller,
    need: PhantomData<N>,
}

impl<N> Caller<N> {
    /// Writes the audit line of a privileged act.
    pub(super) fn audit(&self, act: &str, subject: &dyn std::fmt::Display) {
        tracing::info!(
            target: "mesh_audit",
            act = act,
            token.id = %self.who.token,
            subject = %subject,
            "{act} {subject}"
        );
    }
}

impl<N: Need> FromRequestParts<Api> for Caller<N> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let who = authenticate(&parts.headers, &api.tokens).await?;
        if who.scope < N::SCOPE {
            return Err(ApiError::new(
                ErrorCode::Forbidden,
                format!("this needs a token of the scope {}; this one has {}", N::SCOPE, who.scope),
            ));
        }
        Ok(Self { who, need: PhantomData })
    }
}

/// Finds out who asks.
pub(super) async fn authenticate(
    headers: &HeaderMap,
    tokens: &auth::Tokens,
) -> Result<auth::Caller, ApiError> {
    let secret = bearer(headers).ok_or_else(unauthenticated)?;
    tokens.caller(secret).await?.ok_or_else(unauthenticated)
}

/// The one `Authorization: Bearer …`; two of them are as good as none.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    let (scheme, secret) = value.split_once(' ')?;
    (values.next().is_none() && scheme.eq_ignore_ascii_case("bearer")).then_some(secret.trim())
}

fn unauthenticated() -> ApiError {
    let problem = mesh_schemas::Problem::new(
        ErrorCode::Unauthenticated,
        "a valid token is needed: none came, or it is wrong, expired or deleted",
    );
    problem.hint("send `Authorization: Bearer dmk_…`").into()
}

impl<N: Need> OperationInput for Caller<N> {
    fn operation_input(_: &mut GenContext, operation: &mut Operation) {
        let need = (SCHEME.to_owned(), vec![N::SCOPE.as_str().to_owned()]);
        operation.security = vec![std::iter::once(need).collect()];
    }
}
