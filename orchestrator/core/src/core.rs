//! The state machine's state and its front door.

use std::collections::{BTreeMap, BTreeSet};

use mesh_schemas::{
    AttemptKey, EndClass, JobId, NodeId, TaskState, Timestamp, api::EventKind, attempt::JobState,
};

use crate::{
    Change, Config, Existing, Input, NodeStatus, Output, Rejected, Reply, change::EventRecord,
    class::Classes, history::History, job::Job, lease::Lease, node::Node, task::Task,
};

/// The state machine. See the crate's documentation.
#[derive(Debug)]
pub struct Core {
    pub(crate) config: Config,
    pub(crate) jobs: BTreeMap<JobId, Job>,
    pub(crate) nodes: BTreeMap<NodeId, Node>,
    pub(crate) classes: Classes,
    /// How long work took.
    pub(crate) history: History,
    /// Nodes that have gained room since the last round.
    pub(crate) gained: BTreeSet<NodeId>,
    /// Who waits for whom: `blocked_on` of the jobs, the other way round.
    pub(crate) dependents: BTreeMap<JobId, BTreeSet<JobId>>,
    /// Idempotency keys of live jobs.
    pub(crate) keys: BTreeMap<String, JobId>,
    /// Tasks that wait for a time.
    pub(crate) waits: BTreeSet<(Timestamp, JobId, u32)>,
    /// Queue time-outs.
    pub(crate) deadlines: BTreeSet<(Timestamp, JobId)>,
    /// Jobs whose progress has changed since the last round.
    pub(crate) dirty: BTreeSet<JobId>,
    /// Jobs that ended in this round: the store does not show it yet.
    pub(crate) ended: BTreeMap<JobId, JobState>,
    /// Their idempotency keys.
    pub(crate) ended_keys: BTreeMap<String, Existing>,
    /// No lease ends before this.
    pub(crate) grace_until: Timestamp,
    pub(crate) last_tick: Timestamp,
}

impl Core {
    /// Takes one input.
    ///
    /// # Errors
    /// [`Rejected`] when it is late, doubled or not allowed; the state is then as it was. Commands may
    /// have been pushed nevertheless, such as asking a node of an unknown journal to say hello.
    pub fn apply(
        &mut self,
        now: Timestamp,
        input: Input,
        out: &mut Output,
    ) -> Result<Reply, Rejected> {
        match input {
            Input::Submit(submit) => self.on_submit(now, *submit, out),
            Input::Cancel { job, tasks } => self.on_cancel(now, job, tasks.as_deref(), out),
            Input::Retry { job, tasks, after } => self.on_retry(now, *job, tasks, &after, out),
            Input::NodeJoined { node, name, public_key } => {
                self.on_joined(now, node, name, public_key, out)
            }
            Input::NodeHello(report) => self.on_hello(now, &report, out),
            Input::NodeBeat(beat) => self.on_beat(now, &beat, out),
            Input::NodeEvents(events) => self.on_events(now, *events, out),
            Input::NodeAction { node, action } => self.on_node_action(now, node, action, out),
            Input::Tick => {
                self.on_tick(now, out);
                Ok(Reply::Done)
            }
        }
    }

    /// How a node does; `None` when it has not joined.
    pub fn node_status(&self, now: Timestamp, node: NodeId) -> Option<NodeStatus> {
        let node = self.nodes.get(&node)?;
        Some(NodeStatus {
            state: node.state(&self.config, now, self.grace_until),
            load: node.load,
            held: u32::try_from(node.held.len()).unwrap_or(u32::MAX),
            last_seen: node.seen_at,
        })
    }

    /// Tasks that wait and tasks that nodes hold.
    pub fn totals(&self) -> (u64, u64) {
        self.jobs.values().fold((0, 0), |(waiting, held), job| {
            let counts = &job.counts;
            let held_here = u64::from(counts.leased) + u64::from(counts.running);
            (waiting + u64::from(counts.queued), held + held_here)
        })
    }

