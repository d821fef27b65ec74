//! The HTTP API, `/api/v1`: what people and programs talk to.
//!
//! It checks who asks and what is asked, hands changes to the engine, reads from the store, and answers
//! in JSON, with every error a problem of one form (`problem`). It promises that an answer to a change
//! comes after its commit, that no input leads to a panic or an unbounded body, and that the OpenAPI
//! document is what the routes are. It decides nothing about jobs.

mod artifacts;
mod batch;
mod body;
mod caller;
mod created;
mod events;
mod front;
mod guard;
mod health;
mod ideas;
mod ideas_parts;
mod info;
mod job_body;
mod jobs;
mod ledger;
mod limits;
mod log_source;
mod logs;
mod nodes;
mod observe;
mod openapi;
mod page;
mod params;
mod problem;
mod serve;
mod sse;
mod standby;
mod stored_log;
mod strict_json;
mod tasks;
mod text;
mod tokens;
mod uploads;
mod wait;

use std::sync::Arc;

use axum::{Router, middleware};

use crate::{
    app::AppState,
    auth::{JoinLimit, Tokens},
};

pub use front::{FrontOptions, front};
pub use problem::ProblemDetails;
pub use serve::{Serving, Shutdown, serve};

/// What every handler gets.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) app: AppState,
    pub(crate) tokens: Tokens,
    pub(crate) limits: limits::Limits,
    pub(crate) join_limit: Arc<JoinLimit>,
    pub(crate) stored_logs: stored_log::StoredLogs,
}

/// Everything that the API of a leader serves.
pub fn router(state: AppState) -> Router {
    let (routes, document) = openapi::documented(routes());
    let stored_logs = stored_log::StoredLogs::new(state.objects.clone(), &state.config.objects);
    let api = Api {
        tokens: Tokens::new(state.store.clone(), state.engine.leader()),
        limits: limits::Limits::default(),
        join_limit: Arc::default(),
        stored_logs,
        app: state,
    };
    routes
        .route("/api/v1/openapi.json", openapi::route(&document))
        .fallback(guard::no_such_route)
        .method_not_allowed_fallback(guard::no_such_method)
        .layer(middleware::from_fn_with_state(api.limits.clone(), observe::observe))
        .with_state(api)
}

/// The OpenAPI document, as text with sorted keys and a line end.
pub fn openapi_json() -> String {
    openapi::text(&openapi::documented(routes()).1)
}

fn routes() -> aide::axum::ApiRouter<Api> {
    openapi::begin();
    let v1 = jobs::routes()
        .merge(batch::routes())
        .merge(tasks::routes())
        .merge(artifacts::routes())
        .merge(logs::routes())
        .merge(events::routes())
        .merge(nodes::routes())
        .merge(tokens::routes())
        .merge(uploads::routes())
        .merge(ideas::routes())
        .merge(ideas_parts::routes())
        .merge(ledger::routes())
        .merge(info::routes());
    aide::axum::ApiRouter::new().nest("/api/v1", v1).merge(health::routes())
}
