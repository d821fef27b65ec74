//! Tasks and their attempts.

use aide::{
    axum::{ApiRouter, routing::get_with},
    transform::TransformOperation,
};
use axum::{Json, extract::State};
use mesh_core::JobRecord;
use mesh_schemas::{
    TaskState,
    api::{AttemptView, Page, TaskView},
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Api,
    caller::{Caller, Read},
    jobs,
    page::{self, Listing},
    params::{InPath, InQuery, JobPath, TaskPath},
    problem::{ApiError, ApiResult},
};

/// The routes of tasks.
pub(super) fn routes() -> ApiRouter<Api> {
    ApiRouter::new()
        .api_route("/jobs/{job}/tasks", get_with(list, doc_list))
        .api_route("/jobs/{job}/tasks/{task}", get_with(show, doc_show))
        .api_route("/jobs/{job}/tasks/{task}/attempts", get_with(attempts, doc_attempts))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Only this state.
    state: Option<TaskState>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Rows of a page, from 1 to 1000; 100 when not said.
    limit: Option<u32>,
}

fn doc_list(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("list_tasks").summary("List a job's tasks by index").tag("tasks")
}

async fn list(
    _: Caller<Read>,
    State(api): State<Api>,
    InPath(JobPath { job }): InPath<JobPath>,
    InQuery(query): InQuery<ListQuery>,
) -> ApiResult<Json<Page<TaskView>>> {
    let limit = page::rows(query.limit)?;
    let state = query.state.as_ref().map(|state| state as &dyn std::fmt::Display);
    let listing = Listing::new("tasks", &[Some(&job), state]);
    let from = match query.cursor {
        Some(cursor) => listing.place::<u32>(&cursor)?.saturating_add(1),
        None => 0,
    };
    let record = jobs::find(&api, job).await?;
    let rows = api.app.store.tasks(&record, query.state, from, limit + 1).await?;
    Ok(Json(listing.page(rows, limit, |task| task.task)))
}

fn doc_show(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("show_task").summary("Show a task and its last attempt").tag("tasks")
}

async fn show(
    _: Caller<Read>,
    State(api): State<Api>,
    InPath(path): InPath<TaskPath>,
) -> ApiResult<Json<TaskView>> {
    let record = find(&api, path).await?;
    one(&api, &record, path.task).await.map(Json)
}

fn doc_attempts(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("list_attempts").summary("List a task's attempts by epoch").tag("tasks")
}

async fn attempts(
    _: Caller<Read>,
    State(api): State<Api>,
    InPath(path): InPath<TaskPath>,
) -> ApiResult<Json<Vec<AttemptView>>> {
    let record = find(&api, path).await?;
    Ok(Json(api.app.store.attempts(&record, path.task).await?))
}

/// The job of a task that exists.
pub(super) async fn find(api: &Api, path: TaskPath) -> ApiResult<JobRecord> {
    let record = jobs::find(api, path.job).await?;
    if record.spec.task_range().contains(path.task) {
        return Ok(record);
    }
    Err(ApiError::not_found(format!("task {} in {}", path.task, path.job)))
}

/// One task as it stands.
pub(super) async fn one(api: &Api, record: &JobRecord, task: u32) -> ApiResult<TaskView> {
    let rows = api.app.store.tasks(record, None, task, 1).await?;
    let found = rows.into_iter().next().filter(|row| row.task == task);
    found.ok_or_else(|| ApiError::not_found(format!("task {task} in {}", record.id)))
}
