//! Ideas: file, look, search, rank.

use aide::{
    NoApi, OperationInput,
    axum::{
        ApiRouter,
        routing::{get_with, post_with},
    },
    generate::GenContext,
    openapi::Operation,
    transform::TransformOperation,
};
use axum::{
    Json,
    extract::{FromRequest, Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use mesh_schemas::{
    Problem,
    api::{PAGE_ROWS_MAX, Page},
    idea::{
        Appended, AuthorId, BODY_BYTES_MAX, Direction, ENTRY_BYTES_MAX, IdeaDetail, IdeaGraph,
        IdeaId, IdeaQuery, IdeaStatus, IdeaView, LedgerAnswer, LedgerAsk, RankQuery, RankedIdea,
        Relation, SearchQuery, Submission,
    },
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Api, body,
    caller::{Caller, Read, Submit},
    page,
    params::{InPath, InQuery},
    problem::{ApiError, ApiResult},
    strict_json,
};
use crate::ledger::strange;

/// Longest submission: a text of which every character is escaped, and its entry.
const SUBMISSION_BYTES_MAX: usize = 2 * BODY_BYTES_MAX + 2 * ENTRY_BYTES_MAX;
/// How far a neighbourhood reaches when not said, and at most.
const DEPTH: u32 = 2;
const DEPTH_MAX: u32 = 16;

/// The routes of ideas.
pub(super) fn routes() -> ApiRouter<Api> {
    ApiRouter::new()
        .api_route("/ideas", post_with(append, doc_append).get_with(list, doc_list))
        .api_route("/ideas/search", post_with(search, doc_search))
        .api_route("/ideas/ranking", get_with(ranking, doc_ranking))
        .api_route("/ideas/graph", get_with(graph, doc_graph))
        .api_route("/ideas/{idea}", get_with(show, doc_show))
}

/// A submission.
#[derive(Debug)]
struct SubmissionBody(Submission);

impl FromRequest<Api> for SubmissionBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Api) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        body::require_json(&parts.headers)?;
        let received = body::read(&parts.headers, body, SUBMISSION_BYTES_MAX, &api.limits).await?;
        Ok(Self(strict_json::read(&received.bytes)?))
    }
}

impl OperationInput for SubmissionBody {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        body::describe::<Submission>(ctx, operation, &["application/json"], true);
    }
}

fn doc_append(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("append_entry")
        .summary("Append a signed entry to the ledger")
        .description(
            "201: in the log, durable, with its index. 200: the log held this entry or this text already. \
             202: the registry is away; the entry waits and has no index yet, so keep it and send it again.",
        )
        .tag("ideas")
        .response_with::<201, Json<Appended>, _>(|r| r.description("It is in the log."))
        .response_with::<200, Json<Appended>, _>(|r| r.description("It was there already."))
        .response_with::<202, Json<Appended>, _>(|r| r.description("It waits for the registry."))
}

async fn append(
    _: Caller<Submit>,
    State(api): State<Api>,
    SubmissionBody(submission): SubmissionBody,
) -> ApiResult<NoApi<Response>> {
    let appended = api.app.ledger.append(submission).await?;
    let status = match (appended.index, appended.created) {
        (None, _) => StatusCode::ACCEPTED,
        (Some(_), true) => StatusCode::CREATED,
        (Some(_), false) => StatusCode::OK,
    };
    let place = appended.idea.map(|idea| [(header::LOCATION, format!("/api/v1/ideas/{idea}"))]);
    Ok(NoApi((status, place, Json(appended)).into_response()))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Only these.
    status: Option<IdeaStatus>,
    /// Only those this author holds.
    holder: Option<AuthorId>,
    /// Only those this author filed.
    author: Option<AuthorId>,
    /// Only with this tag.
    tag: Option<String>,
    /// Only with an edge of this kind.
    relation: Option<Relation>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Rows of a page, from 1 to 1000; 100 when not said.
    limit: Option<u32>,
}

fn doc_list(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("list_ideas").summary("List ideas, newest first").tag("ideas")
}

