//! The only way into the engine.

use std::sync::Arc;

use mesh_core::{Input, NodeRecord, NodeStatus, Reply, Submit};
use mesh_fabric::ids;
use mesh_schemas::{
    AttemptKey, ErrorCode, JobId, JobSpec, NodeId, Problem, TraceParent,
    api::{NodeAction, Why},
    message::{NodeBeat, NodeReport},
};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    metrics,
    request::{Ask, FromBus, ReplyTo, Request},
    watch::{JobWatch, RestartPoint, Watchers},
};
use crate::bus::fits_one_message;

/// A node as the engine knows it.
#[derive(Debug, Clone)]
pub struct NodeEntry {
    /// As stored.
    pub record: Arc<NodeRecord>,
    /// How it does now.
    pub status: NodeStatus,
}

/// A cheap way to reach the engine. Every method that changes something answers after the commit.
///
/// All of them fail with `E_BUSY` when the engine's queue is full, with `E_STORE_DOWN` when the database
/// is out of reach, and with what the core rejects.
#[derive(Debug, Clone)]
pub struct Handle {
    requests: mpsc::Sender<Request>,
    watchers: Arc<Watchers>,
    leader: u64,
}

impl Handle {
    pub(super) const fn new(
        requests: mpsc::Sender<Request>,
        watchers: Arc<Watchers>,
        leader: u64,
    ) -> Self {
        Self { requests, watchers, leader }
    }

    /// This leader's epoch.
    pub const fn leader(&self) -> u64 {
        self.leader
    }

    /// Accepts a job whose spec has been checked. Answers `Reply::Submitted`.
    ///
    /// # Errors
    /// `E_IDEM_MISMATCH`, `E_UNKNOWN_DEPENDENCY`, `E_WRONG_STATE`, `E_TOO_LARGE`; see [`Handle`].
    pub async fn submit(&self, spec: JobSpec, trace: TraceParent) -> Result<Reply, Problem> {
        self.apply(submit_of(spec, trace)?).await
    }

    /// Accepts many jobs in one round, so in one transaction. The answers are in the order of the specs.
    ///
    /// # Errors
    /// When none was accepted: `E_TOO_LARGE`; see [`Handle`].
    pub async fn submit_batch(
        &self,
        specs: Vec<JobSpec>,
        trace: TraceParent,
    ) -> Result<Vec<Result<Reply, Problem>>, Problem> {
        let (mut requests, mut answers) = (Vec::new(), Vec::new());
        for spec in specs {
            let (reply, answer) = oneshot::channel();
            requests.push(Request::Apply { input: submit_of(spec, trace)?, reply });
            answers.push(answer);
        }
        self.queue(Request::Together(requests))?;
        let mut replies = Vec::with_capacity(answers.len());
        for answer in answers {
            replies.push(answer.await.unwrap_or_else(|_| Err(stopping())));
        }
        Ok(replies)
    }

    /// Cancels a live job, or some of its tasks. Answers `Reply::Changed`.
    ///
    /// # Errors
    /// `E_WRONG_STATE` when the job is not live, which includes one that does not exist; see [`Handle`].
    pub async fn cancel(&self, job: JobId, tasks: Option<Vec<u32>>) -> Result<Reply, Problem> {
        self.apply(Input::Cancel { job, tasks }).await
    }

    /// Queues the ended tasks of a job again that did not end well. Answers `Reply::Changed`.
    ///
    /// # Errors
    /// `E_NOT_FOUND`, `E_WRONG_STATE`; see [`Handle`].
    pub async fn retry(&self, job: JobId) -> Result<Reply, Problem> {
        self.ask(|reply| Request::Retry { job, reply }).await
    }

    /// Does something to a node, as an administrator wants.
    ///
    /// # Errors
    /// `E_NOT_FOUND`, `E_NODE_REVOKED`; see [`Handle`].
    pub async fn node_action(&self, node: NodeId, action: NodeAction) -> Result<Reply, Problem> {
        self.apply(Input::NodeAction { node, action }).await
    }

    /// Lets a machine in.
    ///
    /// # Errors
    /// See [`Handle`].
    pub async fn node_joined(
        &self,
        node: NodeId,
        name: String,
        public_key: String,
    ) -> Result<Reply, Problem> {
        self.apply(Input::NodeJoined { node, name, public_key }).await
    }

    /// An agent started or reconnected. Answers `Reply::Welcome`.
    ///
    /// # Errors
    /// `E_NOT_FOUND` when it has not joined, `E_NODE_REVOKED`; see [`Handle`].
    pub async fn node_hello(&self, report: Box<NodeReport>) -> Result<Reply, Problem> {
        self.apply(Input::NodeHello(report)).await
    }

