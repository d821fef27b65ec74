//! Jobs: submit, list, look, wait, cancel, retry, why.

use std::sync::Arc;

use aide::{
    NoApi,
    axum::{
        ApiRouter,
        routing::{get_with, post_with},
    },
    transform::TransformOperation,
};
use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use mesh_core::{JobRecord, Reply};
use mesh_schemas::{
    ErrorCode, JobId, Span,
    api::{Changed, JobDetail, JobView, Page, Submitted, Why},
    attempt::JobState,
    spec::ArraySpec,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Api,
    body::OptionalBody,
    caller::{Caller, Read, Submit},
    job_body::JobBody,
    observe::{RequestTrace, Waited},
    page::{self, Listing},
    params::{InPath, InQuery, JobPath},
    problem::{ApiError, ApiResult},
    serve::Shutdown,
    wait::{self, Until},
};
use crate::store::JobFilter;

/// The routes of jobs.
pub(super) fn routes() -> ApiRouter<Api> {
    ApiRouter::new()
        .api_route("/jobs", post_with(submit, doc_submit).get_with(list, doc_list))
        .api_route("/jobs/{job}", get_with(show, doc_show))
        .api_route("/jobs/{job}/cancel", post_with(cancel, doc_cancel))
        .api_route("/jobs/{job}/retry", post_with(retry, doc_retry))
        .api_route("/jobs/{job}/why", get_with(why, doc_why))
}

fn doc_submit(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("submit_job")
        .summary("Submit a job")
        .description(
            "Answers once the job is durable: 201 for a new one, 200 for the one that the \
                      idempotency key already names.",
        )
        .tag("jobs")
        .response_with::<201, Json<Submitted>, _>(|r| r.description("The job is new."))
        .response_with::<200, Json<Submitted>, _>(|r| r.description("The job was there already."))
}

