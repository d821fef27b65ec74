//! One live task: its state, and what it has been through.

use mesh_schemas::{
    Epoch, JobId, NodeId, TaskState, Timestamp, attempt::AttemptKey, manifest::ManifestRef,
};

use crate::{TaskRecord, Tries, lease::Lease};

/// A task that has a row and has not ended. Ended ones live in the store alone.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    /// The last epoch granted; 0 when never leased.
    pub(crate) epoch: Epoch,
    /// The node of that epoch.
    pub(crate) node: Option<NodeId>,
    /// Failures so far, by class.
    pub(crate) tries: Tries,
    /// It is to end.
    pub(crate) cancel_requested: bool,
    /// What the next attempt starts with.
    pub(crate) checkpoint: Option<ManifestRef>,
    /// Where it is.
    pub(crate) state: State,
}

/// Where a live task is.
#[derive(Debug, Clone)]
pub(crate) enum State {
    /// Waits for a node.
    Queued(Wait),
    /// Granted; the node has not said that it started.
    Leased {
        /// To whom and until when.
        lease: Lease,
    },
    /// The node said that it started.
    Running {
        /// To whom and until when.
        lease: Lease,
        /// By the node's clock.
        started_at: Timestamp,
    },
}

/// Why a queued task waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Until this time at least. Its last attempt, if any, has ended for good.
    Until(Timestamp),
    /// Not at all: its lease ran out. Should the node of its last epoch come back before another gets
    /// the task, then that attempt goes on.
    Lost {
        /// By that node's clock, when it is known to have started.
        started_at: Option<Timestamp>,
    },
}

impl Task {
    /// A task as it comes out of the range of its job.
    pub(crate) fn fresh(accepted_at: Timestamp) -> Self {
        Self {
            epoch: Epoch(0),
            node: None,
            tries: Tries::default(),
            cancel_requested: false,
            checkpoint: None,
            state: State::Queued(Wait::Until(accepted_at)),
        }
    }

    pub(crate) const fn lease(&self) -> Option<&Lease> {
        match &self.state {
            State::Queued(_) => None,
            State::Leased { lease } | State::Running { lease, .. } => Some(lease),
        }
    }

    pub(crate) const fn lease_mut(&mut self) -> Option<&mut Lease> {
        match &mut self.state {
            State::Queued(_) => None,
            State::Leased { lease } | State::Running { lease, .. } => Some(lease),
        }
    }

    pub(crate) const fn started_at(&self) -> Option<Timestamp> {
        match &self.state {
            State::Queued(_) | State::Leased { .. } => None,
            State::Running { started_at, .. } => Some(*started_at),
        }
    }

    pub(crate) const fn state_word(&self) -> TaskState {
        match &self.state {
            State::Queued(_) => TaskState::Queued,
            State::Leased { .. } => TaskState::Leased,
            State::Running { .. } => TaskState::Running,
        }
    }

    /// The fence: true when this attempt on this node holds the task.
    pub(crate) fn is_held_by(&self, node: NodeId, epoch: Epoch) -> bool {
        self.epoch == epoch && self.lease().is_some_and(|lease| lease.node == node)
    }

    /// True when this attempt's lease ran out and nobody else has had the task since.
    pub(crate) fn is_adoptable_by(&self, node: NodeId, epoch: Epoch) -> bool {
        match &self.state {
            State::Queued(Wait::Lost { .. }) => self.epoch == epoch && self.node == Some(node),
            State::Queued(Wait::Until(_)) | State::Leased { .. } | State::Running { .. } => false,
        }
    }

    pub(crate) const fn key(&self, job: JobId, task: u32) -> AttemptKey {
        AttemptKey { job, task, epoch: self.epoch }
    }

    /// The row of this task. `eligible_at` is absent exactly for [`Wait::Lost`] among queued tasks.
    pub(crate) fn record(&self, job: JobId, task: u32) -> TaskRecord {
        self.ended_record(job, task, self.state_word())
    }

    /// The row of this task as it ends.
    pub(crate) fn ended_record(&self, job: JobId, task: u32, state: TaskState) -> TaskRecord {
        let eligible_at = match &self.state {
            State::Queued(Wait::Until(time)) => Some(*time),
            State::Queued(Wait::Lost { .. }) | State::Leased { .. } | State::Running { .. } => None,
        };
        TaskRecord {
            job,
            task,
            state,
            epoch: self.epoch,
            node: self.node,
            tries: self.tries,
            eligible_at: eligible_at.filter(|_| !state.is_terminal()),
            cancel_requested: self.cancel_requested,
            checkpoint: self.checkpoint.clone(),
        }
    }
}
