//! What happens, as it happens: server-sent events from the event log, by number, without a gap.

use std::time::Duration;

use aide::{
    axum::{ApiRouter, routing::get_with},
    transform::TransformOperation,
};
use axum::{
    extract::{FromRequestParts, State},
    http::request::Parts,
    response::sse::Event,
};
use futures::Stream;
use mesh_schemas::{JobId, Problem, api::EventView};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::watch;

use super::{
    Api,
    caller::{Caller, Read},
    jobs,
    params::InQuery,
    problem::{ApiError, ApiResult},
    serve::Shutdown,
    sse::{self, EventStream},
};
use crate::store::EventFilter;

/// Events read at once.
const BATCH: u32 = 500;
/// Between looks, so that many quick commits become few queries.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The route of events.
pub(super) fn routes() -> ApiRouter<Api> {
    ApiRouter::new().api_route("/events", get_with(events, doc_events))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EventsQuery {
    /// Only of this job.
    job: Option<JobId>,
    /// Begin after this number instead of now; 0 is the beginning of the log.
    after: Option<u64>,
}

fn doc_events(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.id("events")
        .summary("Events as they are recorded")
        .description(
            "Each event has its kind as `event`, its number as `id` and an EventView as `data`. With \
             `Last-Event-ID` (or `after`) the stream goes on behind that number; otherwise it begins \
             now.",
        )
        .tag("events")
}

async fn events(
    _: Caller<Read>,
    State(api): State<Api>,
    InQuery(query): InQuery<EventsQuery>,
    LastEventId(last): LastEventId,
    shutdown: Shutdown,
) -> ApiResult<EventStream> {
    let permit = api.limits.wait()?;
    if let Some(job) = query.job {
        jobs::find(&api, job).await?;
    }
    let changes = api.app.engine.changes();
    let after = match last.or(query.after) {
        Some(after) => after,
        None => last_number(&api).await?,
    };
    let reader = Reader { api, after, job: query.job, changes, batch: Vec::new().into_iter() };
    Ok(EventStream::new(reader.stream(), permit, shutdown))
}

/// Reads the log in batches and waits at its end.
struct Reader {
    api: Api,
    after: u64,
    job: Option<JobId>,
    changes: watch::Receiver<u64>,
    batch: std::vec::IntoIter<EventView>,
}

impl Reader {
    fn stream(self) -> impl Stream<Item = Event> + Send {
        futures::stream::unfold(Some(self), async |reader| {
            let mut reader = reader?;
            match reader.next().await {
                Ok(event) => Some((as_sse(&event), Some(reader))),
                Err(error) => Some((sse::problem_event(error.problem()), None)),
            }
        })
    }

    async fn next(&mut self) -> ApiResult<EventView> {
        loop {
            if let Some(event) = self.batch.next() {
                self.after = event.seq;
                return Ok(event);
            }
            // Marked as seen before looking: a commit after the look wakes the wait below.
            self.changes.borrow_and_update();
            let filter = EventFilter { after: self.after, job: self.job, limit: BATCH };
            self.batch = self.api.app.store.events(&filter).await?.into_iter();
            if self.batch.len() == 0 {
                self.wait().await;
            }
        }
    }

    async fn wait(&mut self) {
        if self.changes.changed().await.is_err() {
            // The engine has ended, so nothing follows; the server's shutdown ends the stream.
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn as_sse(event: &EventView) -> Event {
    sse::event(event.kind.as_str(), event).id(event.seq.to_string())
}

/// The number of the last event. The engine knows it once it has committed; before that it is found by
/// halving, as the log has no gaps worth speaking of.
async fn last_number(api: &Api) -> ApiResult<u64> {
    let known = *api.app.engine.changes().borrow();
    if known > 0 {
        return Ok(known);
    }
    let (mut there, mut step) = (0_u64, 1_u64);
    while step > 0 {
        let filter = EventFilter { after: there.saturating_add(step - 1), job: None, limit: 1 };
        match api.app.store.events(&filter).await?.first() {
            Some(event) => {
                there = event.seq;
                step = step.saturating_mul(2).min(1 << 40);
            }
            None => step /= 2,
        }
    }
    Ok(there)
}

/// The header by which a client goes on where it was.
#[derive(Debug)]
struct LastEventId(Option<u64>);

impl<S: Send + Sync> FromRequestParts<S> for LastEventId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Some(value) = parts.headers.get("last-event-id") else { return Ok(Self(None)) };
        let number = value.to_str().ok().and_then(|text| text.parse().ok());
        number.map(|number| Self(Some(number))).ok_or_else(|| {
            Problem::invalid("Last-Event-ID", "Last-Event-ID must be the id of an event").into()
        })
    }
}

impl aide::OperationInput for LastEventId {
    fn operation_input(
        ctx: &mut aide::generate::GenContext,
        operation: &mut aide::openapi::Operation,
    ) {
        let about = "Go on behind the event with this number.";
        sse::header_parameter(ctx, operation, "Last-Event-ID", about);
    }
}