    /// Takes a beat when there is room; nobody waits for the outcome. False when it was dropped: the
    /// next one says the same.
    pub fn node_beat(&self, beat: Box<NodeBeat>) -> bool {
        self.requests.try_send(Request::Tell(Input::NodeBeat(beat))).is_ok()
    }

    /// Takes one message of the stream NODE_EVENT, waiting for room. False when the engine has ended.
    pub async fn from_stream(&self, message: FromBus) -> bool {
        self.requests.send(Request::FromBus(message)).await.is_ok()
    }

    /// Why a live job waits; `None` when it is not live.
    ///
    /// # Errors
    /// See [`Handle`].
    pub async fn why(&self, job: JobId) -> Result<Option<Why>, Problem> {
        self.ask(|reply| Request::Ask(Ask::Why { job, reply })).await
    }

    /// How a node does; `None` when it has not joined.
    ///
    /// # Errors
    /// See [`Handle`].
    pub async fn node_status(&self, node: NodeId) -> Result<Option<NodeEntry>, Problem> {
        self.ask(|reply| Request::Ask(Ask::Node { node, reply })).await
    }

    /// Every node that ever joined, revoked ones included, by id (which is by age).
    ///
    /// # Errors
    /// See [`Handle`].
    pub async fn node_statuses(&self) -> Result<Vec<NodeEntry>, Problem> {
        self.ask(|reply| Request::Ask(Ask::Nodes { reply })).await
    }

    /// Tasks that wait and tasks that nodes hold.
    ///
    /// # Errors
    /// See [`Handle`].
    pub async fn totals(&self) -> Result<(u64, u64), Problem> {
        self.ask(|reply| Request::Ask(Ask::Totals { reply })).await
    }

    /// True when the node holds this attempt's lease: the fence for uploads.
    ///
    /// # Errors
    /// See [`Handle`].
    pub async fn holds(&self, node: NodeId, attempt: AttemptKey) -> Result<bool, Problem> {
        self.ask(|reply| Request::Ask(Ask::Holds { node, attempt, reply })).await
    }

    /// Wakes with the last number of the event log after each commit.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.watchers.changes()
    }

    /// Wakes after commits that touched this job (and now and then for another one). Subscribe first,
    /// look at the store second, wait third: then nothing is missed.
    pub fn watch_job(&self, job: JobId) -> JobWatch {
        self.watchers.job(job)
    }

    /// Where the stream NODE_EVENT is to be read from; changes when the engine had to start over.
    pub fn restart_point(&self) -> watch::Receiver<RestartPoint> {
        self.watchers.restart_point()
    }

    async fn apply(&self, input: Input) -> Result<Reply, Problem> {
        self.ask(|reply| Request::Apply { input, reply }).await
    }

    fn queue(&self, request: Request) -> Result<(), Problem> {
        self.requests.try_send(request).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                metrics::rejected("busy");
                Problem::new(ErrorCode::Busy, "the orchestrator has too much to do; try again soon")
            }
            mpsc::error::TrySendError::Closed(_) => stopping(),
        })
    }

    async fn ask<T>(&self, request: impl FnOnce(ReplyTo<T>) -> Request) -> Result<T, Problem> {
        let (reply, answer) = oneshot::channel();
        self.queue(request(reply))?;
        answer.await.map_err(|_| stopping())?
    }
}

fn submit_of(spec: JobSpec, trace: TraceParent) -> Result<Input, Problem> {
    let text = serde_json::to_vec(&spec).map_err(|error| internal(&error.to_string()))?;
    if !fits_one_message(text.len(), &spec) {
        return Err(Problem::new(
            ErrorCode::TooLarge,
            "the command, its variables and the longest item of the array are too long to be \
             sent to a node together",
        ));
    }
    let submit = Submit {
        job: ids::job_id(),
        spec_hash: *blake3::hash(&text).as_bytes(),
        spec: Arc::new(spec),
        trace,
        existing: None,
        after: Vec::new(),
    };
    Ok(Input::Submit(Box::new(submit)))
}

fn stopping() -> Problem {
    Problem::new(ErrorCode::NotLeader, "this orchestrator stopped leading meanwhile")
        .hint("it is unknown whether this was done; ask again with the same idempotency key")
}

fn internal(detail: &str) -> Problem {
    Problem::new(ErrorCode::Internal, detail)
}
