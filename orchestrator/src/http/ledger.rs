//! The log of ideas as anybody may check it: checkpoint, proofs, tiles, entries, texts.

use aide::{
    axum::{
        ApiRouter,
        routing::{get_with, post_with},
    },
    transform::TransformOperation,
};
use axum::{
    Json,
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
};
use data_encoding::BASE64;
use mesh_schemas::Problem;
use mesh_schemas::idea::{
    Appended, EntryId, LedgerAnswer, LedgerAsk, LedgerCheckpoint, LedgerProof, LedgerStats,
    LogEntry, Sha256,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Api,
    body::JsonBody,
    caller::{Admin, Caller, Read},
    params::{InPath, InQuery},
    problem::{ApiError, ApiResult},
    text::Text,
};
use crate::ledger::strange;

/// Most entries in one answer.
const ENTRIES_MAX: u32 = 256;

/// The routes of the log.
pub(super) fn routes() -> ApiRouter<Api> {
    ApiRouter::new()
        .api_route("/ledger", get_with(stats, doc_stats))
        .api_route("/ledger/checkpoint", get_with(checkpoint, doc_checkpoint))
        .api_route("/ledger/proof", get_with(proof, doc_proof))
        .api_route("/ledger/entries", get_with(entries, doc_entries))
        .api_route("/ledger/texts/{hash}", get_with(text, doc_text))
        .api_route("/ledger/erase", post_with(erase, doc_erase))
        // Static files by the names of C2SP tlog-tiles, for tools that know nothing of Deskmesh.
        .route("/ledger/log/{*path}", axum::routing::get(file))
}

fn doc_stats(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("ledger_stats").summary("Sizes and health of the ledger").tag("ledger")
}

async fn stats(_: Caller<Read>, State(api): State<Api>) -> ApiResult<Json<LedgerStats>> {
    let LedgerAnswer::Stats(stats) = api.app.ledger.ask(&LedgerAsk::Stats {}).await? else {
        return Err(strange().into());
    };
    Ok(Json(stats))
}

fn doc_checkpoint(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("ledger_checkpoint").summary("The latest signed head of the log").tag("ledger")
}

async fn checkpoint(_: Caller<Read>, State(api): State<Api>) -> ApiResult<Json<LedgerCheckpoint>> {
    head(&api).await.map(Json)
}

async fn head(api: &Api) -> ApiResult<LedgerCheckpoint> {
    let LedgerAnswer::Checkpoint(checkpoint) =
        api.app.ledger.ask(&LedgerAsk::Checkpoint {}).await?
    else {
        return Err(strange().into());
    };
    Ok(checkpoint)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ProofQuery {
    /// Prove that this entry is in the log.
    entry: Option<EntryId>,
    /// Prove that the log still begins with what it held at this size.
    old_size: Option<u64>,
}

fn doc_proof(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("ledger_proof").summary("Proofs of inclusion and consistency").tag("ledger")
}

async fn proof(
    _: Caller<Read>,
    State(api): State<Api>,
    InQuery(ProofQuery { entry, old_size }): InQuery<ProofQuery>,
) -> ApiResult<Json<LedgerProof>> {
    let LedgerAnswer::Proof(proof) =
        api.app.ledger.ask(&LedgerAsk::Prove { entry, old_size }).await?
    else {
        return Err(strange().into());
    };
    Ok(Json(proof))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EntriesQuery {
    /// The first index; 0 when not said.
    #[serde(default)]
    from: u64,
    /// How many, at most 256, which is meant when not said.
    count: Option<u32>,
}

fn doc_entries(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("ledger_entries").summary("Entries of the log, in order").tag("ledger")
}

async fn entries(
    _: Caller<Read>,
    State(api): State<Api>,
    InQuery(EntriesQuery { from, count }): InQuery<EntriesQuery>,
) -> ApiResult<Json<Vec<LogEntry>>> {
    let count = count.unwrap_or(ENTRIES_MAX);
    if !(1..=ENTRIES_MAX).contains(&count) {
        let detail = format!("count is {count}; allowed are 1 to {ENTRIES_MAX}");
        return Err(Problem::invalid("count", detail).into());
    }
    let LedgerAnswer::Entries { items } =
        api.app.ledger.ask(&LedgerAsk::Entries { from, count }).await?
    else {
        return Err(strange().into());
    };
    Ok(Json(items))
}

/// `/ledger/texts/{hash}`
#[derive(Debug, Deserialize, JsonSchema)]
struct TextPath {
    /// The hash by which entries name it.
    hash: Sha256,
}

fn doc_text(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("ledger_text").summary("A text that entries refer to").tag("ledger")
}

async fn text(
    _: Caller<Read>,
    State(api): State<Api>,
    InPath(TextPath { hash }): InPath<TextPath>,
) -> ApiResult<Text> {
    let LedgerAnswer::Body { text } = api.app.ledger.ask(&LedgerAsk::Body { hash }).await? else {
        return Err(strange().into());
    };
    // Never as HTML, whatever it looks like.
    Ok(Text { media_type: "text/plain; charset=utf-8", body: text })
}

/// Whose texts are to be erased.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EraseRequest {
    /// The subject they were sealed for.
    subject: String,
}

fn doc_erase(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("erase_subject")
        .summary("Destroy a subject's key, and with it every text sealed for it")
        .description("For ever. The log keeps the hashes, and proofs hold as before.")
        .tag("ledger")
}

async fn erase(
    caller: Caller<Admin>,
    State(api): State<Api>,
    JsonBody(EraseRequest { subject }): JsonBody<EraseRequest>,
) -> ApiResult<Json<Appended>> {
    mesh_schemas::text::check_name("subject", &subject)?;
    caller.audit("erase", &subject);
    let LedgerAnswer::Appended(appended) =
        api.app.ledger.ask(&LedgerAsk::Erase { subject }).await?
    else {
        return Err(strange().into());
    };
    Ok(Json(appended))
}

async fn file(
    _: Caller<Read>,
    State(api): State<Api>,
    Path(path): Path<String>,
) -> ApiResult<Response> {
    if path == "checkpoint" {
        let text = head(&api).await?.note;
        return Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response());
    }
    let LedgerAnswer::Tile { data } = api.app.ledger.ask(&LedgerAsk::Tile { path }).await? else {
        return Err(strange().into());
    };
    let bytes = BASE64.decode(data.as_bytes()).map_err(|error| ApiError::internal(&error))?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}
