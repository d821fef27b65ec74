//! The way in: to the API while this orchestrator leads, to a short answer while another one does.
//!
//! Looked at for each request, so that a caller on a connection of last week is never served by a leader of last
//! week. Whoever was frozen is turned away by the lease's time, before this process has noticed anything else.

use std::sync::Arc;

use axum::{Router, extract::State, middleware, response::Response};
use mesh_fabric::metrics::MetricsHandle;
use tokio::sync::watch;
use tower::ServiceExt as _;

use super::{Shutdown, limits::Limits, observe, standby};
use crate::{
    app::{StandBy, Standing},
    store::Store,
};

/// What the way in needs.
#[derive(Debug)]
pub struct FrontOptions {
    /// What this orchestrator is at the moment.
    pub standing: watch::Receiver<Standing>,
    /// Knows the tokens.
    pub store: Arc<dyn Store>,
    /// The text of `/metrics`.
    pub metrics: MetricsHandle,
}

#[derive(Debug, Clone)]
struct Front {
    standing: watch::Receiver<Standing>,
    standby: standby::Answers,
    limits: Limits,
}

/// Everything that is served. [`super::serve()`] listens for it.
pub fn front(options: FrontOptions) -> Router {
    let FrontOptions { standing, store, metrics } = options;
    let standby = standby::Answers::new(store, metrics);
    Router::new().fallback(choose).with_state(Front {
        standing,
        standby,
        limits: Limits::default(),
    })
}

type Request = axum::extract::Request;

async fn choose(State(front): State<Front>, mut request: Request) -> Response {
    let standing = match &*front.standing.borrow() {
        Standing::Leads(leading) if leading.state.lease.holds() => {
            request.extensions_mut().insert(Shutdown::with(leading.over.clone()));
            Ok(leading.router.clone())
        }
        Standing::Leads(_) | Standing::Undecided => Err(StandBy::NobodyKnown),
        Standing::StandsBy(standby) => Err(standby.clone()),
    };
    let router = match standing {
        Ok(router) => router,
        Err(standby) => {
            let layer = middleware::from_fn_with_state(front.limits, observe::observe);
            standby::router(front.standby, standby).layer(layer)
        }
    };
    match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}
