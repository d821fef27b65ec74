//! Shipping input directories: URLs to upload to, and the proof that all arrived.

use aide::{
    axum::{ApiRouter, routing::post_with},
    transform::TransformOperation,
};
use axum::{Json, extract::State, response::NoContent};
use futures::{StreamExt as _, TryStreamExt as _};
use mesh_fabric::ids;
use mesh_schemas::{
    ErrorCode, Problem,
    api::{UploadCheck, UploadRequest, UploadUrls},
    manifest::PackRef,
    message::ObjectPut,
    subject::upload_prefix,
    text::shown,
};

use super::{
    Api,
    artifacts::{URLS_MAX, too_many},
    body::JsonBody,
    caller::{Caller, Submit},
    problem::ApiResult,
};
use crate::{
    keys,
    objects::{Objects, URL_TTL},
};

/// Longest object, in bytes. Packs are far smaller.
const OBJECT_BYTES_MAX: u64 = 1 << 30;
/// Objects looked up at once.
const CHECKS_AT_ONCE: usize = 8;

/// The routes of uploads.
pub(super) fn routes() -> ApiRouter<Api> {
    ApiRouter::new()
        .api_route("/uploads", post_with(urls, doc_urls))
        .api_route("/uploads/check", post_with(check, doc_check))
}

fn doc_urls(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("upload_urls")
        .summary("URLs to ship an input directory to")
        .description(
            "Without `upload` a new upload begins. Each URL takes exactly the length said.",
        )
        .tag("uploads")
}

async fn urls(
    _: Caller<Submit>,
    State(api): State<Api>,
    JsonBody(request): JsonBody<UploadRequest>,
) -> ApiResult<Json<UploadUrls>> {
    if request.objects.len() > URLS_MAX {
        return Err(too_many("objects", request.objects.len()).into());
    }
    request.objects.iter().try_for_each(check_put)?;
    let upload = request.upload.unwrap_or_else(ids::upload_id);
    let prefix = upload_prefix(upload);
    let urls = request.objects.iter().map(async |object| {
        let key = format!("{prefix}{}", object.name);
        api.app.objects.presign_put(&key, object.size, URL_TTL).await
    });
    let urls = futures::future::try_join_all(urls).await?;
    Ok(Json(UploadUrls { upload, urls }))
}

fn check_put(object: &ObjectPut) -> Result<(), Problem> {
    if !keys::is_name(&object.name) {
        return Err(Problem::invalid(
            "objects",
            format!(
                "{} is no name of an object: letters, digits, '-', '_' and '.' only, at most 128",
                shown(&object.name)
            ),
        ));
    }
    if object.size > OBJECT_BYTES_MAX {
        let detail = format!("an object of {} bytes; at most {OBJECT_BYTES_MAX}", object.size);
        return Err(Problem::new(ErrorCode::TooLarge, detail).at("objects"));
    }
    Ok(())
}

fn doc_check(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("check_upload")
        .summary("Are these objects there, with these lengths?")
        .description("204 when all are; otherwise `E_NOT_FOUND` names the first that is not.")
        .tag("uploads")
}

async fn check(
    _: Caller<Submit>,
    State(api): State<Api>,
    JsonBody(request): JsonBody<UploadCheck>,
) -> ApiResult<NoContent> {
    if request.objects.len() > URLS_MAX {
        return Err(too_many("objects", request.objects.len()).into());
    }
    let foreign =
        request.objects.iter().find(|pack| keys::upload_of(&pack.key) != Some(request.upload));
    if let Some(pack) = foreign {
        let detail = format!("the upload has no object {}", shown(&pack.key));
        return Err(Problem::new(ErrorCode::NotFound, detail).at("objects").into());
    }
    futures::stream::iter(request.objects)
        .map(|pack| check_one(api.app.objects.clone(), pack))
        .buffered(CHECKS_AT_ONCE)
        .try_collect::<()>()
        .await?;
    Ok(NoContent)
}

async fn check_one(objects: Objects, pack: PackRef) -> Result<(), Problem> {
    let there = objects.head(&pack.key).await?;
    if there == Some(pack.size) {
        return Ok(());
    }
    let detail = match there {
        None => format!("{} is not there", shown(&pack.key)),
        Some(size) => format!("{} has {size} bytes, not {}", shown(&pack.key), pack.size),
    };
    Err(Problem::new(ErrorCode::NotFound, detail).at("objects"))
}
