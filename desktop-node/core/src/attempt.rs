//! One attempt as the node sees it.

use std::sync::Arc;

use mesh_schemas::{
    AttemptKey, JobId, Timestamp, TraceParent,
    manifest::ManifestSummary,
    message::{RunSpec, TaskStart},
};

use crate::Exit;

/// What all attempts of one command share.
#[derive(Debug, PartialEq, Eq)]
pub struct JobRun {
    /// The job.
    pub job: JobId,
    /// What to run.
    pub run: RunSpec,
    /// The trace of the job.
    pub trace: TraceParent,
}

/// One try at one task, held by this node.
#[derive(Debug)]
pub struct Attempt {
    /// What to run.
    pub job: Arc<JobRun>,
    /// Which task of it.
    pub start: TaskStart,
    /// Where it is.
    pub phase: Phase,
    /// Why it is to end, once somebody wants that.
    pub stop: Option<Stopping>,
    /// Its `AttemptStarted` has a number in the journal.
    pub start_told: bool,
    /// It was taken in a former boot. It may have begun without a word of it in the journal, as what a power cut
    /// takes is not known; so it is not begun again.
    pub from_former_boot: bool,
    /// What is known to be stored of it, while it is not over.
    pub stored: Option<Box<ManifestSummary>>,
}

/// Where an attempt is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// In the journal; nothing has been asked of anybody in this life of the agent.
    Accepted,
    /// Its directory, input and checkpoint are being made.
    Preparing,
    /// Handed to the supervisor, which has not said that it runs.
    Submitted,
    /// Its command runs.
    Running {
        /// Since when, as the supervisor says it; to be told, not to be reckoned with.
        started_at: Timestamp,
        /// Since when by the clock of this life of the agent, which the run's time-out is judged by:
        /// the supervisor's may have been set meanwhile.
        since: Timestamp,
        /// When output was last seen; the start counts.
        output_at: Timestamp,
    },
    /// Its processes are gone; its last output is on its way to the store.
    Exited {
        /// How they went.
        exit: Exit,
    },
    /// Its end is in the journal under this number and not recorded yet.
    Ended {
        /// The number.
        seq: u64,
    },
}

/// An attempt is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopping {
    /// Why.
    pub cause: StopCause,
    /// Since when.
    pub at: Timestamp,
}

/// Why an attempt is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StopCause {
    /// Somebody cancelled it.
    Cancelled,
    /// Room is needed.
    Preempted,
    /// The node is to stop.
    Draining,
    /// It ran too long.
    RunTimeout,
    /// It wrote nothing for too long.
    Stalled,
    /// The orchestrator was not heard for too long.
    NoContact,
    /// Another attempt holds the task.
    Fenced,
}

impl StopCause {
    /// Each cause; what the journal's names are made of.
    pub const ALL: [Self; 7] = [
        Self::Cancelled,
        Self::Preempted,
        Self::Draining,
        Self::RunTimeout,
        Self::Stalled,
        Self::NoContact,
        Self::Fenced,
    ];

    /// The word for it in the journal.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Preempted => "preempted",
            Self::Draining => "draining",
            Self::RunTimeout => "run_timeout",
            Self::Stalled => "stalled",
            Self::NoContact => "no_contact",
            Self::Fenced => "fenced",
        }
    }
}

impl Attempt {
    /// Its name.
    pub fn key(&self) -> AttemptKey {
        AttemptKey { job: self.job.job, task: self.start.task, epoch: self.start.epoch }
    }

    /// True when nobody may hear of it any more.
    pub fn is_fenced(&self) -> bool {
        self.stop.is_some_and(|stop| stop.cause == StopCause::Fenced)
    }

    /// True when its processes are gone: no log byte follows those in its files.
    pub const fn is_over(&self) -> bool {
        match self.phase {
            Phase::Exited { .. } | Phase::Ended { .. } => true,
            Phase::Accepted | Phase::Preparing | Phase::Submitted | Phase::Running { .. } => false,
        }
    }
}
