//! Who am I talking to, and how is it?

use std::{collections::BTreeMap, time::Duration};

use aide::{
    axum::{ApiRouter, routing::get_with},
    transform::TransformOperation,
};
use axum::{Json, extract::State};
use mesh_schemas::{api::ServerInfo, idea::LedgerAsk};

use super::{
    Api,
    caller::{Caller, Read},
    problem::{ApiError, ApiResult},
    text::Text,
};

/// How long a part may take to say that it is well.
const PING_WAIT_MAX: Duration = Duration::from_secs(2);

/// The routes about this server.
pub(super) fn routes() -> ApiRouter<Api> {
    ApiRouter::new()
        .api_route("/info", get_with(info, doc_info))
        .api_route("/ca.pem", get_with(authority, doc_authority))
}

fn doc_info(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("server_info").summary("The server, its parts and its load").tag("server")
}

async fn info(_: Caller<Read>, State(api): State<Api>) -> ApiResult<Json<ServerInfo>> {
    let app = &api.app;
    let (store_ok, objects_ok, ledger_ok) = tokio::join!(
        is_well(app.store.ping()),
        is_well(app.objects.ping()),
        is_well(app.ledger.ask(&LedgerAsk::Stats {})),
    );
    let mut nodes = BTreeMap::new();
    for entry in app.engine.node_statuses().await? {
        *nodes.entry(entry.status.state).or_default() += 1;
    }
    let (tasks_queued, tasks_held) = app.engine.totals().await?;
    Ok(Json(ServerInfo {
        version: env!("CARGO_PKG_VERSION").into(),
        leader: app.engine.leader(),
        leader_url: app.url.to_string(),
        now: app.clock.now(),
        store: app.store.kind().into(),
        store_ok,
        bus_ok: app.bus.connected(),
        objects_ok,
        ledger_ok,
        nodes,
        tasks_queued,
        tasks_held,
    }))
}

async fn is_well<T, E>(ping: impl Future<Output = Result<T, E>>) -> bool {
    matches!(tokio::time::timeout(PING_WAIT_MAX, ping).await, Ok(Ok(_)))
}

fn doc_authority(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("certificate_authority")
        .summary("The certificate of the cluster's own authority")
        .description("Public: compare its fingerprint with the one that `mesh up` prints.")
        .tag("server")
}

async fn authority(State(api): State<Api>) -> ApiResult<Text> {
    let body = authority_pem(&api).await?;
    let body =
        body.ok_or_else(|| ApiError::not_found("certificate authority of this cluster's own"))?;
    Ok(Text { media_type: "application/x-pem-file", body })
}

/// PEM of the authority that signed this API's certificate, when the cluster has one of its own.
pub(super) async fn authority_pem(api: &Api) -> ApiResult<Option<String>> {
    let file = api.app.config.tls.as_ref().and_then(|tls| tls.ca_file.clone());
    let Some(file) = file else { return Ok(None) };
    let pem = tokio::fs::read_to_string(file).await;
    pem.map(Some).map_err(|error| ApiError::internal(&error))
}
