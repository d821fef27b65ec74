//! Nodes: list, look, act, let in.

use aide::{
    axum::{
        ApiRouter,
        routing::{get_with, post_with},
    },
    transform::TransformOperation,
};
use axum::{Json, extract::State};
use mesh_fabric::{ids, tls::fingerprint};
use mesh_schemas::{
    ErrorCode, NodeId, Problem,
    api::{JoinCode, JoinCodeRequest, JoinRequest, Joined, NodeView, Page},
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

use super::{
    Api,
    body::{JsonBody, OptionalBody},
    caller::{Admin, Caller, Read},
    created::Created,
    page::{self, Listing},
    params::{InPath, InQuery, NodeActionPath, NodePath},
    problem::{ApiError, ApiResult},
};
use crate::engine::NodeEntry;

/// What every join code begins with.
const CODE_PREFIX: &str = "dmj_";
const CODE_TTL: Duration = Duration::from_secs(15 * 60);
/// Of a code that is put back after a join that failed.
const CODE_TTL_AGAIN: Duration = Duration::from_secs(60);
const CODE_TTL_MIN: Duration = Duration::from_secs(1);
const CODE_TTL_MAX: Duration = Duration::from_secs(24 * 3600);

/// The routes of nodes.
pub(super) fn routes() -> ApiRouter<Api> {
    ApiRouter::new()
        .api_route("/nodes", get_with(list, doc_list))
        .api_route("/nodes/join-codes", post_with(make_code, doc_make_code))
        .api_route("/nodes/join", post_with(join, doc_join))
        .api_route("/nodes/{node}", get_with(show, doc_show))
        .api_route("/nodes/{node}/{action}", post_with(act, doc_act))
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
    op.id("list_nodes").summary("List nodes, oldest first").tag("nodes")
}

async fn list(
    _: Caller<Read>,
    State(api): State<Api>,
    InQuery(query): InQuery<ListQuery>,
) -> ApiResult<Json<Page<NodeView>>> {
    let limit = page::rows(query.limit)?;
    let listing = Listing::new("nodes", &[]);
    let after = query.cursor.map(|cursor| listing.place::<NodeId>(&cursor)).transpose()?;
    let entries = api.app.engine.node_statuses().await?;
    let rows = entries
        .iter()
        .filter(|entry| after.is_none_or(|after| entry.record.id > after))
        .take(usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1));
    Ok(Json(listing.page(rows.map(view).collect(), limit, |node| node.id)))
}

fn doc_show(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("show_node").summary("Show a node").tag("nodes")
}

async fn show(
    _: Caller<Read>,
    State(api): State<Api>,
    InPath(NodePath { node }): InPath<NodePath>,
) -> ApiResult<Json<NodeView>> {
    find(&api, node).await.map(Json)
}

fn doc_act(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("act_on_node")
        .summary("Drain, pause, resume or revoke a node")
        .description("A revoked node is cut off for ever, within 5 s; its work is queued again.")
        .tag("nodes")
}

async fn act(
    caller: Caller<Admin>,
    State(api): State<Api>,
    InPath(NodeActionPath { node, action }): InPath<NodeActionPath>,
) -> ApiResult<Json<NodeView>> {
    find(&api, node).await?;
    caller.audit(action.as_str(), &node);
    api.app.nodes.act(node, action).await?;
    find(&api, node).await.map(Json)
}

fn doc_make_code(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("make_join_code")
        .summary("Make a code that lets one machine in")
        .description("Shown once, works once; 15 min when no `ttl` is given, at most 24 h.")
        .tag("nodes")
}

async fn make_code(
    caller: Caller<Admin>,
    State(api): State<Api>,
    OptionalBody(request): OptionalBody<JoinCodeRequest>,
) -> ApiResult<Created<JoinCode>> {
    let ttl = request.ttl.map_or(CODE_TTL, |ttl| ttl.duration());
    if !(CODE_TTL_MIN..=CODE_TTL_MAX).contains(&ttl) {
        return Err(Problem::invalid("ttl", "ttl must be from 1s to 24h").into());
    }
    let code = ids::secret(CODE_PREFIX);
    let expires_at = api.app.clock.now() + ttl;
    let (leader, code_hash) = (api.app.engine.leader(), ids::sha256(code.as_bytes()));
    api.app.store.insert_join_code(leader, code_hash, expires_at).await?;
    caller.audit("make_join_code", &format_args!("until {expires_at}"));
    // A machine that does not trust our authority yet knows it by the fingerprint in the code.
    let code = match super::info::authority_pem(&api).await?.and_then(|pem| fingerprint(&pem)) {
        Some(fingerprint) => format!("{code}.{fingerprint}"),
        None => code,
    };
    Ok(Created(JoinCode { code, expires_at }))
}

fn doc_join(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("join")
        .summary("Let this machine in")
        .description(
            "Needs no token: the code is the secret. One that is wrong, used or expired gets \
                      one and the same answer.",
        )
        .tag("nodes")
}

async fn join(
    State(api): State<Api>,
    JsonBody(request): JsonBody<JoinRequest>,
) -> ApiResult<Created<Joined>> {
    api.join_limit.take().map_err(|wait| {
        let secs = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
        ApiError::new(ErrorCode::Busy, "too many try to join at once").retry_after(secs)
    })?;
    api.app.nodes.check_join(&request.name, &request.public_key)?;
    // One statement whatever the code is, so that its time tells nothing.
    let (leader, hash) = (api.app.engine.leader(), ids::sha256(request.code.as_bytes()));
    if !api.app.store.use_join_code(leader, hash, api.app.clock.now()).await? {
        tracing::warn!(target: "mesh_audit", act = "join", "A join code was refused");
        let detail = "the join code is wrong, used or expired";
        return Err(Problem::new(ErrorCode::JoinToken, detail)
            .hint("make another with `mesh node code`; each works once")
            .into());
    }
    let joined = match api.app.nodes.join(request.name, request.public_key).await {
        Ok(joined) => joined,
        Err(problem) => {
            put_back(&api, hash).await;
            return Err(problem.into());
        }
    };
    tracing::info!(target: "mesh_audit", act = "join", node.id = %joined.node, "A node joined");
    Ok(Created(joined))
}

/// A join that failed does not cost the code: whatever became of the node, nobody was given a credential
/// for it. The old expiry went with the code's row, so there is time for another try and no more.
async fn put_back(api: &Api, code_hash: [u8; 32]) {
    let expires_at = api.app.clock.now() + CODE_TTL_AGAIN;
    let leader = api.app.engine.leader();
    if let Err(error) = api.app.store.insert_join_code(leader, code_hash, expires_at).await {
        tracing::warn!("A join failed and its code could not be put back: {error}");
    }
}

async fn find(api: &Api, node: NodeId) -> ApiResult<NodeView> {
    let entry = api.app.engine.node_status(node).await?;
    entry.as_ref().map(view).ok_or_else(|| ApiError::not_found(format!("node {node}")))
}

fn view(entry: &NodeEntry) -> NodeView {
    let record = &entry.record;
    let report = record.report.as_deref();
    NodeView {
        id: record.id,
        name: record.name.clone(),
        state: entry.status.state,
        version: report.map(|report| report.version.clone()).unwrap_or_default(),
        labels: report.map(|report| report.labels.clone()).unwrap_or_default(),
        capacity: report.map(|report| report.capacity.clone()).unwrap_or_default(),
        enforces: report.map(|report| report.enforces).unwrap_or_default(),
        load: entry.status.load,
        held: entry.status.held,
        joined_at: record.joined_at,
        last_seen: entry.status.last_seen,
    }
}
