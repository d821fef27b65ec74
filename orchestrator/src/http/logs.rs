//! A task's log as server-sent events: `log` with a LogPiece each, then `end`.

use aide::{
    axum::{ApiRouter, routing::get_with},
    transform::TransformOperation,
};
use axum::{extract::State, response::sse::Event};
use data_encoding::BASE64;
use futures::{Stream, StreamExt as _};
use mesh_schemas::{Problem, api::LogPiece, manifest::StreamName};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Api,
    caller::{Caller, Read},
    log_source::{LogSource, Piece, Start},
    params::{InPath, InQuery, TaskPath},
    problem::{ApiError, ApiResult},
    serve::Shutdown,
    sse::{self, EventStream},
    tasks,
};

/// The route of logs.
pub(super) fn routes() -> ApiRouter<Api> {
    ApiRouter::new().api_route("/jobs/{job}/tasks/{task}/logs", get_with(logs, doc_logs))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LogsQuery {
    /// Which stream; both when not said.
    stream: Option<StreamName>,
    /// First byte wanted of the attempt begun with; needs `stream`.
    #[serde(default)]
    offset: u64,
    /// Wait for more, and go on with later attempts, until the task has ended.
    #[serde(default)]
    follow: bool,
    /// The attempt to begin with; the last when not said.
    epoch: Option<u32>,
}

fn doc_logs(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("logs")
        .summary("A task's log")
        .description(
            "Events `log` carry a LogPiece; `end` comes when all is sent, `error` with a problem when \
             the stream cannot go on. Pieces of one stream follow each other without a gap; to go on \
             after a break, pass the last piece's epoch and the offset behind it.",
        )
        .tag("logs")
}

async fn logs(
    _: Caller<Read>,
    State(api): State<Api>,
    InPath(path): InPath<TaskPath>,
    InQuery(query): InQuery<LogsQuery>,
    shutdown: Shutdown,
) -> ApiResult<EventStream> {
    if query.stream.is_none() && query.offset > 0 {
        return Err(Problem::invalid("offset", "offset needs stream: each has its own").into());
    }
    let permit = api.limits.wait()?;
    let record = tasks::find(&api, path).await?;
    if let Some(epoch) = query.epoch {
        let attempts = api.app.store.attempts(&record, path.task).await?;
        if !attempts.iter().any(|view| view.attempt.epoch.0 == epoch) {
            return Err(ApiError::not_found(format!("attempt {epoch} of task {}", path.task)));
        }
    }
    let streams = query.stream.map_or_else(|| StreamName::ALL.to_vec(), |stream| vec![stream]);
    let (offset, epoch, follow) = (query.offset, query.epoch, query.follow);
    let sources = streams.into_iter().map(|stream| {
        let start = Start { path, stream, epoch, offset, follow };
        Box::pin(pieces(LogSource::new(api.clone(), start)))
    });
    let merged = futures::stream::select_all(sources);
    Ok(EventStream::new(numbered(merged), permit, shutdown))
}

fn pieces(source: LogSource) -> impl Stream<Item = ApiResult<Piece>> + Send {
    futures::stream::unfold(Some(source), async |source| {
        let mut source = source?;
        match source.next().await {
            Ok(None) => None,
            Ok(Some(piece)) => Some((Ok(piece), Some(source))),
            Err(error) => Some((Err(error), None)),
        }
    })
}

/// Numbers the pieces and adds the last event: `error` after the first failure, otherwise `end`.
fn numbered(
    pieces: impl Stream<Item = ApiResult<Piece>> + Send + Unpin,
) -> impl Stream<Item = Event> + Send {
    futures::stream::unfold(Some((pieces, 0_u64)), async |state| {
        let (mut pieces, seq) = state?;
        match pieces.next().await {
            Some(Ok(piece)) => Some((as_sse(piece, seq), Some((pieces, seq + 1)))),
            Some(Err(error)) => Some((sse::problem_event(error.problem()), None)),
            None => Some((Event::default().event("end").data("{}"), None)),
        }
    })
}

fn as_sse(piece: Piece, seq: u64) -> Event {
    let Piece { attempt, stream, offset, marks, data } = piece;
    let data = BASE64.encode(&data);
    sse::event("log", &LogPiece { attempt, stream, seq, offset, marks, data })
}
