//! One round: from requests to a commit's worth of changes, and from its outcome to answers.

use std::collections::BTreeMap;

use mesh_core::{Core, Existing, Input, Output, Rejected, Reply, Submit};
use mesh_schemas::{ErrorCode, JobId, Problem, Timestamp, attempt::JobState};

use super::{
    metrics,
    request::{Ask, FromBus, ReplyTo, Request, answer},
};
use crate::store::{Store, StoreError};

/// One input and who waits for its outcome.
type Waiting = (Input, Option<ReplyTo<Reply>>);
/// A job to be tried again and who waits for it.
type RetryWish = (JobId, ReplyTo<Reply>);

/// What a round is made of.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    /// Questions, answered from what is committed.
    pub(super) asks: Vec<Ask>,
    submits: Vec<(Box<Submit>, ReplyTo<Reply>)>,
    retries: Vec<RetryWish>,
    others: Vec<Waiting>,
    /// The stream's position after this round, when it has moved.
    pub(super) position: Option<u64>,
}

/// Answers that wait for the commit.
pub(super) type Answers = Vec<(ReplyTo<Reply>, Result<Reply, Problem>)>;

impl Inputs {
    /// Sorts requests. Submits and retries go first, as what the store says of their jobs holds only
    /// until this round's other inputs have been applied.
    pub(super) fn sort(requests: impl IntoIterator<Item = Request>) -> Self {
        let mut inputs = Self::default();
        for request in requests {
            inputs.take(request);
        }
        inputs
    }

    fn take(&mut self, request: Request) {
        match request {
            Request::Apply { input: Input::Submit(submit), reply } => {
                self.submits.push((submit, reply));
            }
            Request::Together(requests) => requests.into_iter().for_each(|r| self.take(r)),
            Request::Apply { input, reply } => self.others.push((input, Some(reply))),
            Request::Tell(input) => self.others.push((input, None)),
            Request::Retry { job, reply } => self.retries.push((job, reply)),
            Request::FromBus(FromBus { position, events }) => {
                self.position = Some(position);
                self.others.extend(events.map(|events| (Input::NodeEvents(events), None)));
            }
            Request::Ask(ask) => self.asks.push(ask),
        }
    }

    /// Asks the store what the core must know: jobs by idempotency key, states of jobs to come after,
    /// jobs to be tried again. Those whose question fails are answered and left out.
    pub(super) async fn look_up(self, store: &dyn Store) -> Vec<Waiting> {
        let mut ready =
            Vec::with_capacity(self.submits.len() + self.retries.len() + self.others.len());
        ready.extend(look_up_submits(self.submits, store).await);
        for (job, reply) in self.retries {
            match look_up_retry(job, store).await {
                Ok(input) => ready.push((input, Some(reply))),
                Err(problem) => answer(reply, Err(problem)),
            }
        }
        ready.extend(self.others);
        ready
    }
}

async fn look_up_submits(
    submits: Vec<(Box<Submit>, ReplyTo<Reply>)>,
    store: &dyn Store,
) -> Vec<Waiting> {
    let facts = match SubmitFacts::load(&submits, store).await {
        Ok(facts) => facts,
        Err(error) => {
            let problem = store_problem(&error);
            for (_, reply) in submits {
                answer(reply, Err(problem.clone()));
            }
            return Vec::new();
        }
    };
    let with_facts = |(mut submit, reply): (Box<Submit>, ReplyTo<Reply>)| {
        facts.fill(&mut submit);
        (Input::Submit(submit), Some(reply))
    };
    submits.into_iter().map(with_facts).collect()
}

/// What the store says about a round's submits, in two queries at most.
#[derive(Default)]
struct SubmitFacts {
    existing: BTreeMap<String, Existing>,
    states: BTreeMap<JobId, JobState>,
}

