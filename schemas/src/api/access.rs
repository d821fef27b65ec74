//! Tokens.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{attempt::words, id::TokenId, quantity::Span, time::Timestamp};

words! {
    /// What a token may do; each includes those before it.
    Scope {
        /// Look at everything but secrets.
        Read = "read",
        /// Submit, cancel and retry jobs, ship inputs.
        Submit = "submit",
        /// Nodes, tokens, join codes.
        Admin = "admin",
    }
}

/// Asks for a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// What it is for, for people.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// How long it holds; 90 days when not said and at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Span>,
}

/// A token without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenView {
    /// Which.
    pub id: TokenId,
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it holds.
    pub expires_at: Timestamp,
}

/// A new token; the secret is shown once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NewToken {
    /// What lists show.
    #[serde(flatten)]
    pub view: TokenView,
    /// `dmk_…`
    pub secret: String,
}

impl std::fmt::Debug for NewToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewToken").field("view", &self.view).finish_non_exhaustive()
    }
}