    /// True when the node holds this attempt's lease, or may still have it back: the fence for uploads.
    /// After a partition the request for an upload may come before the hello that takes the loss back,
    /// and a node that is told of the fence kills its work.
    pub fn holds(&self, node: NodeId, attempt: AttemptKey) -> bool {
        let may_speak = self.nodes.get(&node).is_some_and(|node| !node.is_revoked());
        may_speak
            && self.task(attempt.job, attempt.task).is_some_and(|task| {
                task.is_held_by(node, attempt.epoch) || task.is_adoptable_by(node, attempt.epoch)
            })
    }

    /// True when the node holds this attempt's lease right now.
    pub(crate) fn is_leased_to(&self, node: NodeId, attempt: AttemptKey) -> bool {
        self.task(attempt.job, attempt.task)
            .is_some_and(|task| task.is_held_by(node, attempt.epoch))
    }

    pub(crate) fn task(&self, job: JobId, task: u32) -> Option<&Task> {
        self.jobs.get(&job)?.tasks.get(&task)
    }

    pub(crate) fn lease(&self, job: JobId, task: u32) -> Option<&Lease> {
        self.task(job, task)?.lease()
    }

    /// The node, when it may speak.
    pub(crate) fn node_mut(&mut self, id: NodeId) -> Result<&mut Node, Rejected> {
        let node = self.nodes.get_mut(&id).ok_or(Rejected::UnknownNode(id))?;
        if node.is_revoked() { Err(Rejected::NodeRevoked(id)) } else { Ok(node) }
    }

    /// Puts a job into its class's queue, or takes it out, as its tasks now stand.
    pub(crate) fn sync_ready(&mut self, id: JobId) {
        let Some(job) = self.jobs.get(&id) else { return };
        let Some(class) = self.classes.get_mut(job.class) else { return };
        let (ready, order) = (job.is_ready(), job.order());
        if ready {
            class.ready.insert(order);
        } else {
            class.ready.remove(&order);
        }
    }
}

/// An event of the log about nothing yet.
pub(crate) const fn event(at: Timestamp, kind: EventKind) -> EventRecord {
    EventRecord { at, kind, job: None, task: None, epoch: None, node: None, detail: None }
}

pub(crate) fn job_event(at: Timestamp, kind: EventKind, job: JobId) -> EventRecord {
    EventRecord { job: Some(job), ..event(at, kind) }
}

pub(crate) fn attempt_event(
    at: Timestamp,
    kind: EventKind,
    attempt: AttemptKey,
    node: Option<NodeId>,
) -> EventRecord {
    EventRecord {
        task: Some(attempt.task),
        epoch: Some(attempt.epoch),
        node,
        ..job_event(at, kind, attempt.job)
    }
}

/// The log's line on a task that ended.
pub(crate) fn task_finished(
    at: Timestamp,
    job: JobId,
    task: u32,
    state: TaskState,
    why: Option<&str>,
) -> Change {
    let detail = match why {
        None => state.to_string(),
        Some(why) => format!("{state}: {why}"),
    };
    let base = job_event(at, EventKind::TaskFinished, job);
    Change::Event(EventRecord { task: Some(task), detail: Some(detail), ..base })
}

/// A failure's counter, for the classes that have one.
pub(crate) const fn counter_of(class: EndClass) -> Option<Counter> {
    match class {
        EndClass::UserError => Some(Counter::UserError),
        EndClass::OutOfMemory => Some(Counter::OutOfMemory),
        EndClass::Timeout => Some(Counter::Timeout),
        EndClass::Stalled => Some(Counter::Stalled),
        EndClass::NodeLost | EndClass::Preempted | EndClass::OwnerReclaimed => Some(Counter::Lost),
        EndClass::Success | EndClass::Budget | EndClass::Cancelled => None,
    }
}

/// Which counter of [`crate::Tries`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counter {
    UserError,
    OutOfMemory,
    Timeout,
    Stalled,
    Lost,
}