impl SubmitFacts {
    async fn load(
        submits: &[(Box<Submit>, ReplyTo<Reply>)],
        store: &dyn Store,
    ) -> Result<Self, StoreError> {
        let specs = || submits.iter().map(|(submit, _)| &submit.spec);
        let mut keys: Vec<String> = specs().filter_map(|s| s.idempotency_key.clone()).collect();
        keys.sort_unstable();
        keys.dedup();
        let mut after: Vec<JobId> = specs().flat_map(|spec| spec.after.iter().copied()).collect();
        after.sort_unstable();
        after.dedup();
        let mut facts = Self::default();
        if !keys.is_empty() {
            let found = store.by_idempotency_keys(&keys).await?;
            let known = keys.into_iter().zip(found);
            facts.existing = known.filter_map(|(key, found)| Some((key, found?))).collect();
        }
        if !after.is_empty() {
            facts.states = store.job_states(&after).await?.into_iter().collect();
        }
        Ok(facts)
    }

    fn fill(&self, submit: &mut Submit) {
        let key = submit.spec.idempotency_key.as_ref();
        submit.existing = key.and_then(|key| self.existing.get(key)).copied();
        let state = |job: &JobId| Some((*job, *self.states.get(job)?));
        submit.after = submit.spec.after.iter().filter_map(state).collect();
    }
}

async fn look_up_retry(job: JobId, store: &dyn Store) -> Result<Input, Problem> {
    let record = store.job(job).await.map_err(|error| store_problem(&error))?;
    let Some(record) = record else {
        return Err(Problem::new(ErrorCode::NotFound, format!("there is no {job}")));
    };
    let tasks = store.retryable(job).await.map_err(|error| store_problem(&error))?;
    let mut after = Vec::new();
    if !record.spec.after.is_empty() {
        let states = store.job_states(&record.spec.after).await;
        after = states.map_err(|error| store_problem(&error))?;
    }
    Ok(Input::Retry { job: Box::new(record), tasks, after })
}

/// Applies a round's inputs and places what waits.
pub(super) fn apply(
    core: &mut Core,
    now: Timestamp,
    inputs: Vec<Waiting>,
    out: &mut Output,
) -> Answers {
    let mut answers = Answers::new();
    for (input, reply) in inputs {
        metrics::input(&input);
        let result = core.apply(now, input, out);
        if let Err(rejected) = &result {
            note(rejected);
        }
        if let Some(reply) = reply {
            answers.push((reply, result.map_err(|rejected| rejected.problem())));
        }
    }
    core.schedule(now, out);
    answers
}

fn note(rejected: &Rejected) {
    metrics::rejected(metrics::reason(rejected));
    tracing::debug!("Passed an input over: {rejected}");
}

/// The database did not answer a question: nothing has been done.
pub(super) fn store_problem(error: &StoreError) -> Problem {
    match error {
        StoreError::Unavailable { .. } => nothing_accepted(),
        StoreError::NotLeader { .. } => not_leader(),
        StoreError::Damaged { .. } => error.damaged(),
        StoreError::Unreadable { .. } => Problem::new(ErrorCode::Internal, error.to_string()),
    }
}

/// For requests whose commit failed.
pub(super) fn commit_failed(error: &StoreError) -> Problem {
    match error {
        StoreError::Unavailable { .. } => outcome_unknown(),
        StoreError::NotLeader { .. } => not_leader(),
        StoreError::Damaged { .. } => error.damaged(),
        StoreError::Unreadable { .. } => Problem::new(ErrorCode::Internal, error.to_string()),
    }
}

/// For requests that came to a leader which had been replaced: its fence let nothing through.
fn not_leader() -> Problem {
    Problem::new(ErrorCode::NotLeader, "another orchestrator leads by now; nothing was accepted")
        .hint("send it again; it is safe with the same idempotency key")
}

/// For requests that come while the database is out of reach.
pub(super) fn nothing_accepted() -> Problem {
    Problem::new(ErrorCode::StoreDown, "the database is out of reach; nothing was accepted")
        .hint("try again in a few seconds")
}

/// For requests whose commit's outcome is unknown.
fn outcome_unknown() -> Problem {
    Problem::new(
        ErrorCode::StoreDown,
        "the database did not confirm; it is unknown whether this was accepted",
    )
    .hint("send it again with the same idempotency key; that is safe")
}
