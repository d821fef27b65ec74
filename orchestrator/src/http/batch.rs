//! Many jobs in one request: one spec a line, one transaction for all.

use aide::{
    OperationInput, axum::ApiRouter, axum::routing::post_with, generate::GenContext,
    openapi::Operation, transform::TransformOperation,
};
use axum::{
    Json,
    extract::{FromRequest, Request, State},
};
use mesh_core::Reply;
use mesh_schemas::{
    ErrorCode, JobSpec, Problem,
    api::{BATCH_JOBS_MAX, BatchItem, Submitted, SubmittedBatch},
    spec::SPEC_BYTES_MAX,
};

use super::{
    Api,
    body::{self, Received},
    caller::{Caller, Submit},
    job_body,
    limits::Permit,
    observe::RequestTrace,
    problem::{ApiError, ApiResult},
};

/// One JSON spec a line.
const MEDIA_TYPE: &str = "application/x-ndjson";

/// The route of batches.
pub(super) fn routes() -> ApiRouter<Api> {
    ApiRouter::new().api_route("/jobs/batch", post_with(submit, doc_submit))
}

fn doc_submit(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("submit_jobs")
        .summary("Submit many jobs in one request")
        .description(
            "The body has one spec as JSON a line, at most 1000. When one of them is no good, none is \
             accepted. Answers once all are durable, in the order of the lines; a job that its \
             idempotency key or its dependencies forbid is named by a problem in its place, and the \
             others are accepted.",
        )
        .tag("jobs")
}

async fn submit(
    _: Caller<Submit>,
    State(api): State<Api>,
    RequestTrace(trace): RequestTrace,
    BatchBody { specs, place: _place }: BatchBody,
) -> ApiResult<Json<SubmittedBatch>> {
    for (line, spec) in (1_usize..).zip(&specs) {
        api.app.ledger.admit(spec).await.map_err(|problem| in_line(line, problem))?;
    }
    let items = api.app.engine.submit_batch(specs, trace).await?.into_iter().map(item);
    Ok(Json(SubmittedBatch { jobs: items.collect() }))
}

fn item(result: Result<Reply, Problem>) -> BatchItem {
    match result {
        Ok(Reply::Submitted { job, tasks, created, trace }) => {
            let trace_id = trace.trace_id();
            BatchItem::Submitted(Submitted { job, tasks, created, trace_id })
        }
        Ok(Reply::Done | Reply::Changed { .. } | Reply::Welcome { .. }) => BatchItem::Refused(
            Problem::new(ErrorCode::Internal, "the engine answered something else"),
        ),
        Err(problem) => BatchItem::Refused(problem),
    }
}

/// Checked specs.
#[derive(Debug)]
struct BatchBody {
    specs: Vec<JobSpec>,
    /// As in [`job_body::JobBody`].
    place: Option<Permit>,
}

impl FromRequest<Api> for BatchBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Api) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        if body::media_type(&parts.headers).as_deref() != Some(MEDIA_TYPE) {
            let detail = format!("a batch must be {MEDIA_TYPE}: one job spec as JSON a line");
            return Err(ApiError::new(ErrorCode::MediaType, detail));
        }
        let received = body::read(&parts.headers, body, SPEC_BYTES_MAX, &api.limits).await?;
        let Received { bytes, large: place } = received;
        let specs = tokio::task::spawn_blocking(move || read(&bytes))
            .await
            .map_err(|error| ApiError::internal(&error))??;
        Ok(Self { specs, place })
    }
}

/// Reads all lines; empty ones are passed over.
fn read(bytes: &[u8]) -> Result<Vec<JobSpec>, Problem> {
    let lines = bytes.split(|byte| *byte == b'\n');
    let filled = (1_usize..).zip(lines).filter(|(_, line)| !line.trim_ascii().is_empty());
    let mut specs = Vec::new();
    for (number, line) in filled {
        if specs.len() == BATCH_JOBS_MAX {
            let detail = format!("the batch has more than {BATCH_JOBS_MAX} jobs");
            return Err(Problem::new(ErrorCode::TooLarge, detail).hint("send several batches"));
        }
        specs.push(job_body::read_json(line).map_err(|problem| in_line(number, problem))?);
    }
    if specs.is_empty() {
        return Err(Problem::invalid("body", "the batch has no job"));
    }
    Ok(specs)
}

fn in_line(number: usize, problem: Problem) -> Problem {
    Problem { detail: format!("line {number}: {}", problem.detail), ..problem }
}

impl OperationInput for BatchBody {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        body::describe::<JobSpec>(ctx, operation, &[MEDIA_TYPE], true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_read_whole_or_not_at_all_and_the_bad_line_is_named() {
        let good = b"{\"command\":[\"a\"]}\n\n{\"command\":[\"b\"]}\n";
        assert_eq!(read(good).unwrap().len(), 2);
        let many = b"{\"command\":[\"a\"]}\n".repeat(BATCH_JOBS_MAX + 1);
        for (text, code, says) in [
            (&b"{\"command\":[\"a\"]}\n{\"command\":[]}"[..], ErrorCode::Invalid, "line 2: "),
            (b"{\"command\":[\"a\"]}\n[1", ErrorCode::Syntax, "line 2: "),
            (b"command: [a]", ErrorCode::Syntax, "line 1: "),
            (b" \n\n", ErrorCode::Invalid, "no job"),
            (&many, ErrorCode::TooLarge, "1000"),
        ] {
            let problem = read(text).unwrap_err();
            assert_eq!(problem.code, code, "{}", problem.detail);
            assert!(problem.detail.contains(says), "{}", problem.detail);
        }
    }
}
