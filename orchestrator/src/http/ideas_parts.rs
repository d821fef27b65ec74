//! What belongs to an idea, page by page: entries, edges, jobs; and the way from an idea to its work and back.

use aide::{
    axum::{ApiRouter, routing::get_with},
    transform::TransformOperation,
};
use axum::{Json, extract::State};
use mesh_schemas::{
    ErrorCode, JobId,
    api::{PAGE_ROWS_MAX, Page},
    idea::{
        EdgeQuery, EdgeView, EntryView, IdeaDetail, IdeaId, IdeaJob, IdeaWork, JobIdeas,
        LedgerAnswer, LedgerAsk, PartQuery,
    },
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Api,
    caller::{Caller, Read},
    ideas::{IdeaPath, find},
    jobs, page,
    params::{InPath, InQuery, JobPath},
    problem::ApiResult,
};
use crate::ledger::strange;

/// Most tasks of one job whose artifacts are told with an idea's work.
const WORK_TASKS_MAX: u32 = 100;
/// Jobs of a page of work, each with its tasks, when nothing is said, and at most.
const WORK_ROWS: u32 = 20;
const WORK_ROWS_MAX: u32 = 100;

/// The routes of what belongs to ideas.
pub(super) fn routes() -> ApiRouter<Api> {
    ApiRouter::new()
        .api_route("/ideas/edges", get_with(all_edges, doc_all_edges))
        .api_route("/ideas/{idea}/entries", get_with(entries, doc_entries))
        .api_route("/ideas/{idea}/edges", get_with(edges, doc_edges))
        .api_route("/ideas/{idea}/jobs", get_with(idea_jobs, doc_jobs))
        .api_route("/ideas/{idea}/work", get_with(work, doc_work))
        .api_route("/jobs/{job}/ideas", get_with(of_job, doc_of_job))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PageQuery {
    /// `next` of the page before.
    cursor: Option<String>,
    /// Rows of a page, from 1 to 1000; 100 when not said. A page may have fewer, and still be followed by another.
    limit: Option<u32>,
}

/// An idea by its whole id or the beginning of it.
async fn id_of(api: &Api, idea: String) -> ApiResult<IdeaId> {
    match idea.parse() {
        Ok(id) => Ok(id),
        Err(_) => Ok(find(api, idea).await?.view.id),
    }
}

async fn part(api: &Api, idea: String, query: PageQuery) -> ApiResult<PartQuery> {
    let PageQuery { cursor, limit } = query;
    Ok(PartQuery { idea: id_of(api, idea).await?, cursor, limit: Some(page::rows(limit)?) })
}

fn doc_entries(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("idea_entries")
        .summary("What was said about an idea, in the order of the log")
        .tag("ideas")
}

async fn entries(
    _: Caller<Read>,
    State(api): State<Api>,
    InPath(IdeaPath { idea }): InPath<IdeaPath>,
    InQuery(query): InQuery<PageQuery>,
) -> ApiResult<Json<Page<EntryView>>> {
    let query = part(&api, idea, query).await?;
    let LedgerAnswer::About { items, next } = api.app.ledger.ask(&LedgerAsk::About(query)).await?
    else {
        return Err(strange().into());
    };
    Ok(Json(Page { items, next }))
}

fn doc_edges(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("idea_edges").summary("The edges from and to an idea").tag("ideas")
}

async fn edges(
    _: Caller<Read>,
    State(api): State<Api>,
    InPath(IdeaPath { idea }): InPath<IdeaPath>,
    InQuery(query): InQuery<PageQuery>,
) -> ApiResult<Json<Page<EdgeView>>> {
    let PartQuery { idea, cursor, limit } = part(&api, idea, query).await?;
    edge_page(&api, EdgeQuery { idea: Some(idea), cursor, limit }).await
}

fn doc_all_edges(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("list_edges")
        .summary("All edges between ideas")
        .description("Page by page the whole graph, however large; `/ideas` has the ideas.")
        .tag("ideas")
}

async fn all_edges(
    _: Caller<Read>,
    State(api): State<Api>,
    InQuery(PageQuery { cursor, limit }): InQuery<PageQuery>,
) -> ApiResult<Json<Page<EdgeView>>> {
    let limit = Some(page::rows(limit)?);
    edge_page(&api, EdgeQuery { idea: None, cursor, limit }).await
}

async fn edge_page(api: &Api, query: EdgeQuery) -> ApiResult<Json<Page<EdgeView>>> {
    let LedgerAnswer::Edges { items, next } = api.app.ledger.ask(&LedgerAsk::Edges(query)).await?
    else {
        return Err(strange().into());
    };
    Ok(Json(Page { items, next }))
}

fn doc_jobs(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("idea_jobs")
        .summary("The jobs of an idea as the ledger has them, newest first")
        .tag("ideas")
}

async fn idea_jobs(
    _: Caller<Read>,
    State(api): State<Api>,
    InPath(IdeaPath { idea }): InPath<IdeaPath>,
    InQuery(query): InQuery<PageQuery>,
) -> ApiResult<Json<Page<IdeaJob>>> {
    let query = part(&api, idea, query).await?;
    Ok(Json(job_page(&api, query).await?))
}

async fn job_page(api: &Api, query: PartQuery) -> ApiResult<Page<IdeaJob>> {
    let LedgerAnswer::Jobs { items, next } = api.app.ledger.ask(&LedgerAsk::Jobs(query)).await?
    else {
        return Err(strange().into());
    };
    Ok(Page { items, next })
}

fn doc_work(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("idea_work")
        .summary("What came of an idea: its jobs and what they stored, newest first")
        .description(
            "At most 100 jobs a page, 20 when not said. Of each job the first hundred tasks are told; \
             `/jobs/{job}/tasks` has all of them.",
        )
        .tag("ideas")
}

async fn work(
    _: Caller<Read>,
    State(api): State<Api>,
    InPath(IdeaPath { idea }): InPath<IdeaPath>,
    InQuery(PageQuery { cursor, limit }): InQuery<PageQuery>,
) -> ApiResult<Json<Page<IdeaWork>>> {
    // Whoever asks for more gets pages of so many.
    let limit = limit.unwrap_or(WORK_ROWS);
    let limit = if limit <= PAGE_ROWS_MAX { limit.min(WORK_ROWS_MAX) } else { limit };
    let query = part(&api, idea, PageQuery { cursor, limit: Some(limit) }).await?;
    let Page { items: jobs, next } = job_page(&api, query).await?;
    let mut items = Vec::new();
    for job in jobs {
        items.push(work_of(&api, job).await?);
    }
    Ok(Json(Page { items, next }))
}

/// A job that this cluster has no more knowledge of is told as the ledger has it.
async fn work_of(api: &Api, idea: IdeaJob) -> ApiResult<IdeaWork> {
    let Some(record) = api.app.store.job(idea.job).await? else {
        return Ok(IdeaWork { idea, job: None, tasks: Vec::new() });
    };
    let tasks = api.app.store.tasks(&record, None, 0, WORK_TASKS_MAX).await?;
    Ok(IdeaWork { idea, job: Some(jobs::view(&record)), tasks })
}

fn doc_of_job(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("job_ideas")
        .summary("The idea that a job works on, and what the ledger says of it")
        .description(
            "Also of a job of another cluster, as far as the ledger knows it. `names` without `idea`: \
             the idea has not come to the ledger yet.",
        )
        .tag("ideas")
}

async fn of_job(
    _: Caller<Read>,
    State(api): State<Api>,
    InPath(JobPath { job }): InPath<JobPath>,
) -> ApiResult<Json<JobIdeas>> {
    let record = api.app.store.job(job).await?;
    let told = told(&api, job).await?;
    if record.is_none() && told.is_empty() {
        return Err(jobs::no_such_job(job));
    }
    let named = record.and_then(|record| record.spec.idea);
    let names = named.or_else(|| told.first().map(|told| told.idea));
    let idea = match names {
        Some(idea) => if_there(find(&api, idea.to_string()).await)?,
        None => None,
    };
    Ok(Json(JobIdeas { job, names, told, idea }))
}

fn if_there(found: ApiResult<IdeaDetail>) -> ApiResult<Option<IdeaDetail>> {
    match found {
        Ok(idea) => Ok(Some(idea)),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

async fn told(api: &Api, job: JobId) -> ApiResult<Vec<IdeaJob>> {
    let LedgerAnswer::Jobs { items, .. } = api.app.ledger.ask(&LedgerAsk::Ideas { job }).await?
    else {
        return Err(strange().into());
    };
    Ok(items)
}
