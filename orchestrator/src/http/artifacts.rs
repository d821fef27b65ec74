//! What attempts have stored, and the URLs to fetch it.

use aide::{
    axum::{
        ApiRouter,
        routing::{get_with, post_with},
    },
    transform::TransformOperation,
};
use axum::{Json, extract::State};
use mesh_core::JobRecord;
use mesh_schemas::{
    AttemptKey, ErrorCode, Problem,
    api::{ArtifactsView, AttemptView, DownloadRequest},
    manifest::{Manifest, ManifestOwner, ManifestPlace},
    message::ObjectUrl,
    text::shown,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Api,
    body::JsonBody,
    caller::{Caller, Read},
    jobs,
    params::{InPath, InQuery, JobPath, TaskPath},
    problem::{ApiError, ApiResult},
    tasks,
};
use crate::{keys, objects::URL_TTL};

/// Most URLs in one answer.
pub(super) const URLS_MAX: usize = 1_000;

/// The routes of artifacts.
pub(super) fn routes() -> ApiRouter<Api> {
    ApiRouter::new()
        .api_route("/jobs/{job}/tasks/{task}/artifacts", get_with(show, doc_show))
        .api_route("/jobs/{job}/downloads", post_with(downloads, doc_downloads))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ShowQuery {
    /// Which attempt; the last when not said.
    epoch: Option<u32>,
}

fn doc_show(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("show_artifacts").summary("What an attempt has stored").tag("artifacts")
}

async fn show(
    _: Caller<Read>,
    State(api): State<Api>,
    InPath(path): InPath<TaskPath>,
    InQuery(query): InQuery<ShowQuery>,
) -> ApiResult<Json<ArtifactsView>> {
    let record = tasks::find(&api, path).await?;
    let attempts = api.app.store.attempts(&record, path.task).await?;
    let found = match query.epoch {
        Some(epoch) => attempts.into_iter().find(|view| view.attempt.epoch.0 == epoch),
        None => attempts.into_iter().next_back(),
    };
    let Some(attempt) = found else {
        return Err(ApiError::not_found(match query.epoch {
            Some(epoch) => format!("attempt {epoch} of task {}", path.task),
            None => format!("attempt of task {} yet", path.task),
        }));
    };
    stored(&api, attempt).await.map(Json)
}

async fn stored(api: &Api, attempt: AttemptView) -> ApiResult<ArtifactsView> {
    let mut view = ArtifactsView {
        attempt: attempt.attempt,
        complete: attempt.ended_at.is_some(),
        manifest: None,
        manifest_ref: None,
        urls: Vec::new(),
    };
    match attempt.manifest.map_or(ManifestPlace::Empty, |summary| summary.place) {
        ManifestPlace::Empty => view.manifest = Some(nothing(attempt.attempt, view.complete)),
        ManifestPlace::Inline(manifest) => view.manifest = Some(*manifest),
        ManifestPlace::Object(place) => {
            view.urls.push(api.app.objects.presign_get(&place.key, URL_TTL).await?);
            view.manifest_ref = Some(place);
        }
    }
    Ok(view)
}

/// The manifest of an attempt that has stored nothing.
const fn nothing(attempt: AttemptKey, complete: bool) -> Manifest {
    Manifest {
        v: 1,
        owner: ManifestOwner::Attempt(attempt),
        version: 1,
        complete,
        packs: Vec::new(),
        files: Vec::new(),
        checkpoint: Vec::new(),
        logs: Vec::new(),
    }
}

fn doc_downloads(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("download_urls")
        .summary("URLs to fetch objects of a job, in the order asked")
        .tag("artifacts")
}

async fn downloads(
    _: Caller<Read>,
    State(api): State<Api>,
    InPath(JobPath { job }): InPath<JobPath>,
    JsonBody(request): JsonBody<DownloadRequest>,
) -> ApiResult<Json<Vec<ObjectUrl>>> {
    if request.keys.len() > URLS_MAX {
        return Err(too_many("keys", request.keys.len()).into());
    }
    let record = jobs::find(&api, job).await?;
    let foreign = request.keys.iter().find(|key| !belongs(&record, key));
    if let Some(key) = foreign {
        let detail = format!("the job has no object {}", shown(key));
        return Err(Problem::new(ErrorCode::NotFound, detail).at("keys").into());
    }
    let urls = request.keys.iter().map(|key| api.app.objects.presign_get(key, URL_TTL));
    Ok(Json(futures::future::try_join_all(urls).await?))
}

/// An object of one of the job's tasks, or of its input.
fn belongs(record: &JobRecord, key: &str) -> bool {
    let input = record.spec.input.as_ref().and_then(|input| keys::upload_of(&input.key));
    match keys::attempt_of(key) {
        Some(attempt) => {
            attempt.job == record.id && record.spec.task_range().contains(attempt.task)
        }
        None => input.is_some() && keys::upload_of(key) == input,
    }
}

/// More was asked for than one answer may hold.
pub(super) fn too_many(field: &str, count: usize) -> Problem {
    let detail = format!("{field} has {count} entries; at most {URLS_MAX} are allowed");
    Problem::new(ErrorCode::TooLarge, detail).at(field)
}
