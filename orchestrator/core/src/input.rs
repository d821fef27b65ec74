//! What goes into the core, and what it answers.

use std::sync::Arc;

use mesh_schemas::{
    AttemptKey, ErrorCode, JobId, JobSpec, NodeId, Problem, TraceParent,
    api::NodeAction,
    attempt::JobState,
    message::{NodeBeat, NodeEvents, NodeReport},
};

use crate::{JobRecord, TaskRecord};

/// One thing that happened outside. Anything from a node may be late, doubled or out of order.
#[derive(Debug, Clone)]
pub enum Input {
    /// A user submits a job; the spec has been checked.
    Submit(Box<Submit>),
    /// A user cancels a job, or some of its tasks. Idempotent.
    Cancel {
        /// Which job.
        job: JobId,
        /// Which tasks; all when absent.
        tasks: Option<Vec<u32>>,
    },
    /// A user wants ended tasks tried again. The shell fills in what the store knows, as ended tasks
    /// and jobs are not in memory.
    Retry {
        /// The job as stored, for when it is not live.
        job: Box<JobRecord>,
        /// Its failed, cancelled and quarantined tasks that have a row. Their epochs and checkpoints go
        /// on; their counters of failures begin anew.
        tasks: Vec<TaskRecord>,
        /// The state of each job in `spec.after` as the store has it, as in [`Submit::after`].
        after: Vec<(JobId, JobState)>,
    },
    /// A machine was let in. Its report follows when it says hello.
    NodeJoined {
        /// Its new id.
        node: NodeId,
        /// Its name for people.
        name: String,
        /// Public half of its NATS key.
        public_key: String,
    },
    /// An agent started or reconnected.
    NodeHello(Box<NodeReport>),
    /// A node is alive and names what it holds.
    NodeBeat(Box<NodeBeat>),
    /// Entries of a node's journal.
    NodeEvents(Box<NodeEvents>),
    /// An administrator does something to a node.
    NodeAction {
        /// Which.
        node: NodeId,
        /// What.
        action: NodeAction,
    },
    /// Time passes: leases end, queues time out, commands are sent again. About once a second.
    Tick,
}

/// A job to be accepted.
#[derive(Debug, Clone)]
pub struct Submit {
    /// Its new id.
    pub job: JobId,
    /// What was asked for; checked.
    pub spec: Arc<JobSpec>,
    /// BLAKE3 of the spec's canonical JSON, to compare resubmits by.
    pub spec_hash: [u8; 32],
    /// The trace it belongs to.
    pub trace: TraceParent,
    /// The job that the store already has under this idempotency key.
    pub existing: Option<Existing>,
    /// The state of each job in `spec.after` as the store has it; a missing one was not found.
    pub after: Vec<(JobId, JobState)>,
}

/// A job that is already stored under an idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Existing {
    /// Which.
    pub job: JobId,
    /// Hash of its spec.
    pub spec_hash: [u8; 32],
    /// Number of its tasks.
    pub tasks: u32,
    /// Its trace.
    pub trace: TraceParent,
}

/// What the core answers to an input that it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Nothing to say.
    Done,
    /// To `Submit`.
    Submitted {
        /// The job, new or old.
        job: JobId,
        /// Number of its tasks.
        tasks: u32,
        /// False when the idempotency key named a job that was already there.
        created: bool,
        /// Its trace.
        trace: TraceParent,
    },
    /// To `Cancel` and `Retry`.
    Changed {
        /// How many tasks it touched.
        tasks: u32,
    },
    /// To `NodeHello`: the last recorded number of its journal.
    Welcome {
        /// That number.
        recorded_seq: u64,
    },
}

/// An input that the core did not take; its state is as it was. Late and doubled messages end here:
/// they are counted and forgotten.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// The same idempotency key with another spec.
    #[error("the idempotency key belongs to {job}, whose spec is another")]
    IdempotencyMismatch {
        /// The job that has the key.
        job: JobId,
    },
    /// `after` names a job that does not exist.
    #[error("{job} in after does not exist")]
    UnknownDependency {
        /// The missing job.
        job: JobId,
    },
    /// `after` names a job that has ended and not well.
    #[error("{job} in after ended as {state}")]
    FailedDependency {
        /// That job.
        job: JobId,
        /// How it ended.
        state: JobState,
    },
    /// The job is not live.
    #[error("{0} is not live")]
    JobNotLive(JobId),
    /// Nothing of the job can be tried again.
    #[error("{0} has no failed, cancelled or quarantined task to try again")]
    NothingToRetry(JobId),
    /// Single tasks to be cancelled lie so late in an array that too many before them would need rows.
    #[error(
        "cancelling these tasks of {job} singly takes {rows} rows; at most {} are allowed at once",
        crate::cancel::ROWS_AT_ONCE_MAX
    )]
    TooManyRows {
        /// Whose tasks.
        job: JobId,
        /// How many rows it would take.
        rows: u32,
    },
    /// No such node.
    #[error("{0} has not joined")]
    UnknownNode(NodeId),
    /// The node was revoked.
    #[error("{0} is revoked")]
    NodeRevoked(NodeId),
    /// Events after a gap: the missing ones come again.
    #[error("expected event {expected} of {node}, got {got}")]
    Gap {
        /// Whose.
        node: NodeId,
        /// The next wanted number.
        expected: u64,
        /// The number that came.
        got: u64,
    },
    /// A journal that is not the node's current one: it must say hello first.
    #[error("{0} speaks from a journal that did not say hello")]
    UnknownJournal(NodeId),
    /// A message of an attempt that does not hold the task.
    #[error("{0} does not hold its task")]
    Fenced(AttemptKey),
}

impl Rejected {
    /// As told to a user.
    pub fn problem(&self) -> Problem {
        let code = match self {
            Self::IdempotencyMismatch { .. } => ErrorCode::IdempotencyMismatch,
            Self::UnknownDependency { .. } => ErrorCode::UnknownDependency,
            Self::FailedDependency { .. } | Self::JobNotLive(_) | Self::NothingToRetry(_) => {
                ErrorCode::WrongState
            }
            Self::TooManyRows { .. } => ErrorCode::TooLarge,
            Self::UnknownNode(_) => ErrorCode::NotFound,
            Self::NodeRevoked(_) => ErrorCode::NodeRevoked,
            Self::Gap { .. } | Self::UnknownJournal(_) | Self::Fenced(_) => ErrorCode::Fenced,
        };
        let problem = Problem::new(code, self.to_string());
        match self {
            Self::TooManyRows { .. } => {
                problem.hint("cancel the whole job, or earlier tasks of it first")
            }
            Self::IdempotencyMismatch { .. }
            | Self::UnknownDependency { .. }
            | Self::FailedDependency { .. }
            | Self::JobNotLive(_)
            | Self::NothingToRetry(_)
            | Self::UnknownNode(_)
            | Self::NodeRevoked(_)
            | Self::Gap { .. }
            | Self::UnknownJournal(_)
            | Self::Fenced(_) => problem,
        }
    }
}