async fn submit(
    _: Caller<Submit>,
    State(api): State<Api>,
    RequestTrace(trace): RequestTrace,
    JobBody { spec, place: _place }: JobBody,
) -> ApiResult<NoApi<Response>> {
    api.app.ledger.admit(&spec).await?;
    match api.app.engine.submit(spec, trace).await? {
        Reply::Submitted { job, tasks, created, trace } => {
            let body = Submitted { job, tasks, created, trace_id: trace.trace_id() };
            let status = if created { StatusCode::CREATED } else { StatusCode::OK };
            let location = [(header::LOCATION, format!("/api/v1/jobs/{job}"))];
            Ok(NoApi((status, location, Json(body)).into_response()))
        }
        Reply::Done | Reply::Changed { .. } | Reply::Welcome { .. } => Err(strange_reply()),
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Only this project.
    project: Option<String>,
    /// Only this state.
    state: Option<JobState>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Rows of a page, from 1 to 1000; 100 when not said.
    limit: Option<u32>,
}

fn doc_list(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("list_jobs").summary("List jobs, newest first").tag("jobs")
}

async fn list(
    _: Caller<Read>,
    State(api): State<Api>,
    InQuery(query): InQuery<ListQuery>,
) -> ApiResult<Json<Page<JobView>>> {
    let limit = page::rows(query.limit)?;
    if let Some(project) = &query.project {
        mesh_schemas::text::check_name("project", project)?;
    }
    let state = query.state.as_ref().map(|state| state as &dyn std::fmt::Display);
    let project = query.project.as_ref().map(|project| project as &dyn std::fmt::Display);
    let listing = Listing::new("jobs", &[project, state]);
    let before = query.cursor.map(|cursor| listing.place::<JobId>(&cursor)).transpose()?;
    let filter =
        JobFilter { project: query.project.clone(), state: query.state, before, limit: limit + 1 };
    let rows = api.app.store.jobs(&filter).await?;
    Ok(Json(listing.page(rows, limit, |job| job.id)))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ShowQuery {
    /// Answer only when `until` holds, or after so long; at most `1m`.
    wait: Option<Span>,
    /// What to wait for: `started` or `finished` (when not said).
    #[serde(default)]
    until: Until,
}

fn doc_show(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("show_job")
        .summary("Show a job, or wait for it")
        .description("With `wait` this is a long-poll: the answer has the job as it then stands.")
        .tag("jobs")
}

async fn show(
    _: Caller<Read>,
    State(api): State<Api>,
    InPath(JobPath { job }): InPath<JobPath>,
    InQuery(query): InQuery<ShowQuery>,
    shutdown: Shutdown,
) -> ApiResult<Shown> {
    let record = match query.wait {
        Some(wait) => {
            wait::for_job(&api, job, query.until, wait::checked(wait)?, &shutdown).await?
        }
        None => find(&api, job).await?,
    };
    Ok(Shown { detail: detail(record), waited: query.wait.is_some() })
}

/// A job's answer.
struct Shown {
    detail: JobDetail,
    waited: bool,
}

impl IntoResponse for Shown {
    fn into_response(self) -> Response {
        let mut response = Json(self.detail).into_response();
        if self.waited {
            response.extensions_mut().insert(Waited);
        }
        response
    }
}

impl aide::OperationOutput for Shown {
    type Inner = JobDetail;

    fn operation_response(
        ctx: &mut aide::generate::GenContext,
        op: &mut aide::openapi::Operation,
    ) -> Option<aide::openapi::Response> {
        Json::<JobDetail>::operation_response(ctx, op)
    }

    fn inferred_responses(
        ctx: &mut aide::generate::GenContext,
        op: &mut aide::openapi::Operation,
    ) -> Vec<(Option<u16>, aide::openapi::Response)> {
        Json::<JobDetail>::inferred_responses(ctx, op)
    }
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CancelRequest {
    /// Only these tasks, by index; all of them when absent.
    #[serde(default)]
    tasks: Option<Vec<u32>>,
}

fn doc_cancel(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("cancel_job")
        .summary("Cancel a job, or some of its tasks")
        .description("Idempotent. Running tasks are asked to end and killed after their grace.")
        .tag("jobs")
}

async fn cancel(
    caller: Caller<Submit>,
    State(api): State<Api>,
    InPath(JobPath { job }): InPath<JobPath>,
    OptionalBody(request): OptionalBody<CancelRequest>,
) -> ApiResult<Json<Changed>> {
    let record = find(&api, job).await?;
    if let Some(tasks) = &request.tasks {
        check_tasks(&record, tasks)?;
    }
    caller.audit("cancel", &job);
    let tasks = match api.app.engine.cancel(job, request.tasks).await {
        // A job that has ended by now needs no cancelling: saying so twice is no mistake.
        Err(problem) if problem.code == ErrorCode::WrongState => 0,
        answer => changed(&answer?)?,
    };
    Ok(Json(Changed { tasks, job: view(&find(&api, job).await?) }))
}

fn check_tasks(record: &JobRecord, tasks: &[u32]) -> Result<(), mesh_schemas::Problem> {
    let range = record.spec.task_range();
    match tasks.iter().find(|task| !range.contains(**task)) {
        Some(task) => Err(mesh_schemas::Problem::invalid(
            "tasks",
            format!("the job has no task {task}; its tasks are {range}"),
        )),
        None => Ok(()),
    }
}

/// The body of a request that has nothing to say.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

fn doc_retry(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("retry_job")
        .summary("Queue a job's failed, cancelled and quarantined tasks again")
        .tag("jobs")
}

async fn retry(
    caller: Caller<Submit>,
    State(api): State<Api>,
    InPath(JobPath { job }): InPath<JobPath>,
    OptionalBody(Nothing {}): OptionalBody<Nothing>,
) -> ApiResult<Json<Changed>> {
    caller.audit("retry", &job);
    let tasks = changed(&api.app.engine.retry(job).await?)?;
    Ok(Json(Changed { tasks, job: view(&find(&api, job).await?) }))
}

fn doc_why(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("why_job").summary("Why does a job wait?").tag("jobs")
}

async fn why(
    _: Caller<Read>,
    State(api): State<Api>,
    InPath(JobPath { job }): InPath<JobPath>,
) -> ApiResult<Json<Why>> {
    if let Some(why) = api.app.engine.why(job).await? {
        return Ok(Json(why));
    }
    let state = find(&api, job).await?.progress.state;
    Ok(Json(Why {
        summary: format!("the job does not wait: it has ended as {state}"),
        waiting: 0,
        reasons: Vec::new(),
        nearest_fix: None,
    }))
}

/// The job as stored.
pub(super) async fn find(api: &Api, job: JobId) -> ApiResult<JobRecord> {
    let record = api.app.store.job(job).await?;
    record.ok_or_else(|| no_such_job(job))
}

pub(super) fn no_such_job(job: JobId) -> ApiError {
    ApiError::not_found(format!("job {job}"))
}

fn changed(reply: &Reply) -> ApiResult<u32> {
    match reply {
        Reply::Changed { tasks } => Ok(*tasks),
        Reply::Done | Reply::Submitted { .. } | Reply::Welcome { .. } => Err(strange_reply()),
    }
}

fn strange_reply() -> ApiError {
    ApiError::new(ErrorCode::Internal, "the engine gave the answer of another question")
}

/// A job as lists show it.
pub(super) fn view(record: &JobRecord) -> JobView {
    JobView {
        id: record.id,
        name: record.spec.display_name().to_owned(),
        project: record.spec.project.clone(),
        state: record.progress.state,
        counts: record.progress.counts,
        trace_id: record.trace.trace_id(),
        created_at: record.created_at,
        finished_at: record.progress.finished_at,
        cancel_requested: record.progress.cancel_requested,
    }
}

/// With the spec, but without the items of an array, which may be megabytes: their range stands in.
fn detail(record: JobRecord) -> JobDetail {
    let view = view(&record);
    let mut spec = Arc::unwrap_or_clone(record.spec);
    if let Some(ArraySpec::Items(_)) = &spec.array {
        spec.array = Some(ArraySpec::Range(spec.task_range()));
    }
    JobDetail { view, spec }
}
