//! A NATS service with an endpoint for each kind of question.

use std::{panic::AssertUnwindSafe, time::Duration};

use async_nats::{
    Client,
    service::{Request, Service, ServiceExt as _, endpoint::Endpoint},
};
use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _, stream::SelectAll};
use mesh_fabric::{ids, nats::trace_of};
use mesh_schemas::{
    ErrorCode, Problem,
    idea::{LedgerAnswer, LedgerAsk},
    subject::{LEDGER_SERVICE, ledger_ask},
};
use metrics::counter;
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument as _, Span, debug, error, info, info_span, warn};

use super::room::{Class, Place, Rooms};
use crate::ask::{Answers, KINDS};

/// Longest answer, in bytes; brokers take no longer messages.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// How long each word of leave may take: where the broker is away nobody hears it.
const LEAVE_MAX: Duration = Duration::from_secs(2);

/// The service, once it listens.
pub(crate) struct Questions {
    client: Client,
    service: Service,
    endpoints: SelectAll<futures::stream::BoxStream<'static, (&'static str, Request)>>,
    answers: Answers,
}

impl std::fmt::Debug for Questions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Questions").finish_non_exhaustive()
    }
}

impl Questions {
    /// Registers the service and its endpoints.
    pub(crate) async fn listen(client: Client, answers: Answers) -> Result<Self, Problem> {
        let down = |error: async_nats::Error| {
            Problem::new(ErrorCode::BusDown, format!("cannot register with NATS: {error}"))
        };
        let service = client
            .service_builder()
            .description("The registry of ideas")
            .start(LEDGER_SERVICE, env!("CARGO_PKG_VERSION"));
        let service = service.await.map_err(down)?;
        let mut endpoints = SelectAll::new();
        for kind in KINDS {
            let endpoint = service.endpoint_builder().name(kind).add(ledger_ask(kind));
            endpoints.push(named(kind, endpoint.await.map_err(down)?));
        }
        info!("Answering on {}", ledger_ask("*"));
        Ok(Self { client, service, endpoints, answers })
    }

    /// Answers until `shutdown`, and then what has begun.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let Self { client, service, mut endpoints, answers } = self;
        let (running, rooms) = (TaskTracker::new(), Rooms::new());
        let serve = async {
            while let Some((kind, request)) = endpoints.next().await {
                let (answers, span) = (answers.clone(), span_of(kind, &request));
                let place = rooms.enter(Class::of(kind), request.message.payload.len());
                running.spawn(respond(answers, kind, request, place).instrument(span));
            }
        };
        // What waits in the client is asked again by who asked.
        let _stopped = shutdown.run_until_cancelled(serve).await;
        if !matches!(timeout(LEAVE_MAX, service.stop()).await, Ok(Ok(()))) {
            debug!("Could not leave the discovery");
        }
        running.close();
        running.wait().await;
        if !matches!(timeout(LEAVE_MAX, client.flush()).await, Ok(Ok(()))) {
            debug!("Could not flush the last answers");
        }
    }
}

fn named(
    kind: &'static str,
    endpoint: Endpoint,
) -> futures::stream::BoxStream<'static, (&'static str, Request)> {
    endpoint.map(move |request| (kind, request)).boxed()
}

/// A span for each question, of the trace that its sender is in.
fn span_of(kind: &'static str, request: &Request) -> Span {
    let sent = request.message.headers.as_ref().and_then(trace_of);
    let trace = sent.unwrap_or_else(ids::trace_parent);
    info_span!("ask", trace.id = trace.trace_id(), ask = kind)
}

async fn respond(
    answers: Answers,
    kind: &'static str,
    request: Request,
    place: Result<Place, Problem>,
) {
    let asked = read(kind, &request.message.payload);
    let answer = match (asked, &place) {
        (_, Err(busy)) => LedgerAnswer::Problem(busy.clone()),
        (Err(problem), _) => LedgerAnswer::Problem(problem),
        (Ok(ask), Ok(place)) => {
            let _turn = place.turn().await;
            answered(&answers, ask).await
        }
    };
    let refused = matches!(answer, LedgerAnswer::Problem(_));
    let refused = if refused { "true" } else { "false" };
    counter!("mesh_ideas_asks_total", "ask" => kind, "refused" => refused).increment(1);
    if let LedgerAnswer::Problem(problem) = &answer {
        debug!("Refused: {problem}");
    }
    if let Err(error) = request.respond(Ok(encoded(&answer))).await {
        warn!("Could not answer: {error}");
    }
}

/// The answer. A panic is a fault of ours that ends this one answer, and is told of.
async fn answered(answers: &Answers, ask: LedgerAsk) -> LedgerAnswer {
    let answer = AssertUnwindSafe(answers.answer(ask)).catch_unwind().await;
    answer.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        error!(panic = text, "An answer panicked");
        counter!("mesh_ideas_panics_total").increment(1);
        LedgerAnswer::Problem(Problem::new(ErrorCode::Internal, "a fault of the registry"))
    })
}

fn read(expected: &'static str, payload: &[u8]) -> Result<LedgerAsk, Problem> {
    let ask: LedgerAsk = serde_json::from_slice(payload).map_err(|error| {
        Problem::new(ErrorCode::Syntax, format!("the question cannot be understood: {error}"))
    })?;
    if ask.name() == expected {
        return Ok(ask);
    }
    let given = ask.name();
    Err(Problem::invalid("ask", format!("ask is {given} on the subject of {expected}")))
}

fn encoded(answer: &LedgerAnswer) -> Bytes {
    let problem = |code, detail: &str| {
        let problem = LedgerAnswer::Problem(Problem::new(code, detail));
        serde_json::to_vec(&problem).unwrap_or_default()
    };
    let bytes = serde_json::to_vec(answer)
        .unwrap_or_else(|_| problem(ErrorCode::Internal, "the answer has no JSON form"));
    if bytes.len() <= ANSWER_BYTES_MAX {
        return bytes.into();
    }
    problem(ErrorCode::TooLarge, "the answer is too long for one message; ask for less").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_answered_on_its_own_subject_alone() {
        assert!(read("stats", br#"{"ask":"stats"}"#).is_ok());
        assert_eq!(read("show", br#"{"ask":"stats"}"#).unwrap_err().code, ErrorCode::Invalid);
        assert_eq!(read("show", b"{").unwrap_err().code, ErrorCode::Syntax);
    }

    #[test]
    fn an_answer_fits_a_message() {
        let long = LedgerAnswer::Body { text: "x".repeat(ANSWER_BYTES_MAX) };
        assert!(encoded(&long).len() < 200);
    }
}
