//! What an orchestrator answers while another one leads: that it lives, how it is, and who is to be asked.

use std::sync::Arc;

use axum::{
    Router,
    extract::{FromRequestParts, State},
    http::request::Parts,
    routing::get,
};
use mesh_fabric::metrics::MetricsHandle;
use mesh_schemas::{ErrorCode, Problem};

use super::{
    health::{check_scraper, metrics_text},
    problem::{ApiError, ApiResult},
    text::Text,
};
use crate::{app::StandBy, auth::Tokens, store::Store};

/// What the answers are made of. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Answers {
    tokens: Tokens,
    metrics: MetricsHandle,
}

impl Answers {
    /// Changes nothing, so no epoch is needed: the first one is of no leader.
    pub(super) fn new(store: Arc<dyn Store>, metrics: MetricsHandle) -> Self {
        Self { tokens: Tokens::new(store, 0), metrics }
    }
}

#[derive(Debug, Clone)]
struct Asked {
    answers: Answers,
    standby: StandBy,
}

/// The whole API of who stands by.
pub(super) fn router(answers: Answers, standby: StandBy) -> Router {
    Router::new()
        .route("/healthz", get(|| std::future::ready("standby\n")))
        .route("/metrics", get(metrics))
        .fallback(refuse)
        .with_state(Asked { answers, standby })
}

async fn metrics(_: Scraper, State(asked): State<Asked>) -> Text {
    metrics_text(&asked.answers.metrics)
}

async fn refuse(State(asked): State<Asked>) -> ApiResult<()> {
    Err(ApiError::from(problem(&asked.standby)))
}

fn problem(standby: &StandBy) -> Problem {
    match standby {
        StandBy::Behind { url } if !url.is_empty() => {
            Problem::new(ErrorCode::Standby, format!("this orchestrator stands by; {url} leads"))
                .hint(format!(
                    "ask {url}; with all of them in MESH_SERVER, `mesh` finds the leader"
                ))
        }
        StandBy::Behind { .. } | StandBy::NobodyKnown => Problem::new(
            ErrorCode::Standby,
            "this orchestrator stands by; who leads is being settled",
        )
        .hint("ask again in a few seconds"),
        StandBy::StoreDown => {
            Problem::new(ErrorCode::StoreDown, "the database is out of reach; nothing was accepted")
                .hint("try again in a few seconds")
        }
    }
}

/// As on a leader.
struct Scraper;

impl FromRequestParts<Asked> for Scraper {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, asked: &Asked) -> Result<Self, ApiError> {
        check_scraper(parts, &asked.answers.tokens).await.map(|()| Self)
    }
}
