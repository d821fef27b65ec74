//! What goes into the core.

use std::time::Duration;

use mesh_schemas::{
    AttemptKey, JournalId, Timestamp,
    manifest::ManifestSummary,
    message::{NodeCommands, Usage},
};

/// One thing that happened outside. Anything from the orchestrator may be late, doubled or stale.
#[derive(Debug, Clone)]
pub enum Input {
    /// The orchestrator wants something.
    Commands(Box<NodeCommands>),
    /// The orchestrator answered a hello.
    Welcome(Welcomed),
    /// Preparing an attempt came to its end.
    Prepared {
        /// Which.
        attempt: AttemptKey,
        /// How it went.
        result: Prepared,
    },
    /// All that the supervisor knows, at each start of the agent. Replaces what was thought before.
    Snapshot(Vec<(AttemptKey, Supervised)>),
    /// The supervisor says where an attempt is now.
    Supervised {
        /// Which.
        attempt: AttemptKey,
        /// Where.
        state: Supervised,
    },
    /// New bytes were seen on an attempt's stdout or stderr.
    Output {
        /// Whose.
        attempt: AttemptKey,
    },
    /// Output of a running attempt is in the object store.
    Committed {
        /// Whose.
        attempt: AttemptKey,
        /// What is stored.
        manifest: Box<ManifestSummary>,
    },
    /// The last output of an exited attempt is stored, or never will be.
    Stored {
        /// Whose.
        attempt: AttemptKey,
        /// All that it left behind, as far as it is stored.
        manifest: Box<ManifestSummary>,
        /// Why that is not everything, for people.
        missing: Option<String>,
    },
    /// The orchestrator refused the attempt's uploads: another attempt holds the task.
    Fenced {
        /// Which.
        attempt: AttemptKey,
    },
    /// The node is to stop: nothing new, hand back what has not started, and at `deadline` end the rest.
    Drain {
        /// Until when running work may go on.
        deadline: Timestamp,
    },
    /// Time passes. A few times a second.
    Tick,
}

/// A welcome, with what it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Welcomed {
    /// The leader's own epoch.
    pub leader: u64,
    /// The journal that the hello named.
    pub journal: JournalId,
    /// Last number of it that is recorded.
    pub recorded_seq: u64,
    /// For a new journal, should it turn out that this one lost its tail.
    pub spare: JournalId,
}

/// How preparing went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prepared {
    /// Directory, input and checkpoint are there.
    Ready,
    /// It was asked to stop, and did.
    Aborted,
    /// It cannot be: the node's failure, for people to read.
    Failed(String),
    /// It cannot be on any node: the job's own failure, for people to read.
    Unusable(String),
}

/// Where the supervisor has an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Supervised {
    /// It waits for room.
    Queued,
    /// Its command runs.
    Running {
        /// Since when, by the node's clock.
        started_at: Timestamp,
        /// For how long, by a clock that nobody sets; `None` from a supervisor that does not say.
        elapsed: Option<Duration>,
    },
    /// It is over and its whole process tree is gone.
    Exited(Exit),
}

/// How an attempt's processes ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// By the node's clock; `None` when the command never ran.
    pub started_at: Option<Timestamp>,
    /// By the node's clock.
    pub ended_at: Timestamp,
    /// How.
    pub how: ExitHow,
    /// What it used.
    pub usage: Usage,
}

/// How the command itself ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExitHow {
    /// It returned this code.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
    /// The kernel killed it for its memory.
    OutOfMemory {
        /// By this signal, when it is known.
        signal: Option<i32>,
    },
    /// It could not be started, and the command is to blame.
    CannotStart {
        /// What a shell would return: 126 not executable, 127 not found.
        code: i32,
        /// For people.
        message: String,
    },
    /// It was stopped while it still waited for room.
    NeverStarted,
    /// The supervisor lost it, or could not do its part.
    Lost {
        /// For people.
        message: String,
    },
}

/// An input, or a part of one, that was not taken; the state is as it was. To be counted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// A command of a leader that has been replaced.
    #[error("the leader {got} was replaced by {known}")]
    OldLeader {
        /// Whose command it was.
        got: u64,
        /// The newest leader seen.
        known: u64,
    },
    /// A message of a version that is not known.
    #[error("message version {got} is not known")]
    Version {
        /// The version.
        got: u32,
    },
    /// A command before the first welcome: whose it is cannot be judged yet.
    #[error("no leader has welcomed this agent yet")]
    NotWelcome,
    /// A start that was meant for this node as it was before it lost its memory.
    #[error("a start for the journal {meant}, which is not this node's any more")]
    OtherJournal {
        /// Whose start it was.
        meant: JournalId,
    },
    /// More tasks in one command than allowed.
    #[error("{got} tasks in one command")]
    TooManyTasks {
        /// How many.
        got: usize,
    },
    /// The node holds as many attempts as it can name in one beat.
    #[error("{attempt} was not taken: too many are held")]
    Full {
        /// Which was passed over.
        attempt: AttemptKey,
    },
    /// The node has it, had it, or has a later attempt of the task.
    #[error("{attempt} is already known")]
    Known {
        /// Which.
        attempt: AttemptKey,
    },
    /// Epochs begin with 1.
    #[error("{attempt} has no epoch")]
    NoEpoch {
        /// Which.
        attempt: AttemptKey,
    },
    /// The attempt is not held here.
    #[error("{attempt} is not held")]
    Unknown {
        /// Which.
        attempt: AttemptKey,
    },
    /// The attempt is not where this could happen: a late or doubled word.
    #[error("{attempt} is past that")]
    Late {
        /// Which.
        attempt: AttemptKey,
    },
    /// A confirmation of a journal that is not this one, or of numbers never given.
    #[error("a confirmation of {seq} in {journal} does not fit")]
    Confirmation {
        /// Whose numbers.
        journal: JournalId,
        /// Which.
        seq: u64,
    },
}
