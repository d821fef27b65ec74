//! How often each thing came to pass. What never does is not tested.

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Something that is counted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind {
            $($(#[$doc])* $name,)*
        }

        impl Kind {
            /// Each of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

kinds! {
    /// Steps of the world.
    Step,
    /// Rounds committed.
    Committed,
    /// A message vanished.
    Dropped,
    /// A message came twice.
    Doubled,
    /// A message took seconds.
    Slowed,
    /// Old messages came once more.
    Replayed,
    /// All messages under way vanished.
    BrokerWiped,
    /// A commit failed.
    CommitFailed,
    /// A commit's answer was lost.
    CommitUnknown,
    /// The orchestrator died before a commit.
    CrashBeforeCommit,
    /// The orchestrator died after a commit, before anybody heard of it.
    CrashAfterCommit,
    /// The orchestrator died between rounds.
    OrchestratorCrash,
    /// The orchestrator was stopped for a while.
    OrchestratorPause,
    /// An agent died; the work went on.
    AgentCrash,
    /// A machine died with its work.
    MachineCrash,
    /// A machine came back with an empty disk.
    DiskWiped,
    /// A node was cut off for a while.
    Partition,
    /// A node was stopped for a while.
    Zombie,
    /// A node was drained or paused.
    Drained,
    /// A node was resumed.
    Resumed,
    /// A node was revoked.
    Revoked,
    /// A job was accepted.
    JobAccepted,
    /// A client submitted again.
    Resubmitted,
    /// A submit found its job already there.
    SameJob,
    /// A job was cancelled.
    CancelAsked,
    /// A job was retried on demand.
    Retried,
    /// A job waited for another.
    Dependency,
    /// A lease was granted.
    Leased,
    /// A lease was granted beyond the first for its task.
    LeasedAgain,
    /// An attempt succeeded.
    Success,
    /// An attempt failed by its own fault.
    UserError,
    /// An attempt was cancelled.
    Cancelled,
    /// An attempt was lost.
    NodeLost,
    /// A loss was taken back.
    Adopted,
    /// A checkpoint was handed on.
    Checkpoint,
    /// A task was quarantined.
    Quarantined,
    /// Events after a gap were refused.
    Gap,
    /// A journal that had not said hello was refused.
    UnknownJournal,
    /// An event was fenced.
    Fenced,
    /// A message of a revoked node was refused.
    RefusedRevoked,
    /// A node was told to stop what it does not hold.
    StopFenced,
    /// A node got a task that it already had.
    StartedTwice,
}

/// Counts by kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    counts: Vec<u64>,
}

impl Default for Stats {
    fn default() -> Self {
        Self { counts: vec![0; Kind::ALL.len()] }
    }
}

impl Stats {
    /// One more.
    pub fn count(&mut self, kind: Kind) {
        self.add(kind, 1);
    }

    /// So many more.
    pub fn add(&mut self, kind: Kind, more: u64) {
        self.counts[kind as usize] += more;
    }

    /// How often.
    pub fn get(&self, kind: Kind) -> u64 {
        self.counts[kind as usize]
    }

    /// Takes another's counts in.
    pub fn merge(&mut self, other: &Self) {
        for kind in Kind::ALL {
            self.add(*kind, other.get(*kind));
        }
    }

    /// What never came to pass.
    pub fn never(&self) -> Vec<Kind> {
        Kind::ALL.iter().copied().filter(|kind| self.get(*kind) == 0).collect()
    }
}