async fn list(
    _: Caller<Read>,
    State(api): State<Api>,
    InQuery(query): InQuery<ListQuery>,
) -> ApiResult<Json<Page<IdeaView>>> {
    let ListQuery { status, holder, author, tag, relation, cursor, limit } = query;
    let limit = Some(page::rows(limit)?);
    let query = IdeaQuery { status, holder, author, tag, relation, cursor, limit };
    let LedgerAnswer::Ideas { items, next } = api.app.ledger.ask(&LedgerAsk::List(query)).await?
    else {
        return Err(strange().into());
    };
    Ok(Json(Page { items, next }))
}

fn doc_search(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("search_ideas").summary("Find ideas by their words, or what is like a text").tag("ideas")
}

async fn search(
    _: Caller<Read>,
    State(api): State<Api>,
    body::JsonBody(query): body::JsonBody<SearchQuery>,
) -> ApiResult<Json<Page<IdeaView>>> {
    check_limit(query.limit)?;
    let LedgerAnswer::Ideas { items, next } = api.app.ledger.ask(&LedgerAsk::Search(query)).await?
    else {
        return Err(strange().into());
    };
    Ok(Json(Page { items, next }))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RankingQuery {
    /// Only these.
    status: Option<IdeaStatus>,
    /// Most rows, from 1 to 1000; 20 when not said.
    limit: Option<u32>,
}

fn doc_ranking(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("rank_ideas").summary("Ideas by score, each term shown with its weight").tag("ideas")
}

async fn ranking(
    _: Caller<Read>,
    State(api): State<Api>,
    InQuery(RankingQuery { status, limit }): InQuery<RankingQuery>,
) -> ApiResult<Json<Vec<RankedIdea>>> {
    check_limit(limit)?;
    let LedgerAnswer::Ranking { items } =
        api.app.ledger.ask(&LedgerAsk::Rank(RankQuery { status, limit })).await?
    else {
        return Err(strange().into());
    };
    Ok(Json(items))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GraphQuery {
    /// Around this one; all when not said.
    idea: Option<IdeaId>,
    /// How many edges far, from 1 to 16; 2 when not said.
    depth: Option<u32>,
    /// `out` (what an idea points at), `in`, or `both` (when not said).
    direction: Option<Direction>,
}

fn doc_graph(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("idea_graph")
        .summary("Ideas and the edges between them")
        .description(
            "At most 500 ideas and 5,000 edges: `truncated` says that there are more, and \
             `/ideas/edges` has all edges page by page.",
        )
        .tag("ideas")
}

async fn graph(
    _: Caller<Read>,
    State(api): State<Api>,
    InQuery(GraphQuery { idea, depth, direction }): InQuery<GraphQuery>,
) -> ApiResult<Json<IdeaGraph>> {
    let depth = depth.unwrap_or(DEPTH);
    if !(1..=DEPTH_MAX).contains(&depth) {
        let detail = format!("depth is {depth}; allowed is 1 to {DEPTH_MAX}");
        return Err(Problem::invalid("depth", detail).into());
    }
    let direction = direction.unwrap_or(Direction::Both);
    let LedgerAnswer::Graph(graph) =
        api.app.ledger.ask(&LedgerAsk::Graph { idea, depth, direction }).await?
    else {
        return Err(strange().into());
    };
    Ok(Json(graph))
}

/// `/ideas/{idea}`
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct IdeaPath {
    /// The idea's id, or its beginning of at least six digits.
    pub(super) idea: String,
}

fn doc_show(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("show_idea")
        .summary("One idea with what was said about it")
        .description(
            "`truncated` names lists that are too long for one answer; each can be had page by page.",
        )
        .tag("ideas")
}

async fn show(
    _: Caller<Read>,
    State(api): State<Api>,
    InPath(IdeaPath { idea }): InPath<IdeaPath>,
) -> ApiResult<Json<IdeaDetail>> {
    find(&api, idea).await.map(Json)
}

pub(super) async fn find(api: &Api, idea: String) -> ApiResult<IdeaDetail> {
    let LedgerAnswer::Idea(idea) = api.app.ledger.ask(&LedgerAsk::Show { idea }).await? else {
        return Err(strange().into());
    };
    Ok(*idea)
}

fn check_limit(limit: Option<u32>) -> Result<(), Problem> {
    match limit {
        Some(limit) if !(1..=PAGE_ROWS_MAX).contains(&limit) => {
            let detail = format!("limit is {limit}; allowed is 1 to {PAGE_ROWS_MAX}");
            Err(Problem::invalid("limit", detail))
        }
        Some(_) | None => Ok(()),
    }
}
