//! The body of a submit: a job spec as JSON or YAML.

use aide::{OperationInput, generate::GenContext, openapi::Operation};
use axum::{
    extract::{FromRequest, Request},
    http::HeaderMap,
};
use mesh_schemas::{ErrorCode, JobSpec, Problem, spec::SPEC_BYTES_MAX};

use super::{
    Api,
    body::{self, Received},
    limits::Permit,
    problem::ApiError,
    strict_json,
};

/// Names the header that can carry the key instead of the spec.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// From here on a spec is read on a thread that may be slow.
const SLOW_BYTES: usize = 256 << 10;

/// A checked spec.
#[derive(Debug)]
pub(super) struct JobBody {
    pub(super) spec: JobSpec,
    /// A large one's place among the large bodies: kept until the submit has answered, as the spec
    /// takes its memory that long.
    pub(super) place: Option<Permit>,
}

impl FromRequest<Api> for JobBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Api) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let is_json = is_json(&parts.headers)?;
        let received = body::read(&parts.headers, body, SPEC_BYTES_MAX, &api.limits).await?;
        let Received { bytes, large: place } = received;
        let mut spec = if bytes.len() < SLOW_BYTES {
            read(&bytes, is_json)?
        } else {
            tokio::task::spawn_blocking(move || read(&bytes, is_json))
                .await
                .map_err(|error| ApiError::internal(&error))??
        };
        take_key(&parts.headers, &mut spec)?;
        check_input(&spec)?;
        Ok(Self { spec, place })
    }
}

fn read(bytes: &[u8], is_json: bool) -> Result<JobSpec, Problem> {
    if is_json {
        strict_json::check(bytes)?;
    }
    JobSpec::from_text(bytes)
}

/// Reads and checks a spec that must be JSON.
///
/// # Errors
/// Whatever is wrong with it.
pub(super) fn read_json(bytes: &[u8]) -> Result<JobSpec, Problem> {
    let spec = read(bytes, true)?;
    check_input(&spec)?;
    Ok(spec)
}

fn is_json(headers: &HeaderMap) -> Result<bool, ApiError> {
    match body::media_type(headers).as_deref() {
        Some("application/json") => Ok(true),
        Some("application/yaml" | "application/x-yaml" | "text/yaml") => Ok(false),
        Some(_) | None => Err(ApiError::new(
            ErrorCode::MediaType,
            "a job spec must be application/json or application/yaml",
        )),
    }
}

/// Puts the header's key into the spec.
fn take_key(headers: &HeaderMap, spec: &mut JobSpec) -> Result<(), Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(()) };
    let refused = |detail: &str| Err(Problem::invalid("idempotency_key", detail));
    let Ok(key) = value.to_str() else {
        return refused("the Idempotency-Key must be visible ASCII characters");
    };
    if values.next().is_some() {
        return refused("there is more than one Idempotency-Key");
    }
    if spec.idempotency_key.as_deref().is_some_and(|own| own != key) {
        return refused("the Idempotency-Key of the header is not that of the spec");
    }
    spec.idempotency_key = Some(key.to_owned());
    spec.check()
}

/// The input must be a shipped one: a spec must not be a way to read other objects.
fn check_input(spec: &JobSpec) -> Result<(), Problem> {
    match &spec.input {
        Some(input) if crate::keys::upload_of(&input.key).is_none() => Err(Problem::invalid(
            "input.key",
            format!(
                "input.key is {}; it must name an object of an upload, u/<upload>/<name>",
                mesh_schemas::text::shown(&input.key)
            ),
        )
        .hint("`mesh run` and `mesh submit --input` ship a directory and fill this in")),
        Some(_) | None => Ok(()),
    }
}

impl OperationInput for JobBody {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        body::describe::<JobSpec>(ctx, operation, &["application/json", "application/yaml"], true);
        super::sse::header_parameter(
            ctx,
            operation,
            "Idempotency-Key",
            "The same key with the same spec is the same job, for ever; also a field of the spec.",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_upload_can_be_an_input() {
        let mut spec = JobSpec::new(["true"]);
        let upload = mesh_fabric::ids::upload_id();
        for (key, fine) in [
            (format!("{}m1", mesh_schemas::subject::upload_prefix(upload)), true),
            ("a/job_1/0/1/p".into(), false),
            ("../secret".into(), false),
            (format!("u/{upload}/../x"), false),
        ] {
            let blake3 = "0".repeat(64);
            spec.input =
                Some(mesh_schemas::manifest::ManifestRef { key: key.clone(), size: 1, blake3 });
            assert_eq!(check_input(&spec).is_ok(), fine, "{key}");
        }
    }
}
