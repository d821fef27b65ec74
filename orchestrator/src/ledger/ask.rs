//! Questions to the registry, and submissions that wait for it.

use std::time::Duration;

use async_nats::{Request, client::RequestErrorKind, connection::State, jetstream};
use mesh_fabric::{
    error::chain,
    nats::{ensure_stream, traced_headers},
};
use mesh_schemas::{
    ErrorCode, Problem,
    idea::{Appended, IdeaId, LedgerAnswer, LedgerAsk, Say, Submission},
    subject,
};

use super::{Ledger, trace};

/// How long the registry may take; a question over a large log takes longest.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(20);
/// How long the broker may take to keep a submission.
const KEEP_WAIT_MAX: Duration = Duration::from_secs(5);

impl Ledger {
    /// The registry's answer; what it does for it is of the trace of whoever asks.
    ///
    /// # Errors
    /// Its own refusal; `E_LEDGER_DOWN` when nobody answers, `E_BUS_DOWN`.
    pub async fn ask(&self, ask: &LedgerAsk) -> Result<LedgerAnswer, Problem> {
        if self.client.connection_state() != State::Connected {
            return Err(Problem::new(ErrorCode::BusDown, "NATS is out of reach"));
        }
        let payload = encode(ask)?;
        let request = Request::new().payload(payload.into()).timeout(Some(ANSWER_WAIT_MAX));
        let request = request.headers(traced_headers(trace::current()));
        let answer = self.client.send_request(subject::ledger_ask(ask.name()), request).await;
        let message = answer.map_err(|error| down(error.kind()))?;
        let answer = serde_json::from_slice(&message.payload).map_err(|_| {
            Problem::new(ErrorCode::Internal, "the registry's answer cannot be understood")
                .hint("is it of another version?")
        })?;
        if let LedgerAnswer::Problem(problem) = answer { Err(problem) } else { Ok(answer) }
    }

    /// Appends, or, while the registry is away, lets the submission wait on the stream IDEA: then the answer
    /// has no index. A sealed text waits with who files it: the stream keeps it in the clear, and forgets nothing.
    ///
    /// # Errors
    /// The registry's refusal; `E_BUS_DOWN`, `E_LEDGER_DOWN` when it can not even wait.
    pub async fn append(&self, submission: Submission) -> Result<Appended, Problem> {
        let ask = LedgerAsk::Append(Box::new(submission));
        match self.ask(&ask).await {
            Ok(LedgerAnswer::Appended(appended)) => Ok(appended),
            Ok(_) => Err(strange()),
            Err(problem) if problem.code == ErrorCode::LedgerDown && may_wait(&ask) => {
                self.keep(&ask).await
            }
            Err(problem) => Err(problem),
        }
    }

    async fn keep(&self, ask: &LedgerAsk) -> Result<Appended, Problem> {
        let LedgerAsk::Append(submission) = ask else { return Err(strange()) };
        let entry = mesh_ideas_core::entry_id(&submission.entry);
        let jetstream = jetstream::new(self.client.clone());
        let publish = async {
            ensure_stream(&jetstream, &subject::IDEA)
                .await
                .map_err(|error| waits_nowhere(&error))?;
            let message = jetstream::message::PublishMessage::build()
                .payload(encode(submission)?.into())
                .message_id(entry.to_string());
            let sent = jetstream.send_publish(subject::IDEA_SUBMIT, message).await;
            let kept = sent.map_err(|error| waits_nowhere(&error))?.await;
            kept.map(drop).map_err(|error| waits_nowhere(&error))
        };
        match tokio::time::timeout(KEEP_WAIT_MAX, publish).await {
            Ok(kept) => kept?,
            Err(_) => return Err(down(RequestErrorKind::TimedOut)),
        }
        let idea = matches!(submission.entry.say, Say::Idea { .. }).then(|| IdeaId::from(entry));
        Ok(Appended { entry, index: None, idea, created: true, similar: Vec::new() })
    }
}

fn may_wait(ask: &LedgerAsk) -> bool {
    let LedgerAsk::Append(submission) = ask else { return false };
    submission.entry.say.body().is_none_or(|body| body.sealed.is_none())
        && submission.salt.is_none()
}

fn encode<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(value).map_err(|error| internal(&error))
}

fn internal(error: &serde_json::Error) -> Problem {
    Problem::new(ErrorCode::Internal, error.to_string())
}

fn down(kind: RequestErrorKind) -> Problem {
    let why = match kind {
        RequestErrorKind::NoResponders => "the registry is not connected",
        RequestErrorKind::TimedOut => "the registry did not answer in time",
        RequestErrorKind::InvalidSubject
        | RequestErrorKind::MaxPayloadExceeded
        | RequestErrorKind::Other => "the registry cannot be asked",
    };
    Problem::new(ErrorCode::LedgerDown, why).hint("ideas wait until it is back; `mesh doctor`")
}

fn waits_nowhere(error: &dyn std::error::Error) -> Problem {
    tracing::warn!(error = chain(error), "A submission to the ledger could not be kept");
    Problem::new(ErrorCode::LedgerDown, "the registry is away and the stream IDEA takes nothing")
}

/// Another answer than the question's.
pub(crate) fn strange() -> Problem {
    Problem::new(ErrorCode::Internal, "the registry gave the answer of another question")
}

#[cfg(test)]
mod tests {
    use mesh_schemas::idea::{AuthorId, BodyRef, Entry, Sha256, Signature};

    use super::*;

    fn ask(sealed: Option<&str>, salt: Option<Sha256>) -> LedgerAsk {
        let body = BodyRef { hash: Sha256([0; 32]), bytes: 1, sealed: sealed.map(Into::into) };
        let say = Say::Idea { body, parents: vec![], tags: vec![], source: None };
        let (author, time) = (AuthorId([0; 32]), mesh_schemas::Timestamp::from_millis(0));
        let entry = Entry { v: 1, author, name: None, time, say, sig: Signature([0; 64]) };
        LedgerAsk::Append(Box::new(Submission { entry, body: Some("x".into()), salt }))
    }

    #[test]
    fn a_sealed_text_never_waits_in_the_clear() {
        assert!(may_wait(&ask(None, None)));
        assert!(!may_wait(&ask(Some("someone"), Some(Sha256([1; 32])))));
        assert!(
            !may_wait(&ask(Some("someone"), None)) && !may_wait(&ask(None, Some(Sha256([1; 32]))))
        );
        assert!(!may_wait(&LedgerAsk::Stats {}));
    }
}
