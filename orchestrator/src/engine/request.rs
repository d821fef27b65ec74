//! What can lie in the engine's queue.

use mesh_core::{Input, Reply};
use mesh_schemas::{AttemptKey, JobId, NodeId, Problem, api::Why, message::NodeEvents};
use tokio::sync::oneshot;

use super::handle::NodeEntry;

/// The caller's end of a request.
pub(super) type ReplyTo<T> = oneshot::Sender<Result<T, Problem>>;

/// One message of the stream NODE_EVENT.
#[derive(Debug)]
pub struct FromBus {
    /// Its number in the stream.
    pub position: u64,
    /// What it says; `None` for garbage, which only moves the position on.
    pub events: Option<Box<NodeEvents>>,
}

/// One thing for the engine to do.
#[derive(Debug)]
pub(super) enum Request {
    /// Apply and answer after the commit.
    Apply { input: Input, reply: ReplyTo<Reply> },
    /// Apply all in one round.
    Together(Vec<Request>),
    /// Apply; nobody waits.
    Tell(Input),
    /// Look the job up in the store, apply, answer after the commit.
    Retry { job: JobId, reply: ReplyTo<Reply> },
    /// Apply a message and remember its position.
    FromBus(FromBus),
    /// Answer from what is committed.
    Ask(Ask),
}

/// A question; changes nothing.
#[derive(Debug)]
pub(super) enum Ask {
    Why { job: JobId, reply: ReplyTo<Option<Why>> },
    Node { node: NodeId, reply: ReplyTo<Option<NodeEntry>> },
    Nodes { reply: ReplyTo<Vec<NodeEntry>> },
    Totals { reply: ReplyTo<(u64, u64)> },
    Holds { node: NodeId, attempt: AttemptKey, reply: ReplyTo<bool> },
}

impl Request {
    /// Answers that it was not done. What nobody waits for comes again by itself.
    pub(super) fn refuse(self, problem: Problem) {
        match self {
            Self::Apply { reply, .. } | Self::Retry { reply, .. } => answer(reply, Err(problem)),
            Self::Together(requests) => {
                requests.into_iter().for_each(|request| request.refuse(problem.clone()));
            }
            Self::Tell(_) | Self::FromBus(_) => {}
            Self::Ask(ask) => ask.refuse(problem),
        }
    }
}

impl Ask {
    fn refuse(self, problem: Problem) {
        match self {
            Self::Why { reply, .. } => answer(reply, Err(problem)),
            Self::Node { reply, .. } => answer(reply, Err(problem)),
            Self::Nodes { reply } => answer(reply, Err(problem)),
            Self::Totals { reply } => answer(reply, Err(problem)),
            Self::Holds { reply, .. } => answer(reply, Err(problem)),
        }
    }
}

/// Answers a caller, who may have gone away meanwhile.
pub(super) fn answer<T>(reply: ReplyTo<T>, result: Result<T, Problem>) {
    drop(reply.send(result));
}
