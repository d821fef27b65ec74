//! A NATS service with an endpoint for each kind of question.

use std::sync::Arc;

use async_nats::{
    Client,
    service::{Request, Service, ServiceExt as _, endpoint::Endpoint},
};
use bytes::Bytes;
use futures::{StreamExt as _, stream::SelectAll};
use mesh_schemas::{
    ErrorCode, Problem,
    idea::{LedgerAnswer, LedgerAsk},
    subject::{LEDGER_SERVICE, ledger_ask},
};
use metrics::counter;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, info, warn};

use crate::ask::{Answers, KINDS};

/// Questions that are answered at a time; more wait in the client.
const ANSWERS_MAX: usize = 512;
/// Longest answer, in bytes; brokers take no longer messages.
const ANSWER_BYTES_MAX: usize = 4 << 20;

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
        let running = TaskTracker::new();
        let room = Arc::new(Semaphore::new(ANSWERS_MAX));
        let serve = async {
            while let Some((kind, request)) = endpoints.next().await {
                // It is never closed.
                let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
                let answers = answers.clone();
                running.spawn(async move {
                    respond(&answers, kind, request).await;
                    drop(permit);
                });
            }
        };
        // What waits in the client is asked again by who asked.
        let _stopped = shutdown.run_until_cancelled(serve).await;
        if let Err(error) = service.stop().await {
            debug!("Could not leave the discovery: {error}");
        }
        running.close();
        running.wait().await;
        if let Err(error) = client.flush().await {
            debug!("Could not flush the last answers: {error}");
        }
    }
}

fn named(
    kind: &'static str,
    endpoint: Endpoint,
) -> futures::stream::BoxStream<'static, (&'static str, Request)> {
    endpoint.map(move |request| (kind, request)).boxed()
}

async fn respond(answers: &Answers, kind: &'static str, request: Request) {
    let answer = match read(kind, &request.message.payload) {
        Ok(ask) => answers.answer(ask).await,
        Err(problem) => LedgerAnswer::Problem(problem),
    };
    let refused = matches!(answer, LedgerAnswer::Problem(_));
    let refused = if refused { "true" } else { "false" };
    counter!("mesh_ideas_asks_total", "ask" => kind, "refused" => refused).increment(1);
    if let LedgerAnswer::Problem(problem) = &answer {
        debug!(ask = kind, "Refused: {problem}");
    }
    if let Err(error) = request.respond(Ok(encoded(&answer))).await {
        warn!(ask = kind, "Could not answer: {error}");
    }
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
